//! A recording in memory: the last of it.

use super::digest::Digest;
use super::sink::Sink;
use crate::net::Full;

/// Two banks of bytes, for a chip: while one is written the other keeps what was before, so that at
/// least half of the memory holds what happened last.
///
/// Each bank begins with the image of the node, some 300 bytes and 20 for each member and exchange; a
/// bank should hold several times that.
#[derive(Debug)]
pub struct Ring<'m> {
    present: Bank<'m>,
    before: Bank<'m>,
}

#[derive(Debug, Default)]
struct Bank<'m> {
    memory: &'m mut [u8],
    /// Bytes written, and how many of them can be read.
    len: usize,
    committed: usize,
}

impl<'m> Ring<'m> {
    /// Two banks, each half of `memory`.
    pub fn new(memory: &'m mut [u8]) -> Self {
        let half = memory.len() / 2;
        let (first, second) = memory.split_at_mut_checked(half).unwrap_or_default();
        let bank = |memory| Bank {
            memory,
            len: 0,
            committed: 0,
        };
        Self {
            present: bank(first),
            before: bank(second),
        }
    }

    /// Drops all that is recorded, for another [`Recorder`](super::Recorder).
    pub const fn clear(&mut self) {
        self.present.clear();
        self.before.clear();
    }

    /// What is recorded: the older bank and the younger one. One after the other they are a
    /// recording. What the recorder has not [flushed](super::Recorder::flush) is not in them.
    pub fn banks(&self) -> [&[u8]; 2] {
        [&self.before, &self.present].map(|bank| bank.memory.get(..bank.committed).unwrap_or(&[]))
    }
}

impl Bank<'_> {
    const fn clear(&mut self) {
        self.len = 0;
        self.committed = 0;
    }
}

impl Sink for Ring<'_> {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        let Bank { memory, len, .. } = &mut self.present;
        *memory.get_mut(*len).ok_or(Full)? = byte;
        *len += 1;
        Ok(())
    }

    fn summed(&self, mut sum: Digest) -> Digest {
        let Bank {
            memory,
            len,
            committed,
        } = &self.present;
        sum.bytes(memory.get(*committed..*len).unwrap_or(&[]));
        sum
    }

    fn commit(&mut self) {
        self.present.committed = self.present.len;
    }

    fn is_nearly_full(&self) -> bool {
        self.present.memory.len() - self.present.len < LEFT_MIN
    }

    fn next_bank(&mut self) -> bool {
        core::mem::swap(&mut self.present, &mut self.before);
        self.present.clear();
        true
    }
}

/// Where a bank is nearly full: a long poll of a chip still fits.
const LEFT_MIN: usize = 512;
