//! The numbers of records: the first byte of each.

/// Added to the first record of a poll: the time since the last recorded poll follows.
pub const POLL: u8 = 0x80;

/// Nothing: a poll in which nothing else was recorded.
pub const NOTHING: u8 = 0x00;
/// The poll that begins is earlier than the last recorded one: by how much follows.
pub const BACK: u8 = 0x01;
/// [`Net::open`](crate::Net::open) returned this exchange; a byte of the digest.
pub const OPENED: u8 = 0x02;
/// [`Net::open`](crate::Net::open) returned [`Full`](crate::Full); a byte of the digest.
pub const FULL: u8 = 0x03;
/// [`Net::recv`](crate::Net::recv) returned `None`, and then something after all in the same poll.
pub const NONE: u8 = 0x04;
/// [`Node::resign`](crate::Node::resign) was called.
pub const RESIGNED: u8 = 0x05;
/// The list of the messages that follow, as its difference from the one before.
pub const LIST: u8 = 0x06;
/// The digest of all outputs so far in this bank.
pub const MARK: u8 = 0x08;
/// The checksum of all bytes of this bank before it.
pub const SUM: u8 = 0x07;
/// The end of this bank: why, and if the recording was ended the digest of the node's image.
pub const END: u8 = 0x09;
/// No input of the node, but for a log: see [`Recorder::note`](super::Recorder::note).
pub const NOTE: u8 = 0x0a;

/// An exchange was accepted.
pub const ACCEPTED: u8 = 0x10;
/// A message was sent.
pub const SENT: u8 = 0x11;
/// An exchange ended in order.
pub const DONE: u8 = 0x12;
/// An exchange broke; the first of three, see [`GONE`](super::GONE).
pub const GONE: u8 = 0x13;
/// JOIN was received.
pub const JOIN: u8 = 0x16;
/// ELECTION was received.
pub const ELECTION: u8 = 0x17;
/// COORDINATOR was received.
pub const COORDINATOR: u8 = 0x18;
/// PROBE was received.
pub const PROBE: u8 = 0x19;
/// OK was received.
pub const OK: u8 = 0x1a;
/// The coordinator's list was received.
pub const MEMBERS: u8 = 0x1b;
/// JOIN was refused.
pub const REFUSED: u8 = 0x1c;
/// What was received is no request.
pub const UNFIT: u8 = 0x1d;

/// Of a message with a list: it carries the current list, not an empty one.
pub const HAS_LIST: u8 = 1;
/// Of a message with a list: its origin is known.
pub const HAS_ORIGIN: u8 = 2;
/// Of an origin: the group is large.
pub const LARGE: u8 = 4;
/// Of an origin: its sender leads.
pub const LEADS: u8 = 8;
/// Of an origin: its process id follows in full; else its place in the current list.
pub const WHOLE_PID: u8 = 16;

/// Why a bank ends: the recording was ended in order.
pub const FINISHED: u8 = 0;
/// Why a bank ends: the next one continues it.
pub const CONTINUED: u8 = 1;
