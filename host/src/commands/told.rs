//! What the log tells, as JSON and as text.

use core::fmt::Write as _;
use core::time::Duration;

use bully::{Loss, Messages, Pid, Reason};
use serde::Serialize;

use super::log::Tone;
use crate::gateway::Lost;

/// Something that happened. The names of variants and fields are those of `--log json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Told {
    /// The door is open.
    Listening {
        address: Place,
        /// How many members there is room for.
        capacity: usize,
        /// How many connections at once there is room for.
        connections: usize,
    },
    /// The coordinator let us in.
    Joined { members: u32 },
    /// As the coordinator, we let somebody in.
    #[serde(rename = "joined")]
    LetIn {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: Place,
        members: u32,
    },
    /// As the coordinator, we list a member at another address than before.
    Moved {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: Place,
        /// Where it was listed.
        before: Place,
    },
    /// As the coordinator, we do not list a member any more.
    Removed {
        #[serde(serialize_with = "pair")]
        member: Pid,
        address: Place,
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
    /// Plays dead from now on.
    Failed {
        #[serde(rename = "for_ms", serialize_with = "millis")]
        length: Duration,
    },
    /// Back from playing dead.
    Recovered,
    /// What a peer sent was of no use.
    Rejected { peer: Place, why: String },
    /// The coordinator did not let us in.
    #[serde(rename = "rejected")]
    NotJoined {
        peer: Place,
        why: String,
        #[serde(skip)]
        tip: String,
        /// When it is tried again; not at all once the coordinator has turned us down.
        #[serde(skip)]
        again_in: Option<Duration>,
    },
    /// There is no room for every member.
    RosterFull { left_out: u32 },
    /// Bytes pass between the gateway and whatever is at the other end.
    LineOpen { line: String },
    /// They do not.
    LineLost { line: String, why: String },
    /// A chip has answered, and has room for so much.
    ChipReady { members: u16, exchanges: u16 },
    /// The session with the chip has ended.
    ChipLost {
        #[serde(serialize_with = "lost")]
        why: Lost,
    },
    /// The chip cannot be talked to.
    ChipVersion { theirs: u8, ours: u8 },
    /// A list is longer than the chip has room for.
    ListCut { left_out: u32 },
    /// The end, in order.
    Stopped,
    /// How the practice group ended.
    Summary(Summary),
}

/// `[host, port]`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place(pub(crate) String, pub(crate) u16);

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]:{}", self.0, self.1)
        } else {
            write!(f, "{}:{}", self.0, self.1)
        }
    }
}

/// What became of a practice group.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Whether every member that is up names the greatest member that is up.
    pub(crate) agreed: bool,
    /// Whom they name, if they are agreed.
    #[serde(serialize_with = "maybe_pair")]
    pub(crate) leader: Option<Pid>,
    /// How many members there are.
    pub(crate) members: usize,
    /// How many of them are not playing dead.
    pub(crate) up: usize,
    /// What all of them sent together.
    #[serde(serialize_with = "counts")]
    pub(crate) messages: Messages,
    /// How long it took, in seconds.
    pub(crate) elapsed_s: f64,
}

