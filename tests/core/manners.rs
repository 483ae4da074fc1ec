//! The manners that real peers depend on, as far as they are the core's.

use bully::{Addr, Cause, Config, Event, Feign, FeignMode, Gone, Loss, Phase};
use bully_tests::owned::{Answer, Input, Kind, Message};
use bully_tests::people::{DIRECTORY, at, config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab, follower};

mod moved; // 9: nodes come back on another port
mod unlisted; // whom the coordinator does not list
mod who_leads; // 6: COORDINATOR has no sender

/// 1: answer at once; wait for OKs at most 1 s, and announce within 1.5 s.
mod at_once {
    use super::*;

    #[test]
    fn election_and_probe_are_answered_in_every_phase() {
        let mut joining = Lab::node(config(5));
        let mut waiting = Lab::joined(config(5), &members([3, 9]));
        let asked = waiting.take(Kind::Election).remove(0);
        waiting.ok(asked.exchange);
        let labs = [
            &mut joining,
            &mut waiting,
            &mut Lab::joined(config(5), &members([3, 9])),
            &mut follower(5, &members([3, 9])),
            &mut Lab::leading(config(9), &members([3])),
        ];
        for lab in labs {
            for message in [Message::Probe, Message::Election(vec![]), Message::Probe] {
                let asked = lab.receive(message);
                assert_eq!(lab.answer_on(asked), Some((lab.now(), Answer::Ok)));
            }
        }
    }

    #[test]
    fn a_slow_asker_holds_up_nobody() {
        let mut lab = follower(5, &members([3, 9]));
        lab.slow_readers(true);
        for _ in 0..8 {
            let asked = lab.probe();
            assert_eq!(lab.answer_on(asked), Some((lab.now(), Answer::Ok)));
        }
    }

    #[test]
    fn the_announcement_comes_within_a_second_and_a_half_of_the_question() {
        for habit in [Habit::Silent, Habit::Hangs] {
            let mut lab = follower(5, &members([3, 7, 8, 9]));
            for days in [7, 8, 9] {
                lab.habit(member(days).addr, habit.clone());
            }
            let asked = lab.now();
            lab.election(&members([3]));
            lab.wait(1_500);
            let announced = lab.latest(Kind::Coordinator).expect("nobody answered");
            assert!(announced.at.since(asked).as_millis() < 1_500, "{habit:?}");
        }
    }

    /// Idle for 5 s before the first byte is normal, and so is a failure of 4 s.
    #[test]
    fn an_election_that_took_its_time_is_still_answered_after_a_failure() {
        let mut me = config(5);
        let mut feign = Feign::new(FeignMode::Ignore);
        feign.after = (feign.after.1, feign.after.1);
        feign.length = (feign.length.1, feign.length.1);
        me.feign = Some(feign);
        let mut lab = Lab::following(me, &members([3, 9]));
        lab.habit(member(9).addr, Habit::Answers);
        assert!(lab.wait_for(5_000, |lab| lab.now().as_micros() >= 5_200_000));
        let late = lab.connect();
        assert!(lab.wait_for(5_000, |lab| lab.node.phase() == Phase::Failed));
        lab.wait(100);
        lab.report(late, Input::Request(Message::Election(members([3]))));
        lab.wait(5_000);
        assert_ne!(lab.node.phase(), Phase::Failed);
        assert!(
            lab.answer_on(late).is_some(),
            "closed at {:?}",
            lab.closed_at(late)
        );
    }
}

/// 2: a refused or reset connection is an immediate no.
#[test]
fn refused_or_reset_is_an_immediate_no() {
    for habit in [Habit::Refuses, Habit::Resets, Habit::Closes] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(member(7).addr, habit.clone());
        lab.habit(member(9).addr, habit.clone());
        lab.wait(0);
        lab.members(&members([3, 7, 9]));
        lab.expect_leader(pid(5));
        assert_eq!(
            lab.latest(Kind::Coordinator).unwrap().at,
            lab.now(),
            "{habit:?}"
        );
    }
}

/// 3: never close an ELECTION unanswered.
#[test]
fn an_election_is_never_closed_unanswered() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(member(9).addr, Habit::Answers);
    let asked = lab.election(&members([3]));
    lab.wait(20_000);
    let (answered, closed) = (lab.answer_on(asked).unwrap(), lab.closed_at(asked).unwrap());
    assert!(answered.0 <= closed);
}

/// 5: and after sending one, long enough for the slow to read it.
#[test]
fn a_sent_coordinator_is_closed_some_400_ms_later() {
    let mut lab = Lab::asleep(config(9));
    lab.habit(member(3).addr, Habit::Keeps);
    lab.wait(0);
    lab.members(&members([3]));
    let announced = lab.take(Kind::Coordinator).remove(0);
    lab.wait(2_000);
    let after = lab
        .closed_at(announced.exchange)
        .unwrap()
        .since(announced.at)
        .as_millis();
    assert!((300..500).contains(&after), "{after} ms");
}

