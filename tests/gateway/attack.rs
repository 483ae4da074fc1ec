//! A gateway, and a chip that a test speaks for.

use core::time::Duration;

use bully::wire::{Decoder, Encoder, Frame, Ready, Received, VERSION, frame_max};
use bully::{Addr, Checked, Exchange, Instant, Member, Request, Roster};
use bully_host::gateway::{Bridge, Chip, EXCHANGES_MAX, GatewayEvent, Lost, Memory};
use bully_tests::line::{Bytes, Quiet};
use bully_tests::people::{DIRECTORY, member};

/// A gateway, and a chip that the test speaks for.
pub(crate) struct Attack {
    pub(crate) now: Instant,
    pub(crate) bridge: Bridge<'static>,
    pub(crate) net: Checked<Quiet, EXCHANGES_MAX>,
    pub(crate) line: Bytes,
    pub(crate) encoder: Encoder,
    pub(crate) received: Decoder<'static>,
    pub(crate) events: Vec<GatewayEvent>,
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
            received: Decoder::new(vec![0; frame_max(200)].leak(), vec![NOBODY; 200].leak()),
            events: Vec::new(),
        }
    }

    pub(crate) fn poll(&mut self) {
        for _ in 0..100_000 {
            match self.bridge.poll(self.now, &mut self.net, &mut self.line) {
                Some(event) => self.events.push(event),
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
            if self.received.push(byte) == Some(Received::Frame) {
                said.push(format!("{:?}", self.received.frame().expect("it is sound")));
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
        self.events.drain(..).rev().find_map(|event| match event {
            GatewayEvent::ChipLost { why } => Some(why),
            _ => None,
        })
    }
}