impl Told {
    /// What happened, as a sentence about `who`, and how much it matters.
    pub(crate) fn text(&self, who: Option<Pid>) -> (String, Tone) {
        match self {
            Self::Listening { address, .. } => (format!("listens at {address}"), Tone::Plain),
            Self::Joined { members } => {
                (format!("joined: {}", members_text(*members)), Tone::Plain)
            }
            Self::LetIn {
                member,
                address,
                members,
            } => {
                let all = members_text(*members);
                let text = format!("lets in {} at {address}: {all}", pid_text(*member));
                (text, Tone::Plain)
            }
            Self::Moved {
                member,
                address,
                before,
            } => {
                let member = pid_text(*member);
                let text = format!(
                    "lists {member} at {address}, and no longer at {before}: it was started anew, \
                     or two programs run as {member}; if so, give one of them another SU ID"
                );
                (text, Tone::Trouble)
            }
            Self::Removed { member, address } => {
                let member = pid_text(*member);
                let text = format!("removes {member}: nobody listens at {address}, and it is full");
                (text, Tone::Plain)
            }
            Self::Election { cause } => (format!("starts an election: {cause}"), Tone::Election),
            Self::Leader { leader, reason } if who == Some(*leader) => {
                (format!("leads: {reason}"), Tone::Leader)
            }
            Self::Leader { leader, reason } => (
                format!("follows {}: {reason}", pid_text(*leader)),
                Tone::Follower,
            ),
            Self::LeaderLost { leader, how } => {
                let text = format!("has lost its leader {}: {how}", pid_text(*leader));
                (text, Tone::Trouble)
            }
            Self::Failed { length } => {
                let text = format!("plays dead for {:.1} s", length.as_secs_f64());
                (text, Tone::Trouble)
            }
            Self::Recovered => ("is back".to_owned(), Tone::Plain),
            Self::Rejected { peer, why } => (
                format!("turns away {peer}: {}", printable(why)),
                Tone::Trouble,
            ),
            Self::NotJoined {
                why, tip, again_in, ..
            } => {
                let why = printable(why);
                let text = match again_in.map(|again| again.as_secs_f64()) {
                    Some(again) => format!("{why}, again in {again:.1} s; {tip}"),
                    None => format!("is turned down: {why}"),
                };
                (text, Tone::Trouble)
            }
            Self::RosterFull { left_out } => {
                let left_out = members_text(*left_out);
                let text = format!("has no room for {left_out}; it keeps the greatest");
                (text, Tone::Trouble)
            }
            Self::LineOpen { line } => (format!("opens {line}"), Tone::Plain),
            Self::LineLost { line, why } => (format!("waits for {line}: {why}"), Tone::Trouble),
            Self::ChipReady { members, exchanges } => {
                let room = members_text((*members).into());
                let text = format!("serves a chip with room for {room} and {exchanges} exchanges");
                (text, Tone::Leader)
            }
            Self::ChipLost { why } => (lost_text(*why).to_owned(), Tone::Trouble),
            Self::ChipVersion { theirs, ours } => {
                let older = if theirs < ours {
                    "the chip is older: build its firmware with this version's core"
                } else {
                    "this program is older: get the one that the chip's core comes from"
                };
                let text = format!(
                    "cannot serve the chip: it speaks version {theirs} on the line, we {ours}; {older}"
                );
                (text, Tone::Trouble)
            }
            Self::ListCut { left_out } => {
                let left_out = members_text(*left_out);
                let text =
                    format!("leaves {left_out} out of a list; the chip is told the greatest");
                (text, Tone::Trouble)
            }
            Self::Stopped => ("stopped".to_owned(), Tone::Plain),
            Self::Summary(summary) => (summary.text(), Tone::Plain),
        }
    }
}

impl Summary {
    fn text(&self) -> String {
        let (up, of) = (self.up, self.members);
        let mut text = match self.leader {
            Some(leader) => format!(
                "agreed: {up} of {of} members are up, {} leads",
                pid_text(leader)
            ),
            None if up == 0 => format!("agreed: none of {of} members is up"),
            None => format!("not agreed: {up} of {of} members are up, and do not name one leader"),
        };
        let sent = self.messages;
        let _ = write!(
            text,
            "\nsent in {:.1} s: {} JOIN, {} ELECTION, {} OK, {} COORDINATOR, {} PROBE",
            self.elapsed_s, sent.join, sent.election, sent.ok, sent.coordinator, sent.probe
        );
        text
    }
}

/// `(days, id)` as Python shows it.
pub(crate) fn pid_text(pid: Pid) -> String {
    format!("({}, {})", pid.days, pid.id)
}

/// `1 member`, `5 members`.
pub(crate) fn members_text(count: u32) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

/// A peer's words with nothing in them that could move the cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let escaped = letter.is_control().then(|| letter.escape_default());
            let kept = escaped.is_none().then_some(letter);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

fn pair<S: serde::Serializer>(pid: &Pid, to: S) -> Result<S::Ok, S::Error> {
    (pid.days, pid.id).serialize(to)
}

pub(crate) fn maybe_pair<S: serde::Serializer>(
    pid: &Option<Pid>,
    to: S,
) -> Result<S::Ok, S::Error> {
    pid.map(|pid| (pid.days, pid.id)).serialize(to)
}

fn shown<T: core::fmt::Display, S: serde::Serializer>(what: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(what)
}

fn loss<S: serde::Serializer>(how: &Loss, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match how {
        Loss::Refused => "refused",
        Loss::Reset => "reset",
        Loss::Unreachable => "unreachable",
        Loss::Silent => "silent",
        _ => "other",
    })
}

fn lost_text(why: Lost) -> &'static str {
    match why {
        Lost::Silent => "closes the door: the chip is silent",
        Lost::Gap => "begins anew: bytes from the chip are damaged or missing",
        Lost::Asked => "begins anew: the chip has started, or misses bytes of ours",
        Lost::Echo => "hears itself: the line echoes what is written to it",
        Lost::Nonsense => "begins anew: the chip says what no chip may say",
        Lost::Overrun => "begins anew: the line takes no more bytes",
    }
}

fn lost<S: serde::Serializer>(why: &Lost, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match why {
        Lost::Silent => "silent",
        Lost::Gap => "gap",
        Lost::Asked => "asked",
        Lost::Echo => "echo",
        Lost::Nonsense => "nonsense",
        Lost::Overrun => "overrun",
    })
}

fn millis<S: serde::Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn counts<S: serde::Serializer>(sent: &Messages, to: S) -> Result<S::Ok, S::Error> {
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
