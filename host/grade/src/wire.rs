//! The lab's messages as the grader needs them, and the one interface through which they become
//! bytes: the [`Codec`], which knows pickle.

pub use bully_pickle::message::Keyed;
pub use bully_pickle::writer::{OkForm, ProbeForm};

use bully::Pid;

/// A member as it stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its process id.
    pub pid: Pid,
    /// The host of its listen address, as written.
    pub host: String,
    /// The port of its listen address, 1 to 65,535.
    pub port: u16,
}

/// The name of a message or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// JOIN.
    Join,
    /// ELECTION.
    Election,
    /// COORDINATOR.
    Coordinator,
    /// PROBE.
    Probe,
    /// An answer to ELECTION or PROBE in one of the forms that are known.
    Ok,
    /// The coordinator's answer to JOIN.
    Members,
    /// The coordinator's refusal of a JOIN.
    Refusal,
    /// A whole pickle that is none of these.
    Other,
}

impl Kind {
    /// The name as it is written in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "JOIN",
            Self::Election => "ELECTION",
            Self::Coordinator => "COORDINATOR",
            Self::Probe => "PROBE",
            Self::Ok => "OK",
            Self::Members => "members",
            Self::Refusal => "refusal",
            Self::Other => "another message",
        }
    }
}

/// The forms in which the graded program is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Of lists of members.
    pub keyed: Keyed,
    /// Of the answer to ELECTION and PROBE.
    pub ok: OkForm,
    /// Of PROBE.
    pub probe: ProbeForm,
}

/// A message of the graded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub kind: Kind,
    /// The name stood alone (`'PROBE'`), not in a pair (`('PROBE', None)`).
    pub bare: bool,
    /// The sender, if it is a JOIN.
    pub joining: Option<Entry>,
    /// Its list of members, if it has one that can be read.
    pub members: Option<Vec<Entry>>,
    /// What that list was keyed by; `None` if it is empty or there is none.
    pub keyed: Option<Keyed>,
    /// The message nearly as Python would show it, at most some 200 bytes.
    pub text: String,
}

/// What some bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a message.
    Incomplete,
    /// A message in the first so many bytes.
    Whole(Message, usize),
    /// Nothing that can become a message, and why.
    Unreadable(String),
}

/// A message or an answer to the graded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// The coordinator's answer to JOIN.
    Members,
    /// The coordinator's answer to a JOIN whose process id is out of range: a text.
    Refusal,
    /// ELECTION.
    Election,
    /// COORDINATOR.
    Coordinator,
    /// PROBE.
    Probe,
    /// OK.
    Ok,
}

impl Outgoing {
    /// Under which name it stands in a timeline.
    pub fn kind(self) -> Kind {
        match self {
            Self::Members => Kind::Members,
            Self::Refusal => Kind::Refusal,
            Self::Election => Kind::Election,
            Self::Coordinator => Kind::Coordinator,
            Self::Probe => Kind::Probe,
            Self::Ok => Kind::Ok,
        }
    }
}

/// Turns messages into bytes and back.
pub trait Codec: Sync {
    /// Returns what a connection's bytes so far are. `answer` is whether they answer an ELECTION or
    /// PROBE of ours.
    fn read(&self, bytes: &[u8], answer: bool) -> Reading;

    /// The bytes of a message with these members, in these forms.
    fn write(&self, what: Outgoing, members: &[Entry], dialect: Dialect) -> Vec<u8>;
}

/// The first bytes as hex, for people: at most 64 of them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 64;
    let mut text: String = bytes
        .iter()
        .take(SHOWN_MAX)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if bytes.len() > SHOWN_MAX {
        text.push('…');
    }
    text
}
