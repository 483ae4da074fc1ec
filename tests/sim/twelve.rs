//! Twelve faults that make real elections fail, and what must not come of them.

use core::time::Duration;

use bully::{Config, Event, Instant};
use bully_sim::{
    AnyNode, BackAs, Breach, Crash, Cut, Delay, Hold, Kind, Outcome, Partition, Pause, Scenario,
    Start, TraceEvent, Who, node, run_built,
};

use crate::text::{everywhere, unmeasured};

const SEEDS: core::ops::Range<u64> = 1..31;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What happened in a run.
struct Watched {
    outcome: Outcome,
    /// When which member named whom.
    named: Vec<(Duration, usize, u32)>,
    /// When an election was started.
    elections: Vec<Duration>,
}

impl Watched {
    /// How often a member named another leader than before in this time.
    fn changes(&self, member: usize, from: Duration, to: Duration) -> usize {
        let mut last = None;
        let mut changes = 0;
        for (at, who, whom) in &self.named {
            if *who == member {
                let other = last.replace(*whom).is_some_and(|last| last != *whom);
                changes += usize::from(other && (from..to).contains(at));
            }
        }
        changes
    }

    fn elections(&self, from: Duration, to: Duration) -> usize {
        let within = |at: &&Duration| (from..to).contains(*at);
        self.elections.iter().filter(within).count()
    }

    /// When all have agreed for good.
    fn settled(&self) -> Duration {
        self.outcome.settled.expect("all agree")
    }
}

/// Runs many seeds of a scenario up to the time by which all must agree, which the run checks, and
/// looks at each.
fn each(scenario: Scenario, look: impl Fn(&Watched) + Sync) {
    each_built(scenario, node, look);
}

fn each_built(
    mut scenario: Scenario,
    build: impl Fn(&Scenario, usize, Config) -> Option<Box<dyn AnyNode>> + Sync,
    look: impl Fn(&Watched) + Sync,
) {
    let until = scenario.planned_until() + scenario.settles_within() + s(1);
    scenario.duration = until;
    let broken: Vec<Breach> = everywhere(SEEDS, |seed| {
        let scenario = Scenario {
            seed,
            ..scenario.clone()
        };
        let (mut named, mut elections) = (Vec::new(), Vec::new());
        let mut observe = |at: Instant, who: usize, event: &TraceEvent| {
            let at = at.since(Instant::ZERO);
            match event {
                TraceEvent::Node(Event::Leader { leader, .. }) => {
                    named.push((at, who, leader.id - 1_000_000));
                }
                TraceEvent::Node(Event::Election { .. }) => elections.push(at),
                _ => {}
            }
        };
        let outcome = run_built(&scenario, &unmeasured, Some(&mut observe), &build)?;
        assert!(outcome.agreed, "seed {seed} ends without agreement");
        look(&Watched {
            outcome,
            named,
            elections,
        });
        Ok(())
    })
    .into_iter()
    .filter_map(Result::err)
    .collect();
    let some: Vec<_> = broken.iter().take(3).map(Breach::to_string).collect();
    assert!(broken.is_empty(), "{} of 30: {some:#?}", broken.len());
}

/// A group of so many that has its leader by the second second.
fn group(members: usize) -> Scenario {
    Scenario {
        members,
        capacities: vec![64],
        ..Scenario::default()
    }
}

fn cut(from: usize, to_whom: usize, one_way: bool) -> Cut {
    Cut {
        from,
        to_whom,
        one_way,
        since: s(5),
        to: s(25),
    }
}

/// The lesser of two sides, with the coordinator by default.
fn partition(below: usize, from: Duration, to: Duration) -> Partition {
    Partition {
        below,
        coordinator_above: false,
        from,
        to,
    }
}

#[test]
fn a_member_between_two_that_do_not_reach_each_other_does_not_swing() {
    let mut scenario = group(3);
    scenario.cuts = vec![cut(2, 3, false)];
    each(scenario, |seen| {
        let changes = seen.changes(1, s(5), s(25));
        assert!(changes <= 12, "{changes} changes of leader in 20 s");
        assert!(seen.elections(s(5), s(25)) <= 60, "a storm");
    });
}

#[test]
fn a_link_that_is_cut_one_way_raises_no_storm_and_all_agree_when_it_heals() {
    let mut scenario = group(3);
    scenario.cuts = vec![cut(3, 2, true)];
    each(scenario, |seen| {
        assert!(seen.elections(s(5), s(25)) <= 60, "a storm");
    });
}

#[test]
fn an_isolated_leader_that_returns_leads_again_and_alone() {
    let mut scenario = group(5);
    scenario.partitions = vec![partition(5, s(5), s(25))];
    each(scenario, |seen| {
        assert!(seen.settled() > s(25), "each side had a leader of its own");
        assert!(seen.elections(s(40), s(60)) == 0, "elections go on");
    });
}

