//! Something that must hold did not.

use core::fmt;

use bully::Instant;

/// Everything that is checked, by name.
pub const INVARIANTS: [&str; 13] = [
    "every unsettled phase has a deadline",
    "poll_at is never now with nothing to do",
    "the table is ascending and within its capacity",
    "my own pid is never dropped",
    "whom I follow is greater than me and in the table",
    "nothing is sent to oneself",
    "work per poll is bounded by the capacities",
    "polling again, or with an earlier time, changes nothing",
    "poll_at is never later than the earliest deadline",
    "nobody leaves a leader that answers for a lesser one",
    "nobody takes the lead over a greater member that answers",
    "at rest everyone names the greatest member up",
    "elections cost no more than the faults account for",
];

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant, one of [`INVARIANTS`].
    pub invariant: &'static str,
    /// The member's number.
    pub member: usize,
    /// When, in virtual time.
    pub at: Instant,
    /// What was seen.
    pub seen: String,
    /// The seed of the run.
    pub seed: u64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: at {:.6} s member {} breaks \"{}\": {}",
            self.seed,
            self.at.as_micros() as f64 / 1e6,
            self.member,
            self.invariant,
            self.seen
        )
    }
}

impl core::error::Error for Breach {}
