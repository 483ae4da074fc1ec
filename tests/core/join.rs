//! JOIN: the first thing a node does, and what it does when that fails.

use bully::{Cause, Config, Counters, Event, Feign, FeignMode, Gone, JoinFailure, Phase, Refusal};
use bully_tests::owned::{Answer, Input, Kind};
use bully_tests::people::{DIRECTORY, at, config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab};

/// The pauses between one JOIN's failure and the next JOIN, in milliseconds.
fn pauses(lab: &Lab, lasting: u128) -> Vec<u128> {
    let joins = lab.all(Kind::Join);
    let gap = |pair: &[_]| {
        let [a, b]: &[bully_tests::script::Opened; 2] = pair.try_into().unwrap();
        b.at.since(a.at).as_millis() - lasting
    };
    joins.windows(2).map(gap).collect()
}

/// Each pause lies in the upper half of 0.5, 1, 2, 4, 8, 8, 8 … s.
fn backs_off(pauses: &[u128]) {
    for (at, pause) in pauses.iter().enumerate() {
        let longest = (500 << at.min(10)).min(8_000);
        assert!((longest / 2..=longest).contains(pause), "{at}: {pauses:?}");
    }
}

#[test]
fn pauses_grow_from_half_a_second_to_eight_while_the_coordinator_is_away() {
    let mut jittered = Vec::new();
    for seed in 0..20 {
        let mut me = config(5);
        me.seed = seed;
        let mut lab = Lab::asleep(me);
        lab.habit(DIRECTORY, Habit::Refuses);
        lab.wait(120_000);
        let pauses = pauses(&lab, 0);
        assert!((15..40).contains(&pauses.len()), "{pauses:?}");
        backs_off(&pauses);
        assert_eq!(lab.node.phase(), Phase::Joining);
        jittered.push(pauses[4]);
        // Reported each time, with the pause that really follows.
        let reported = lab.take_events().into_iter().map(|event| match event {
            Event::JoinFailed {
                failure: JoinFailure::Gone(Gone::Refused),
                again_in,
            } => again_in,
            other => panic!("{other:?}"),
        });
        let reported: Vec<u128> = reported.map(|pause| pause.as_millis()).collect();
        assert_eq!(reported[..pauses.len()], pauses);
    }
    jittered.sort_unstable();
    jittered.dedup();
    assert!(
        jittered.len() > 10,
        "nodes that start together must not come back together"
    );
}

#[test]
fn a_coordinator_that_comes_up_late_is_found() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(DIRECTORY, Habit::Refuses);
    lab.wait(30_000);
    lab.habit(DIRECTORY, Habit::Directory(members([3])));
    lab.wait(8_000);
    lab.expect_leader(pid(5));
    assert_eq!(lab.roster(), members([3, 5]));
}

#[test]
fn a_silent_coordinator_is_given_three_seconds_and_asked_again() {
    // Taking the message or not.
    for habit in [Habit::Silent, Habit::Hangs] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(DIRECTORY, habit);
        lab.wait(60_000);
        let pauses = pauses(&lab, 3_000);
        assert!(pauses.len() > 5);
        backs_off(&pauses);
        let silent = |event: &Event| {
            matches!(
                event,
                Event::JoinFailed {
                    failure: JoinFailure::Silent,
                    ..
                }
            )
        };
        assert!(lab.take_events().iter().all(silent));
        assert!(lab.open_exchanges() <= 1, "those given up are closed");
    }
}

/// Two programs with one process id both led for ever, and neither noticed.
#[test]
fn a_pid_that_the_coordinator_lists_elsewhere_too_is_reported_once_for_each_address() {
    let in_use = |lab: &mut Lab| {
        let events = lab.take_events().into_iter();
        let elsewhere = events.filter_map(|event| match event {
            Event::PidInUse { addr } => Some(addr.0),
            _ => None,
        });
        elsewhere.collect::<Vec<_>>()
    };
    for (listed, reported) in [
        (vec![member(5)], vec![]),
        (vec![member(3), member(5), member(7)], vec![]),
        (vec![at(5, 9), member(5)], vec![9]),
        (
            vec![member(3), member(5), at(5, 1_000_000)],
            vec![1_000_000],
        ),
        // It has replaced this one.
        (vec![member(3), at(5, 9)], vec![9]),
    ] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(DIRECTORY, Habit::Directory(listed));
        // The leader asks again every ten seconds.
        lab.wait(40_000);
        assert_eq!(in_use(&mut lab), reported);
        lab.expect_leader(pid(5));
        lab.habit(DIRECTORY, Habit::Directory(vec![at(5, 8), member(5)]));
        lab.wait(40_000);
        assert_eq!(in_use(&mut lab), [8]);
    }
}

#[test]
fn every_failure_is_reported_with_its_reason_and_tried_again() {
    let cases = [
        (
            Input::Reply(Answer::Refused(Refusal::Pid)),
            JoinFailure::Refused(Refusal::Pid),
        ),
        (
            Input::Reply(Answer::Refused(Refusal::Other)),
            JoinFailure::Refused(Refusal::Other),
        ),
        (Input::Gone(Gone::Reset), JoinFailure::Gone(Gone::Reset)),
        (
            Input::Gone(Gone::Malformed),
            JoinFailure::Gone(Gone::Malformed),
        ),
        (Input::Done, JoinFailure::Silent),
    ];
    for (input, expected) in cases {
        let mut lab = Lab::node(config(5));
        lab.expect_join();
        let join = lab.latest(Kind::Join).unwrap().exchange;
        lab.report(join, input);
        let [Event::JoinFailed { failure, again_in }] = lab.take_events()[..] else {
            panic!("{expected:?} was not reported");
        };
        assert_eq!(failure, expected);
        assert!(lab.closed_at(join).is_some());
        lab.wait(again_in.as_millis() as u64 + 1);
        lab.expect_join();
        lab.members(&members([3]));
        lab.expect_leader(pid(5));
    }
}

