//! A machine's side of the simulated network: a [`Net`] that only keeps books.

use std::collections::VecDeque;
use std::rc::Rc;

use bully::{
    Addr, Exchange, Full, Gone, Incoming, Member, Net, Origin, Refusal, Reply, Request, Roster,
};

use crate::scenario::Kind;

/// A message or an answer on its way, with a list of its own.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Join(Member),
    Election(Rc<[Member]>, Option<Origin>),
    Coordinator(Rc<[Member]>, Option<Origin>),
    Probe(Option<Origin>),
    Ok(Option<Origin>),
    Members(Rc<[Member]>),
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

    /// The list it carries.
    pub(crate) fn list(&self) -> &[Member] {
        match self {
            Self::Join(member) => core::slice::from_ref(member),
            Self::Election(list, _) | Self::Coordinator(list, _) | Self::Members(list) => list,
            _ => &[],
        }
    }
}

/// Something that is told of an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Accepted,
    Sent,
    Request(Message),
    Reply(Message),
    Done,
    Gone(Gone),
}

/// What the machine wants done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Open {
        slot: u32,
        to: Addr,
        message: Message,
    },
    Reply {
        slot: u32,
        message: Message,
    },
    Close {
        slot: u32,
    },
    Listen(bool),
}

/// The network as one machine sees it.
#[derive(Debug, Default)]
pub(crate) struct Port {
    /// Exchanges in use; `true` once nothing more may be told.
    slots: Vec<Option<bool>>,
    exchanges_max: usize,
    inbox: VecDeque<(u32, Input)>,
    pub(crate) outbox: Vec<Action>,
    /// What is lent out by `recv`.
    lent: Option<Rc<[Member]>>,
    /// The last list of each kind that was sent: shared as long as it stays the same.
    copies: [Option<(u32, Rc<[Member]>)>; 3],
}

impl Port {
    pub(crate) fn new(exchanges_max: usize) -> Self {
        Self {
            exchanges_max,
            ..Self::default()
        }
    }

    /// Takes a connection in, or `None` if there is no room: it has to wait outside.
    pub(crate) fn accept(&mut self) -> Option<u32> {
        let slot = self.free_slot(self.exchanges_max + SPARE)?;
        self.inbox.push_back((slot, Input::Accepted));
        Some(slot)
    }

    /// Tells something of an exchange, unless it is over.
    pub(crate) fn tell(&mut self, slot: u32, input: Input) {
        let Some(Some(over)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if !*over {
            *over = matches!(input, Input::Done | Input::Gone(_));
            self.inbox.push_back((slot, input));
        }
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.inbox.is_empty()
    }

    fn free_slot(&mut self, max: usize) -> Option<u32> {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.slots.len());
        if self.slots.iter().flatten().count() >= max {
            return None;
        }
        match self.slots.get_mut(slot) {
            Some(entry) => *entry = Some(false),
            None => self.slots.push(Some(false)),
        }
        u32::try_from(slot).ok()
    }

    fn copy(&mut self, kind: usize, roster: Roster<'_>) -> Rc<[Member]> {
        if let Some(Some((revision, copy))) = self.copies.get(kind)
            && roster.revision() == Some(*revision)
            && copy.len() == roster.len()
        {
            return Rc::clone(copy);
        }
        let copy: Rc<[Member]> = Rc::from(roster.members());
        if let (Some(kept), Some(revision)) = (self.copies.get_mut(kind), roster.revision()) {
            *kept = Some((revision, Rc::clone(&copy)));
        }
        copy
    }
}

/// As many as the real network lets in beyond the core's places.
const SPARE: usize = 4;

impl Net for Port {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let slot = self.free_slot(self.exchanges_max).ok_or(Full)?;
        let message = match request {
            Request::Join(member) => Message::Join(member),
            Request::Election(roster) => Message::Election(self.copy(0, roster), roster.origin()),
            Request::Coordinator(roster) => {
                Message::Coordinator(self.copy(1, roster), roster.origin())
            }
            Request::Probe(roster) => Message::Probe(roster.origin()),
        };
        self.outbox.push(Action::Open { slot, to, message });
        Ok(Exchange(slot))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (slot, input) = loop {
            let (slot, input) = self.inbox.pop_front()?;
            // What was told of an exchange before it was closed is for nobody.
            if matches!(self.slots.get(slot as usize), Some(Some(_))) {
                break (slot, input);
            }
        };
        let incoming = match input {
            Input::Accepted => Incoming::Accepted,
            Input::Sent => Incoming::Sent,
            Input::Done => Incoming::Done,
            Input::Gone(gone) => Incoming::Gone(gone),
            Input::Request(message) => match message {
                Message::Join(member) => Incoming::Request(Request::Join(member)),
                Message::Election(list, origin) => {
                    let list = lend(&mut self.lent, list).with_origin(origin);
                    Incoming::Request(Request::Election(list))
                }
                Message::Coordinator(list, origin) => {
                    let list = lend(&mut self.lent, list).with_origin(origin);
                    Incoming::Request(Request::Coordinator(list))
                }
                Message::Probe(origin) => {
                    Incoming::Request(Request::Probe(Roster::EMPTY.with_origin(origin)))
                }
                _ => Incoming::Unfit(Refusal::Unexpected),
            },
            Input::Reply(message) => Incoming::Reply(match message {
                Message::Members(list) => Reply::Members(lend(&mut self.lent, list)),
                Message::Refused(refusal) => Reply::Refused(refusal),
                Message::Ok(origin) => Reply::Ok(Roster::EMPTY.with_origin(origin)),
                _ => Reply::Ok(Roster::EMPTY),
            }),
        };
        Some((Exchange(slot), incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let message = match reply {
            Reply::Ok(roster) => Message::Ok(roster.origin()),
            Reply::Members(roster) => Message::Members(self.copy(2, roster)),
            Reply::Refused(refusal) => Message::Refused(refusal),
        };
        self.outbox.push(Action::Reply {
            slot: on.0,
            message,
        });
    }

    fn close(&mut self, exchange: Exchange) {
        if let Some(slot) = self.slots.get_mut(exchange.0 as usize) {
            *slot = None;
        }
        self.inbox.retain(|(slot, _)| *slot != exchange.0);
        self.outbox.push(Action::Close { slot: exchange.0 });
    }

    fn set_listening(&mut self, on: bool) {
        self.outbox.push(Action::Listen(on));
    }
}

fn lend(lent: &mut Option<Rc<[Member]>>, list: Rc<[Member]>) -> Roster<'_> {
    // Lists come from rosters and are ascending.
    Roster::new(lent.insert(list)).unwrap_or(Roster::EMPTY)
}
