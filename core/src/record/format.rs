//! What the bytes of a recording are made of.

use crate::net::{Gone, Refusal};
use crate::roster::{Addr, Member, Pid};

/// What a recording begins with, before its version.
pub const MAGIC: [u8; 3] = *b"BYR";

/// The version of the format that this crate writes.
pub const VERSION: u8 = 2;

/// After so many recorded polls the digest of all outputs is written: one of those polls is where a
/// replay that differs went wrong. 64: the figure costs a tenth of a byte a poll.
pub const MARK_EACH: u8 = 64;

/// What differences in a list start from.
pub const NOBODY: Member = Member {
    pid: Pid { days: 0, id: 0 },
    addr: Addr(0),
};

/// Every way an exchange breaks: [`op::GONE`](super::op::GONE) and the place here, which is that in the
/// enumeration, make its number.
pub const GONE: [Gone; 3] = [Gone::Refused, Gone::Reset, Gone::Malformed];

/// Every refusal; its number is its place here, which is that in the enumeration.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_by_its_place_in_an_enumeration_is_found_at_that_place() {
        for (place, gone) in GONE.into_iter().enumerate() {
            assert_eq!(gone as usize, place);
        }
        for (place, refusal) in REFUSALS.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
        }
    }
}
