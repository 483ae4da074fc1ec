//! The rules of the assignment, each under its own words.

use core::time::Duration;

use bully::{Cause, Event, Feign, FeignMode, Instant, Loss, Phase, Pid, Reason, State};
use bully_tests::owned::{Answer, Kind};
use bully_tests::people::{config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab, follower};

#[test]
fn the_least_has_fewer_days_then_the_smaller_id() {
    let pid = |days, id| Pid { days, id };
    let ascending = [
        pid(1, 9_999_999),
        pid(2, 1_000_000),
        pid(2, 1_000_001),
        pid(365, 1_000_000),
    ];
    assert!(ascending.is_sorted());
    // Of two with the same birthday only the greater id is asked.
    let mut me = config(100);
    me.me.pid.id = 5_000_000;
    let mut rivals = members([1, 2]);
    rivals[0].pid = pid(100, 4_999_999);
    rivals[1].pid = pid(100, 5_000_001);
    let mut lab = Lab::joined(me, &rivals);
    lab.expect_elections(&rivals[1..]);
}

#[test]
fn joins_then_starts_an_election() {
    let mut lab = Lab::node(config(5));
    assert_eq!(lab.node.phase(), Phase::Joining);
    lab.expect_join();
    lab.members(&members([3, 5, 7]));
    assert_eq!(
        lab.take_events(),
        [
            Event::Joined { members: 3 },
            Event::Election {
                cause: Cause::Joined
            }
        ]
    );
    lab.expect_elections(&members([7]));
}

#[test]
fn election_goes_to_every_greater_member_and_only_those_with_everyone_in_the_list() {
    // The coordinator's reply leaves the newcomer out, as the assignment has it, or not.
    for list in [members([1, 3, 7, 8, 9]), members([1, 3, 5, 7, 8, 9])] {
        let mut lab = Lab::joined(config(5), &list);
        let list = lab.expect_elections(&members([7, 8, 9]));
        assert_eq!(list, members([1, 3, 5, 7, 8, 9]));
    }
}

#[test]
fn election_is_answered_ok_at_once() {
    let mut lab = follower(5, &members([3, 9]));
    let asked = lab.election(&members([3]));
    assert_eq!(lab.answer_on(asked), Some((lab.now(), Answer::Ok)));
}

#[test]
fn election_s_list_is_merged_before_the_election_it_starts() {
    let mut lab = follower(5, &members([3, 9]));
    lab.election(&members([2, 3, 7, 12]));
    // Those it named are asked too, and are in the list.
    let list = lab.expect_elections(&members([7, 9, 12]));
    assert_eq!(list, members([2, 3, 5, 7, 9, 12]));
}

#[test]
fn in_an_election_ok_is_all_there_is_to_do() {
    for config in [config(5), strict(5)] {
        // While asking, and then while waiting for the victor.
        let mut lab = Lab::joined(config, &members([3, 9]));
        let asked = lab.take(Kind::Election).remove(0);
        lab.take_events();
        for phase in [Phase::Electing, Phase::Waiting] {
            if phase == Phase::Waiting {
                lab.ok(asked.exchange);
            }
            assert_eq!(lab.node.phase(), phase);
            let election = lab.election(&members([3]));
            assert_eq!(lab.answer_on(election), Some((lab.now(), Answer::Ok)));
            lab.expect_nothing();
            assert_eq!(lab.take_events(), []);
        }
    }
}

#[test]
fn not_in_an_election_an_election_starts_one() {
    let mut lab = follower(5, &members([3, 9]));
    lab.election(&members([3]));
    assert_eq!(
        lab.take_events(),
        [Event::Election {
            cause: Cause::Asked
        }]
    );
    lab.expect_elections(&members([9]));

    let mut lab = Lab::leading(config(9), &members([3, 5]));
    lab.election(&members([3]));
    lab.expect_coordinators(&members([3, 5]));
}

