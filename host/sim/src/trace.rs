//! What an observer of a run sees.

use core::fmt;

use bully::{Event, Instant, Pid, Refusal};

use crate::identity::number;
use crate::network::Fate;
use crate::scenario::Kind;

/// Who sees everything that happens: the time, the number of the process to which it happens
/// (0: the coordinator), and what it is.
///
/// A message is seen when it is sent, with what becomes of it, and when it arrives; a connection
/// that is refused, when its opener learns of it. What belongs together has the same
/// [`exchange`](TraceMessage::exchange).
pub type Observer<'a> = &'a mut dyn FnMut(Instant, usize, &TraceEvent);

/// Something that happens to a process. Displayed, it is a line of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// It starts, as the member of this process id; `None`: it is no member.
    Starts(Option<Pid>),
    /// Its process ends.
    Crashes,
    /// Its host is gone, and it with it.
    Vanishes,
    /// It is stopped.
    Stops,
    /// It goes on.
    Continues,
    /// Partitions and cut links have changed: who is cut off now, in words.
    Links(String),
    /// It sends a message or an answer.
    Sent(TraceMessage, Fate),
    /// A message or an answer arrives.
    Arrived(TraceMessage),
    /// A connection it opened is refused.
    Refused(TraceMessage),
    /// The node reports something.
    Node(Event),
    /// Its own state is another one now, by the lab's name.
    State(&'static str),
}

/// A message or an answer, as the trace has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceMessage {
    /// The number of the exchange it belongs to: connections are counted from 1.
    pub exchange: u64,
    /// The number of its sender.
    pub from: usize,
    /// The number of its receiver; `None` for an address at which no member is.
    pub to: Option<usize>,
    /// What it is.
    pub kind: Kind,
    /// What it answers, if it is an answer.
    pub answers: Option<Kind>,
    /// How many members its list has.
    pub members: usize,
    /// The greatest in its list: of a COORDINATOR the one who leads.
    pub greatest: Option<Pid>,
    /// How many bytes it takes, as the run measures them; of a refusal and of a connection that is
    /// refused 0.
    pub bytes: u64,
    /// Why a JOIN was refused.
    pub refusal: Option<Refusal>,
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starts(_) => f.write_str("starts"),
            Self::Crashes => f.write_str("crashes"),
            Self::Vanishes => f.write_str("crashes, and its host with it"),
            Self::Stops => f.write_str("is stopped"),
            Self::Continues => f.write_str("goes on"),
            Self::Links(what) => f.write_str(what),
            Self::Sent(message, fate) => {
                write!(f, "→ {}  {message}", Name(message.to))?;
                f.write_str(match fate {
                    Fate::Arrives => "",
                    Fate::Late => ", which comes late",
                    Fate::Lost => ", which is lost",
                    Fate::Cut => ", which cannot get through",
                })
            }
            Self::Arrived(message) => write!(f, "← {}  {message}", Name(Some(message.from))),
            Self::Refused(message) => {
                let (to, kind) = (Name(message.to), message.kind.name());
                write!(f, "{to} refuses the connection for {kind}")
            }
            Self::Node(event) => node_event(f, event),
            Self::State(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for TraceMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        match (self.kind, self.refusal) {
            (_, Some(refusal)) => return write!(f, "{refusal:?}"),
            (Kind::Election | Kind::Coordinator | Kind::Members, None) => {
                let greatest = self.greatest.map_or(0, number);
                write!(f, "{kind} of {}, up to {greatest}", self.members)?;
            }
            _ => f.write_str(kind)?,
        }
        match self.answers {
            Some(Kind::Probe) => f.write_str(" to PROBE"),
            _ => Ok(()),
        }
    }
}

fn node_event(f: &mut fmt::Formatter<'_>, event: &Event) -> fmt::Result {
    match event {
        Event::Joined { members } => write!(f, "joined: {members} known"),
        Event::JoinFailed { failure, .. } => write!(f, "cannot join: {failure:?}"),
        Event::Election { cause } => write!(f, "elects: {}", cause.name()),
        Event::Leader { leader, .. } => write!(f, "leader is {}", number(*leader)),
        Event::LeaderLost { leader, how } => write!(f, "lost {}: {how:?}", number(*leader)),
        Event::Failed { length } => write!(f, "plays dead for {} ms", length.as_millis()),
        Event::Recovered => f.write_str("is back"),
        Event::RosterFull { left_out } => write!(f, "has no room for {left_out}"),
        other => write!(f, "{other:?}"),
    }
}

/// A process as the trace names it.
struct Name(Option<usize>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(0) => f.write_str("gcd"),
            Some(number) => number.fmt(f),
            None => f.write_str("nobody"),
        }
    }
}
