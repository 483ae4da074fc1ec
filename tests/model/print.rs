//! Fingerprints: what distinguishes one state of a group from another, in 64 bits.

use core::hash::Hasher;

use bully::Instant;

/// Where time begins: above every other number that a node holds, and half below the next power of
/// two, so that a time is known by its size.
pub(crate) const ORIGIN: u64 = 1 << 40;

/// A hasher that takes times as what is left until then.
///
/// Two nodes that differ only in what the clock shows do the same from now on, so they are one
/// state; and a time that has passed is past, however long. Without this no search would end.
#[derive(Debug)]
pub(crate) struct Print {
    now: u64,
    mixed: u64,
}

impl Print {
    pub(crate) const fn at(now: Instant) -> Self {
        Self {
            now: now.as_micros(),
            mixed: 0x243f_6a88_85a3_08d3, // the first digits of pi: any odd mixture will do
        }
    }
}

impl Hasher for Print {
    fn finish(&self) -> u64 {
        // The last word in has been mixed only once.
        let mixed = (self.mixed ^ (self.mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn write_u64(&mut self, word: u64) {
        let word = if (ORIGIN..2 * ORIGIN).contains(&word) {
            // Above all other words still, so that no time is taken for a number.
            word.saturating_sub(self.now) + ORIGIN
        } else {
            word
        };
        // Each step can be undone, so two lists of words that differ in one never collide.
        self.mixed = (self.mixed.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.mixed ^= self.mixed >> 32;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}

/// Keeps fingerprints as they are: they have been mixed already.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are kept");
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }
}