#[test]
fn the_greatest_of_all_wins_at_once_and_announces_itself_to_everyone() {
    let mut lab = Lab::joined(config(9), &members([3, 5, 7]));
    lab.expect_leader(pid(9));
    assert_eq!(
        lab.expect_coordinators(&members([3, 5, 7])),
        members([3, 5, 7, 9])
    );
}

#[test]
fn a_member_alone_leads() {
    let mut lab = Lab::joined(config(9), &[]);
    lab.expect_leader(pid(9));
    lab.expect_nothing();
}

#[test]
fn none_of_the_greater_answers_in_time_so_i_win() {
    let greater = members([7, 8]);
    let mut lab = Lab::joined(config(5), &members([3, 5, 7, 8]));
    lab.expect_elections(&greater);
    lab.wait(999);
    assert_eq!(lab.node.phase(), Phase::Electing);
    lab.wait(1);
    lab.expect_leader(pid(5));
    // It is announced to everyone, those who did not answer too; the greater ones are not in the list.
    let payload = lab.expect_coordinators(&members([3, 7, 8]));
    assert_eq!(payload, members([3, 5]));
}

#[test]
fn one_greater_answer_is_enough_not_to_lead() {
    let mut lab = Lab::joined(config(5), &members([3, 7, 8]));
    let asked = lab.take(Kind::Election);
    let lesser = asked
        .iter()
        .find(|asked| asked.to == member(7).addr)
        .unwrap();
    lab.ok(lesser.exchange);
    assert_eq!(lab.node.phase(), Phase::Waiting);
    lab.wait(2_500);
    assert_eq!(lab.node.phase(), Phase::Waiting);
    assert_eq!(lab.all(Kind::Coordinator), []);
}

#[test]
fn coordinator_ends_the_election_merges_the_list_and_names_the_leader() {
    let mut lab = Lab::joined(config(5), &members([7]));
    let asked = lab.take(Kind::Election).remove(0);
    lab.ok(asked.exchange);
    lab.take_events();
    lab.coordinator(&members([2, 5, 6, 7]));
    lab.expect_leader(pid(7));
    let reason = Reason::Announced;
    let leader = pid(7);
    assert_eq!(lab.take_events(), [Event::Leader { leader, reason }]);
    assert_eq!(lab.roster(), members([2, 5, 6, 7]));
    // There is no answer to it.
    lab.wait(400);
    lab.expect_nothing();
}

#[test]
fn the_outcome_of_every_election_is_reported_though_the_leader_is_the_same() {
    let mut lab = follower(5, &members([3, 9]));
    for _ in 0..2 {
        lab.election(&members([3]));
        lab.coordinator(&members([3, 5, 9]));
        let reported = [
            Event::Election {
                cause: Cause::Asked,
            },
            Event::Leader {
                leader: pid(9),
                reason: Reason::Announced,
            },
        ];
        assert_eq!(lab.take_events(), reported);
        // Said again without an election it is not reported.
        lab.coordinator(&members([3, 5, 9]));
        assert_eq!(lab.take_events(), []);
        lab.wait(400);
    }
}

#[test]
fn coordinator_is_not_answered() {
    let mut lab = follower(5, &members([3, 9]));
    let incoming = lab.coordinator(&members([3, 5, 9]));
    lab.wait(1_000);
    assert_eq!(lab.answer_on(incoming), None);
    assert!(lab.closed_at(incoming).is_some());
}

/// The gaps in milliseconds between PROBEs to a leader that answers.
fn probe_gaps(seed: u64, habit: Habit) -> Vec<u64> {
    let mut me = config(5);
    me.seed = seed;
    let mut lab = Lab::following(me, &members([3, 9]));
    lab.habit(member(9).addr, habit);
    lab.wait(60_000);
    let at: Vec<Instant> = lab.take(Kind::Probe).iter().map(|probe| probe.at).collect();
    let gap = |pair: &[Instant]| pair[1].since(pair[0]).as_millis() as u64;
    at.windows(2).map(gap).collect()
}

