//! How a node is configured before it starts.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::roster::{Addr, Member};
use crate::time::Span;

/// How a node behaves. [`Config::new`] gives the assignment's figures; change a field before the
/// node is built.
///
/// Durations are counted in whole microseconds; one above 71 minutes (2^32 - 1 µs) is taken for
/// that, which saves a chip twelve bytes for each.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// The node's own process id and listen address. Never changes while the node lives.
    pub me: Member,

    /// Where the group coordinator answers JOIN. Without one a node starts with an election at
    /// once and learns of others from their messages only.
    pub directory: Option<Addr>,

    /// The seed of everything random: the same seed and the same inputs give the same outputs.
    /// Nodes of one group should differ, or they probe and fail in step.
    pub seed: u64,

    /// Whether to feign failure now and then, and how. `None` (the default) never does.
    pub feign: Option<Feign>,

    /// Whether to send PROBE (default: true). `false` is for peers that fail when they receive one.
    /// A leader's failure then goes unnoticed until another member starts an election, and of two that
    /// are announced the last one is followed, without asking.
    pub probing: bool,

    /// The assignment's rules to the letter (default: false). It switches off the five rules
    /// against storms and overtaken announcements; a group may then send exponentially many
    /// messages and a member may follow a lesser leader for good.
    pub strict: bool,

    /// How long an ELECTION waits for its OK, counted from sending. Longer suffers slower peers,
    /// shorter elects sooner past silent ones. 1 s: peers give up on us after 1.0 to 2.5 s, and
    /// this wait and the announcement together should stay below 1.5 s (measured on lab nodes).
    pub ok_within: Duration,

    /// How much longer an OK is waited for after [`ok_within`](Self::ok_within). It no longer delays
    /// the election, but shows that its sender is alive. 5 s: the latest seen from lab nodes.
    pub ok_late: Duration,

    /// How long to wait for a COORDINATOR once somebody greater answered, before a new election; up
    /// to half as long again with a full table, so that many in a large group do not ask in step.
    /// 3 s: above the longest wait for OKs seen in peers (2.5 s), after which they announce.
    pub victor_within: Duration,

    /// The gap between two PROBEs, drawn anew each time between these two. 500 to 3,000 ms: the
    /// assignment.
    pub probe_gap: (Duration, Duration),

    /// How long a PROBE waits for its OK. 1.5 s: within the 1.0 to 2.5 s after which lab nodes give
    /// up on each other.
    pub probe_within: Duration,

    /// The suppression window: for this long after COORDINATOR was sent or received, ELECTIONs are
    /// answered but start no election. Shorter lets more of a storm through, longer delays a real election
    /// that falls into it. 300 ms: simulated; must stay below [`victor_within`](Self::victor_within).
    pub window: Duration,

    /// How long a JOIN may take. 3 s: the published coordinator serves one client at a time, and
    /// an idle one in front of us holds it.
    pub join_within: Duration,

    /// The first and the longest pause before JOIN is tried again; it doubles in between, and the
    /// actual pause is drawn from its upper half. 500 ms and 8 s: a coordinator started after us
    /// is found soon, one that is gone costs next to nothing.
    pub join_again: (Duration, Duration),

    /// The shortest time between two JOINs once we are in the group: a member that refuses us may
    /// have moved, and the coordinator knows where; and everybody asks once more after one to two of
    /// these who else has come. 2.5 s keeps that below a message a node a second in a group of any
    /// size.
    pub join_gap: Duration,

    /// How often a leader asks the coordinator who has come: somebody greater may have announced
    /// itself in vain. 10 s is one message in ten seconds for the whole group, and puts a mistake
    /// right before a member that starts has given up on the old leader.
    pub look_gap: Duration,

    /// How long somebody who connected may take for the message. 8 s: lab nodes were seen idle for
    /// 5 s before the first byte, and it must outlast a feigned failure of 4 s.
    pub message_within: Duration,

    /// How long a connection is kept after COORDINATOR was received on it. 50 ms: peers break when
    /// it is closed at once, and time out when it stays.
    pub received_linger: Duration,

    /// How long a connection is kept after an OK was sent on it, unless its slot is needed. 50 ms:
    /// one lab node dies of a connection that is gone before it has logged the answer.
    pub answer_linger: Duration,

    /// How long a connection is kept after COORDINATOR was sent on it, unless its slot is needed.
    /// 400 ms suited every lab node tried.
    pub sent_linger: Duration,
}

