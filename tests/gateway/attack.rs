//! A gateway, and a chip that a test speaks for.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::wire::{Decoder, Encoder, Frame, Ready, Received, VERSION, frame_max};
use bully::{
    Addr, Checked, Exchange, Full, Incoming, Instant, Line, Member, Net, Origin, Reply, Request,
    Roster,
};
use bully_host::gateway::{Bridge, Chip, EXCHANGES_MAX, GatewayEvent, Lost, Memory};
use bully_tests::owned::News;
use bully_tests::people::{DIRECTORY, member};

/// A network with places for as many exchanges as a gateway is said to need, which connects and
/// never answers by itself.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    pub(crate) open: BTreeMap<Exchange, Addr>,
    pub(crate) news: Vec<(Exchange, News)>,
    pub(crate) telling: Option<News>,
    pub(crate) opened: usize,
    pub(crate) most: usize,
    pub(crate) replies: Vec<Exchange>,
    next: u32,
    pub(crate) full: bool,
    /// Who sent what is received.
    pub(crate) origin: Option<Origin>,
    /// Who sent what was sent.
    pub(crate) sent: Vec<Option<Origin>>,
}

impl Quiet {
    fn number(&mut self, to: Addr) -> Exchange {
        self.next += 1;
        self.open.insert(Exchange(self.next), to);
        self.most = self.most.max(self.open.len());
        Exchange(self.next)
    }

    /// Somebody connects, and says this if it is anything.
    pub(crate) fn connect(&mut self, news: Option<News>) -> Exchange {
        let exchange = self.number(Addr(0));
        self.news.push((exchange, News::Accepted));
        self.news.extend(news.map(|news| (exchange, news)));
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
        self.news.push((exchange, News::Sent));
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        if self.news.is_empty() {
            return None;
        }
        let (exchange, news) = self.news.remove(0);
        let origin = self.origin;
        let incoming = match self.telling.insert(news).lend() {
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
        self.news.push((on, News::Sent));
        self.news.push((on, News::Done));
    }

    fn close(&mut self, exchange: Exchange) {
        self.open.remove(&exchange);
        self.news.retain(|(of, _)| *of != exchange);
    }

    fn set_listening(&mut self, _: bool) {}
}

/// The line: what the test writes, and what the gateway has written.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) to_gateway: Vec<u8>,
    pub(crate) from_gateway: Vec<u8>,
    /// The chip takes nothing.
    pub(crate) stuck: bool,
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

/// A gateway, and a chip that the test speaks for.
pub(crate) struct Attack {
    pub(crate) now: Instant,
    pub(crate) bridge: Bridge<'static>,
    pub(crate) net: Checked<Quiet, EXCHANGES_MAX>,
    pub(crate) line: Bytes,
    pub(crate) encoder: Encoder,
    pub(crate) heard: Decoder<'static>,
    pub(crate) told: Vec<GatewayEvent>,
}

pub(crate) const NOBODY: Member = Member {
    pid: bully::Pid { days: 0, id: 0 },
    addr: Addr(0),
};

pub(crate) const PLACES: u16 = 8;

impl Attack {
    pub(crate) fn new() -> Self {
        let chip = Chip {
            instance: 7,
            addr: member(9).addr,
            directory: DIRECTORY,
        };
        // A few in one test.
        let memory: &'static mut Memory = Box::leak(Box::default());
        Self {
            now: Instant::ZERO,
            bridge: Bridge::new(memory, chip),
            net: Checked::anybody(Quiet::default()),
            line: Bytes::default(),
            encoder: Encoder::new(),
            heard: Decoder::new(vec![0; frame_max(200)].leak(), vec![NOBODY; 200].leak()),
            told: Vec::new(),
        }
    }

    pub(crate) fn poll(&mut self) {
        for _ in 0..100_000 {
            match self.bridge.poll(self.now, &mut self.net, &mut self.line) {
                Some(event) => self.told.push(event),
                None if self.bridge.poll_at() > self.now => return,
                None => {}
            }
        }
        panic!("it wants to be polled for ever");
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        self.poll();
        while self.bridge.poll_at() <= until {
            self.now = self.now.max(self.bridge.poll_at());
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    /// What the gateway has said since this was last asked.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let bytes = core::mem::take(&mut self.line.from_gateway);
        let mut said = Vec::new();
        for byte in bytes {
            if self.heard.push(byte) == Some(Received::Frame) {
                said.push(format!("{:?}", self.heard.frame().expect("it is sound")));
            }
        }
        said
    }

    pub(crate) fn say(&mut self, frame: &Frame<'_>) {
        let mut bytes = vec![0; bully::wire::message_max(1_000)];
        let count = self.encoder.encode(frame, &mut bytes).expect("it fits");
        self.line.to_gateway.extend_from_slice(&bytes[..count]);
    }

    /// Answers the latest HELLO.
    pub(crate) fn ready(&mut self) {
        self.ready_as(VERSION, PLACES);
    }

    pub(crate) fn ready_as(&mut self, version: u8, exchanges_max: u16) {
        self.wait(300);
        self.said();
        self.encoder.begin(self.bridge.session());
        self.say(&Frame::Ready(Ready {
            version,
            members_max: 16,
            exchanges_max,
            listening: true,
        }));
        self.poll();
    }

    pub(crate) fn probe(&mut self, number: u32) {
        let probe = Request::Probe(Roster::EMPTY);
        self.say(&Frame::Open(Exchange(number), member(2).addr, probe));
    }

    pub(crate) fn lost(&mut self) -> Option<Lost> {
        self.told.drain(..).rev().find_map(|event| match event {
            GatewayEvent::ChipLost { why } => Some(why),
            _ => None,
        })
    }
}
