//! What the bytes of a recording are made of.

use crate::crc::Crc;
use crate::net::{Gone, Refusal};
use crate::roster::{Addr, Member, Pid};

/// What a recording begins with, before its version.
pub const MAGIC: [u8; 3] = *b"BYR";

/// The version of the format that this crate writes.
pub const VERSION: u8 = 1;

/// The most bytes that a block carries besides its length and its checksum.
pub const BLOCK_MAX: usize = 255;

/// After so many recorded polls the digest of all outputs is written: one of those polls is where a
/// replay that differs went wrong. 64: the figure costs a tenth of a byte a poll.
pub const MARK_EACH: u8 = 64;

/// The checksum of the block of this number in its bank: CRC-32 over the number, the length and the
/// payload.
pub fn checksum(number: u32, payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    let before = number
        .to_le_bytes()
        .into_iter()
        .chain([payload.len() as u8]);
    for byte in before.chain(payload.iter().copied()) {
        crc.add(byte);
    }
    crc.value()
}

/// What differences in a list start from.
pub const NOBODY: Member = Member {
    pid: Pid { days: 0, id: 0 },
    addr: Addr(0),
};

/// Every way an exchange breaks: [`op::GONE`](super::op::GONE) and the place here make its number.
pub const GONE: [Gone; 3] = [Gone::Refused, Gone::Reset, Gone::Malformed];

/// Every refusal; its number is its place here.
pub const REFUSALS: [Refusal; 8] = [
    Refusal::NotAMessage,
    Refusal::Unexpected,
    Refusal::Malformed,
    Refusal::Pid,
    Refusal::Port,
    Refusal::NotLocal,
    Refusal::Full,
    Refusal::Other,
];