impl Config {
    /// The assignment's figures for a node without a coordinator, seeded by its own identity.
    pub const fn new(me: Member) -> Self {
        Self {
            me,
            directory: None,
            seed: ((me.pid.days as u64) << 32 | me.pid.id as u64) ^ me.addr.0.rotate_left(17),
            feign: None,
            probing: true,
            strict: false,
            ok_within: Duration::from_millis(1_000),
            ok_late: Duration::from_millis(5_000),
            victor_within: Duration::from_millis(3_000),
            probe_gap: (Duration::from_millis(500), Duration::from_millis(3_000)),
            probe_within: Duration::from_millis(1_500),
            window: Duration::from_millis(300),
            join_within: Duration::from_millis(3_000),
            join_again: (Duration::from_millis(500), Duration::from_millis(8_000)),
            join_gap: Duration::from_millis(2_500),
            look_gap: Duration::from_millis(10_000),
            message_within: Duration::from_millis(8_000),
            received_linger: Duration::from_millis(50),
            answer_linger: Duration::from_millis(50),
            sent_linger: Duration::from_millis(400),
        }
    }

    /// Checks what a node relies on: see [`ConfigError`]. [`Node::new`](crate::Node::new) does not.
    ///
    /// # Errors
    ///
    /// The first field that cannot work. A node with such a configuration does not panic, but it
    /// may be busy without end, or elect without end.
    pub fn check(&self) -> Result<(), ConfigError> {
        let lengths = [
            ("ok_within", self.ok_within),
            ("victor_within", self.victor_within),
            ("probe_gap", self.probe_gap.1),
            ("probe_within", self.probe_within),
            ("join_within", self.join_within),
            ("join_again", self.join_again.0),
            ("join_gap", self.join_gap),
            ("look_gap", self.look_gap),
            ("message_within", self.message_within),
        ];
        for (field, length) in lengths {
            above_zero(field, length)?;
        }
        let shorter = [
            ("window", self.window, "victor_within", self.victor_within),
            (
                "ok_within",
                self.ok_within,
                "message_within",
                self.message_within,
            ),
        ];
        for (less, short, greater, long) in shorter {
            if short >= long {
                return Err(ConfigError::NotBelow { less, greater });
            }
        }
        let ranges = [
            ("probe_gap", self.probe_gap),
            ("join_again", self.join_again),
        ];
        for (field, range) in ranges {
            in_order(field, range)?;
        }
        let longest = [
            self.ok_late,
            self.received_linger,
            self.answer_linger,
            self.sent_linger,
        ];
        let longest = longest.into_iter().chain(lengths.map(|(_, length)| length));
        if longest.chain([self.probe_gap.1, self.join_again.1]).max() > Some(LONGEST) {
            return Err(ConfigError::TooLong);
        }
        let Some(feign) = self.feign else {
            return Ok(());
        };
        in_order("feign.after", feign.after)?;
        in_order("feign.length", feign.length)?;
        above_zero("feign.length", feign.length.0)?;
        if feign.length.1 >= self.message_within {
            return Err(ConfigError::NotBelow {
                less: "feign.length",
                greater: "message_within",
            });
        }
        Ok(())
    }
}

/// What is wrong with a [`Config`]. Fields are named as in the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// This time must be at least a millisecond: a node would do the same thing again and again.
    Zero(&'static str),
    /// The first time of this range is longer than the second.
    Reversed(&'static str),
    /// The one time must be shorter than the other.
    NotBelow {
        /// The one that is too long.
        less: &'static str,
        /// The one that is too short.
        greater: &'static str,
    },
    /// A time is longer than 71 minutes (2^32 - 1 µs).
    TooLong,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero(field) => write!(f, "{field} must be at least a millisecond"),
            Self::Reversed(field) => write!(f, "{field} must be a range from short to long"),
            Self::NotBelow { less, greater } => write!(f, "{less} must be shorter than {greater}"),
            Self::TooLong => f.write_str("no time may be longer than 71 minutes"),
        }
    }
}

