//! Random faults: whatever happens, what must hold holds, and afterwards all agree.

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use bully_sim::{Breach, Scenario, node};

use crate::shrink::{report, verdict};
use crate::text::{Story, everywhere, run_story};

/// Runs all these seeds; the longest time that any group took to agree.
fn all_agree(seeds: Range<u64>, scenario: fn(u64) -> Scenario) -> Duration {
    let count = seeds.end - seeds.start;
    let mut slowest = Duration::ZERO;
    let mut failed = Vec::new();
    for run in everywhere(seeds, |seed| agrees(&scenario(seed))) {
        match run {
            Ok(took) => slowest = slowest.max(took),
            Err(breach) => failed.push(breach),
        }
    }
    failed.sort_by_key(|breach| breach.seed);
    if let Some(first) = failed.first() {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for breach in &failed {
            *kinds.entry(breach.invariant).or_default() += 1;
        }
        let small = report(&scenario(first.seed), &node);
        let some: Vec<String> = failed.iter().take(20).map(Breach::to_string).collect();
        panic!(
            "{}\n{} of {count} seeds fail: {kinds:#?}\n{small}",
            some.join("\n"),
            failed.len()
        );
    }
    slowest
}

/// How long a group took from its last fault.
fn agrees(scenario: &Scenario) -> Result<Duration, Breach> {
    let outcome = verdict(scenario, &node)?;
    Ok(outcome.last_fault_to_leader.unwrap_or_default())
}

/// Five members with room for all in every table.
fn full(seed: u64) -> Scenario {
    Scenario::random_of(5, seed)
}

/// How many seeds of random faults are looked at where there is time.
const ALL: u64 = 100_000;

/// How many of them a day: a second or two.
const SHARE: u64 = 1_000;

/// The seeds that a test of many is to look at: `BULLY_SEED=n` is that one, `BULLY_SEEDS=a..b` those.
fn seeds(default: Range<u64>) -> Range<u64> {
    let one = std::env::var("BULLY_SEED").ok().map(|seed| {
        let seed: u64 = seed.parse().expect("BULLY_SEED is a number");
        seed..seed + 1
    });
    let many = std::env::var("BULLY_SEEDS").ok().map(|seeds| {
        let (from, to) = seeds.split_once("..").expect("BULLY_SEEDS is a..b");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    one.or(many).unwrap_or(default)
}

#[test]
fn hundreds_of_seeds_of_random_faults_end_in_agreement() {
    let slowest = all_agree(0..400, full);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

#[test]
fn hundreds_of_seeds_of_groups_of_any_size_end_in_agreement() {
    let slowest = all_agree(seeds(0..400), Scenario::random);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

/// Other seeds each day, of those that the ignored test below looks at.
#[test]
fn a_days_share_of_random_faults_ends_in_agreement() {
    let day = bully_tests::random::today();
    let first = day * SHARE % ALL;
    let share = seeds(first..first + SHARE);
    println!(
        "seeds {share:?}: the same again with BULLY_SEEDS={}..{}",
        share.start, share.end
    );
    all_agree(share, full);
}

#[test]
#[ignore = "a minute in release"]
fn a_hundred_thousand_seeds_of_random_faults_end_in_agreement() {
    let slowest = all_agree(seeds(0..ALL), full);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let scenario = Scenario::random(seed);
        let story = Story {
            scenario,
            probes: true,
            from: Duration::ZERO,
        };
        let (once, again) = (run_story(&story), run_story(&story));
        assert_eq!(once, again, "seed {seed}");
    }
}
