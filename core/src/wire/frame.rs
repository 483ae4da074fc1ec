//! What one frame carries, and how large it can be.

use core::time::Duration;

use crate::net::{Exchange, Gone, Incoming, Refusal, Reply, Request};
use crate::roster::{Addr, Member, Pid, Roster};
use crate::wire::framing::{CHECKSUM, framed_max};

/// The version of the format that this crate speaks; both ends send theirs when a session begins.
pub const VERSION: u8 = 3;

/// The greatest number of bytes on the line for a list of `members`, both its zeros included:
/// about 8 bytes a member in a lab, and at worst 20.
pub const fn frame_max(members: usize) -> usize {
    framed_max(HEADER_MAX + LENGTH_MAX + members * MEMBER_MAX)
}

/// The greatest number of bytes on the line for a frame that is not a list.
pub const FRAME_SHORT_MAX: usize = framed_max(HEADER_MAX + 3 + 10 + 1 + MEMBER_MAX);

/// The greatest number of bytes that one message takes on the line, if its list has `members`:
/// the list, and the frame that refers to it.
pub const fn message_max(members: usize) -> usize {
    frame_max(members) + FRAME_SHORT_MAX
}

/// The greatest list that `bytes` can hold as it is read, and that can be counted.
pub(super) const fn members_max(bytes: usize) -> usize {
    let members = bytes.saturating_sub(HEADER_MAX + LENGTH_MAX + CHECKSUM) / MEMBER_MAX;
    if members < u16::MAX as usize {
        members
    } else {
        u16::MAX as usize
    }
}

/// Session, sequence number and kind.
const HEADER_MAX: usize = 3;
/// A count of members.
const LENGTH_MAX: usize = 3;
/// Days, id and address as differences: 5, 5 and 10 bytes at worst.
const MEMBER_MAX: usize = 20;

/// How often a gateway sends HELLO to a chip that does not answer: 250 ms is soon for a person who
/// watches, and 120 bytes a second on the line.
pub const HELLO_AGAIN: Duration = Duration::from_millis(250);

/// What a gateway sends when it begins a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello {
    /// The version it speaks, [`VERSION`].
    pub version: u8,
    /// Another number whenever the gateway is started: no address from before means anything then.
    pub instance: u32,
    /// Where others reach the chip.
    pub addr: Addr,
    /// The group coordinator.
    pub directory: Addr,
}

/// What a chip answers to [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ready {
    /// The version it speaks, [`VERSION`].
    pub version: u8,
    /// How many members a list may have for it.
    pub members_max: u16,
    /// How many exchanges it has slots for.
    pub exchanges_max: u16,
    /// Whether it listens: see [`Net::set_listening`](crate::Net::set_listening).
    pub listening: bool,
}

/// What one frame carries: a call of [`Net`](crate::Net) or its input, and what keeps the two ends
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frame<'a> {
    /// Gateway: a session begins.
    Hello(Hello),
    /// Chip: the session has begun.
    Ready(Ready),
    /// Chip: I have no session, or something was lost in it; begin a new one.
    Lost,
    /// Gateway: are you there?
    Ping,
    /// Chip: I am.
    Pong,
    /// Chip: [`Net::set_listening`](crate::Net::set_listening).
    Listening(bool),
    /// Chip: [`Net::open`](crate::Net::open), under a number below [`ACCEPTED_FROM`].
    Open(Exchange, Addr, Request<'a>),
    /// Chip: [`Net::reply`](crate::Net::reply).
    Reply(Exchange, Reply<'a>),
    /// Chip: [`Net::close`](crate::Net::close).
    Close(Exchange),
    /// Gateway: [`Net::recv`](crate::Net::recv).
    Input(Exchange, Incoming<'a>),
    /// Gateway: hand out your recording.
    Record,
    /// Chip: part of its recording, and how many bytes of it follow after these. At most
    /// [`RECORDED_MAX`] bytes.
    Recorded(u32, &'a [u8]),
}

/// The greatest number of bytes of a recording in one frame: what makes it as long as any other.
pub const RECORDED_MAX: usize = 28;

/// Exchanges that others open have numbers from here to 65,535, those that the chip opens the lower
/// ones: so neither end waits for the other to number one.
pub const ACCEPTED_FROM: u32 = 0x8000;

/// The kinds of frame, as they stand on the line.
pub(super) mod kind {
    pub(in crate::wire) const HELLO: u8 = 0;
    pub(in crate::wire) const READY: u8 = 1;
    pub(in crate::wire) const LOST: u8 = 2;
    pub(in crate::wire) const PING: u8 = 3;
    pub(in crate::wire) const PONG: u8 = 4;
    pub(in crate::wire) const LISTENING: u8 = 5;
    pub(in crate::wire) const OPEN: u8 = 6;
    pub(in crate::wire) const REPLY: u8 = 7;
    pub(in crate::wire) const CLOSE: u8 = 8;
    pub(in crate::wire) const INPUT: u8 = 9;
    pub(in crate::wire) const LIST: u8 = 10;
    pub(in crate::wire) const RECORD: u8 = 11;
    pub(in crate::wire) const RECORDED: u8 = 12;
}

impl<'a> Frame<'a> {
    /// The list it carries.
    pub(super) fn list(&self) -> Roster<'a> {
        match *self {
            Self::Open(_, _, request) | Self::Input(_, Incoming::Request(request)) => match request
            {
                Request::Election(list) | Request::Coordinator(list) | Request::Probe(list) => list,
                Request::Join(_) => Roster::EMPTY,
            },
            Self::Reply(_, reply) | Self::Input(_, Incoming::Reply(reply)) => match reply {
                Reply::Ok(list) | Reply::Members(list) => list,
                Reply::Refused(_) => Roster::EMPTY,
            },
            _ => Roster::EMPTY,
        }
    }
}

/// What differences in a list start from.
pub(super) const NOBODY: Member = Member {
    pid: Pid { days: 0, id: 0 },
    addr: Addr(0),
};

/// The numbers of what has no number of its own: its place here.
pub(super) const GONE: [Gone; 3] = [Gone::Refused, Gone::Reset, Gone::Malformed];
pub(super) const REFUSALS: [Refusal; 8] = [
    Refusal::NotAMessage,
    Refusal::Unexpected,
    Refusal::Malformed,
    Refusal::Pid,
    Refusal::Port,
    Refusal::NotLocal,
    Refusal::Full,
    Refusal::Other,
];
