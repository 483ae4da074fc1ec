//! A finished run.

use core::time::Duration;

use crate::breach::Breach;
use crate::outcome::Outcome;

/// A finished run: what it came to, or what it broke, and how long it took by the real clock.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed it ran from.
    pub seed: u64,
    /// What [`run`](crate::run) returned.
    pub result: Result<Outcome, Breach>,
    /// How long it took. Nothing else here but the memory depends on the machine.
    pub wall: Duration,
    /// The most memory that the whole process had at its end, in bytes, where that is known.
    pub peak_rss: Option<u64>,
}

impl Run {
    /// Whether it is as it should be.
    pub fn is_good(&self) -> bool {
        self.result.as_ref().is_ok_and(|outcome| outcome.agreed)
    }

    /// How much virtual time has passed.
    pub fn simulated(&self) -> Duration {
        match &self.result {
            Ok(outcome) => outcome.simulated,
            Err(breach) => Duration::from_micros(breach.at.as_micros()),
        }
    }
}
