//! What is simulated: a group, a network, and what goes wrong.

use core::time::Duration;

use bully::FeignMode;

/// Everything that a run depends on. The same scenario gives the same run, to the last event.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many members the group has, at most [`MEMBERS_MAX`](crate::MEMBERS_MAX).
    pub members: usize,
    /// How many a member's table can hold, each one of [`CAPACITIES`](crate::CAPACITIES); of several
    /// each member draws one.
    pub capacities: Vec<usize>,
    /// Who is there at the start, and in which order the others come.
    pub start: Start,
    /// Who fails, and when.
    pub crashes: Vec<Crash>,
    /// Whose process is stopped for a while.
    pub pauses: Vec<Pause>,
    /// How long a message takes, drawn anew for each.
    pub delay: Delay,
    /// Whose messages take longer.
    pub slow: Vec<Slow>,
    /// The share of messages that are lost, 0 to 1.
    pub loss: f64,
    /// From then on nothing is lost by chance any more; `None`: it never ends.
    pub loss_until: Option<Duration>,
    /// The share of packets that are lost and sent again, 0 to 1: messages come later, as over TCP. If it
    /// is not 0, a connection takes a round trip to be set up.
    pub packet_loss: f64,
    /// Between which sides nothing gets through, and when.
    pub partitions: Vec<Partition>,
    /// Between which two nothing gets through, and when.
    pub cuts: Vec<Cut>,
    /// Messages that take longer than others, or are lost, by plan.
    pub holds: Vec<Hold>,
    /// Members that start at a time of their own, whatever `start` says.
    pub late: Vec<(usize, Duration)>,
    /// Who forges members, and when.
    pub attacks: Vec<Attack>,
    /// Members that keep to the assignment's letter in a group of others, with a table for all.
    pub plain: Vec<Who>,
    /// Whether members feign failures at random, and how.
    pub feign: Option<FeignMode>,
    /// The longest time between two feigned failures of a member, if not the assignment's 10 s.
    pub feign_gap: Option<Duration>,
    /// The only member that sends PROBE; `None`: all do.
    pub prober: Option<usize>,
    /// Members that never learned to answer PROBE: they take it and say nothing.
    pub mute: Vec<usize>,
    /// All members keep to the assignment's letter.
    pub strict: bool,
    /// How long the run lasts, in virtual time.
    pub duration: Duration,
    /// A run that has sent this many messages is cut off, and says so.
    pub messages_max: u64,
    /// The seed of everything random.
    pub seed: u64,
}

impl Scenario {
    /// When the last thing happens that is planned: a start, a crash, a return, the end of a partition
    /// or of anything else that lasts a while.
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
        let held = |hold: &Hold| hold.until.saturating_add(hold.extra.unwrap_or_default());
        crashes
            .chain(self.pauses.iter().map(|pause| pause.to))
            .chain(self.partitions.iter().map(|partition| partition.to))
            .chain(self.cuts.iter().map(|cut| cut.to))
            .chain(self.attacks.iter().map(|attack| attack.to))
            .chain(self.holds.iter().map(held))
            .chain(self.late.iter().map(|(_, at)| *at))
            .chain(self.loss_until)
            .fold(starts, Duration::max)
    }

    /// Returns `true` if every table has a place for every member.
    pub fn fits(&self) -> bool {
        let entries = self.entries();
        self.attacks.is_empty() && self.capacities.iter().all(|capacity| *capacity >= entries)
    }

    /// How many entries there are for members: one more each time that somebody comes back as somebody
    /// else, which leaves the former one behind.
    pub(crate) fn entries(&self) -> usize {
        let changed = |crash: &&Crash| crash.back_as != BackAs::Before;
        self.members + self.crashes.iter().filter(changed).count()
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

/// A member that fails for good or for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Who.
    pub who: Who,
    /// When, from the start.
    pub at: Duration,
    /// When it is started again, as a new process.
    pub until: Option<Duration>,
    /// What the others see of it.
    pub how: Failure,
    /// What of it has changed when it is started again.
    pub back_as: BackAs,
}

impl Crash {
    /// The process ends at this time, for good.
    pub const fn new(who: Who, at: Duration) -> Self {
        Self {
            who,
            at,
            until: None,
            how: Failure::Ends,
            back_as: BackAs::Before,
        }
    }

    /// The same, started again at this time.
    pub const fn until(self, until: Duration) -> Self {
        Self {
            until: Some(until),
            ..self
        }
    }
}

/// What the others see of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The process ends: its connections break, and its host refuses new ones.
    Ends,
    /// Its host is gone with it: nothing comes back any more.
    Vanishes,
}

/// As whom a crashed member is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackAs {
    /// With the process id and at the address of before.
    Before,
    /// On the next day: with another process id, at the same address.
    NextDay,
    /// At another address.
    Moved,
}

/// Processes, by number or by office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever leads at that time: the greatest member that is up.
    Leader,
    /// The member of this number; 0 is the coordinator.
    Number(usize),
    /// So many in a hundred of the members that are up, drawn at random, at least one.
    Percent(u8),
}

/// A process that is stopped for a while, as by SIGSTOP: its host accepts connections for it, up to its
/// backlog, but it reads and sends nothing. Then it goes on with what has come meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who.
    pub who: Who,
    /// When it is stopped.
    pub from: Duration,
    /// When it goes on.
    pub to: Duration,
}

/// Members whose messages and answers take longer than others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Who.
    pub who: Who,
    /// How much longer.
    pub delay: Duration,
}

/// A link on which nothing gets through for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The number of one end.
    pub from: usize,
    /// The number of the other.
    pub to_whom: usize,
    /// Only what `from` sends is lost: messages, answers and the ends of connections.
    pub one_way: bool,
    /// When it begins.
    pub since: Duration,
    /// When it is over.
    pub to: Duration,
}

/// A time in which somebody sends every member lists of members that do not exist: at its beginning,
/// and every five seconds, in ELECTION and COORDINATOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    /// How many members are forged, all greater than any real one.
    pub forged: u32,
    /// Where they are said to be.
    pub at: ForgedAt,
    /// When it begins.
    pub from: Duration,
    /// When the attacker is gone.
    pub to: Duration,
}

/// Where forged members are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgedAt {
    /// Each at an address where connections are refused.
    Refusing,
    /// Each at an address where no host is.
    Silent,
    /// All at the attacker's, who answers OK to everything.
    Answering,
    /// At those of real members.
    Real,
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
/// send is lost without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number of the least member on the greater side.
    pub below: usize,
    /// The coordinator is with the greater members, not with the lesser ones.
    pub coordinator_above: bool,
    /// When it begins.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
}

impl Partition {
    /// Returns `true` if this process is on the side of the greater members.
    pub(crate) fn has_above(&self, number: usize) -> bool {
        match number {
            0 => self.coordinator_above,
            number => number >= self.below,
        }
    }
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
            Self::Exp(mean) => mean.saturating_mul(33),
        }
    }
}

impl Default for Scenario {
    /// Five members that start together on a quick network, for ten seconds.
    fn default() -> Self {
        Self {
            members: 5,
            capacities: vec![1024],
            start: Start::Together,
            crashes: Vec::new(),
            pauses: Vec::new(),
            slow: Vec::new(),
            cuts: Vec::new(),
            attacks: Vec::new(),
            plain: Vec::new(),
            delay: Delay::Uniform(Duration::from_micros(500), Duration::from_micros(1_500)),
            loss: 0.0,
            packet_loss: 0.0,
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
