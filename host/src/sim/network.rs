//! The simulated network: connections between ports, and how long and whether things take.

use core::time::Duration;

use bully::Instant;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};

use super::scenario::{Delay, Partition};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) seat: usize,
    pub(super) slot: u32,
}

/// A connection; an end that is closed is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conn {
    pub(super) opener: Option<End>,
    pub(super) target: Option<End>,
    /// The seat at the far end, open or not.
    pub(super) to: usize,
    pub(super) from: usize,
    /// When the latest news that are on their way arrive, at either end.
    pub(super) latest: [Instant; 2],
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Opener,
    Target,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Target,
            Self::Target => Self::Opener,
        }
    }
}

impl Conn {
    pub(super) fn end(&self, side: Side) -> Option<End> {
        match side {
            Side::Opener => self.opener,
            Side::Target => self.target,
        }
    }

    pub(super) fn latest(&mut self, side: Side) -> &mut Instant {
        let [opener, target] = &mut self.latest;
        match side {
            Side::Opener => opener,
            Side::Target => target,
        }
    }

    pub(super) fn close(&mut self, side: Side) {
        match side {
            Side::Opener => self.opener = None,
            Side::Target => self.target = None,
        }
    }
}

/// Delay, loss and partitions.
#[derive(Debug)]
pub(super) struct Weather {
    pub(super) delay: Delay,
    pub(super) loss: f64,
    pub(super) partitions: Vec<Partition>,
}

impl Weather {
    pub(super) fn delay(&self, rng: &mut StdRng) -> Duration {
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

    pub(super) fn loses(&self, rng: &mut StdRng) -> bool {
        self.loss > 0.0 && rng.random_bool(self.loss)
    }

    /// Whether two seats cannot reach each other now. The coordinator is seat 0.
    pub(super) fn parts(&self, now: Instant, one: usize, other: usize) -> bool {
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