#[test]
fn the_leader_is_probed_every_500_to_3000_ms_at_random() {
    let gaps: Vec<u64> = (0..40)
        .flat_map(|seed| probe_gaps(seed, Habit::Answers))
        .collect();
    assert!(gaps.len() > 1_000, "{}", gaps.len());
    assert!(
        gaps.iter().all(|gap| (500..=3_000).contains(gap)),
        "{gaps:?}"
    );
    // Spread evenly: every tenth of the range holds about a tenth.
    for tenth in 0..10 {
        let range = 500 + tenth * 250..750 + tenth * 250;
        let within = gaps.iter().filter(|gap| range.contains(*gap)).count();
        assert!(
            (gaps.len() / 20..gaps.len() / 5).contains(&within),
            "{range:?}: {within}"
        );
    }
}

/// A third of the real nodes never answer PROBE.
#[test]
fn a_leader_that_never_answers_is_probed_as_often() {
    for seed in 0..40 {
        let gaps = probe_gaps(seed, Habit::NoProbe);
        assert!(gaps.len() > 15, "{}", gaps.len());
        assert!(
            gaps.iter().all(|gap| (500..=3_000).contains(gap)),
            "seed {seed}: {gaps:?}"
        );
    }
}

#[test]
fn only_the_leader_is_probed_and_only_by_the_others() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(20_000);
    assert!(
        lab.take(Kind::Probe)
            .iter()
            .all(|probe| probe.to == member(9).addr)
    );

    let mut lab = Lab::leading(config(9), &members([3, 5]));
    lab.wait(20_000);
    assert_eq!(lab.take(Kind::Probe), []);
}

#[test]
fn probe_is_answered_ok_at_once() {
    let mut lab = Lab::leading(config(9), &members([3, 5]));
    let probe = lab.probe();
    assert_eq!(lab.answer_on(probe), Some((lab.now(), Answer::Ok)));
    lab.expect_nothing();
}

#[test]
fn a_leader_that_refuses_is_lost_and_an_election_follows_at_once() {
    let mut lab = follower(5, &members([3, 7, 9]));
    lab.habit(member(9).addr, Habit::Refuses);
    assert!(lab.wait_for(3_000, |lab| lab.leader() != Some(9)));
    let lost = Event::LeaderLost {
        leader: pid(9),
        how: Loss::Refused,
    };
    let events = lab.take_timed_events();
    assert_eq!(events[0].1, lost);
    assert_eq!(
        events[1].1,
        Event::Election {
            cause: Cause::LeaderLost
        }
    );
    let probe = lab.latest(Kind::Probe).unwrap();
    assert_eq!([events[0].0, events[1].0], [probe.at; 2]);
    lab.expect_elections(&members([7, 9]));
}

#[test]
fn sockets_are_not_used_again() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(0);
    lab.members(&members([3, 7, 9]));
    lab.wait(200);
    lab.coordinator(&members([3, 7, 9]));
    let incoming = [lab.election(&members([3])), lab.probe()];
    lab.wait(60_000);
    let sent = [Kind::Join, Kind::Election, Kind::Probe].map(|kind| lab.all(kind));
    assert!(sent.iter().all(|sent| !sent.is_empty()));
    // One message each, and each is closed: the last PROBE may be under way.
    let opened: Vec<_> = sent
        .into_iter()
        .flatten()
        .map(|opened| opened.exchange)
        .collect();
    let open = opened
        .iter()
        .filter(|exchange| lab.closed_at(**exchange).is_none());
    assert!(open.count() <= 1);
    assert!(
        incoming
            .iter()
            .all(|exchange| lab.closed_at(*exchange).is_some())
    );
    assert!(lab.open_exchanges() <= 1);
}

/// A node that feigns failure in this way, with nobody around it.
fn feigning(seed: u64, mode: FeignMode) -> Lab {
    let mut me = config(9);
    me.seed = seed;
    me.feign = Some(Feign::new(mode));
    Lab::joined(me, &members([3, 5]))
}

