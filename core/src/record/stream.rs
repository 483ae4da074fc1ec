//! A stream of bytes in blocks with checksums.

use super::format::{BLOCK_MAX, checksum};
use super::sink::Sink;
use crate::roster::Member;

/// What is written: numbers as varints, gathered into blocks.
#[derive(Debug)]
pub(super) struct Stream<S> {
    pub(super) sink: S,
    /// The length, what there is of the block, and at last its checksum.
    block: [u8; 1 + BLOCK_MAX + 4],
    len: usize,
    /// How many blocks of this bank are written.
    number: u32,
    /// A block did not fit: nothing more is written into this bank.
    pub(super) broken: bool,
}

impl<S: Sink> Stream<S> {
    pub(super) const fn new(sink: S) -> Self {
        Self {
            sink,
            block: [0; 1 + BLOCK_MAX + 4],
            len: 0,
            number: 0,
            broken: false,
        }
    }

    /// Begins a bank.
    pub(super) fn begin(&mut self, head: &[u8]) {
        self.len = 0;
        self.number = 0;
        self.broken = self.sink.put(head).is_err();
    }

    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.block.get_mut(1 + self.len) {
            *place = byte;
            self.len += 1;
        }
        if self.len == BLOCK_MAX {
            self.flush();
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 128 {
            self.byte(rest as u8 | 128);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    /// How far `member` is from `last`: days, id and address, all wrapping around.
    pub(super) fn member(&mut self, last: Member, member: Member) {
        self.number(member.pid.days.wrapping_sub(last.pid.days).into());
        let id = member.pid.id.wrapping_sub(last.pid.id).cast_signed();
        self.signed(id.into());
        self.signed(member.addr.0.wrapping_sub(last.addr.0).cast_signed());
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    /// Writes what there is as a block.
    pub(super) fn flush(&mut self) {
        if self.len == 0 {
            return;
        }
        let end = 1 + self.len;
        if let Some(length) = self.block.first_mut() {
            *length = self.len as u8;
        }
        let crc = checksum(self.number, self.block.get(1..end).unwrap_or(&[]));
        if let Some(place) = self.block.get_mut(end..end + 4) {
            for (place, byte) in place.iter_mut().zip(crc.to_le_bytes()) {
                *place = byte;
            }
        }
        let block = self.block.get(..end + 4).unwrap_or(&[]);
        if !self.broken && self.sink.put(block).is_err() {
            self.broken = true;
        }
        self.number = self.number.wrapping_add(1);
        self.len = 0;
    }
}
