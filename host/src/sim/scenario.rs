//! What is simulated: a group, a network, and what goes wrong.

use core::time::Duration;

use bully::FeignMode;

/// Everything that a run depends on. The same scenario gives the same run, to the last event.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many members the group has.
    pub members: usize,
    /// How many a member's table can hold, one of [`CAPACITIES`](super::CAPACITIES).
    pub capacity: usize,
    /// Who is there at the start, and in which order the others come.
    pub start: Start,
    /// Who fails, and when.
    pub crashes: Vec<Crash>,
    /// How long a message takes, drawn anew for each.
    pub delay: Delay,
    /// The share of messages that are lost, 0 to 1.
    pub loss: f64,
    /// Who cannot reach whom, and when.
    pub partitions: Vec<Partition>,
    /// Whether members play dead at random, and how.
    pub feign: Option<FeignMode>,
    /// The assignment to the letter.
    pub strict: bool,
    /// How long the run lasts, in virtual time.
    pub duration: Duration,
    /// A run that has sent this many messages is cut off, and says so.
    pub messages_max: u64,
    /// The seed of everything random.
    pub seed: u64,
}

/// The order in which the members come. Members are numbered 1 to n from the least to the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All at once.
    Together,
    /// The least first, the others after it, 0.5 ms apart.
    Ascending,
    /// The greatest first.
    Descending,
    /// In an order drawn at random, 0.5 ms apart.
    Shuffled,
    /// All but the least are a settled group; it joins at 10 s.
    LowestJoins,
    /// All but the greatest are a settled group; it joins at 10 s.
    HighestJoins,
}

/// A member that fails for good or for a while: its connections break, and it refuses new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Who.
    pub who: Who,
    /// When, from the start.
    pub at: Duration,
    /// When it is started again, as a new process at the same address.
    pub until: Option<Duration>,
}

/// A member, by number or by office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever leads at that time: the greatest member that is up.
    Leader,
    /// The member of this number.
    Number(usize),
}

/// How long messages take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always as long.
    Const(Duration),
    /// Any time between these two, all equally likely.
    Uniform(Duration, Duration),
    /// Memoryless, with this mean: most are fast and a few are very slow.
    Exp(Duration),
}

/// A time in which members up to `below` and those from it on cannot reach each other: what they
/// send is lost without a word. The coordinator is with the lesser ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number of the least member on the greater side.
    pub below: usize,
    /// When it begins.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
}

impl Default for Scenario {
    /// Five members that start together on a quick network, for ten seconds.
    fn default() -> Self {
        Self {
            members: 5,
            capacity: 1024,
            start: Start::Together,
            crashes: Vec::new(),
            delay: Delay::Uniform(Duration::from_micros(500), Duration::from_micros(1_500)),
            loss: 0.0,
            partitions: Vec::new(),
            feign: None,
            strict: false,
            duration: Duration::from_secs(10),
            messages_max: 10_000_000,
            seed: 0,
        }
    }
}

/// When the late one of [`Start::LowestJoins`] and [`Start::HighestJoins`] comes.
pub(super) const JOINS_AT: Duration = Duration::from_secs(10);

/// The gap between two who start one after the other.
pub(super) const START_GAP: Duration = Duration::from_micros(500);
