//! A line in memory, and a network that answers nothing by itself.

use std::collections::BTreeMap;

use bully::{Addr, Exchange, Full, Incoming, Line, Net, Origin, Reply, Request};

use crate::owned::Input;

/// A network with capacity for as many exchanges as a gateway needs, which connects and never answers
/// by itself.
#[derive(Debug, Default)]
pub struct Quiet {
    /// What is open, and to whom; address 0: they connected.
    pub open: BTreeMap<Exchange, Addr>,
    /// What is reported next, in order.
    pub input: Vec<(Exchange, Input)>,
    /// What was lent last.
    pub lent: Option<Input>,
    /// How many were opened through it.
    pub opened: usize,
    /// The most that were open at once.
    pub most: usize,
    /// What was answered.
    pub replies: Vec<Exchange>,
    next: u32,
    /// Nothing more can be opened.
    pub full: bool,
    /// Who sent what is received.
    pub origin: Option<Origin>,
    /// Who sent what was sent.
    pub sent: Vec<Option<Origin>>,
}

impl Quiet {
    fn number(&mut self, to: Addr) -> Exchange {
        self.next += 1;
        self.open.insert(Exchange(self.next), to);
        self.most = self.most.max(self.open.len());
        Exchange(self.next)
    }

    /// Somebody connects, and says this if it is anything.
    pub fn connect(&mut self, input: Option<Input>) -> Exchange {
        let exchange = self.number(Addr(0));
        self.input.push((exchange, Input::Accepted));
        self.input.extend(input.map(|input| (exchange, input)));
        exchange
    }
}

impl Net for Quiet {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if self.full {
            return Err(Full);
        }
        if let Request::Election(list) | Request::Coordinator(list) | Request::Probe(list) = request
        {
            self.sent.push(list.origin());
        }
        self.opened += 1;
        let exchange = self.number(to);
        self.input.push((exchange, Input::Sent));
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        if self.input.is_empty() {
            return None;
        }
        let (exchange, input) = self.input.remove(0);
        let origin = self.origin;
        let incoming = match self.lent.insert(input).lend() {
            Incoming::Request(Request::Election(list)) => {
                Incoming::Request(Request::Election(list.with_origin(origin)))
            }
            Incoming::Request(Request::Probe(list)) => {
                Incoming::Request(Request::Probe(list.with_origin(origin)))
            }
            Incoming::Reply(Reply::Ok(list)) => {
                Incoming::Reply(Reply::Ok(list.with_origin(origin)))
            }
            other => other,
        };
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        if let Reply::Ok(list) = reply {
            self.sent.push(list.origin());
        }
        self.replies.push(on);
        self.input.push((on, Input::Sent));
        self.input.push((on, Input::Done));
    }

    fn close(&mut self, exchange: Exchange) {
        self.open.remove(&exchange);
        self.input.retain(|(of, _)| *of != exchange);
    }

    fn set_listening(&mut self, _: bool) {}
}

/// A line: what the test writes, and what the gateway has written.
#[derive(Debug, Default)]
pub struct Bytes {
    /// What waits to be read.
    pub to_gateway: Vec<u8>,
    /// What was written.
    pub from_gateway: Vec<u8>,
    /// The chip takes nothing.
    pub stuck: bool,
}

impl Line for Bytes {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.to_gateway.len());
        into[..count].copy_from_slice(&self.to_gateway[..count]);
        self.to_gateway.drain(..count);
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if self.stuck {
            return 0;
        }
        self.from_gateway.extend_from_slice(from);
        from.len()
    }
}
