//! What a network lends to the core for a moment, in a form that can be kept.

use bully::{Gone, Incoming, Member, Refusal, Reply, Request, Roster};

/// The name of a message, as the lab has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// JOIN.
    Join,
    /// ELECTION.
    Election,
    /// COORDINATOR.
    Coordinator,
    /// PROBE.
    Probe,
    /// Any other.
    Unfit,
}

/// A [`Request`] with its own list, as it was sent: not sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// JOIN.
    Join(Member),
    /// ELECTION.
    Election(Vec<Member>),
    /// COORDINATOR.
    Coordinator(Vec<Member>),
    /// PROBE; its list is of no interest to anybody.
    Probe,
    /// Any other.
    Unfit(Refusal),
}

impl Message {
    /// Its name.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Join(_) => Kind::Join,
            Self::Election(_) => Kind::Election,
            Self::Coordinator(_) => Kind::Coordinator,
            Self::Probe => Kind::Probe,
            Self::Unfit(_) => Kind::Unfit,
        }
    }

    /// Its list, if it has one.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Election(members) | Self::Coordinator(members) => members,
            Self::Join(_) | Self::Probe | Self::Unfit(_) => &[],
        }
    }

    /// Lends it; the list is put in order for that.
    pub fn lend(&mut self) -> Incoming<'_> {
        Incoming::Request(match self {
            Self::Join(member) => Request::Join(*member),
            Self::Election(members) => Request::Election(Roster::sorted(members)),
            Self::Coordinator(members) => Request::Coordinator(Roster::sorted(members)),
            Self::Probe => Request::Probe(Roster::EMPTY),
            Self::Unfit(refusal) => return Incoming::Unfit(*refusal),
        })
    }
}

impl From<Request<'_>> for Message {
    fn from(request: Request<'_>) -> Self {
        match request {
            Request::Join(member) => Self::Join(member),
            Request::Election(roster) => Self::Election(roster.members().to_vec()),
            Request::Coordinator(roster) => Self::Coordinator(roster.members().to_vec()),
            Request::Probe(_) => Self::Probe,
        }
    }
}

/// A [`Reply`] with its own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// OK.
    Ok,
    /// The coordinator's list.
    Members(Vec<Member>),
    /// The coordinator's refusal.
    Refused(Refusal),
}

impl Answer {
    /// Lends it; the list is put in order for that.
    pub fn lend(&mut self) -> Reply<'_> {
        match self {
            Self::Ok => Reply::Ok(Roster::EMPTY),
            Self::Members(members) => Reply::Members(Roster::sorted(members)),
            Self::Refused(refusal) => Reply::Refused(*refusal),
        }
    }
}

impl From<Reply<'_>> for Answer {
    fn from(reply: Reply<'_>) -> Self {
        match reply {
            Reply::Ok(_) => Self::Ok,
            Reply::Members(roster) => Self::Members(roster.members().to_vec()),
            Reply::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// An [`Incoming`] that can wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody has connected.
    Accepted,
    /// What was due has been sent.
    Sent,
    /// Their message.
    Request(Message),
    /// Their answer.
    Reply(Answer),
    /// The exchange ended in order.
    Done,
    /// The exchange broke.
    Gone(Gone),
}

impl Input {
    /// Lends it.
    pub fn lend(&mut self) -> Incoming<'_> {
        match self {
            Self::Accepted => Incoming::Accepted,
            Self::Sent => Incoming::Sent,
            Self::Request(message) => message.lend(),
            Self::Reply(answer) => Incoming::Reply(answer.lend()),
            Self::Done => Incoming::Done,
            Self::Gone(gone) => Incoming::Gone(*gone),
        }
    }
}
