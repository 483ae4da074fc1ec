//! The laws every core keeps, whatever the network does.

use core::time::Duration;

use bully::{Event, Exchange, Instant, Phase};
use bully_tests::owned::{Answer, Input, Kind, Message};
use bully_tests::people::{DIRECTORY, config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab, Script, follower};

use crate::hostile::{Polling, Run};

#[test]
fn a_hostile_network_breaks_no_law() {
    // Checked and the driver do the looking.
    for seed in 0..20 {
        let mut run = Run::new(seed, Polling::AsDue);
        run.steps(1_000);
        assert!(
            run.log.len() > 300,
            "seed {seed}: {} things done",
            run.log.len()
        );
    }
}

#[test]
fn same_seed_and_same_inputs_give_the_same_outputs() {
    for seed in 0..5 {
        let logs = [(); 2].map(|()| {
            let mut run = Run::new(seed, Polling::AsDue);
            run.steps(500);
            run.log
        });
        assert_eq!(logs[0], logs[1]);
    }
    let [mut one, mut other] = [1, 2].map(|seed| {
        let mut me = config(5);
        me.seed = seed;
        Lab::following(me, &members([3, 9]))
    });
    one.wait(10_000);
    other.wait(10_000);
    assert_ne!(
        one.take_all(),
        other.take_all(),
        "chance does not depend on the seed"
    );
}

/// Polled every millisecond, twice, and with times that have passed, a node does the same at the
/// same time: polling more does nothing, time going back does nothing, and `poll_at` is never
/// later than a deadline.
#[test]
fn polling_when_due_is_enough_and_polling_more_is_harmless() {
    for seed in 0..10 {
        let logs = [Polling::AsDue, Polling::AllTheTime].map(|polling| {
            let mut run = Run::new(seed, polling);
            run.steps(150);
            run.log
        });
        let differ = logs[0].iter().zip(&logs[1]).position(|(a, b)| a != b);
        assert_eq!(
            differ.map(|at| (&logs[0][at], &logs[1][at])),
            None,
            "seed {seed}"
        );
        assert_eq!(logs[0].len(), logs[1].len(), "seed {seed}");
    }
}

/// The clock is set back by 9 s just as an election begins: that is taken for standing still.
#[test]
fn time_going_back_shortens_and_lengthens_nothing() {
    let mut lab = Lab::following(config(5), &members([3, 9]));
    lab.habit(member(9).addr, Habit::NoProbe);
    lab.wait(10_000);
    lab.habit(member(9).addr, Habit::Silent);
    lab.later(Message::Election(members([3])));
    let started = lab.now();
    lab.poll_at(Instant::from_micros(started.as_micros() - 9_000_000));
    assert_eq!(lab.node.phase(), Phase::Electing);
    lab.wait(999);
    assert_eq!(lab.node.phase(), Phase::Electing);
    lab.wait(1);
    lab.expect_leader(pid(5));
}

#[test]
fn a_node_that_was_not_polled_for_long_reads_what_waits_before_it_gives_up() {
    let mut lab = Lab::joined(config(5), &members([3, 9]));
    let asked = lab.take(Kind::Election).remove(0);
    // Ten seconds in which nobody polled; the OK came in time.
    lab.sleep(10_000);
    lab.ok(asked.exchange);
    assert_eq!(lab.node.phase(), Phase::Waiting);
}

mod full {
    use super::*;

    /// How often the node wants to be polled within ten seconds, polled only when it wants to be.
    fn wakes(lab: &mut Lab) -> usize {
        let until = lab.now() + Duration::from_secs(10);
        let mut wakes = 0;
        while let Some(at) = lab.node.poll_at()
            && at <= until
        {
            assert!(at > lab.now(), "now, with no room");
            wakes += 1;
            lab.wait_micros(at.since(lab.now()).as_micros() as u64);
        }
        wakes
    }

    #[test]
    fn for_good_it_is_not_asked_again_and_again() {
        // Wanting to JOIN, to ask, to announce, to probe.
        let mut joining = Lab::asleep(config(5));
        let mut asking = Lab::node(config(5));
        let mut announcing = Lab::node(config(9));
        let mut probing = follower(5, &members([3, 9]));
        for lab in [&mut joining, &mut asking, &mut announcing, &mut probing] {
            lab.full(true);
            lab.wait(0);
            if lab.latest(Kind::Join).is_some() && lab.node.phase() == Phase::Joining {
                lab.members(&members([3, 7]));
            }
            let wakes = wakes(lab);
            assert!(wakes <= 10_000 / 20, "{wakes} times in 10 s");
        }
    }

