//! How a frame lies on the line: consistent overhead byte stuffing (COBS; Cheshire and Baker 1999)
//! between zeros, and a CRC-32 at its end.

use postcard::ser_flavors::Flavor;

use crate::crc::Crc;
use crate::net::Full;

/// What the framing adds to a payload of `bytes`: a zero on either side, a checksum, and a byte for
/// every 254 bytes or part of them.
pub(super) const fn framed_max(bytes: usize) -> usize {
    let stuffed = bytes + CHECKSUM;
    2 + stuffed + stuffed / 254 + 1
}

/// The bytes of a checksum.
pub(super) const CHECKSUM: usize = 4;

/// Writes frames into a slice; what does not fit is noticed, and nothing is written past the end.
pub(super) struct Framer<'a> {
    into: &'a mut [u8],
    at: usize,
    /// Where the length of the present block goes.
    block_at: usize,
    block: u8,
    crc: Crc,
    full: bool,
}

impl<'a> Framer<'a> {
    /// Begins a frame at `at`.
    pub(super) fn new(into: &'a mut [u8], at: usize) -> Self {
        let mut framer = Self {
            into,
            at,
            block_at: 0,
            block: 0,
            crc: Crc::new(),
            full: false,
        };
        framer.put(0);
        framer.begin_block();
        framer
    }

    /// Ends the frame; where the next one may begin.
    pub(super) fn end(mut self) -> Result<usize, Full> {
        for byte in self.crc.value().to_le_bytes() {
            self.stuff(byte);
        }
        self.end_block();
        self.put(0);
        if self.full { Err(Full) } else { Ok(self.at) }
    }

    fn push(&mut self, byte: u8) {
        self.crc.add(byte);
        self.stuff(byte);
    }

    fn stuff(&mut self, byte: u8) {
        if byte != 0 {
            self.put(byte);
            self.block += 1;
        }
        if byte == 0 || self.block == BLOCK_MAX {
            self.end_block();
            self.begin_block();
        }
    }

    fn begin_block(&mut self) {
        self.block_at = self.at;
        self.block = 0;
        self.put(0);
    }

    fn end_block(&mut self) {
        if let Some(length) = self.into.get_mut(self.block_at) {
            *length = self.block + 1;
        }
    }

    fn put(&mut self, byte: u8) {
        match self.into.get_mut(self.at) {
            Some(place) => {
                *place = byte;
                self.at += 1;
            }
            None => self.full = true,
        }
    }
}

impl Flavor for Framer<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The most bytes that follow a length.
const BLOCK_MAX: u8 = 254;

/// Reads frames byte by byte into a slice.
pub(super) struct Deframer<'b> {
    bytes: &'b mut [u8],
    len: usize,
    /// What is left of the present block; `None` before the first.
    block: Option<u8>,
    /// The block was shorter than the longest, so that a zero follows unless the frame ends.
    zero_follows: bool,
    too_long: bool,
}

/// What a zero on the line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing: two zeros in a row.
    Nothing,
    /// A frame whose checksum is right; [`Deframer::payload`] is what it says.
    Frame,
    /// Something else.
    Corrupt,
}

impl<'b> Deframer<'b> {
    pub(super) const fn new(bytes: &'b mut [u8]) -> Self {
        Self {
            bytes,
            len: 0,
            block: None,
            zero_follows: false,
            too_long: false,
        }
    }

    /// Takes one byte; what it ended, if it ended anything.
    pub(super) fn push(&mut self, byte: u8) -> Option<Ended> {
        if byte == 0 {
            return Some(self.end());
        }
        if self.block.is_none() {
            self.len = 0;
        }
        match self.block {
            None | Some(0) => {
                if self.block.is_some() && self.zero_follows {
                    self.append(0);
                }
                self.block = Some(byte - 1);
                self.zero_follows = byte - 1 < BLOCK_MAX;
            }
            Some(left) => {
                self.append(byte);
                self.block = Some(left - 1);
            }
        }
        None
    }

    /// What the frame that has just ended says.
    pub(super) fn payload(&self) -> &[u8] {
        let end = self.len.saturating_sub(CHECKSUM);
        self.bytes.get(..end).unwrap_or(&[])
    }

    fn end(&mut self) -> Ended {
        let block = self.block.take();
        let too_long = core::mem::take(&mut self.too_long);
        match block {
            None => Ended::Nothing,
            Some(0) if !too_long && self.is_sound() => Ended::Frame,
            Some(_) => Ended::Corrupt,
        }
    }

    fn is_sound(&self) -> bool {
        let mut crc = Crc::new();
        for byte in self.payload() {
            crc.add(*byte);
        }
        let sent = self.bytes.get(self.payload().len()..self.len);
        sent == Some(&crc.value().to_le_bytes())
    }

    fn append(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.too_long = true,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut into = std::vec![0; framed_max(payload.len())];
        let mut framer = Framer::new(&mut into, 0);
        for byte in payload {
            framer.push(*byte);
        }
        let end = framer.end().expect("it fits");
        into.truncate(end);
        into
    }

    #[test]
    fn a_frame_has_zeros_at_its_ends_only_and_is_never_longer_than_stated() {
        for length in [
            0, 1, 2, 100, 248, 249, 250, 251, 252, 253, 254, 255, 507, 508, 509, 1_000,
        ] {
            for pattern in [|_| 0_u8, |at: usize| at as u8, |_| 1, |at| (at % 2) as u8] {
                let payload: Vec<u8> = (0..length).map(pattern).collect();
                let frame = framed(&payload);
                assert!(frame.len() <= framed_max(length), "{length}");
                let inside = &frame[1..frame.len() - 1];
                assert!(frame.first() == Some(&0) && frame.last() == Some(&0));
                assert!(!inside.contains(&0));

                let mut bytes = std::vec![0; length + CHECKSUM];
                let mut deframer = Deframer::new(&mut bytes);
                let told: Vec<_> = frame
                    .iter()
                    .filter_map(|byte| deframer.push(*byte))
                    .collect();
                assert_eq!(told, [Ended::Nothing, Ended::Frame], "{length}");
                assert_eq!(deframer.payload(), payload);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_and_spoils_nothing_after_it() {
        let (long, short) = (framed(&[7; 40]), framed(b"short"));
        let mut bytes = [0; 20];
        let mut deframer = Deframer::new(&mut bytes);
        let line = long.iter().chain(&short);
        let told: Vec<_> = line.filter_map(|byte| deframer.push(*byte)).collect();
        use Ended::{Corrupt, Frame, Nothing};
        assert_eq!(told, [Nothing, Corrupt, Nothing, Frame]);
        assert_eq!(deframer.payload(), b"short");

        let mut small = [0xaa; 8];
        let mut framer = Framer::new(&mut small[..7], 0);
        for byte in b"longer" {
            framer.push(*byte);
        }
        assert_eq!(framer.end(), Err(Full));
        assert_eq!(small[7], 0xaa);
    }
}