#[test]
fn fails_after_0_to_10000_ms_for_1000_to_4000_ms_drawn_anew_each_time() {
    for mode in [FeignMode::Close, FeignMode::Ignore] {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let mut lab = feigning(seed, mode);
            lab.wait(80_000);
            let mut since = Instant::ZERO;
            for (at, event) in lab.take_timed_events() {
                match event {
                    Event::Failed { .. } => up.push(at.since(since)),
                    Event::Recovered => down.push(at.since(since)),
                    _ => continue,
                }
                since = at;
            }
        }
        spread(&up, 0, 10_000);
        spread(&down, 1_000, 4_000);
        // Independently: long times up are followed by short failures about as often as by long.
        let longer = |of: &Duration, than| *of > Duration::from_millis(than);
        let both = up
            .iter()
            .zip(&down)
            .filter(|(up, down)| longer(up, 5_000) && longer(down, 2_500));
        let both = both.count();
        assert!(
            (down.len() / 6..down.len() / 3).contains(&both),
            "{both} of {}",
            down.len()
        );
    }
}

/// All within the range, and about a quarter in each quarter of it.
fn spread(drawn: &[Duration], low: u64, high: u64) {
    assert!(drawn.len() > 300, "{}", drawn.len());
    let millis: Vec<u64> = drawn.iter().map(|drawn| drawn.as_millis() as u64).collect();
    assert!(
        millis.iter().all(|drawn| (low..=high).contains(drawn)),
        "{millis:?}"
    );
    let quarter = (high - low) / 4;
    for at in 0..4 {
        let range = low + at * quarter..=low + (at + 1) * quarter;
        let within = millis.iter().filter(|drawn| range.contains(drawn)).count();
        assert!(
            (drawn.len() / 6..drawn.len() / 3).contains(&within),
            "{range:?}: {within}"
        );
    }
}

/// Waits until the node feigns failure.
fn until_failed(lab: &mut Lab) {
    assert!(lab.wait_for(10_100, |lab| lab.node.phase() == Phase::Failed));
    lab.forget();
}

#[test]
fn failed_by_closing_refuses_connections_and_recovers_by_listening_and_electing() {
    for seed in 0..20 {
        let mut lab = feigning(seed, FeignMode::Close);
        until_failed(&mut lab);
        assert!(!lab.is_listening());
        assert_eq!(lab.leader(), None);
        assert!(lab.wait_for(4_100, |lab| lab.node.phase() != Phase::Failed));
        assert!(lab.is_listening());
        assert_eq!(
            lab.take_events()[..2],
            [
                Event::Recovered,
                Event::Election {
                    cause: Cause::Recovered
                }
            ]
        );
        lab.expect_coordinators(&members([3, 5]));
    }
}

#[test]
fn failed_by_ignoring_accepts_and_says_nothing() {
    let mut lab = feigning(3, FeignMode::Ignore);
    until_failed(&mut lab);
    assert!(lab.is_listening());
    let ignored = [lab.election(&members([3])), lab.probe()];
    let overheard = lab.coordinator(&members([3, 5]));
    let dead = |lab: &Lab| lab.node.phase() == Phase::Failed;
    while dead(&lab) {
        for exchange in ignored {
            assert_eq!(lab.answer_on(exchange), None);
            // Closing an ELECTION unanswered kills its sender.
            assert_eq!(lab.closed_at(exchange), None);
        }
        assert_eq!(
            lab.all(Kind::Coordinator).len(),
            2,
            "only the first election's"
        );
        lab.wait(10);
    }
    assert_eq!(lab.answer_on(overheard), None);
    // Back again: an election of its own, and what was asked of it is answered late.
    let events = lab.take_events();
    assert_eq!(
        events[..2],
        [
            Event::Recovered,
            Event::Election {
                cause: Cause::Recovered
            }
        ]
    );
    lab.wait(100);
    assert!(
        ignored
            .iter()
            .all(|exchange| lab.answer_on(*exchange).is_some())
    );
}

