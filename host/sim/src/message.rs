//! What travels between processes, and what a process's network does for it.

use std::rc::Rc;

use bully::{Addr, Gone, Member, Origin, Pid, Refusal};

use crate::scenario::Kind;
use crate::versions::Snapshot;

/// A message or an answer on its way, with a list of its own.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Join(Member),
    Election(Rc<[Member]>, Option<Origin>),
    Coordinator(Rc<[Member]>, Option<Origin>),
    Probe(Option<Origin>),
    Ok(Option<Origin>),
    Members(Snapshot),
    Refused(Refusal),
}

impl Message {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Join(_) => Kind::Join,
            Self::Election(..) => Kind::Election,
            Self::Coordinator(..) => Kind::Coordinator,
            Self::Probe(_) => Kind::Probe,
            Self::Ok(_) => Kind::Ok,
            Self::Members(_) | Self::Refused(_) => Kind::Members,
        }
    }

    /// How many members its list has; a JOIN has the one who joins.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Join(_) => 1,
            Self::Election(list, _) | Self::Coordinator(list, _) => list.len(),
            Self::Members(list) => list.len(),
            Self::Probe(_) | Self::Ok(_) | Self::Refused(_) => 0,
        }
    }

    /// The greatest in its list.
    pub(crate) fn greatest(&self) -> Option<Pid> {
        match self {
            Self::Join(member) => Some(member.pid),
            Self::Election(list, _) | Self::Coordinator(list, _) => {
                list.last().map(|last| last.pid)
            }
            Self::Members(list) => list.greatest(),
            Self::Probe(_) | Self::Ok(_) | Self::Refused(_) => None,
        }
    }

    /// Lends its list.
    pub(crate) fn with_list<T>(&self, read: impl FnOnce(&[Member]) -> T) -> T {
        match self {
            Self::Join(member) => read(core::slice::from_ref(member)),
            Self::Election(list, _) | Self::Coordinator(list, _) => read(list),
            Self::Members(list) => read(&list.list()),
            Self::Probe(_) | Self::Ok(_) | Self::Refused(_) => read(&[]),
        }
    }
}

/// What is reported to a process of an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Accepted,
    Sent,
    Request(Message),
    Reply(Message),
    Done,
    Gone(Gone),
}

/// What a process wants done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Open {
        exchange: u32,
        to: Addr,
        message: Message,
    },
    Reply {
        exchange: u32,
        message: Message,
    },
    Close {
        exchange: u32,
    },
    Listen(bool),
}
