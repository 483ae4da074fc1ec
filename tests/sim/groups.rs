//! Groups that were cut in two, and groups that are larger than their tables.
//!
//! A table that is too small keeps its owner and the greatest members. So the greatest are in every
//! table and the least in none but their own: no broadcast reaches them. They learn who leads by
//! asking. Their ELECTION is answered by OK and, since it comes from an unknown member, by a COORDINATOR
//! for them alone. Having followed, they PROBE the leader like anyone else, and so notice its
//! failure themselves; and as nobody reports newcomers to them, they ask the coordinator now and then. It
//! takes them some seconds: after joining everybody asks once more, one to two `join_gap`s later.

use core::time::Duration;

use bully_sim::{Delay, Partition, Scenario, Start, run};

use crate::text::{everywhere, unmeasured};

/// How long a group takes to agree after its last fault, at most.
fn bound() -> Duration {
    Scenario::default().settles_within()
}

#[test]
fn two_leaders_become_one_after_healing_though_nobody_joins() {
    let healed = Duration::from_secs(12);
    let mut slowest = Duration::ZERO;
    for below in 2..=6 {
        let times = everywhere(0..40, |seed| {
            let scenario = Scenario {
                members: 6,
                capacities: vec![16],
                partitions: vec![Partition {
                    below,
                    coordinator_above: false,
                    from: Duration::from_secs(2),
                    to: healed,
                }],
                delay: Delay::Uniform(Duration::from_micros(500), Duration::from_millis(20)),
                duration: healed + bound() + Duration::from_secs(1),
                seed,
                ..Scenario::default()
            };
            // The run itself checks the bound as well.
            let outcome = run(&scenario, &unmeasured, None);
            let outcome = outcome.unwrap_or_else(|breach| panic!("{breach}"));
            assert!(outcome.agreed, "seed {seed}, cut below {below}");
            let settled = outcome.settled.expect("all agree");
            assert!(settled > healed, "each side had a leader of its own");
            settled.saturating_sub(healed)
        });
        slowest = slowest.max(times.into_iter().max().unwrap_or_default());
    }
    println!(
        "two became one within {slowest:?}; {:?} are allowed",
        bound()
    );
    assert!(slowest <= bound());
}

/// A group of which a table holds only a part.
fn crowd(members: usize, capacity: usize, start: Start, duration: u64) -> Scenario {
    Scenario {
        members,
        capacities: vec![capacity],
        start,
        duration: Duration::from_secs(duration),
        seed: 1,
        ..Scenario::default()
    }
}

#[test]
fn a_thousand_with_tables_for_64_agree_on_the_greatest() {
    for start in [Start::Together, Start::Shuffled, Start::Descending] {
        let outcome = run(&crowd(1_000, 64, start, 10), &unmeasured, None);
        let outcome = outcome.unwrap_or_else(|breach| panic!("{breach}"));
        println!("{start:?}: {outcome:?}");
        assert!(outcome.agreed, "{start:?}");
        assert_eq!(outcome.fullest_table, 64, "{start:?}");
    }
}

#[test]
fn the_least_learn_who_leads_in_every_order_of_joining() {
    for start in [
        Start::Descending,
        Start::Ascending,
        Start::Shuffled,
        Start::Together,
    ] {
        let results = everywhere(0..20, |seed| {
            let scenario = Scenario {
                seed,
                ..crowd(6, 4, start, 90)
            };
            let outcome = run(&scenario, &unmeasured, None);
            outcome.unwrap_or_else(|breach| panic!("{breach}")).agreed
        });
        assert_eq!(results, [true; 20], "{start:?}");
    }
}