impl Error for ConfigError {}

/// The longest time that a node can keep.
const LONGEST: Duration = Duration::from_micros(u32::MAX as u64);

fn above_zero(field: &'static str, length: Duration) -> Result<(), ConfigError> {
    if length < Duration::from_millis(1) {
        return Err(ConfigError::Zero(field));
    }
    Ok(())
}

fn in_order(field: &'static str, (low, high): (Duration, Duration)) -> Result<(), ConfigError> {
    if low > high {
        return Err(ConfigError::Reversed(field));
    }
    Ok(())
}

/// How a node feigns failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Feign {
    /// What the others see of it.
    pub mode: FeignMode,
    /// The time from start or recovery to the next failure, drawn anew each time between these
    /// two.
    pub after: (Duration, Duration),
    /// The length of a failure, drawn anew each time between these two. Must stay below
    /// [`Config::message_within`], so that nobody who wrote meanwhile is cut off unanswered.
    pub length: (Duration, Duration),
}

impl Feign {
    /// The assignment's figures: a failure 0 to 10,000 ms after start or recovery, 1,000 to
    /// 4,000 ms long.
    pub const fn new(mode: FeignMode) -> Self {
        Self {
            mode,
            after: (Duration::ZERO, Duration::from_millis(10_000)),
            length: (Duration::from_millis(1_000), Duration::from_millis(4_000)),
        }
    }
}

/// What the others see of a feigned failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum FeignMode {
    /// Connections are refused.
    Close,
    /// Connections are accepted, and nothing is answered.
    Ignore,
}

/// A [`Config`] as a node keeps it: each duration in four bytes instead of sixteen.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Settings {
    pub(crate) me: Member,
    pub(crate) directory: Option<Addr>,
    pub(crate) feign: Option<FeignSettings>,
    pub(crate) probing: bool,
    pub(crate) strict: bool,
    pub(crate) ok_within: Span,
    pub(crate) ok_late: Span,
    pub(crate) victor_within: Span,
    pub(crate) probe_gap: (Span, Span),
    pub(crate) probe_within: Span,
    pub(crate) window: Span,
    pub(crate) join_within: Span,
    pub(crate) join_again: (Span, Span),
    pub(crate) join_gap: Span,
    pub(crate) look_gap: Span,
    pub(crate) message_within: Span,
    pub(crate) received_linger: Span,
    pub(crate) answer_linger: Span,
    pub(crate) sent_linger: Span,
}

/// A [`Feign`] as a node keeps it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct FeignSettings {
    pub(crate) mode: FeignMode,
    pub(crate) after: (Span, Span),
    pub(crate) length: (Span, Span),
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        Self {
            me: config.me,
            directory: config.directory,
            feign: config.feign.map(FeignSettings::from),
            probing: config.probing,
            strict: config.strict,
            ok_within: Span::from(&config.ok_within),
            ok_late: Span::from(&config.ok_late),
            victor_within: Span::from(&config.victor_within),
            probe_gap: spans(&config.probe_gap),
            probe_within: Span::from(&config.probe_within),
            window: Span::from(&config.window),
            join_within: Span::from(&config.join_within),
            join_again: spans(&config.join_again),
            join_gap: Span::from(&config.join_gap),
            look_gap: Span::from(&config.look_gap),
            message_within: Span::from(&config.message_within),
            received_linger: Span::from(&config.received_linger),
            answer_linger: Span::from(&config.answer_linger),
            sent_linger: Span::from(&config.sent_linger),
        }
    }
}

impl From<Feign> for FeignSettings {
    fn from(feign: Feign) -> Self {
        Self {
            mode: feign.mode,
            after: spans(&feign.after),
            length: spans(&feign.length),
        }
    }
}

fn spans((low, high): &(Duration, Duration)) -> (Span, Span) {
    (low.into(), high.into())
}
