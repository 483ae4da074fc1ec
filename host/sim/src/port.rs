//! The simulated network as one process sees it: a [`Net`] that takes notes of what is wanted.

use std::collections::VecDeque;
use std::rc::Rc;

use bully::{Addr, Exchange, Full, Incoming, Member, Net, Origin, Refusal, Reply, Request, Roster};

use crate::message::{Action, Input, Message};
use crate::versions::Versions;

/// The network as one process sees it.
#[derive(Debug, Default)]
pub(crate) struct Port {
    /// Exchanges in use; `true` once nothing more may be reported.
    exchanges: Vec<Option<bool>>,
    in_use: usize,
    exchanges_max: usize,
    inbox: VecDeque<(u32, Input)>,
    pub(crate) outbox: Vec<Action>,
    /// The list that is lent out by `recv`.
    lent: Option<Rc<[Member]>>,
    /// The last ELECTION's list and the last COORDINATOR's: shared as long as it stays the same.
    sent: [Option<Rc<[Member]>>; 2],
    /// The coordinator's list.
    versions: Versions,
    /// A lab program's: its messages do not say which program sent them.
    plain: bool,
}

/// As many as the real network accepts beyond the core's exchanges.
const SPARE: usize = 4;

impl Port {
    pub(crate) fn new(exchanges_max: usize, plain: bool) -> Self {
        Self {
            exchanges_max,
            plain,
            ..Self::default()
        }
    }

    /// Accepts a connection, or returns `None` if there is no room for another.
    pub(crate) fn accept(&mut self) -> Option<u32> {
        let exchange = self.free(self.exchanges_max + SPARE)?;
        self.inbox.push_back((exchange, Input::Accepted));
        Some(exchange)
    }

    /// Delivers something about an exchange, unless it is over.
    pub(crate) fn deliver(&mut self, exchange: u32, input: Input) {
        let Some(Some(over)) = self.exchanges.get_mut(exchange as usize) else {
            return;
        };
        if !*over {
            *over = matches!(input, Input::Done | Input::Gone(_));
            self.inbox.push_back((exchange, input));
        }
    }

    /// Gives back what was lent: a list may be large, and have no other reader.
    pub(crate) fn release(&mut self) {
        self.lent = None;
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.inbox.is_empty()
    }

    fn free(&mut self, max: usize) -> Option<u32> {
        if self.in_use >= max {
            return None;
        }
        let free = self.exchanges.iter().position(Option::is_none);
        let free = free.unwrap_or(self.exchanges.len());
        match self.exchanges.get_mut(free) {
            Some(entry) => *entry = Some(false),
            None => self.exchanges.push(Some(false)),
        }
        self.in_use += 1;
        u32::try_from(free).ok()
    }

    fn origin(&self, roster: Roster<'_>) -> Option<Origin> {
        roster.origin().filter(|_| !self.plain)
    }

    /// A copy of a list that is sent; broadcasts share one.
    fn copy(&mut self, kind: usize, roster: Roster<'_>) -> Rc<[Member]> {
        let Some(kept) = self.sent.get_mut(kind) else {
            return Rc::from(roster.members());
        };
        match kept {
            Some(kept) if **kept == *roster.members() => Rc::clone(kept),
            _ => Rc::clone(kept.insert(Rc::from(roster.members()))),
        }
    }
}

impl Net for Port {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.free(self.exchanges_max).ok_or(Full)?;
        let message = match request {
            Request::Join(member) => Message::Join(member),
            Request::Election(roster) => {
                Message::Election(self.copy(0, roster), self.origin(roster))
            }
            Request::Coordinator(roster) => {
                Message::Coordinator(self.copy(1, roster), self.origin(roster))
            }
            Request::Probe(roster) => Message::Probe(self.origin(roster)),
        };
        self.outbox.push(Action::Open {
            exchange,
            to,
            message,
        });
        Ok(Exchange(exchange))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (exchange, input) = loop {
            let (exchange, input) = self.inbox.pop_front()?;
            // What came for an exchange before it was closed is for nobody.
            if matches!(self.exchanges.get(exchange as usize), Some(Some(_))) {
                break (exchange, input);
            }
        };
        let lent = &mut self.lent;
        let incoming = match input {
            Input::Accepted => Incoming::Accepted,
            Input::Sent => Incoming::Sent,
            Input::Done => Incoming::Done,
            Input::Gone(gone) => Incoming::Gone(gone),
            Input::Request(message) => match message {
                Message::Join(member) => Incoming::Request(Request::Join(member)),
                Message::Election(list, origin) => {
                    Incoming::Request(Request::Election(lend(lent, list).with_origin(origin)))
                }
                Message::Coordinator(list, origin) => {
                    Incoming::Request(Request::Coordinator(lend(lent, list).with_origin(origin)))
                }
                Message::Probe(origin) => {
                    Incoming::Request(Request::Probe(Roster::EMPTY.with_origin(origin)))
                }
                Message::Ok(_) | Message::Members(_) | Message::Refused(_) => {
                    Incoming::Unfit(Refusal::Unexpected)
                }
            },
            Input::Reply(message) => Incoming::Reply(match message {
                Message::Members(list) => Reply::Members(lend(lent, list.list())),
                Message::Refused(refusal) => Reply::Refused(refusal),
                Message::Ok(origin) => Reply::Ok(Roster::EMPTY.with_origin(origin)),
                _ => Reply::Ok(Roster::EMPTY),
            }),
        };
        Some((Exchange(exchange), incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let message = match reply {
            Reply::Ok(roster) => Message::Ok(self.origin(roster)),
            Reply::Members(roster) => {
                let (list, revision) = (roster.members(), roster.revision());
                Message::Members(self.versions.snapshot(list, revision))
            }
            Reply::Refused(refusal) => Message::Refused(refusal),
        };
        let exchange = on.0;
        self.outbox.push(Action::Reply { exchange, message });
    }

    fn close(&mut self, exchange: Exchange) {
        if let Some(entry) = self.exchanges.get_mut(exchange.0 as usize)
            && entry.take().is_some()
        {
            self.in_use -= 1;
        }
        self.inbox.retain(|(other, _)| *other != exchange.0);
        let exchange = exchange.0;
        self.outbox.push(Action::Close { exchange });
    }

    fn set_listening(&mut self, on: bool) {
        self.outbox.push(Action::Listen(on));
    }
}

fn lend(lent: &mut Option<Rc<[Member]>>, list: Rc<[Member]>) -> Roster<'_> {
    // Lists come from rosters and are ascending.
    Roster::new(lent.insert(list)).unwrap_or(Roster::EMPTY)
}
