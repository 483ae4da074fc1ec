//! A recording in memory: the last of it.

use super::format::BLOCK_MAX;
use super::sink::Sink;
use crate::net::Full;

/// Two banks of bytes, for a chip: while one is written the other keeps what was before, so that at
/// least half of the memory holds what happened last.
///
/// Each bank begins with the image of the node, some 300 bytes and 20 for each member and exchange; a
/// bank should hold several times that.
#[derive(Debug)]
pub struct Ring<'m> {
    memory: [&'m mut [u8]; 2],
    len: [usize; 2],
    /// The second one is written.
    second: bool,
}

impl<'m> Ring<'m> {
    /// Two banks, each half of `memory`.
    pub fn new(memory: &'m mut [u8]) -> Self {
        let half = memory.len() / 2;
        let (first, second) = memory.split_at_mut_checked(half).unwrap_or_default();
        Self {
            memory: [first, second],
            len: [0; 2],
            second: false,
        }
    }

    /// What is recorded: the older bank and the younger one. One after the other they are a
    /// recording. What the recorder has not [flushed](super::Recorder::flush) is not in them.
    pub fn banks(&self) -> [&[u8]; 2] {
        let [first, second] = &self.memory;
        let [in_first, in_second] = self.len;
        let first = first.get(..in_first).unwrap_or(&[]);
        let second = second.get(..in_second).unwrap_or(&[]);
        if self.second {
            [first, second]
        } else {
            [second, first]
        }
    }

    /// The bank that is written, and how much of it is.
    fn present(&mut self) -> (&mut [u8], &mut usize) {
        let [first, second] = &mut self.memory;
        let [in_first, in_second] = &mut self.len;
        if self.second {
            (second, in_second)
        } else {
            (first, in_first)
        }
    }
}

impl Sink for Ring<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let (memory, len) = self.present();
        let place = memory
            .get_mut(*len..)
            .and_then(|left| left.get_mut(..bytes.len()));
        for (place, byte) in place.ok_or(Full)?.iter_mut().zip(bytes) {
            *place = *byte;
        }
        *len += bytes.len();
        Ok(())
    }

    fn is_nearly_full(&self) -> bool {
        let [first, second] = &self.memory;
        let [in_first, in_second] = self.len;
        let (size, used) = if self.second {
            (second.len(), in_second)
        } else {
            (first.len(), in_first)
        };
        // The block that is not written yet, and one more for a long poll.
        size - used < LEFT_MIN
    }

    fn next_bank(&mut self) -> bool {
        self.second = !self.second;
        *self.present().1 = 0;
        true
    }
}

/// Where a bank is nearly full: two blocks are left.
const LEFT_MIN: usize = 2 * (BLOCK_MAX + 5);
