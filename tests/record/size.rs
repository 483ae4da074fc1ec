//! How many bytes a second a recording takes, by the size of the group.

use core::time::Duration;

use bully::FeignMode;
use bully_sim::{CAPACITIES, Crash, Scenario, Who};

use crate::groups::recordings;

#[test]
fn a_recording_takes_a_few_bytes_a_second() {
    // Members, seconds, feigned failures or a crash, and a bound of twice what was measured.
    for (members, seconds, feign, bound) in [
        (5, 60, false, 50),
        (5, 600, true, 90),
        (30, 60, false, 80),
        (30, 600, true, 320),
    ] {
        let whole = |capacity: &usize| *capacity >= members.max(64);
        let capacity = CAPACITIES
            .into_iter()
            .find(whole)
            .expect("one is large enough");
        let crash = Crash::new(Who::Leader, Duration::from_secs(seconds / 2));
        let scenario = Scenario {
            members,
            capacities: vec![capacity],
            crashes: if feign { vec![] } else { vec![crash] },
            feign: feign.then_some(FeignMode::Close),
            duration: Duration::from_secs(seconds),
            messages_max: 100_000_000,
            seed: 7,
            ..Scenario::default()
        };
        let lengths: Vec<_> = recordings(&scenario).iter().map(Vec::len).collect();
        let sum: usize = lengths.iter().sum();
        let mean = sum as u64 / lengths.len() as u64;
        let max = lengths.iter().max().expect("there are some");
        println!(
            "{members} members, {seconds} s, {}: {mean} bytes each, {max} at most, {} a second",
            if feign { "feigned failures" } else { "a crash" },
            mean / seconds
        );
        assert!(
            mean / seconds <= bound,
            "{members} members: {} a second",
            mean / seconds
        );
    }
}
