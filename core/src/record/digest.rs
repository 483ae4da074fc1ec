//! One number for many: of all that a node has done, and of the bytes of a recording.

use serde::Serialize as _;

use super::bytes::Bytes;
use crate::event::Event;
use crate::net::{Exchange, Reply, Request};
use crate::roster::{Addr, Member, Pid, Roster};

/// The digest of a node's outputs: what it opened, answered, closed and reported, in that
/// order and in which poll.
///
/// A list that is part of a table counts by its revision and its length, a composed one by its entries:
/// the table itself is compared where a bank begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u32);

impl Digest {
    /// Of a node that has done nothing.
    pub const fn new() -> Self {
        Self(0)
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The byte of it that stands with an exchange that was opened.
    pub const fn check(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The node opens an exchange.
    pub fn open(&mut self, to: Addr, request: Request<'_>) {
        let (kind, list) = match request {
            Request::Join(member) => {
                self.member(member);
                (OPEN_JOIN, Roster::EMPTY)
            }
            Request::Election(list) => (OPEN_ELECTION, list),
            Request::Coordinator(list) => (OPEN_COORDINATOR, list),
            Request::Probe(list) => (OPEN_PROBE, list),
        };
        self.addr(to);
        self.list(kind, list);
    }

    /// The node answers.
    pub fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let (kind, list) = match reply {
            Reply::Ok(list) => (REPLY_OK, list),
            Reply::Members(list) => (REPLY_MEMBERS, list),
            Reply::Refused(refusal) => (REPLY_REFUSED + refusal as u32, Roster::EMPTY),
        };
        self.add(on.0);
        self.list(kind, list);
    }

    /// The node closes an exchange.
    pub const fn close(&mut self, exchange: Exchange) {
        self.add(exchange.0);
        self.add(CLOSE);
    }

    /// The node opens or closes its listener.
    pub fn set_listening(&mut self, on: bool) {
        self.add(LISTENING + u32::from(on));
    }

    /// The node reports `event`.
    pub fn event(&mut self, event: &Event) {
        let mut add = |byte: u8| self.add(byte.into());
        let Ok(()) = event.serialize(&mut Bytes(&mut add));
        self.add(EVENT);
    }

    /// A recorded poll is over.
    pub const fn polled(&mut self) {
        self.add(POLLED);
    }

    fn list(&mut self, kind: u32, list: Roster<'_>) {
        self.add(kind + 16 * list.len() as u32);
        match list.revision() {
            Some(revision) => self.add(revision),
            None => list.members().iter().for_each(|one| self.member(*one)),
        }
        if let Some(origin) = list.origin() {
            self.pid(origin.pid);
            self.add(u32::from(origin.large) + 2 * u32::from(origin.leads));
        }
    }

    fn member(&mut self, member: Member) {
        self.pid(member.pid);
        self.addr(member.addr);
    }

    const fn addr(&mut self, addr: Addr) {
        self.add(addr.0 as u32);
        self.add((addr.0 >> 32) as u32);
    }

    const fn pid(&mut self, pid: Pid) {
        self.add(pid.days);
        self.add(pid.id);
    }

    /// Adds bytes, four at a time.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(u32::from_le_bytes(*word));
        }
        for byte in rest {
            self.add((*byte).into());
        }
    }

    /// Adds a number. Whatever differs in one of them differs in the end: each step can be undone.
    pub const fn add(&mut self, word: u32) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

/// 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
const FACTOR: u32 = 0x9e37_79b1;

const OPEN_JOIN: u32 = 1;
const OPEN_ELECTION: u32 = 2;
const OPEN_COORDINATOR: u32 = 3;
const OPEN_PROBE: u32 = 4;
const REPLY_OK: u32 = 5;
const REPLY_MEMBERS: u32 = 6;
const CLOSE: u32 = 7;
const EVENT: u32 = 8;
const LISTENING: u32 = 9;
/// 10 is a listener that opens.
const POLLED: u32 = 11;
/// And the number of the refusal.
const REPLY_REFUSED: u32 = 0x1_0000;
