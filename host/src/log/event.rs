//! What a log records. The names of variants and fields are those of `--log json`; `schema.md`
//! describes each.

use core::fmt;
use core::time::Duration;

use bully::{Loss, Messages, Pid, Reason};
use serde::{Serialize, Serializer};

use super::form::{maybe_pair, millis, pair, shown};
use super::message::Message;
use crate::gateway::Lost;
use crate::names::{self, Names};
use crate::net::Note;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Connections are accepted from now on.
    Listening {
        address: HostPort,
        /// How many members fit.
        capacity: usize,
        /// How many connections at once fit.
        connections: usize,
    },
    /// The coordinator answered this member's JOIN.
    Joined { members: u32 },
    /// As the coordinator, we answered the JOIN of `member`.
    #[serde(rename = "joined")]
    Registered {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: HostPort,
        members: u32,
    },
    /// As the coordinator, we list a member at another address than before.
    Moved {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: HostPort,
        /// Where it was listed.
        before: HostPort,
    },
    /// As the coordinator, we do not list a member any more.
    Removed {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: HostPort,
    },
    /// An election starts here.
    Election { cause: &'static str },
    /// It is known who leads.
    Leader {
        #[serde(serialize_with = "pair")]
        leader: Pid,
        #[serde(serialize_with = "shown")]
        reason: Reason,
    },
    /// The leader has failed.
    LeaderLost {
        #[serde(serialize_with = "pair")]
        leader: Pid,
        #[serde(serialize_with = "loss")]
        how: Loss,
    },
    /// Feigns failure from now on.
    Failed {
        #[serde(rename = "for_ms", serialize_with = "millis")]
        length: Duration,
    },
    /// Back from a feigned failure.
    Recovered,
    /// Leaves for good, and announces the next leader if it led.
    Resigned {
        #[serde(serialize_with = "maybe_pair")]
        successor: Option<Pid>,
    },
    /// A peer sent something that is not served here.
    Rejected { peer: HostPort, why: String },
    /// So many more were rejected, and not reported one by one. No host: of those that were too
    /// many to be remembered.
    RejectedMore { host: Option<String>, count: u64 },
    /// A member cannot be connected to from here, whether it lives or not; with port 0 no member
    /// on that host. Reported once for each.
    Unreachable { member: HostPort, why: String },
    /// Connections cannot be accepted at present.
    ListenerFailed { why: String },
    /// The coordinator did not answer this member's JOIN with a list of members.
    #[serde(rename = "rejected")]
    JoinFailed {
        peer: HostPort,
        why: String,
        #[serde(skip)]
        tip: String,
        /// The pause before the next try; `None` if there is none, for the coordinator refused.
        #[serde(skip)]
        again_in: Option<Duration>,
    },
    /// The coordinator lists this member's process id at another address too.
    PidInUse { address: HostPort },
    /// The table is full; so many members are not in it.
    RosterFull { left_out: u32 },
    /// Bytes pass between the gateway and whatever is at the other end.
    LineOpen { line: String },
    /// They do not.
    LineLost { line: String, why: String },
    /// A chip has answered, and has these capacities.
    ChipReady { members: u16, exchanges: u16 },
    /// The session with the chip has ended.
    ChipLost {
        #[serde(serialize_with = "lost")]
        why: Lost,
    },
    /// The chip speaks another version of the format.
    ChipVersion { theirs: u8, ours: u8 },
    /// The chip has handed out its recording.
    ChipRecorded { bytes: usize },
    /// A list is longer than the chip's capacity.
    ListCut { left_out: u32 },
    /// Lines of this log that were dropped, since nobody read it or it could not be written.
    LogLost { lines: u64 },
    /// A greater member has answered; its COORDINATOR is awaited.
    Waiting,
    /// What the simulator does to a process, in words.
    Process { what: String },
    /// The end, in order.
    Stopped,
    /// How the practice group ended.
    Summary(Summary),
    /// A message, seen from one of its ends.
    Message(Message),
}

