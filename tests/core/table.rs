//! Who stays in a table that is too small for all, against a naive twin.

use std::collections::BTreeSet;

use bully::{Cause, Event, Loss, Member, Roster};
use bully_tests::group::Dice;
use bully_tests::owned::{Kind, Message};
use bully_tests::people::{at, config, member, members, pid};
use bully_tests::script::{Habit, Script};

/// The naive twin: everyone ever heard of, cut down at the end.
fn kept(me: Member, heard: &[Vec<Member>], room: usize) -> Vec<Member> {
    let everyone: BTreeSet<Member> = heard.iter().flatten().copied().collect();
    let mut others: Vec<Member> = everyone
        .into_iter()
        .filter(|other| other.pid != me.pid && other.addr != me.addr)
        .collect();
    let excess = others.len().saturating_sub(room - 1);
    others.drain(..excess);
    others.push(me);
    others.sort_unstable();
    others
}

fn lists(dice: &mut Dice, people: u64) -> Vec<Vec<Member>> {
    let anyone = |dice: &mut Dice| {
        let days = 1 + dice.below(people) as u32;
        if dice.below(8) == 0 {
            at(days, 50_000 + dice.below(3))
        } else {
            member(days)
        }
    };
    let list = |dice: &mut Dice| (0..dice.below(9)).map(|_| anyone(dice)).collect();
    (0..6).map(|_| list(dice)).collect()
}

/// What a node that joins nobody makes of these, each in an ELECTION.
fn heard<const M: usize>(me: u32, lists: &[Vec<Member>]) -> (Vec<Member>, Vec<Event>) {
    let mut lab = Script::<M, 8>::node(config(me));
    for list in lists {
        lab.election(list);
    }
    (lab.roster(), lab.take_events())
}

#[test]
fn is_that_of_the_twin_whatever_the_order_and_the_grouping() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        // With room for all, and without.
        let people = 4 + dice.below(25);
        let me = 1 + dice.below(people) as u32;
        let lists = lists(&mut dice, people);
        let expected = kept(member(me), &lists, 8);

        assert_eq!(heard::<8>(me, &lists).0, expected, "seed {seed}");
        // Commutative.
        let backwards: Vec<_> = lists.iter().rev().cloned().collect();
        assert_eq!(
            heard::<8>(me, &backwards).0,
            expected,
            "seed {seed}, backwards"
        );
        // Associative: two lists at a time.
        let pairs: Vec<_> = lists.chunks(2).map(<[_]>::concat).collect();
        assert_eq!(
            heard::<8>(me, &pairs).0,
            expected,
            "seed {seed}, two at a time"
        );
        // Idempotent: everything twice.
        let twice = [lists.clone(), backwards].concat();
        assert_eq!(heard::<8>(me, &twice).0, expected, "seed {seed}, twice");
    }
}

#[test]
fn tells_how_many_found_no_room_and_only_then() {
    let full = |event: &Event| matches!(event, Event::RosterFull { .. });
    let (roster, events) = heard::<8>(1, &[members(2..=8)]);
    assert_eq!(roster.len(), 8);
    assert!(!events.iter().any(full));

    let (_, events) = heard::<8>(1, &[members(2..=8), members([9]), members([10, 11])]);
    let told: Vec<_> = events.into_iter().filter(full).collect();
    assert_eq!(
        told,
        [
            Event::RosterFull { left_out: 1 },
            Event::RosterFull { left_out: 2 }
        ]
    );
}

#[test]
fn keeps_me_though_i_am_the_least() {
    let (roster, _) = heard::<4>(1, &[members(2..=9)]);
    assert_eq!(roster, members([1, 7, 8, 9]));
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
    let mut lab = Script::<4, 8>::node(config(1));
    lab.election(&members([7, 8, 9]));
    lab.coordinator(&members([2]));
    lab.expect_leader(pid(2));
    assert_eq!(lab.roster(), members([1, 2, 8, 9]));
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

/// It was told twice, and one of the places is mine: the port I have was its own.
#[test]
fn takes_in_a_leader_that_is_announced_at_my_address_too() {
    let mut lab = Script::<4, 8>::node(config(1));
    lab.election(&members([7, 8, 9]));
    let here = at(2, 30_000);
    lab.coordinator(&[here, at(2, member(1).addr.0)]);
    lab.expect_leader(pid(2));
    assert_eq!(lab.roster(), [member(1), here, member(8), member(9)]);
}

/// 7 gave no answer in time, and makes place for 2, who announces itself with everybody in the
/// list. An address is gone, so an OK that comes now is too late.
#[test]
fn one_that_lost_its_place_is_not_followed_when_it_answers_late() {
    let mut lab = Script::<4, 8>::joined(config(1), &members([7, 8, 9]));
    let asked = lab.take(Kind::Election);
    let asked = asked.iter().find(|asked| asked.to == member(7).addr);
    lab.wait(1_100);
    lab.later(Message::Coordinator(members([2, 7])));
    lab.ok(asked.unwrap().exchange);
    assert_eq!(lab.roster(), members([1, 2, 8, 9]));
    lab.expect_leader(pid(2));
}

/// Of 9, who leads, and 7, who was announced and had to make place, neither is there.
#[test]
fn a_lost_leader_is_not_followed_on_for_one_that_lost_its_place() {
    let mut lab = Script::<4, 8>::asleep(config(1));
    lab.habit(member(7).addr, Habit::Refuses);
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(0);
    lab.members(&members([7, 8, 9]));
    lab.coordinator(&members([9]));
    lab.wait(400);
    lab.forget();
    lab.habit(member(9).addr, Habit::Refuses);
    lab.coordinator(&members([2, 7]));
    assert_eq!(lab.roster(), members([1, 2, 8, 9]));
    assert_eq!(
        lab.take_events()[1..],
        [
            Event::LeaderLost {
                leader: pid(9),
                how: Loss::Refused
            },
            Event::Election {
                cause: Cause::LeaderLost
            }
        ]
    );
    lab.expect_elections(&members([2, 8, 9]));
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
        lab.members(&members([7, 8, 9]));
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
        let twin: BTreeSet<Member> = raw.iter().copied().collect();
        let sorted = Roster::sorted(&mut raw);
        assert!(sorted.members().iter().eq(&twin), "{sorted:?}");
    }
}