/// 5: after COORDINATOR some tens of milliseconds, and not more.
#[test]
fn the_exchange_of_a_coordinator_is_closed_soon_but_not_at_once() {
    let mut lab = follower(5, &members([3, 9]));
    let coordinator = lab.coordinator(&members([3, 5, 9]));
    let at = lab.now();
    lab.wait(1_000);
    let after = lab.closed_at(coordinator).unwrap().since(at).as_millis();
    assert!((10..100).contains(&after), "{after} ms");
}

/// 7: what of a leader that does not answer PROBE.
mod silent_leader {
    use super::*;

    /// A node that follows 9, who behaves so; then a minute.
    fn after_a_minute(first: &[Habit], then: Habit) -> Lab {
        let mut lab = follower(5, &members([3, 9]));
        for habit in first {
            lab.habit(member(9).addr, habit.clone());
            lab.wait(7_000);
        }
        lab.forget();
        lab.habit(member(9).addr, then);
        lab.wait(60_000);
        lab
    }

    fn lost(lab: &mut Lab) -> Option<Loss> {
        lab.take_events().iter().find_map(|event| match event {
            Event::LeaderLost { how, .. } => Some(*how),
            _ => None,
        })
    }

    #[test]
    fn lives_if_it_never_answered_and_accepts() {
        for habit in [Habit::Silent, Habit::NoProbe, Habit::Closes, Habit::Garbage] {
            let mut lab = after_a_minute(&[], habit);
            lab.expect_leader(pid(9));
            assert_eq!(lab.take_events(), []);
        }
    }

    #[test]
    fn is_lost_if_it_has_answered_before() {
        for habit in [Habit::Silent, Habit::Closes] {
            let mut lab = after_a_minute(&[Habit::Answers], habit);
            assert_eq!(lost(&mut lab), Some(Loss::Silent));
        }
    }

    #[test]
    fn is_lost_if_it_refuses_or_resets_or_cannot_be_reached() {
        for first in [&[][..], &[Habit::Answers], &[Habit::NoProbe]] {
            let cases = [
                (Habit::Refuses, Loss::Refused),
                (Habit::Resets, Loss::Reset),
                (Habit::Hangs, Loss::Unreachable),
            ];
            for (habit, loss) in cases {
                assert_eq!(lost(&mut after_a_minute(first, habit)), Some(loss));
            }
        }
    }

    #[test]
    fn lives_if_it_answers_late_but_in_time() {
        let late = Habit::Late(core::time::Duration::from_millis(1_400));
        let mut lab = after_a_minute(&[Habit::Answers], late);
        lab.expect_leader(pid(9));
        assert_eq!(lab.take_events(), []);
    }

    /// It has answered; an election in between, which it wins again, does not change that.
    #[test]
    fn is_lost_if_it_answered_before_its_latest_election() {
        let mut lab = follower(5, &members([3, 9]));
        lab.habit(member(9).addr, Habit::Answers);
        lab.wait(7_000);
        lab.election(&members([3]));
        lab.coordinator(&members([3, 5, 9]));
        lab.habit(member(9).addr, Habit::Silent);
        lab.forget();
        lab.wait(10_000);
        assert_eq!(lost(&mut lab), Some(Loss::Silent));
    }

    /// It answers ELECTION and not PROBE: with such a leader there are no elections at all.
    #[test]
    fn that_answers_election_only_starts_no_loop() {
        let mut lab = follower(5, &members([3, 9]));
        lab.habit(member(9).addr, Habit::NoProbe);
        lab.wait(120_000);
        assert_eq!(lab.all(Kind::Election).len(), 1, "the one at the start");
    }
}

/// 8: late and early ones.
mod out_of_time {
    use super::*;

    #[test]
    fn an_ok_one_to_five_seconds_late_shows_that_its_sender_lives() {
        for late in [1_100, 2_000, 4_900] {
            let mut lab = Lab::joined(config(5), &members([3, 9]));
            let asked = lab.take(Kind::Election).remove(0);
            lab.wait(late);
            lab.expect_leader(pid(5));
            lab.ok(asked.exchange);
            // Alive after all: when it announces itself, it is believed.
            lab.forget();
            lab.coordinator(&members([3, 5, 9]));
            lab.expect_leader(pid(9));
            lab.expect_nothing();
        }
    }

