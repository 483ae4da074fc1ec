//! The simulated network: connections between ports, and how long and whether things take.

use core::time::Duration;

use bully::Instant;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};

use crate::scenario::{Delay, Hold, Kind, Partition, Scenario};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) seat: usize,
    pub(crate) slot: u32,
}

/// A connection; an end that is closed is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn {
    pub(crate) opener: Option<End>,
    pub(crate) target: Option<End>,
    /// The seat at the far end, open or not.
    pub(crate) to: usize,
    pub(crate) from: usize,
    /// What it was opened to trace_line.
    pub(crate) asks: Kind,
    /// When the latest input that are on their way arrive, at either end.
    pub(crate) latest: [Instant; 2],
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Opener,
    Target,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Target,
            Self::Target => Self::Opener,
        }
    }
}

impl Conn {
    pub(crate) fn end(&self, side: Side) -> Option<End> {
        match side {
            Side::Opener => self.opener,
            Side::Target => self.target,
        }
    }

    pub(crate) fn latest(&mut self, side: Side) -> &mut Instant {
        let [opener, target] = &mut self.latest;
        match side {
            Side::Opener => opener,
            Side::Target => target,
        }
    }

    pub(crate) fn close(&mut self, side: Side) {
        match side {
            Side::Opener => self.opener = None,
            Side::Target => self.target = None,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    /// It arrives, later than chance alone would have it.
    Late,
    /// Its connection stands, and it is not heard.
    Lost,
    /// Nothing arrives, not even a connection.
    Parted,
}

/// Delay, loss and partitions.
#[derive(Debug)]
pub(crate) struct FaultModel {
    delay: Delay,
    loss: f64,
    loss_until: Option<Duration>,
    holds: Vec<Hold>,
    partitions: Vec<Partition>,
}

impl FaultModel {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            delay: scenario.delay,
            loss: scenario.loss,
            loss_until: scenario.loss_until,
            holds: scenario.holds.clone(),
            partitions: scenario.partitions.clone(),
        }
    }

    /// How long a message of this kind takes, and what becomes of it.
    pub(crate) fn way(
        &self,
        rng: &mut StdRng,
        now: Instant,
        kind: Kind,
        (from, to): (usize, usize),
    ) -> (Duration, Fate) {
        let delay = self.delay(rng);
        let at = now.since(Instant::ZERO);
        let held = self.holds.iter().find(|hold| {
            hold.kind.is_none_or(|held| held == kind)
                && hold.from.is_none_or(|held| held == from)
                && hold.to.is_none_or(|held| held == to)
                && (hold.since..hold.until).contains(&at)
        });
        let lossy = self.loss > 0.0 && self.loss_until.is_none_or(|until| at < until);
        let lost = lossy && rng.random_bool(self.loss);
        if self.parts(now, from, to) {
            return (delay, Fate::Parted);
        }
        match held.map(|hold| hold.extra) {
            Some(None) => (delay, Fate::Lost),
            _ if lost => (delay, Fate::Lost),
            Some(Some(extra)) => (delay + extra, Fate::Late),
            None => (delay, Fate::Arrives),
        }
    }

    pub(crate) fn delay(&self, rng: &mut StdRng) -> Duration {
        match self.delay {
            Delay::Const(delay) => delay,
            Delay::Uniform(low, high) => {
                let micros = rng.random_range(micros(low)..=micros(high).max(micros(low)));
                Duration::from_micros(micros)
            }
            Delay::Exp(mean) => {
                // The inverse of the distribution; 53 bits, never zero.
                let drawn = ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                mean.mul_f64(-drawn.ln())
            }
        }
    }

    /// Whether two seats cannot reach each other now. The coordinator is seat 0.
    pub(crate) fn parts(&self, now: Instant, one: usize, other: usize) -> bool {
        let at = now.since(Instant::ZERO);
        self.partitions.iter().any(|partition| {
            (partition.from..partition.to).contains(&at)
                && (one < partition.below) != (other < partition.below)
        })
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
