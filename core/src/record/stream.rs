//! A stream of bytes with a checksum now and then.

use super::digest::Digest;
use super::sink::Sink;
use crate::roster::Member;

/// What is written: numbers as varints.
#[derive(Debug)]
pub(super) struct Stream<S> {
    pub(super) sink: S,
    /// Over all bytes of this bank up to the last checksum.
    sum: Digest,
    /// A byte did not fit: nothing more is written into this bank.
    pub(super) broken: bool,
    /// It is time for the next bank.
    pub(super) must_end: bool,
}

impl<S: Sink> Stream<S> {
    pub(super) const fn new(sink: S) -> Self {
        Self {
            sink,
            sum: Digest::new(),
            broken: false,
            must_end: true,
        }
    }

    /// Begins a bank.
    pub(super) fn begin(&mut self) {
        self.sum = Digest::new();
        self.broken = false;
        self.must_end = false;
    }

    pub(super) fn byte(&mut self, byte: u8) {
        if self.sink.put(byte).is_err() {
            self.broken = true;
            self.must_end = true;
        }
    }

    // `#[inline(never)]`: nearly every record has one.
    #[inline(never)]
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

    pub(super) fn digest(&mut self, digest: Digest) {
        self.bytes(&digest.value().to_le_bytes());
    }

    /// The checksum of all there is.
    pub(super) fn sum(&mut self) {
        self.sum = self.sink.summed(self.sum);
        self.digest(self.sum);
        if !self.broken {
            self.sum.add(self.sum.value());
            self.sink.commit();
        }
    }

    /// How far `member` is from `last`: days, id and address, all wrapping around.
    pub(super) fn member(&mut self, last: Member, member: Member) {
        self.number(member.pid.days.wrapping_sub(last.pid.days).into());
        self.signed(member.pid.id.wrapping_sub(last.pid.id).cast_signed().into());
        self.signed(member.addr.0.wrapping_sub(last.addr.0).cast_signed());
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }
}
