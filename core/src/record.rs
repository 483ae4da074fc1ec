#![doc = include_str!("record.md")]

mod digest;
mod image;
mod list;
pub mod op;
mod recorder;
mod ring;
mod stream;

pub use digest::Digest;
pub use image::Recordable;
pub use recorder::Recorder;
pub use ring::Ring;

use crate::crc::Crc;
use crate::net::{Full, Gone, Refusal};
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

/// Where a recording goes.
pub trait Sink {
    /// Adds `bytes` to the present bank, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Full`] if they do not fit, or cannot be written; nothing was added then, and the recorder
    /// goes on in the next bank.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;

    /// Returns `true` if the next bank should begin, since there is little left of this one.
    fn is_nearly_full(&self) -> bool {
        false
    }

    /// Begins the next bank, which may drop what is in it. Returns `false` if there is none: the
    /// recording ends.
    fn next_bank(&mut self) -> bool {
        false
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        (**self).put(bytes)
    }

    fn is_nearly_full(&self) -> bool {
        (**self).is_nearly_full()
    }

    fn next_bank(&mut self) -> bool {
        (**self).next_bank()
    }
}

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

/// The checksum of a node's [image](Recordable::image), as [`op::END`] has it.
pub fn image_checksum(node: &dyn Recordable) -> u32 {
    let mut crc = Crc::new();
    node.image(&mut |byte| crc.add(byte));
    crc.value()
}

/// What differences in a list start from.
pub const NOBODY: Member = Member {
    pid: Pid { days: 0, id: 0 },
    addr: Addr(0),
};

/// Every way an exchange breaks: [`op::GONE`] and the place here make its number.
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