#[test]
fn a_split_that_heals_twice_leaves_one_leader() {
    let mut scenario = group(6);
    scenario.partitions = vec![partition(4, s(5), s(15)), partition(4, s(18), s(28))];
    each(scenario, |seen| {
        assert_eq!(seen.elections(s(55), s(66)), 0, "elections go on");
    });
}

#[test]
fn the_greatest_up_and_down_every_two_seconds_costs_two_changes_a_cycle() {
    let mut scenario = group(5);
    scenario.crashes = (0..20)
        .map(|cycle| Crash::new(Who::Number(5), s(5 + 4 * cycle)).until(s(7 + 4 * cycle)))
        .collect();
    each(scenario, |seen| {
        for member in 1..5 {
            let changes = seen.changes(member, s(5), s(85));
            assert!(changes <= 40, "{changes} changes of leader of {member}");
        }
    });
}

#[test]
fn members_in_step_with_each_other_find_a_leader_within_three_rounds() {
    let mut scenario = group(8);
    scenario.delay = Delay::Const(ms(10));
    scenario.crashes = vec![Crash::new(Who::Leader, s(5))];
    let in_step = |scenario: &Scenario, capacity: usize, config: Config| {
        node(scenario, capacity, Config { seed: 1, ..config })
    };
    each_built(scenario, in_step, |seen| {
        // The longest gap and the wait of a PROBE, and three rounds of waiting for OK and victor.
        let bound = s(5) + ms(4_500) + 3 * s(4);
        assert!(seen.settled() <= bound, "{:?}", seen.settled());
    });
}

#[test]
fn a_leader_that_is_back_leads_though_its_coordinator_is_lost() {
    let mut scenario = group(5);
    scenario.crashes = vec![Crash::new(Who::Leader, s(5)).until(s(15))];
    scenario.holds = vec![Hold {
        kind: Some(Kind::Coordinator),
        from: Some(5),
        to: None,
        since: s(15),
        until: ms(15_100),
        extra: None,
    }];
    each(scenario, |seen| {
        assert!(seen.settled() <= s(15) + ms(4_500), "{:?}", seen.settled());
    });
}

#[test]
fn an_old_coordinator_that_comes_late_deposes_nobody_for_longer_than_a_probe() {
    let mut scenario = group(5);
    scenario.crashes = vec![Crash::new(Who::Leader, s(5)).until(s(10))];
    scenario.holds = vec![Hold {
        kind: Some(Kind::Coordinator),
        from: Some(4),
        to: None,
        since: s(5),
        until: s(10),
        extra: Some(s(5)),
    }];
    each(scenario, |seen| {
        let late = seen.named.iter().filter(|(at, ..)| *at >= s(12));
        let misled: Vec<_> = late
            .filter(|(_, who, whom)| *whom < 5 && *who < 5)
            .collect();
        assert!(misled.is_empty(), "{misled:?}");
    });
}

#[test]
fn a_leader_that_accepts_and_is_silent_is_given_up_once() {
    let mut scenario = group(5);
    scenario.start = Start::HighestJoins;
    scenario.pauses = vec![Pause {
        who: Who::Number(5),
        from: ms(10_010),
        to: s(200),
    }];
    each(scenario, |seen| {
        let last = seen.elections.iter().filter(|at| **at < s(200)).max();
        let last = last.copied().unwrap_or_default();
        assert!(last < s(60), "still electing at {last:?}");
    });
}

#[test]
fn a_leader_paused_for_five_seconds_is_followed_again_within_one_probe() {
    let mut scenario = group(5);
    scenario.pauses = vec![Pause {
        who: Who::Leader,
        from: s(10),
        to: s(15),
    }];
    each(scenario, |seen| {
        // The longest gap between two PROBEs and the wait for the answer.
        assert!(seen.settled() <= s(15) + ms(4_500), "{:?}", seen.settled());
    });
}

#[test]
fn sides_meet_again_where_the_coordinator_was_with_the_fewer() {
    let mut scenario = group(5);
    scenario.partitions = vec![partition(2, s(5), s(25))];
    each(scenario.clone(), |seen| assert!(seen.settled() > s(5)));
    scenario.partitions = vec![Partition {
        coordinator_above: true,
        ..partition(5, s(5), s(25))
    }];
    each(scenario, |seen| assert!(seen.settled() > s(25)));
}

#[test]
fn nobody_waits_for_the_ghost_of_one_that_came_back_with_other_days() {
    let mut scenario = group(13);
    let back = Crash {
        back_as: BackAs::NextDay,
        ..Crash::new(Who::Number(13), s(5)).until(s(10))
    };
    // The ghost is greater than everybody; 12, with as many days as it had, leads and goes.
    scenario.crashes = vec![back, Crash::new(Who::Number(12), s(30))];
    each(scenario, |seen| {
        let took = seen.outcome.detection_to_leader.expect("all agree");
        assert!(took <= s(3), "{took:?} from the first failed PROBE");
    });
}
