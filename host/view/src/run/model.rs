//! What a run is: who took part, what each did, and each message once.

use core::fmt;

use bully::Pid;

use crate::line::{Conn, Kind, What};

/// A run, put together from the logs of all who have one.
#[derive(Clone, Debug)]
pub struct Run {
    /// The logs, and what was done about their clocks.
    pub clocks: Vec<Clock>,
    /// Who took part: the coordinator first, then the members from the least to the greatest.
    pub lanes: Vec<Lane>,
    /// What happened, as each of them saw it, in an order in which no message arrives before it left.
    pub points: Vec<Point>,
    /// The messages, by what was seen of them first.
    pub messages: Vec<Message>,
    /// What a reader of any view of it has to know, a sentence each.
    pub remarks: Vec<String>,
    /// Something is wrong with the logs: a receive without its send, or before it.
    pub is_inconsistent: bool,
}

/// A log and its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The log's name.
    pub name: String,
    /// What was added to its times, in microseconds: never more than 0.
    pub shift: i64,
}

/// Somebody who took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Who.
    pub who: Who,
    /// Its own log is among those that were read; if not, it is known from its peers only.
    pub is_logged: bool,
}

/// A member, or the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// The group coordinator (GCD).
    Coordinator,
    /// A member.
    Member(Pid),
}

/// A line of a log.
#[derive(Clone, Debug)]
pub struct Point {
    /// When, in microseconds since the first of the processes started.
    pub at: i64,
    /// Whose, by its place in [`Run::lanes`]; `None`: of all.
    pub lane: Option<usize>,
    /// From which log.
    pub source: usize,
    /// The line's number there.
    pub line: usize,
    /// What it says.
    pub what: PointWhat,
}

/// What a point is.
#[derive(Clone, Debug)]
pub enum PointWhat {
    /// An end of the message with this place in [`Run::messages`].
    Message(usize),
    /// Something else.
    Event(What),
}

/// A message, from what was seen of it at both ends.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name; `None` if it is unknown.
    pub kind: Option<Kind>,
    /// Its connection.
    pub conn: Option<Conn>,
    /// Who sent it, by place in [`Run::lanes`], if that is known.
    pub from: Option<usize>,
    /// To whom.
    pub to: Option<usize>,
    /// Where it was sent, by place in [`Run::points`].
    pub sent: Option<usize>,
    /// Where it came, or was known not to.
    pub received: Option<usize>,
    /// Where its sender learnt that it had failed, if that was later than when it was sent.
    pub failed: Option<usize>,
    /// What became of it.
    pub fate: Fate,
    /// What it answers, by place in [`Run::messages`].
    pub answers: Option<usize>,
    /// Whom a COORDINATOR announces.
    pub leader: Option<Pid>,
    /// How many members its list names.
    pub members: Option<u64>,
    /// How many bytes it had, as far as is known.
    pub bytes: u64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent, and came.
    Arrived,
    /// It was sent or came; nothing was seen of it at the other end, which may have no log.
    HalfSeen,
    /// It was not sent whole, or did not come whole, for this reason.
    Failed(String),
    /// It was awaited, and did not come, for this reason; nothing was seen of its being sent.
    Missing(String),
}

impl Run {
    /// Returns who a lane is of.
    pub fn who(&self, lane: usize) -> Who {
        self.lanes
            .get(lane)
            .map_or(Who::Coordinator, |lane| lane.who)
    }

    /// Returns the place of `who` in [`lanes`](Self::lanes).
    pub fn lane(&self, who: Who) -> Option<usize> {
        self.lanes.binary_search_by_key(&who, |lane| lane.who).ok()
    }

    /// Returns when the last thing happened, in microseconds since the start.
    pub fn end(&self) -> i64 {
        self.points.iter().map(|point| point.at).max().unwrap_or(0)
    }

    /// Returns when a point was, in microseconds since the start.
    pub fn at(&self, point: usize) -> i64 {
        self.points.get(point).map_or(0, |point| point.at)
    }

    /// Returns the kind of the message that opened the connection of `message`.
    pub fn request_kind<'a>(&'a self, message: &'a Message) -> Option<&'a Kind> {
        match message.answers {
            Some(request) => self.messages.get(request)?.kind.as_ref(),
            None => message.kind.as_ref(),
        }
    }
}

impl Message {
    /// Returns its name for people.
    pub fn name(&self) -> &str {
        self.kind.as_ref().map_or("an unknown message", Kind::name)
    }

    /// Returns the points of it that there are, the first one first.
    pub fn points(&self) -> impl Iterator<Item = usize> {
        [self.sent, self.received, self.failed]
            .into_iter()
            .flatten()
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Member(pid) => write!(f, "({}, {})", pid.days, pid.id),
        }
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It runs, and is not in an election: it joins, or nobody leads.
    Up,
    /// It has sent ELECTION, or is about to.
    Electing,
    /// A greater member has answered; its COORDINATOR is awaited.
    Waiting,
    /// It follows another.
    Following(Pid),
    /// It leads.
    Leading,
    /// It feigns failure.
    Failed,
    /// Its process is stopped.
    Paused,
    /// Its process has ended, or its host is gone.
    Crashed,
    /// It has ended in order.
    Ended,
}

/// A time during which somebody is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From which point on, by its place in [`Run::points`].
    pub from: usize,
    /// Until which one; `None`: to the end.
    pub until: Option<usize>,
    /// What it is.
    pub phase: Phase,
}

impl Phase {
    /// Returns its name for people, in a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "no leader known",
            Self::Electing => "electing",
            Self::Waiting => "waiting for COORDINATOR",
            Self::Following(_) => "following",
            Self::Leading => "leading",
            Self::Failed => "feigning failure",
            Self::Paused => "stopped",
            Self::Crashed => "crashed",
            Self::Ended => "ended",
        }
    }

    /// Returns `true` while its process exists.
    pub fn is_up(self) -> bool {
        !matches!(self, Self::Crashed | Self::Ended)
    }
}
