//! A message as one of its ends saw it: the event `message`.

use core::fmt;
use core::time::Duration;

use bully::{Instant, Pid};
pub(crate) use bully_view::Kind;
use serde::{Serialize, Serializer};

use super::form::{is_absent, maybe_pair, shown};
use crate::net::Ends;

/// A message that was sent or received whole, or was not.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Message {
    /// When it was handed to the network, or had come.
    #[serde(skip)]
    pub(crate) at: Instant,
    /// Whose log this is; `None`: the coordinator's.
    #[serde(skip)]
    pub(crate) node: Option<Pid>,
    pub(crate) dir: Direction,
    /// `None` if it is unknown, for it did not come whole.
    pub(crate) kind: Option<Kind>,
    pub(crate) conn: Option<Conn>,
    /// Who is at the other end, if that is known for certain.
    #[serde(serialize_with = "maybe_pair")]
    pub(crate) peer: Option<Pid>,
    /// Whom a COORDINATOR announces.
    #[serde(serialize_with = "maybe_pair", skip_serializing_if = "is_absent")]
    pub(crate) leader: Option<Pid>,
    /// How many members its list names, if it is of a kind that always has one.
    #[serde(skip_serializing_if = "is_absent")]
    pub(crate) members: Option<usize>,
    /// How many bytes were sent or received.
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "is_absent")]
    pub(crate) error: Option<Problem>,
    /// The message that opened the connection: what an OK answers.
    #[serde(skip)]
    pub(crate) request: Option<Kind>,
    /// Whether the other end is to be named for people, and how.
    #[serde(skip)]
    pub(crate) party: Party,
    /// The other end is not in this log.
    #[serde(skip)]
    pub(crate) alone: bool,
    /// How long it had been awaited, or under way.
    #[serde(skip)]
    pub(crate) waited: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Send,
    Recv,
}

/// Which connection it was on: the same at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conn {
    /// Its ends, and a number if an earlier one had the same.
    Tcp(Ends, Option<u64>),
    /// Of a simulation: its number.
    Number(u64),
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// They connected to us.
    Caller,
    /// We connected to the coordinator.
    Coordinator,
    /// We connected to a member, who is shown like this unless the pid is known.
    Member(String),
}

/// Why a message did not come or arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Problem {
    /// Nobody listens there.
    Refused,
    /// The connection broke.
    Reset,
    /// The peer closed it before.
    Closed,
    /// The time for it was over.
    TimedOut,
    /// It was no longer wanted, or gave way to others.
    GivenUp,
    /// What came is no message.
    Malformed,
    /// It came whole, and is not served here.
    Rejected,
    /// This end stopped listening, for a feigned failure or for good.
    Stopped,
    /// It never arrived: in simulations only.
    Lost,
}

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(ends, number) => {
                write!(f, "{}>{}", ends.initiator, ends.listener)?;
                number.map_or(Ok(()), |number| write!(f, "#{number}"))
            }
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Conn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Tcp(..) => shown(self, to),
            Self::Number(number) => to.serialize_u64(*number),
        }
    }
}
