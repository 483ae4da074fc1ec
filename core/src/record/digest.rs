//! One number for all that a node has done.

use postcard::ser_flavors::Flavor;
use serde::Serialize as _;

use super::format::REFUSALS;
use crate::event::Event;
use crate::net::{Exchange, Reply, Request};
use crate::roster::{Addr, Member, Pid, Roster};

/// The digest of a node's outputs: what it opened, answered, closed and reported, in that
/// order and in which poll.
///
/// A list that is part of a table counts by its revision, its length and its greatest entry, a
/// composed one by its entries: the table itself is compared where a bank begins and ends.
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
        self.addr(to);
        match request {
            Request::Join(member) => {
                self.add(OPEN_JOIN);
                self.member(member);
            }
            Request::Election(list) => self.list(OPEN_ELECTION, list),
            Request::Coordinator(list) => self.list(OPEN_COORDINATOR, list),
            Request::Probe(list) => self.list(OPEN_PROBE, list),
        }
    }

    /// The node answers.
    pub fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.add(on.0);
        match reply {
            Reply::Ok(list) => self.list(REPLY_OK, list),
            Reply::Members(list) => self.list(REPLY_MEMBERS, list),
            Reply::Refused(refusal) => {
                let all = REFUSALS;
                let place = all.iter().position(|other| *other == refusal);
                self.add(REPLY_REFUSED + place.unwrap_or(all.len()) as u32);
            }
        }
    }

    /// The node closes an exchange.
    pub fn close(&mut self, exchange: Exchange) {
        self.add(exchange.0);
        self.add(CLOSE);
    }

    /// The node opens or closes its listener.
    pub fn set_listening(&mut self, on: bool) {
        self.add(LISTENING + u32::from(on));
    }

    /// The node reports `event`.
    pub fn event(&mut self, event: &Event) {
        let mut bytes = postcard::Serializer {
            output: Bytes(self),
        };
        // Adding cannot fail.
        let _ = event.serialize(&mut bytes);
        self.add(EVENT);
    }

    /// A recorded poll is over.
    pub fn polled(&mut self) {
        self.add(POLLED);
    }

    fn list(&mut self, kind: u32, list: Roster<'_>) {
        self.add(kind + 16 * list.len() as u32);
        match (list.revision(), list.members()) {
            (Some(revision), [.., last]) => {
                self.add(revision);
                self.pid(last.pid);
            }
            (_, members) => {
                for member in members {
                    self.member(*member);
                }
            }
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

    fn addr(&mut self, addr: Addr) {
        self.add(addr.0 as u32);
        self.add((addr.0 >> 32) as u32);
    }

    fn pid(&mut self, pid: Pid) {
        self.add(pid.days);
        self.add(pid.id);
    }

    const fn add(&mut self, word: u32) {
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
const REPLY_REFUSED: u32 = 0x100;

/// Bytes that are added one by one.
struct Bytes<'a>(&'a mut Digest);

impl Flavor for Bytes<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.add(byte.into());
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
