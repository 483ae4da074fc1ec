//! Groups of thousands with tables for a few: how fast they agree, and what it costs.
//!
//! The figures of each run are printed; `--nocapture` shows them.

use core::time::Duration;

use bully_sim::{Crash, Outcome, Partition, Scenario, Start, Who, run};

use crate::text::{everywhere, unmeasured};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Members 0.5 to 1.5 ms from each other that start together, for so long.
fn group(members: usize, capacity: usize, duration: Duration) -> Scenario {
    Scenario {
        members,
        capacities: vec![capacity],
        duration,
        messages_max: 1_000 * members as u64,
        ..Scenario::default()
    }
}

/// Runs some seeds, all of which must agree at the end.
fn outcomes(name: &str, scenario: &Scenario, seeds: u64) -> Vec<Outcome> {
    everywhere(1..seeds + 1, |seed| {
        let scenario = Scenario {
            seed,
            ..scenario.clone()
        };
        let started = std::time::Instant::now();
        let outcome = run(&scenario, &unmeasured, None);
        let outcome = outcome.unwrap_or_else(|breach| panic!("{name}: {breach}"));
        let (n, took) = (scenario.members, started.elapsed());
        println!(
            "{name}, n = {n}, capacity {:?}, seed {seed}: agreed {:?}, detection {:?}, contact {:?}, \
             {:.1} messages a member, in {took:.1?}",
            scenario.capacities,
            outcome.settled,
            outcome.detection_to_leader,
            outcome.contact_to_leader,
            outcome.messages_after_fault as f64 / n as f64,
        );
        assert!(outcome.agreed, "{name}, seed {seed}: no agreement");
        outcome
    })
}

/// Everybody follows so soon after the first failed PROBE, for so many messages a member.
fn crash(members: usize, capacity: usize, within: Duration, seeds: u64) {
    let mut scenario = group(members, capacity, s(12));
    scenario.crashes = vec![Crash::new(Who::Leader, s(6))];
    for outcome in outcomes("leader crashes", &scenario, seeds) {
        let took = outcome.detection_to_leader.expect("detected");
        assert!(took <= within, "{took:?}");
        assert!(outcome.messages_after_fault <= 16 * members as u64);
    }
}

/// And so soon after the first contact with a leader that is back.
fn comes_back(members: usize, capacity: usize, within: Duration, seeds: u64) {
    let mut scenario = group(members, capacity, s(18));
    scenario.crashes = vec![Crash::new(Who::Leader, s(6)).until(s(12))];
    for outcome in outcomes("leader back", &scenario, seeds) {
        let took = outcome.contact_to_leader.expect("in contact");
        assert!(took <= within, "{took:?}");
        assert!(outcome.messages_after_fault <= 16 * members as u64);
    }
}

/// And after the first contact across a partition that is over.
fn heals(members: usize, capacity: usize, within: Duration, seeds: u64) {
    for coordinator_above in [false, true] {
        let mut scenario = group(members, capacity, s(30));
        scenario.partitions = vec![Partition {
            below: members / 2 + 1,
            coordinator_above,
            from: s(6),
            to: s(16),
        }];
        for outcome in outcomes("partition heals", &scenario, seeds) {
            let took = outcome.contact_to_leader.expect("in contact");
            assert!(took <= within, "{took:?}");
            assert!(outcome.messages_after_fault <= 16 * members as u64);
        }
    }
}

/// All follow within a second of the last JOIN, and then nobody elects any more.
fn cold_start(members: usize, capacity: usize, seeds: u64) {
    let early = outcomes("cold start", &group(members, capacity, s(10)), seeds);
    let late = outcomes("cold start", &group(members, capacity, s(25)), seeds);
    for (early, late) in early.iter().zip(&late) {
        let settled = early.settled.expect("all agree");
        assert!(settled <= s(1), "{settled:?}");
        assert!(early.messages_after_fault <= 60 * members as u64);
        assert_eq!(
            early.messages_after_fault, late.messages_after_fault,
            "a settled group elects"
        );
    }
}

/// All of the above.
fn all(members: usize, capacity: usize, within: Duration, seeds: u64) {
    cold_start(members, capacity, seeds);
    crash(members, capacity, within, seeds);
    comes_back(members, capacity, ms(100), seeds);
    heals(members, capacity, ms(100), seeds);
}

#[test]
fn a_thousand_members_with_tables_for_64_follow_within_100_ms() {
    all(1_000, 64, ms(100), 1);
}

#[test]
fn a_thousand_members_with_tables_for_16_follow_within_300_ms() {
    all(1_000, 16, ms(300), 2);
}

#[test]
fn ten_thousand_members_with_tables_for_16_agree_on_who_is_next() {
    crash(10_000, 16, ms(300), 1);
}

#[test]
#[ignore = "a minute of processor time in release"]
fn four_thousand_members_with_tables_for_64_follow_within_100_ms() {
    all(4_096, 64, ms(100), 4);
}

#[test]
#[ignore = "half a minute of processor time in release"]
fn four_thousand_members_with_tables_for_16_follow_within_300_ms() {
    all(4_096, 16, ms(300), 4);
}

#[test]
#[ignore = "half a minute in release"]
fn ten_thousand_members_with_tables_for_64_agree_on_who_is_next() {
    crash(10_000, 64, ms(100), 1);
}

#[test]
#[ignore = "figures; several minutes and gigabytes in release"]
fn a_hundred_thousand_members_with_tables_for_64() {
    let mut scenario = group(100_000, 64, s(12));
    scenario.crashes = vec![Crash::new(Who::Leader, s(6))];
    outcomes("leader crashes", &scenario, 1);
}

#[test]
fn the_greatest_and_the_least_join_a_thousand() {
    for start in [Start::HighestJoins, Start::LowestJoins] {
        let scenario = Scenario {
            start,
            ..group(1_000, 64, s(20))
        };
        for outcome in outcomes("one joins", &scenario, 3) {
            let took = outcome.contact_to_leader.expect("in contact");
            assert!(took <= ms(100), "{start:?}: {took:?}");
            assert!(outcome.messages_after_fault <= 16 * 1_000);
        }
    }
}
