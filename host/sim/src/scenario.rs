//! What is simulated: a group, a network, and what goes wrong.

use core::time::Duration;

use bully::FeignMode;

/// Everything that a run depends on. The same scenario gives the same run, to the last event.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many members the group has.
    pub members: usize,
    /// How many a member's table can hold, one of [`CAPACITIES`](crate::CAPACITIES).
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
    /// From then on nothing is lost by chance any more; `None`: it never ends.
    pub loss_until: Option<Duration>,
    /// Messages that take longer than others, or are lost, by plan.
    pub holds: Vec<Hold>,
    /// Members that start at a time of their own, whatever `start` says.
    pub late: Vec<(usize, Duration)>,
    /// Whether members play dead at random, and how.
    pub feign: Option<FeignMode>,
    /// The longest time between two feigned failures of a member, if not the assignment's 10 s.
    pub feign_gap: Option<Duration>,
    /// The only member that sends PROBE; `None`: all do.
    pub prober: Option<usize>,
    /// Members that never learned to answer PROBE: they take it and trace_line nothing.
    pub mute: Vec<usize>,
    /// The assignment to the message.
    pub strict: bool,
    /// How long the run lasts, in virtual time.
    pub duration: Duration,
    /// A run that has sent this many messages is cut off, and says so.
    pub messages_max: u64,
    /// The seed of everything random.
    pub seed: u64,
}

impl Scenario {
    /// When the last thing happens that is planned: a start, a crash, a partition's end.
    pub fn planned_until(&self) -> Duration {
        let starts = match self.start {
            Start::Together => Duration::ZERO,
            Start::Ascending | Start::Descending | Start::Shuffled => {
                START_GAP * u32::try_from(self.members).unwrap_or(u32::MAX)
            }
            Start::LowestJoins | Start::HighestJoins => JOINS_AT,
        };
        let crashes = self
            .crashes
            .iter()
            .map(|crash| crash.until.unwrap_or(crash.at));
        let partitions = self.partitions.iter().map(|partition| partition.to);
        let late = self.late.iter().map(|(_, at)| *at);
        crashes
            .chain(partitions)
            .chain(late)
            .fold(starts, Duration::max)
    }
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

/// Messages that take longer than others, or are lost, because the scenario says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which; `None`: every kind.
    pub kind: Option<Kind>,
    /// Sent by whom; `None`: by anyone.
    pub from: Option<usize>,
    /// Sent to whom; `None`: to anyone.
    pub to: Option<usize>,
    /// Sent at or after this time ...
    pub since: Duration,
    /// ... and before this.
    pub until: Duration,
    /// How much longer they take; `None`: they are lost.
    pub extra: Option<Duration>,
}

/// The kind of a message or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JOIN.
    Join,
    /// The coordinator's answer to it, whatever it is.
    Members,
    /// ELECTION.
    Election,
    /// COORDINATOR.
    Coordinator,
    /// PROBE.
    Probe,
    /// OK, to ELECTION or PROBE.
    Ok,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Join,
        Self::Members,
        Self::Election,
        Self::Coordinator,
        Self::Probe,
        Self::Ok,
    ];

    /// The name as it stands in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "JOIN",
            Self::Members => "MEMBERS",
            Self::Election => "ELECTION",
            Self::Coordinator => "COORDINATOR",
            Self::Probe => "PROBE",
            Self::Ok => "OK",
        }
    }
}

impl Delay {
    /// A time that a message practically never exceeds.
    pub fn ceiling(self) -> Duration {
        match self {
            Self::Const(delay) => delay,
            Self::Uniform(low, high) => low.max(high),
            // One message in e^33, which is 10^14, takes longer.
            Self::Exp(mean) => 33 * mean,
        }
    }
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
            loss_until: None,
            holds: Vec::new(),
            late: Vec::new(),
            feign: None,
            feign_gap: None,
            prober: None,
            mute: Vec::new(),
            strict: false,
            duration: Duration::from_secs(10),
            messages_max: 10_000_000,
            seed: 0,
        }
    }
}

/// When the late one of [`Start::LowestJoins`] and [`Start::HighestJoins`] comes.
pub(crate) const JOINS_AT: Duration = Duration::from_secs(10);

/// The gap between two who start one after the other.
pub(crate) const START_GAP: Duration = Duration::from_micros(500);