    #[test]
    fn whoever_announces_itself_before_its_late_ok_is_followed_though_another_has_answered() {
        let mut lab = Lab::joined(config(5), &members([7, 9]));
        let asked = lab.take(Kind::Election);
        let asked = |of| asked.iter().find(|asked| asked.to == member(of).addr);
        lab.ok(asked(7).expect("7 is greater").exchange);
        lab.coordinator(&members([5, 7, 9]));
        // 9 has accepted our ELECTION, and answers after two seconds only.
        lab.habit(member(9).addr, Habit::Answers);
        assert!(
            lab.wait_for(1_500, |lab| lab.leader() == Some(9)),
            "{:?}",
            lab.node.phase()
        );
        lab.wait(500);
        lab.ok(asked(9).expect("9 is greater").exchange);
        lab.wait(20_000);
        lab.expect_leader(pid(9));
    }

    #[test]
    fn coordinator_may_overtake_its_ok() {
        // While asking, and after having given up.
        for wait in [10, 900, 1_100, 3_000] {
            let mut lab = Lab::joined(config(5), &members([3, 9]));
            let asked = lab.take(Kind::Election).remove(0);
            lab.wait(wait);
            lab.coordinator(&members([3, 5, 9]));
            lab.ok(asked.exchange);
            // Asked again it is as slow as ever, and says again that it leads.
            lab.wait(500);
            if lab.leader() != Some(9) {
                lab.coordinator(&members([3, 5, 9]));
            }
            lab.expect_leader(pid(9));
            lab.habit(member(9).addr, Habit::Answers);
            lab.wait(5_000);
            lab.expect_leader(pid(9));
        }
    }

    #[test]
    fn an_ok_to_an_election_long_over_changes_no_settled_phase() {
        let mut lab = Lab::joined(config(5), &members([3, 9]));
        let asked = lab.take(Kind::Election).remove(0);
        lab.wait(1_100);
        lab.forget();
        lab.ok(asked.exchange);
        lab.wait(300);
        assert_ne!(
            lab.node.phase(),
            Phase::Waiting,
            "nobody said it would lead"
        );
    }

    #[test]
    fn a_lesser_one_was_impatient_so_the_leader_announces_again() {
        for config in [config(9), strict(9)] {
            let mut lab = Lab::leading(config, &members([3, 5]));
            lab.coordinator(&members([3, 5]));
            lab.expect_leader(pid(9));
            assert_eq!(
                lab.expect_coordinators(&members([3, 5])),
                members([3, 5, 9])
            );
        }
    }

    #[test]
    fn a_lesser_one_was_impatient_while_i_elect_so_i_go_on() {
        let mut lab = Lab::joined(config(5), &members([3, 9]));
        lab.forget();
        lab.wait(600);
        lab.coordinator(&members([3]));
        assert_eq!(lab.node.phase(), Phase::Electing);
        lab.wait(400);
        // No sooner and no later for it.
        lab.expect_leader(pid(5));
        assert_eq!(lab.take(Kind::Election), []);
    }

    #[test]
    fn nobody_announces_so_there_is_a_new_election() {
        let mut lab = Lab::asleep(config(5));
        lab.habit(member(9).addr, Habit::Answers);
        lab.wait(0);
        lab.members(&members([3, 9]));
        lab.forget();
        lab.wait(2_900);
        assert_eq!(lab.node.phase(), Phase::Waiting);
        lab.wait(200);
        assert_eq!(
            lab.take_events(),
            [Event::Election {
                cause: Cause::NoVictor
            }]
        );
        lab.expect_elections(&members([9]));
    }

    /// It may be somebody lesser at the port of a greater one who is gone: so whoever did this
    /// twice is passed over, and receives COORDINATOR every ten seconds in case it leads after all.
    #[test]
    fn one_that_answers_and_never_announces_is_not_waited_for_a_third_time() {
        for directory in [None, Some(DIRECTORY)] {
            let mut me = config(5);
            me.directory = directory;
            let mut lab = Lab::asleep(me);
            lab.habit(member(9).addr, Habit::Answers);
            lab.wait(1_000);
            if directory.is_some() {
                lab.members(&members([3, 9]));
            } else {
                lab.election(&members([3, 9]));
            }
            lab.wait(5_999);
            assert_eq!(lab.node.phase(), Phase::Waiting);
            lab.forget();
            lab.wait(21_001);
            lab.expect_leader(pid(5));
            let announced = lab.take(Kind::Coordinator).into_iter();
            let announced: Vec<_> = announced
                .map(|announced| (announced.at.as_micros(), announced.to))
                .collect();
            let [low, high] = [3, 9].map(|days| member(days).addr);
            let expected = [7_000_000, 17_000_000, 27_000_000];
            assert_eq!(
                announced,
                expected.map(|at| [(at, high), (at, low)]).concat()
            );
        }
    }
}