/// One program ends when the connection of its ELECTION is closed before the OK.
#[test]
fn a_member_that_leaves_while_it_feigns_failure_answers_first() {
    let mut lab = feigning(3, FeignMode::Ignore);
    until_failed(&mut lab);
    let ignored = [lab.election(&members([3])), lab.probe()];
    assert!(
        ignored
            .iter()
            .all(|exchange| lab.answer_on(*exchange).is_none())
    );
    lab.node.resign();
    lab.wait(0);
    assert!(
        ignored
            .iter()
            .all(|exchange| lab.answer_on(*exchange).is_some())
    );
    assert!(!lab.is_listening());
}

#[test]
fn what_is_received_in_a_feigned_failure_is_neither_counted_nor_believed() {
    let mut lab = feigning(3, FeignMode::Ignore);
    until_failed(&mut lab);
    let (before, known) = (lab.node.counters().received, lab.roster());
    let unknown = member(40);
    let announced = lab.coordinator(&[member(3), unknown]);
    lab.election(&[member(4), member(9)]);
    lab.probe();
    assert_eq!(lab.node.counters().received, before);
    assert_eq!(lab.roster(), known);
    assert_eq!(lab.node.phase(), Phase::Failed);
    // As any other COORDINATOR it is closed soon, and not at once.
    assert_eq!(lab.closed_at(announced), None);
    lab.wait(100);
    assert!(lab.closed_at(announced).is_some());
    assert!(lab.wait_for(4_100, |lab| lab.node.phase() != Phase::Failed));
    assert!(
        lab.all(Kind::Election)
            .iter()
            .all(|sent| sent.to != unknown.addr)
    );
    assert_ne!(lab.leader(), Some(40));
}

#[test]
fn our_own_exchanges_end_with_a_feigned_failure() {
    let mut me = config(3);
    me.feign = Some(Feign::new(FeignMode::Close));
    me.seed = 5;
    let mut lab = Lab::following(me, &members([5, 9]));
    until_failed(&mut lab);
    assert_eq!(lab.open_exchanges(), 0);
    // No PROBE, no ELECTION, no JOIN until it is over.
    assert!(lab.wait_for(4_100, |lab| lab.node.phase() != Phase::Failed));
    let sent = lab.take_all();
    assert!(
        sent.iter()
            .all(|opened| opened.message.kind() == Kind::Election),
        "{sent:?}"
    );
}

/// Answered before the failure, still being read by its sender when it ends: once is enough.
#[test]
fn recovery_answers_nobody_twice() {
    let mut me = config(9);
    me.feign = Some(Feign::new(FeignMode::Ignore));
    let mut lab = Lab::joined(me, &members([3, 5]));
    lab.slow_readers(true);
    let asked = lab.election(&members([3]));
    assert!(lab.answer_on(asked).is_some());
    // Checked panics on a second answer.
    assert!(lab.wait_for(10_100, |lab| lab.node.phase() == Phase::Failed));
    assert_eq!(
        lab.closed_at(asked),
        None,
        "the time came too late, choose another seed"
    );
    lab.wait(5_000);
}

/// The lab's own program logs incoming states by their names: all but those that send.
#[test]
fn states_have_the_lab_s_names_and_its_sense_of_incoming() {
    let all = [
        State::Quiescent,
        State::SendElection,
        State::SendVictory,
        State::SendOk,
        State::WaitingForOk,
        State::WaitingForVictor,
        State::WaitingForAnyMessage,
        State::SendJoin,
        State::WaitingForMembers,
        State::SendProbe,
        State::WaitingForProbeOk,
    ];
    for state in all {
        let name = state.name();
        assert_ne!(name.starts_with("SEND_"), state.is_incoming(), "{name}");
        // Our names are the same words, not so loud.
        let ours = format!("{state:?}").to_uppercase();
        assert_eq!(name.replace('_', ""), ours);
    }
}