impl Event {
    /// Returns what is recorded of an event of a node; `None` for one that needs more than the node
    /// knows, or that this version does not know.
    pub(crate) fn of_node(event: &bully::Event) -> Option<Self> {
        use bully::Event as Node;
        Some(match *event {
            Node::Joined { members } => Self::Joined { members },
            Node::Election { cause } => Self::Election {
                cause: cause.name(),
            },
            Node::Leader { leader, reason } => Self::Leader { leader, reason },
            Node::LeaderLost { leader, how } => Self::LeaderLost { leader, how },
            Node::Failed { length } => Self::Failed { length },
            Node::Recovered => Self::Recovered,
            Node::Resigned { successor } => Self::Resigned { successor },
            Node::RosterFull { left_out } => Self::RosterFull { left_out },
            _ => return None,
        })
    }
}

/// A host as its owner wrote it, and a port. In JSON: `[host, port]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct HostPort(pub(crate) String, pub(crate) u16);

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = printable(&self.0);
        if host.contains(':') {
            write!(f, "[{host}]:{}", self.1)
        } else {
            write!(f, "{host}:{}", self.1)
        }
    }
}

/// What became of a practice group.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// Whether every member that is up names the greatest member that is up.
    pub(crate) agreed: bool,
    /// Whom they name, if they agree.
    #[serde(serialize_with = "maybe_pair")]
    pub(crate) leader: Option<Pid>,
    /// How many members there are.
    pub(crate) members: usize,
    /// How many of them do not feign failure.
    pub(crate) up: usize,
    /// What all of them sent together.
    #[serde(serialize_with = "counts")]
    pub(crate) messages: Messages,
    /// How long it took, in seconds.
    pub(crate) elapsed_s: f64,
    /// How busy the machine was at the end, by [`load`](crate::load::load): that time depends on it.
    pub(crate) load: Option<f64>,
}

impl Event {
    /// Returns what the network has noted; `names` are its own.
    pub(crate) fn noted(note: Note, names: &Names) -> Self {
        match note {
            Note::Rejected { peer, why } => Self::Rejected {
                peer: HostPort(peer.ip().to_string(), peer.port()),
                why,
            },
            Note::Unreachable { to, why } => Self::Unreachable {
                member: HostPort(names.host(to).into(), names::port(to)),
                why,
            },
            Note::Listener { why } => Self::ListenerFailed { why },
        }
    }
}

/// Returns `(days, id)` as Python shows it.
pub(crate) fn pid_text(pid: Pid) -> String {
    format!("({}, {})", pid.days, pid.id)
}

/// Returns a peer's words without anything that could move the cursor or turn the line around:
/// control, format and bidirectional characters are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_printable(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// Returns `true` if a terminal shows `letter` as a letter of its own.
pub(crate) fn is_printable(letter: char) -> bool {
    // `escape_debug` knows what is printable, but escapes quotes too.
    matches!(letter, '\'' | '"' | '\\') || letter.escape_debug().len() == 1
}

fn loss<S: Serializer>(how: &Loss, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match how {
        Loss::Refused => "refused",
        Loss::Reset => "reset",
        Loss::Unreachable => "unreachable",
        Loss::Silent => "silent",
        _ => "other",
    })
}

fn lost<S: Serializer>(why: &Lost, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match why {
        Lost::Silent => "silent",
        Lost::Gap => "gap",
        Lost::Asked => "asked",
        Lost::Echo => "echo",
        Lost::Nonsense => "nonsense",
        Lost::Overrun => "overrun",
    })
}

fn counts<S: Serializer>(sent: &Messages, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Counts {
        join: u64,
        election: u64,
        ok: u64,
        coordinator: u64,
        probe: u64,
    }
    Counts {
        join: sent.join,
        election: sent.election,
        ok: sent.ok,
        coordinator: sent.coordinator,
        probe: sent.probe,
    }
    .serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_or_turn_the_line_around_is_escaped() {
        for (text, shown) in [
            ("plain 'text', \"quoted\" \\ and ünï東", None),
            ("a\x1b[2Jb", Some("a\\u{1b}[2Jb")),
            ("a\nb\tc\x7f", Some("a\\u{a}b\\u{9}c\\u{7f}")),
            ("a\u{9b}2J", Some("a\\u{9b}2J")),
            (
                "a\u{202e}b\u{2066}c\u{200f}d\u{61c}",
                Some("a\\u{202e}b\\u{2066}c\\u{200f}d\\u{61c}"),
            ),
            (
                "a\u{2028}b\u{feff}\u{200b}",
                Some("a\\u{2028}b\\u{feff}\\u{200b}"),
            ),
        ] {
            assert_eq!(printable(text), shown.unwrap_or(text));
        }
    }
}