    #[test]
    fn timers_are_kept_and_what_is_owed_follows_when_there_is_room() {
        let mut lab = Lab::node(config(9));
        lab.full(true);
        lab.members(&members([3, 7]));
        lab.wait(1_000);
        lab.expect_leader(pid(9));
        lab.forget();
        lab.full(false);
        lab.wait(100);
        lab.expect_coordinators(&members([3, 7]));
        // The window after the first announcement is over by now.
        lab.wait(300);
        lab.election(&members([3]));
        lab.expect_coordinators(&members([3, 7]));
    }

    #[test]
    fn a_join_that_found_no_room_is_sent_when_there_is() {
        let mut lab = Lab::asleep(config(5));
        lab.full(true);
        lab.wait(5_000);
        lab.full(false);
        lab.wait(100);
        lab.expect_join();
    }

    #[test]
    fn those_who_ask_are_answered_all_the_same() {
        let mut lab = follower(5, &members([3, 9]));
        lab.full(true);
        lab.wait(5_000);
        for message in [Message::Probe, Message::Election(members([3]))] {
            let asked = lab.receive(message);
            assert_eq!(lab.answer_on(asked), Some((lab.now(), Answer::Ok)));
        }
    }
}

/// Every phase but a settled one ends.
mod nothing_gets_stuck {
    use super::*;

    /// Whether the node is settled within a minute of its JOIN being answered, if everyone it
    /// writes to behaves like this and the network is full or not.
    fn settles(habit: &Habit, full: bool) -> bool {
        let mut lab = Lab::node(config(5));
        for days in [3, 7, 8, 9] {
            lab.habit(member(days).addr, habit.clone());
        }
        lab.full(full);
        lab.members(&members([3, 7, 8, 9]));
        lab.wait_for(60_000, |lab| lab.node.leader().is_some())
    }

    #[test]
    fn if_all_are_silent_or_refuse_or_hang_or_talk_nonsense() {
        let habits = [
            Habit::Silent,
            Habit::Refuses,
            Habit::Resets,
            Habit::Hangs,
            Habit::Closes,
            Habit::Garbage,
        ];
        for habit in habits {
            assert!(settles(&habit, false), "{habit:?}");
        }
    }

    /// "If none of the higher processes respond within the given time limit, you win."
    #[test]
    fn if_there_is_never_any_room() {
        assert!(settles(&Habit::Silent, true));
    }

    #[test]
    fn if_all_answer_late() {
        assert!(settles(&Habit::Late(Duration::from_millis(1_500)), false));
    }

    /// It may be somebody lesser at the port of a greater one who is gone: after the second time
    /// it is not waited for. To the letter it is, each time.
    #[test]
    fn if_the_greater_answer_and_never_announce() {
        let waits = |config| {
            let mut lab = Lab::node(config);
            lab.habit(member(9).addr, Habit::Answers);
            lab.members(&members([3, 9]));
            lab.wait(60_000);
            (lab.all(Kind::Election).len(), lab.leader())
        };
        assert_eq!(waits(config(5)), (2, Some(5)));
        let (elections, leader) = waits(strict(5));
        assert!(elections >= 15, "{elections}");
        assert_eq!(leader, None);
    }

    #[test]
    fn joining_goes_on_whatever_the_coordinator_does() {
        let habits = [
            Habit::Silent,
            Habit::Refuses,
            Habit::Hangs,
            Habit::Closes,
            Habit::Garbage,
        ];
        for habit in habits {
            let mut lab = Lab::asleep(config(5));
            lab.habit(DIRECTORY, habit.clone());
            lab.wait(60_000);
            lab.forget();
            lab.wait(12_000);
            assert!(!lab.take(Kind::Join).is_empty(), "{habit:?}");
        }
    }
}

mod bounded {
    use super::*;

    #[test]
    fn one_poll_takes_no_more_news_than_the_capacities_allow() {
        let mut lab = follower(5, &members([3, 9]));
        for _ in 0..1_000 {
            lab.later(Message::Probe);
        }
        let before = lab.pending();
        let mut polls = 0;
        while lab.pending() > 0 {
            let pending = lab.pending();
            lab.poll_once();
            assert!(
                pending - lab.pending() <= 10 * 16,
                "{}",
                pending - lab.pending()
            );
            polls += 1;
        }
        assert!(polls >= before / 160, "{polls} polls for {before} inputs");
    }

    #[test]
    fn gaps_of_nothing_do_not_make_a_poll_endless() {
        // The script panics if one poll asks for news a hundred thousand times.
        let mut me = config(5);
        me.probe_gap = (Duration::ZERO, Duration::ZERO);
        let mut lab = Lab::node(me);
        lab.members(&members([9]));
        lab.coordinator(&members([9]));
        lab.expect_leader(pid(9));
    }

    /// Once asked in vain, others are tried in the very moment in which a place is free.
    #[test]
    fn a_place_that_falls_free_is_used_at_once() {
        let mut lab = Script::<16, 4>::joined(config(5), &members(1..=12));
        for rounds in 0..3_u64 {
            let asked = lab.take(Kind::Election);
            assert!(!asked.is_empty());
            let late = |at: Instant| at.since(Instant::ZERO) > Duration::from_secs(rounds);
            assert!(
                !asked.iter().any(|asked| late(asked.at)),
                "round {rounds}: {asked:?}"
            );
            lab.wait(1_000);
        }
    }

