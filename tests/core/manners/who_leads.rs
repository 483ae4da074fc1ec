//! 6: COORDINATOR has no sender.

use super::*;

#[test]
fn the_greatest_in_the_payload() {
    let mut lab = Lab::joined(config(5), &members([3, 7, 9]));
    lab.coordinator(&members([3, 5, 7, 9]));
    lab.expect_leader(pid(9));
}

#[test]
fn the_one_and_only_in_the_payload() {
    let mut lab = Lab::joined(config(5), &members([3]));
    lab.coordinator(&members([9]));
    lab.expect_leader(pid(9));
    // What it does not mention is not forgotten.
    assert_eq!(lab.roster(), members([3, 5, 9]));
}

#[test]
fn not_the_greatest_if_it_is_known_dead() {
    for habit in [Habit::Refuses, Habit::Silent] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(member(9).addr, habit.clone());
        lab.habit(member(7).addr, Habit::Answers);
        lab.wait(0);
        lab.members(&members([3, 7, 9]));
        lab.wait(1_100);
        // 7 has won, and sends everybody it knows.
        lab.coordinator(&members([3, 5, 7, 9]));
        lab.wait(5_000);
        lab.expect_leader(pid(7));
    }
}

/// 9 is being asked and has not answered when 7, who has, announces with everybody in the
/// list: its patience was a little shorter than ours.
#[test]
fn not_one_that_is_greater_than_anyone_who_answered() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(member(7).addr, Habit::Answers);
    lab.habit(member(9).addr, Habit::Silent);
    lab.wait(0);
    lab.members(&members([3, 7, 9]));
    lab.wait(900);
    lab.coordinator(&members([3, 5, 7, 9]));
    lab.wait(10_000);
    lab.expect_leader(pid(7));
}

/// Somebody had my port before me, and gossip still tells of it.
#[test]
fn not_one_whose_address_is_mine() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(member(7).addr, Habit::Answers);
    lab.wait(0);
    lab.members(&members([3, 7]));
    for _ in 0..5 {
        lab.coordinator(&[member(3), member(7), at(9, member(5).addr.0)]);
        assert_ne!(lab.leader(), Some(9), "9 does not live here any more");
        lab.wait(4_000);
    }
}

#[test]
fn nobody_if_it_is_empty() {
    let mut lab = follower(5, &members([3, 9]));
    lab.coordinator(&[]);
    lab.wait(100);
    lab.expect_leader(pid(9));
    assert_eq!(lab.take_events(), []);
}

#[test]
fn the_greatest_is_below_me_so_i_elect() {
    let mut lab = Lab::leading(config(5), &members([1, 3]));
    lab.coordinator(&members([1, 3]));
    lab.expect_leader(pid(5));
    assert_eq!(
        lab.expect_coordinators(&members([1, 3])),
        members([1, 3, 5])
    );

    // To the letter even while following somebody greater.
    let mut lab = Lab::following(strict(5), &members([3, 9]));
    lab.coordinator(&members([3]));
    assert_eq!(
        lab.take_events(),
        [Event::Election {
            cause: Cause::LesserLeader
        }]
    );
    lab.expect_elections(&members([9]));
}

#[test]
fn the_greatest_is_me_so_i_lead() {
    let mut lab = Lab::leading(config(5), &members([1, 3]));
    lab.coordinator(&members([1, 3, 5]));
    lab.expect_leader(pid(5));
    // Asked in vain so far, and the impatient think it is me.
    let mut lab = Lab::joined(config(5), &members([3, 9]));
    lab.coordinator(&members([3, 5]));
    lab.wait(1_100);
    lab.expect_leader(pid(5));
}

#[test]
fn a_leader_that_was_never_heard_of_is_probed_where_the_list_says() {
    let mut lab = follower(5, &members([3]));
    lab.coordinator(&[member(3), at(9, 777)]);
    lab.wait(3_000);
    let probe = lab.latest(Kind::Probe).unwrap();
    assert_eq!(probe.to, at(9, 777).addr);
}

/// Refused once, back at the same place; it has never heard of PROBE, and announces itself.
#[test]
fn one_that_was_dead_and_is_back() {
    for habit in [Habit::Answers, Habit::NoProbe] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(member(9).addr, Habit::Refuses);
        lab.habit(member(7).addr, Habit::Answers);
        lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 7, 9])));
        lab.wait(200);
        lab.coordinator(&members([3, 5, 7]));
        lab.wait(1_000);
        lab.expect_leader(pid(7));
        lab.habit(member(9).addr, habit.clone());
        lab.coordinator(&members([3, 5, 7, 9]));
        // An election is as good an answer to the doubt as a probe.
        lab.wait(3_000);
        if lab.leader() != Some(9) {
            lab.coordinator(&members([3, 5, 7, 9]));
            lab.wait(3_000);
        }
        assert_eq!(lab.leader(), Some(9), "{habit:?}");
    }
}

#[test]
fn never_an_empty_one_and_never_anyone_greater() {
    // Checked watches both; here with greater ones known dead and with nobody known.
    let mut lab = Lab::asleep(config(5));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.wait(0);
    lab.members(&members([3, 9]));
    assert_eq!(lab.expect_coordinators(&members([3, 9])), members([3, 5]));
    assert!(
        Lab::joined(config(5), &[])
            .all(Kind::Coordinator)
            .is_empty()
    );
}
