//! Random faults: whatever happens, what must hold holds, and afterwards all agree.

use core::ops::Range;
use core::time::Duration;

use bully_sim::{Breach, Scenario, node, run};

use crate::shrink::report;
use crate::text::{Story, everywhere, tell, unmeasured};

/// Runs all these seeds; the longest time that any group took to agree.
fn all_agree(seeds: Range<u64>) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut failed = Vec::new();
    for run in everywhere(seeds, agrees) {
        match run {
            Ok(took) => slowest = slowest.max(took),
            Err(breach) => failed.push(breach),
        }
    }
    failed.sort_by_key(|breach| breach.seed);
    if let Some(first) = failed.first() {
        let small = report(&Scenario::random(first.seed), &node);
        let all: Vec<String> = failed.iter().map(Breach::to_string).collect();
        panic!("{}\n{} seeds fail; {small}", all.join("\n"), all.len());
    }
    slowest
}

/// How long a group took from its last fault.
fn agrees(seed: u64) -> Result<Duration, Breach> {
    let scenario = Scenario::random(seed);
    let outcome = run(&scenario, &unmeasured, None)?;
    // Feigned failures do not end, so there may be no agreement at the very end.
    let never = scenario.feign.is_some().then_some(Duration::ZERO);
    let took = outcome.last_fault_to_leader.or(never);
    Ok(took.expect("at rest all agree"))
}

#[test]
fn hundreds_of_seeds_of_random_faults_end_in_agreement() {
    let slowest = all_agree(0..400);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

#[test]
#[ignore = "a minute in release"]
fn a_hundred_thousand_seeds_of_random_faults_end_in_agreement() {
    // BULLY_SEED=n looks at that one only.
    let seeds = match std::env::var("BULLY_SEED") {
        Ok(seed) => seed.parse().map(|seed| seed..seed + 1).expect("a number"),
        Err(_) => 0..100_000,
    };
    let slowest = all_agree(seeds);
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
        let (once, again) = (tell(&story), tell(&story));
        assert_eq!(once, again, "seed {seed}");
    }
}
