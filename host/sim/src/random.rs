//! Faults at random.

use core::time::Duration;

use bully::{Config, FeignMode, Member};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::agreement::settles_within;
use crate::identity::{addr, pid};
use crate::scenario::{Crash, Delay, Hold, Kind, Partition, Scenario, Start, Who};

/// All faults that are planned lie in this first part of a run.
const FAULTS: Duration = Duration::from_secs(15);

impl Scenario {
    /// Five members and whatever this seed makes of their day: crashes and restarts, messages lost
    /// and held up, partitions, feigned failures, on a network of some kind; and then quiet, long
    /// enough for all to agree again.
    pub fn random(seed: u64) -> Self {
        Self::random_of(5, seed)
    }

    /// The same for a group of `members`.
    pub fn random_of(members: usize, seed: u64) -> Self {
        // Not the run's own chance, or its draws would repeat these.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7363_656e_6172_696f);
        let rng = &mut rng;
        let starts = [
            Start::Together,
            Start::Ascending,
            Start::Descending,
            Start::Shuffled,
        ];
        let delays = [
            Delay::Const(millis(1)),
            Delay::Const(millis(40)),
            Delay::Uniform(Duration::from_micros(500), Duration::from_micros(1_500)),
            Delay::Uniform(Duration::ZERO, millis(100)),
            Delay::Exp(millis(1)),
            Delay::Exp(millis(7)),
        ];
        let mut scenario = Self {
            members,
            capacity: 16.max(members.next_power_of_two()),
            start: *pick(rng, &starts),
            delay: *pick(rng, &delays),
            seed,
            ..Self::default()
        };
        for _ in 0..rng.random_range(0..4) {
            let (at, to) = span(rng);
            let who = match rng.random_ratio(1, 2) {
                true => Who::Leader,
                false => Who::Number(rng.random_range(1..=members)),
            };
            let until = rng.random_ratio(2, 3).then_some(to);
            scenario.crashes.push(Crash { who, at, until });
        }
        for _ in 0..rng.random_range(0..3) {
            let (from, to) = span(rng);
            let below = rng.random_range(1..=members);
            scenario.partitions.push(Partition { below, from, to });
        }
        for _ in 0..rng.random_range(0..4) {
            let (since, until) = span(rng);
            let someone = |rng: &mut StdRng| {
                let number = rng.random_range(0..=members);
                (number > 0).then_some(number)
            };
            scenario.holds.push(Hold {
                kind: rng.random_ratio(3, 4).then(|| *pick(rng, &Kind::ALL)),
                from: someone(rng),
                to: someone(rng),
                since,
                until,
                extra: rng
                    .random_ratio(3, 4)
                    .then(|| millis(rng.random_range(1..6_000))),
            });
        }
        for _ in 0..rng.random_range(0..3) {
            let number = rng.random_range(1..=members);
            scenario.late.retain(|(late, _)| *late != number);
            scenario.late.push((number, span(rng).0));
        }
        if rng.random_ratio(1, 3) {
            scenario.loss = *pick(rng, &[0.01, 0.1, 0.5]);
            scenario.loss_until = Some(FAULTS);
        }
        if rng.random_ratio(1, 5) {
            scenario.feign = Some(*pick(rng, &[FeignMode::Close, FeignMode::Ignore]));
            // Failures so rare that there is peace between some of them.
            scenario.feign_gap = Some(Duration::from_secs(rng.random_range(30..300)));
        }
        let config = Config::new(Member {
            pid: pid(1),
            addr: addr(1),
        });
        // What is held up longest is sent at the end of the faults.
        scenario.duration = FAULTS + millis(6_000) + settles_within(&config) + millis(5_000);
        scenario
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pick<'a, T>(rng: &mut StdRng, these: &'a [T]) -> &'a T {
    &these[rng.random_range(0..these.len())]
}

/// Two times in order, within the part in which there are faults.
fn span(rng: &mut StdRng) -> (Duration, Duration) {
    let end = u64::try_from(FAULTS.as_micros()).unwrap_or(u64::MAX);
    let (one, other) = (rng.random_range(0..end), rng.random_range(0..end));
    (
        Duration::from_micros(one.min(other)),
        Duration::from_micros(one.max(other)),
    )
}