    /// What an election waits for, the next one does not: its slots are free at once.
    #[test]
    fn a_new_election_has_the_slots_of_the_last_one() {
        let mut lab = Script::<16, 4>::joined(config(5), &members(6..=9));
        let asked = lab.take(Kind::Election);
        assert_eq!(asked.len(), 3, "three of four slots: {asked:?}");
        lab.wait(100);
        lab.coordinator(&members(3..=6));
        lab.expect_leader(pid(6));
        // There is no slot for the PROBE that this brings.
        lab.election(&members([3]));
        lab.expect_nothing();
        lab.probe();
        let asked = lab.take(Kind::Election);
        assert_eq!(asked.len(), 3, "{asked:?}");
    }

    #[test]
    fn the_end_of_time_does_not_make_a_poll_endless() {
        let mut lab = follower(5, &members([3, 9]));
        lab.poll_at(Instant::from_micros(u64::MAX));
    }

    #[test]
    fn a_flood_at_the_door_leaves_room_to_go_out() {
        let mut lab = Lab::leading(config(9), &members([3, 5, 7]));
        for _ in 0..200 {
            lab.connect();
        }
        lab.wait(300);
        lab.election(&members([3]));
        lab.expect_coordinators(&members([3, 5, 7]));
    }

    #[test]
    fn a_broadcast_goes_on_as_soon_as_one_of_it_has_been_sent() {
        // Ten who take a COORDINATOR and never close, and places for three at once.
        let others: Vec<_> = (1..=10).map(member).collect();
        let mut lab = Script::<16, 4>::asleep(config(20));
        for other in &others {
            lab.habit(other.addr, Habit::Keeps);
        }
        lab.wait(0);
        lab.expect_join();
        lab.members(&others);
        let began = lab.now();
        lab.wait(1);
        let sent = lab.take(Kind::Coordinator);
        assert_eq!(sent.len(), others.len());
        assert!(sent.iter().all(|sent| sent.at == began), "{sent:?}");
    }

    #[test]
    fn a_broadcast_leaves_room_at_the_door() {
        let mut lab = Lab::node(config(365));
        for days in 1..=15 {
            lab.habit(member(days).addr, Habit::Hangs);
        }
        lab.members(&members(1..=15));
        let asked = lab.probe();
        assert_eq!(lab.answer_on(asked), Some((lab.now(), Answer::Ok)));
    }

    #[test]
    fn those_silent_longest_make_room_at_the_door() {
        let mut lab = follower(5, &members([3, 9]));
        let mut connected: Vec<Exchange> = Vec::new();
        for _ in 0..40 {
            connected.push(lab.connect());
            lab.wait(1);
        }
        let open = connected
            .iter()
            .position(|held| lab.closed_at(*held).is_none());
        let open = open.expect("the latest are open");
        // From the first that is open on, all are; and no more than there are places.
        assert!(
            connected[open..]
                .iter()
                .all(|held| lab.closed_at(*held).is_none())
        );
        assert!((40 - 16..40).contains(&open), "{open}");
        // The latest is accepted, whoever holds the others.
        let latest = *connected.last().expect("there are forty");
        lab.report(latest, Input::Request(Message::Probe));
        assert!(lab.answer_on(latest).is_some());
    }

    #[test]
    fn a_slow_peer_delays_nobody() {
        for habit in [Habit::Hangs, Habit::Silent] {
            let mut lab = Lab::node(config(9));
            lab.habit(member(7).addr, habit.clone());
            lab.habit(member(6).addr, habit);
            lab.members(&members(1..=8));
            // Everyone has received it in the very moment of victory.
            lab.expect_coordinators(&members(1..=8));
        }
    }

    #[test]
    fn more_members_than_exchanges_are_all_told() {
        let mut lab = Script::<64, 4>::node(config(100));
        lab.members(&members(1..=60));
        lab.expect_coordinators(&members(1..=60));
        assert!(lab.open_exchanges() <= 4);
    }

    #[test]
    fn what_is_silent_for_good_is_closed_in_the_end() {
        let mut lab = Lab::leading(config(9), &members([3, 5]));
        lab.habit(DIRECTORY, Habit::Directory(members([3, 5])));
        let held = lab.connect();
        lab.wait(6_000);
        assert_eq!(
            lab.closed_at(held),
            None,
            "5 s before the first byte are normal"
        );
        lab.wait(6_000);
        assert!(lab.closed_at(held).is_some());
        assert_eq!(lab.open_exchanges(), 0);
        assert_eq!(lab.take_events(), Vec::<Event>::new());
    }
}
