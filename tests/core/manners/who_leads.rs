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

/// Somebody had my port before me, and lists still name it.
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

/// Refused once, back at the same place; it does not know PROBE, and announces itself.
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

/// A follower of 7 to whom these were known when they refused; they are silent now.
fn follows_7(config: Config, dead: &[u32]) -> Lab {
    let mut lab = Lab::asleep(config);
    lab.habit(member(7).addr, Habit::Answers);
    for days in dead {
        lab.habit(member(*days).addr, Habit::Refuses);
    }
    lab.wait(0);
    lab.members(&members([&[3, 7], dead].concat()));
    lab.coordinator(&members([3, 5, 7]));
    lab.wait(400);
    lab.expect_leader(pid(7));
    for days in dead {
        lab.habit(member(*days).addr, Habit::Silent);
    }
    lab.forget();
    lab
}

/// To whom the PROBEs went since anything was last taken.
fn probed(lab: &mut Lab) -> Vec<Addr> {
    let probes = lab.take(Kind::Probe);
    probes.iter().map(|probe| probe.to).collect()
}

#[test]
fn one_greater_than_the_leader_that_is_announced_with_a_dead_one_is_followed() {
    let mut lab = follows_7(config(5), &[9]);
    lab.coordinator(&members([3, 5, 7, 8, 9]));
    lab.expect_leader(pid(8));
    assert_eq!(probed(&mut lab), [member(9).addr]);
}

/// The leader is a better guess than somebody below it, until the dead one has been asked.
#[test]
fn one_below_the_leader_that_is_announced_with_a_dead_one_is_not_followed() {
    let mut lab = follows_7(config(5), &[9]);
    lab.coordinator(&members([3, 5, 6, 9]));
    lab.expect_leader(pid(7));
    assert_eq!(probed(&mut lab), [member(9).addr]);
}

/// It is not asked whether it is back: to the letter a PROBE goes to the leader only, and without
/// PROBEs there is no other way than an election.
#[test]
fn a_dead_one_makes_those_elect_who_do_not_ask() {
    let mut silent = config(5);
    silent.probing = false;
    for config in [strict(5), silent] {
        let mut lab = follows_7(config, &[9]);
        lab.coordinator(&members([9]));
        let reported = Event::Election {
            cause: Cause::DoubtfulLeader,
        };
        assert_eq!(lab.take_events(), [reported]);
        lab.expect_elections(&members([7, 9]));
    }
}

#[test]
fn a_stranger_at_once_though_the_next_greater_one_is_dead() {
    let mut lab = follows_7(config(5), &[9]);
    lab.coordinator(&members([8]));
    lab.expect_leader(pid(8));
    lab.expect_nothing();
}

/// Both were dead, and both are announced: the greater one's answer is not forgotten over the
/// question to the lesser.
#[test]
fn the_greatest_of_two_that_may_be_back() {
    let mut lab = follows_7(config(5), &[8, 9]);
    let late = Habit::Late(core::time::Duration::from_millis(100));
    lab.habit(member(9).addr, late);
    lab.coordinator(&members([9]));
    lab.coordinator(&members([8]));
    lab.wait(99);
    lab.expect_leader(pid(7));
    lab.wait(1);
    lab.expect_leader(pid(9));
}