#[test]
fn an_answer_that_comes_late_but_in_time_is_taken() {
    let mut lab = Lab::node(config(5));
    lab.wait(2_999);
    lab.expect_join();
    lab.members(&members([3, 9]));
    lab.expect_elections(&members([9]));
}

/// How many JOINs a member sends in a group of healthy others, whose greatest is 9.
fn joins_in_a_minute(config: Config, others: [u32; 2]) -> usize {
    let mut lab = Lab::asleep(config);
    lab.habit(DIRECTORY, Habit::Directory(members(others)));
    for other in others {
        lab.habit(member(other).addr, Habit::Answers);
    }
    lab.wait(0);
    lab.coordinator(&members([3, 9]));
    lab.wait(60_500);
    lab.all(Kind::Join).len()
}

#[test]
fn everybody_asks_once_more_who_has_come_and_a_leader_every_ten_seconds() {
    // The leader is a program of another kind: its follower asks once in 30 to 60 s.
    let joins = joins_in_a_minute(config(5), [3, 9]);
    assert!((2 + 1..=2 + 2).contains(&joins), "{joins}");
    assert_eq!(joins_in_a_minute(config(9), [3, 5]), 2 + 6);
}

#[test]
fn to_the_letter_nobody_joins_twice() {
    assert_eq!(joins_in_a_minute(strict(5), [3, 9]), 1);
    assert_eq!(joins_in_a_minute(strict(9), [3, 5]), 1);
}

#[test]
fn an_election_received_while_joining_starts_one_and_the_join_goes_on() {
    let mut lab = Lab::node(config(5));
    lab.expect_join();
    lab.election(&members([3, 7]));
    assert_eq!(
        lab.take_events(),
        [Event::Election {
            cause: Cause::Asked
        }]
    );
    lab.expect_elections(&members([7]));
    // What the coordinator answers in the middle of it: the greater one who is new is asked too.
    lab.members(&members([2, 3, 7, 9]));
    assert_eq!(lab.take_events(), [Event::Joined { members: 5 }]);
    lab.expect_elections(&members([9]));
    lab.wait(1_100);
    lab.expect_leader(pid(5));
    lab.expect_coordinators(&members([2, 3, 7, 9]));
}

#[test]
fn a_leader_named_while_joining_is_followed_and_asked_again_after_the_join() {
    let mut lab = Lab::node(config(5));
    lab.coordinator(&members([3, 7]));
    lab.expect_leader(pid(7));
    lab.forget();
    // "You then start an election."
    lab.members(&members([3, 5, 7, 9]));
    let events = lab.take_events();
    assert!(
        events.contains(&Event::Election {
            cause: Cause::Joined
        }),
        "{events:?}"
    );
    lab.expect_elections(&members([7, 9]));
}

#[test]
fn without_a_coordinator_the_election_comes_first() {
    let mut me = config(5);
    me.directory = None;
    let mut lab = Lab::node(me);
    lab.expect_leader(pid(5));
    lab.wait(60_000);
    assert_eq!(lab.all(Kind::Join), []);
    // Others are known from their messages.
    lab.election(&members([3, 9]));
    lab.expect_elections(&members([9]));
    assert_eq!(lab.roster(), [member(3), member(5), member(9)]);
}

#[test]
fn messages_are_counted_by_their_names_both_ways() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(0);
    lab.members(&members([3, 9]));
    lab.coordinator(&members([3, 5, 9]));
    lab.election(&members([3]));
    lab.probe();
    let asked = [Kind::Election, Kind::Probe].map(|kind| lab.all(kind).len() as u64);
    let Counters { sent, received, .. } = lab.node.counters();
    assert_eq!(
        (sent.join, sent.election, sent.probe),
        (1, asked[0], asked[1])
    );
    assert_eq!((sent.ok, sent.coordinator), (2, 0));
    assert_eq!(
        (received.coordinator, received.election, received.probe),
        (1, 1, 1)
    );
    assert_eq!(
        received.ok,
        asked[0] + asked[1],
        "everyone asked has answered OK"
    );
}

/// It feigns failure before it ever got an answer; back again, it goes on joining.
#[test]
fn a_failure_in_the_middle_of_joining_is_followed_by_another_join() {
    for mode in [FeignMode::Close, FeignMode::Ignore] {
        let mut me = config(5);
        me.feign = Some(Feign::new(mode));
        let mut lab = Lab::asleep(me);
        lab.habit(DIRECTORY, Habit::Refuses);
        assert!(lab.wait_for(11_000, |lab| lab.node.phase() == Phase::Failed));
        lab.forget();
        lab.habit(DIRECTORY, Habit::Directory(members([3])));
        assert!(lab.wait_for(4_100, |lab| lab.node.phase() != Phase::Failed));
        // One who is not in the group yet has nobody to ask: first it joins.
        assert_eq!(
            lab.take_events()[..2],
            [Event::Recovered, Event::Joined { members: 2 }]
        );
        lab.expect_leader(pid(5));
        assert_eq!(
            lab.all(Kind::Join).last().unwrap().at,
            lab.latest(Kind::Coordinator).unwrap().at
        );
        assert!(lab.is_listening());
    }
}
