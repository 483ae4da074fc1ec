//! Random faults: whatever happens, what must hold holds, and afterwards all agree.

use core::ops::Range;
use core::time::Duration;

use bully_host::sim::{Scenario, node, run};

use crate::shrink::report;
use crate::text::{Story, everywhere, tell, unmeasured};

/// Runs all these seeds; the longest time that any group took to agree.
fn all_agree(seeds: Range<u64>) -> Duration {
    let slowest = everywhere(seeds, agrees)
        .into_iter()
        .max_by_key(|run| match run {
            Err(_) => (true, Duration::ZERO),
            Ok(took) => (false, *took),
        });
    match slowest.expect("there are seeds") {
        Ok(slowest) => slowest,
        Err(seed) => {
            let scenario = Scenario::random(seed);
            panic!("{}", report(&scenario, &node));
        }
    }
}

/// How long a group took from its last fault; the seed if something did not hold.
fn agrees(seed: u64) -> Result<Duration, u64> {
    let scenario = Scenario::random(seed);
    let outcome = run(&scenario, &unmeasured, None).map_err(|_| seed)?;
    // Feigned failures do not end, so there may be no agreement at the very end.
    match outcome.calm_to_leader {
        None if scenario.feign.is_none() => Err(seed),
        took => Ok(took.unwrap_or_default()),
    }
}

#[test]
fn hundreds_of_seeds_of_random_faults_end_in_agreement() {
    let slowest = all_agree(0..400);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_seeds_of_random_faults_end_in_agreement() {
    let slowest = all_agree(0..100_000);
    println!("the slowest group agreed {slowest:?} after its last fault");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let scenario = Scenario::random(seed);
        let story = Story {
            scenario,
            probes: true,
        };
        let (once, again) = (tell(&story), tell(&story));
        assert_eq!(once, again, "seed {seed}");
    }
}
