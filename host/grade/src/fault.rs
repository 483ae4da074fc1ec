//! Why a run ends early, and the limits of time that it is held to.

use std::io;

/// By when something must have happened, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// What a good program needs; more is noted.
    pub(crate) note: f64,
    /// What is too late.
    pub(crate) fail: f64,
}

/// Within so many seconds; more than `note` is noted.
pub(crate) const fn within(note: f64, fail: f64) -> Limits {
    Limits { note, fail }
}

/// Why a run ended before its end.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The program did not do what is asked for.
    Fault(Fault),
    /// The program ended by itself.
    Ended(String),
    /// The program runs, and refuses connections at the address it sent in JOIN.
    Away,
    /// What the check is about could not be brought about.
    Undecided(String),
    /// Nobody waits for this run any more, or the time for all grading is over.
    Cancelled,
    /// The grader itself could not go on.
    System(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::System(error.to_string())
    }
}

/// What was expected, and what was seen instead.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) expected: String,
    pub(crate) seen: String,
    /// The event that is wrong, by its place in the list of all.
    pub(crate) offending: Option<usize>,
    /// It is wrong whenever it happens, not just late.
    pub(crate) at_once: bool,
}
