//! Tables that are too small for all; who stays in them is tested beside the code.

use std::collections::BTreeSet;

use bully::{Event, Member, Roster};
use bully_tests::group::Dice;
use bully_tests::people::{at, config, member, members, pid};
use bully_tests::script::{Habit, Script};

#[test]
fn tells_how_many_found_no_capacity_and_only_then() {
    let full = |event: &Event| matches!(event, Event::RosterFull { .. });
    for (others, left_out) in [(7, 0), (8, 1), (10, 3)] {
        let lab = &mut Script::<8, 8>::joined(config(1), &members(2..2 + others));
        assert_eq!(lab.roster().len(), 8);
        let mut events = lab.take_events().into_iter().filter(full);
        let reported = events.next();
        assert_eq!(
            reported,
            (left_out > 0).then_some(Event::RosterFull { left_out }),
            "{others}"
        );
        assert_eq!(events.next(), None);
    }
}

#[test]
fn keeps_the_leader_though_everyone_else_is_greater() {
    let mut lab = Script::<4, 8>::node(config(1));
    lab.expect_join();
    lab.members(&members([2]));
    lab.coordinator(&members([2]));
    for days in 3..=9 {
        lab.election(&members([days]));
        lab.coordinator(&members([2]));
        lab.expect_leader(pid(2));
        assert!(lab.roster().contains(&member(2)));
        assert!(lab.roster().contains(&member(1)));
    }
}

#[test]
fn takes_in_a_leader_that_finds_it_full() {
    let mut lab = Script::<4, 8>::joined(config(1), &members([7, 8, 9]));
    lab.coordinator(&members([2]));
    lab.expect_leader(pid(2));
    assert_eq!(lab.roster().len(), 4);
    assert!(lab.roster().contains(&member(2)));
}

/// A lesser claimant is followed once the greater one is gone, so there must be a place for it.
#[test]
fn keeps_one_that_claims_to_lead_until_that_is_settled() {
    let mut lab = Script::<4, 8>::following(config(1), &members([7, 8, 9]));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.habit(member(2).addr, Habit::Answers);
    lab.coordinator(&members([2]));
    lab.expect_leader(pid(2));
    assert!(lab.roster().contains(&member(2)), "{:?}", lab.roster());
    lab.wait(10_000);
    lab.expect_leader(pid(2));
}

/// A dead one is announced at one more address, and the table is full: the leader is followed on,
/// so its place is not to be had.
#[test]
fn keeps_the_leader_though_a_dead_one_is_announced() {
    let mut lab = Script::<4, 8>::node(config(1));
    for dead in [at(8, 40_008), at(9, 40_009), at(9, 50_009)] {
        lab.habit(dead.addr, Habit::Refuses);
    }
    lab.habit(member(2).addr, Habit::Answers);
    lab.members(&members([2, 8, 9]));
    lab.coordinator(&members([2]));
    lab.expect_leader(pid(2));
    lab.coordinator(&[at(9, 50_009)]);
    lab.expect_leader(pid(2));
    assert!(lab.roster().contains(&member(2)), "{:?}", lab.roster());
    lab.wait(10_000);
    lab.expect_leader(pid(2));
}

/// It was listed twice, and one of the places is mine: the port I have was its own.
#[test]
fn takes_in_a_leader_that_is_announced_at_my_address_too() {
    let mut lab = Script::<4, 8>::joined(config(1), &members([7, 8, 9]));
    let here = at(2, 30_000);
    lab.coordinator(&[here, at(2, member(1).addr.0)]);
    lab.expect_leader(pid(2));
    assert!(lab.roster().contains(&here));
}

/// In a group that does not fit, many may wait in vain for the same one, who has no place for them.
#[test]
fn with_it_full_those_who_wait_for_a_victor_do_not_ask_in_step() {
    let waits = (0..100).map(|seed| {
        let mut me = config(1);
        me.seed = seed;
        let mut lab = Script::<4, 8>::asleep(me);
        lab.habit(member(9).addr, Habit::Answers);
        lab.wait(0);
        lab.members(&members([7, 8, 9, 10]));
        lab.habit(member(10).addr, Habit::Answers);
        lab.wait(10_000);
        let mut elections = lab
            .take_timed_events()
            .into_iter()
            .filter_map(|(at, event)| matches!(event, Event::Election { .. }).then_some(at));
        let first = elections.next().unwrap();
        elections.next().unwrap().since(first).as_millis()
    });
    let mut waits: Vec<u128> = waits.collect();
    waits.sort_unstable();
    // Up to half as long again as the three seconds, and from all over that range.
    assert!(waits[0] >= 3_000 && waits[99] <= 4_500, "{waits:?}");
    assert!(waits[25] < 3_700 && waits[75] > 3_800, "{waits:?}");
}

/// Peers send lists in any order, and some entries twice.
#[test]
fn any_list_is_put_in_order() {
    let mut dice = Dice::new(11);
    for len in (0..70).chain([500, 1_024]) {
        let mut raw: Vec<Member> = (0..len)
            .map(|_| at(dice.below(40) as u32, dice.below(3)))
            .collect();
        let sorted_set: BTreeSet<Member> = raw.iter().copied().collect();
        let sorted = Roster::sorted(&mut raw);
        assert!(sorted.members().iter().eq(&sorted_set), "{sorted:?}");
    }
}
