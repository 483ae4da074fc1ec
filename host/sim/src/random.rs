//! Faults at random.

use core::time::Duration;

use bully::FeignMode;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::scenario::{
    Attack, BackAs, Crash, Cut, Delay, Failure, ForgedAt, Hold, Kind, Partition, Pause, Scenario,
    Slow, Start, Who,
};

impl Scenario {
    /// A group and whatever this seed makes of its day: 2 to 24 members with tables of all sizes, also
    /// smaller than the group and mixed; crashes and returns, hosts that vanish, processes that are
    /// stopped, messages lost and held up, partitions, cut links, feigned failures, slow and plain
    /// members and forged ones, on a network of some kind; and then quiet, long enough for all to agree
    /// again.
    pub fn random(seed: u64) -> Self {
        // Not the run's own chance, or its draws would repeat these.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6361_7061_6369_7479);
        let members = match rng.random_range(0..4) {
            0 => rng.random_range(2..=4),
            1 => rng.random_range(9..=24),
            _ => rng.random_range(5..=8),
        };
        let capacities: [&[usize]; 8] = [
            &[4],
            &[8],
            &[16],
            &[64],
            &[4, 8],
            &[4, 64],
            &[8, 16, 64],
            &[4, 8, 16, 64],
        ];
        let capacities = pick(&mut rng, &capacities).to_vec();
        let mut scenario = Self {
            capacities,
            ..Self::random_of(members, seed)
        };
        for crash in &mut scenario.crashes {
            crash.back_as = match rng.random_range(0..8) {
                0 if crash.until.is_some() => BackAs::NextDay,
                1 if crash.until.is_some() => BackAs::Moved,
                _ => BackAs::Before,
            };
        }
        if rng.random_ratio(1, 8) {
            let forged = *pick(&mut rng, &[1, 3, 20, 1_000]);
            let at = *pick(
                &mut rng,
                &[
                    ForgedAt::Refusing,
                    ForgedAt::Silent,
                    ForgedAt::Answering,
                    ForgedAt::Real,
                ],
            );
            let (from, to) = span(&mut rng);
            let attack = Attack {
                forged,
                at,
                from,
                to,
            };
            scenario.attacks.push(attack);
        }
        if rng.random_ratio(1, 8) {
            let plain = rng.random_range(1..=members);
            scenario.plain.push(Who::Number(plain));
        }
        scenario.end_at_rest();
        scenario
    }

    /// A group of `members` with room for everybody in every table, and such a day without plain and
    /// forged members, on which everybody comes back as who they were.
    pub fn random_of(members: usize, seed: u64) -> Self {
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
            capacities: vec![64.max(members.next_power_of_two())],
            start: *pick(rng, &starts),
            delay: *pick(rng, &delays),
            // Some hundred times what the worst of these days costs a group that keeps the rules.
            messages_max: 300_000,
            seed,
            ..Self::default()
        };
        scenario.random_failures(rng);
        scenario.random_network(rng);
        for _ in 0..rng.random_range(0..3) {
            let number = rng.random_range(1..=members);
            scenario.late.retain(|(late, _)| *late != number);
            scenario.late.push((number, span(rng).0));
        }
        if rng.random_ratio(1, 5) {
            scenario.feign = Some(*pick(rng, &[FeignMode::Close, FeignMode::Ignore]));
            // Failures so rare that there is peace between some of them.
            scenario.feign_gap = Some(Duration::from_secs(rng.random_range(30..300)));
        }
        scenario.end_at_rest();
        scenario
    }

    fn random_failures(&mut self, rng: &mut StdRng) {
        let members = self.members;
        for _ in 0..rng.random_range(0..4) {
            let (at, to) = span(rng);
            let who = match rng.random_ratio(1, 2) {
                true => Who::Leader,
                false => Who::Number(rng.random_range(1..=members)),
            };
            let until = rng.random_ratio(2, 3).then_some(to);
            let how = match rng.random_ratio(1, 4) {
                true => Failure::Vanishes,
                false => Failure::Ends,
            };
            self.crashes.push(Crash {
                who,
                at,
                until,
                how,
                back_as: BackAs::Before,
            });
        }
        for _ in 0..rng.random_range(0_u32..3).saturating_sub(1) {
            let (from, to) = span(rng);
            let who = match rng.random_ratio(1, 2) {
                true => Who::Leader,
                false => Who::Number(rng.random_range(0..=members)),
            };
            self.pauses.push(Pause { who, from, to });
        }
    }

    fn random_network(&mut self, rng: &mut StdRng) {
        let members = self.members;
        for _ in 0..rng.random_range(0..3) {
            let (from, to) = span(rng);
            self.partitions.push(Partition {
                below: rng.random_range(1..=members),
                coordinator_above: rng.random_ratio(1, 2),
                from,
                to,
            });
        }
        for _ in 0..rng.random_range(0_u32..4).saturating_sub(1) {
            let (since, to) = span(rng);
            let (from, to_whom) = (rng.random_range(0..=members), rng.random_range(0..=members));
            self.cuts.push(Cut {
                from,
                to_whom,
                one_way: rng.random_ratio(1, 2),
                since,
                to,
            });
        }
        for _ in 0..rng.random_range(0..4) {
            let (since, until) = span(rng);
            let someone = |rng: &mut StdRng| {
                let number = rng.random_range(0..=members);
                (number > 0).then_some(number)
            };
            self.holds.push(Hold {
                kind: rng.random_ratio(3, 4).then(|| *pick(rng, &Kind::ALL)),
                from: someone(rng),
                to: someone(rng),
                since,
                until,
                extra: rng
                    .random_ratio(3, 4)
                    .then(|| millis(rng.random_range(1..HELD_UP_MAX))),
            });
        }
        if rng.random_ratio(1, 3) {
            self.loss = *pick(rng, &[0.01, 0.1, 0.5]);
            self.loss_until = Some(FAULTS);
        }
        if rng.random_ratio(1, 8) {
            let who = Who::Number(rng.random_range(1..=members));
            let delay = millis(rng.random_range(1..100));
            self.slow.push(Slow { who, delay });
        }
    }

    /// Lasts until all must have agreed, and some seconds more.
    fn end_at_rest(&mut self) {
        // What is held up longest is sent at the end of the faults.
        let quiet_from = FAULTS + millis(HELD_UP_MAX);
        self.duration = quiet_from + self.settles_within() + millis(5_000);
    }
}

/// All faults that are planned lie in this first part of a run.
const FAULTS: Duration = Duration::from_secs(15);

/// The longest time that a message is held up, in milliseconds.
const HELD_UP_MAX: u64 = 6_000;

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
