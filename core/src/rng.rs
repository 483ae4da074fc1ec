//! The node's chance: probe gaps, feigned failures, the jitter of a retry.

use core::convert::Infallible;

use rand_core::{Rng as _, TryRng};

use crate::roster::Pid;
use crate::time::Span;

/// SplitMix64 (Steele, Lea and Flood 2014): eight bytes of state, and every seed, zero
/// included, is a good one. Chance here spreads load; nothing secret depends on it.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A time between `low` and `high`, both included, to the microsecond; `low`, and nothing is
    /// drawn, if they are the same or the wrong way round.
    pub(crate) fn between(&mut self, low: Span, high: Span) -> Span {
        let Some(width) = high
            .as_micros()
            .checked_sub(low.as_micros())
            .filter(|width| *width > 0)
        else {
            return low;
        };
        // Multiply and shift instead of a remainder: no division, and a bias below 2^-32. In two
        // halves, so that no product is longer than 64 bits.
        let (drawn, steps) = (self.next_u64(), u64::from(width) + 1);
        let lower = ((drawn & 0xffff_ffff) * steps) >> 32;
        let drawn = ((drawn >> 32) * steps + lower) >> 32;
        low + Span::from_micros(u32::try_from(drawn).unwrap_or(width))
    }
}

/// The quotient and the remainder of `number` by `divisor`, which is not 0.
///
/// Digit by digit of 16 bits, which a chip divides itself: the division of 64 bits would take 0.9 KB.
// `#[inline(never)]`: it has two callers.
#[inline(never)]
pub(crate) fn divide(number: u64, divisor: u16) -> (u64, u16) {
    let divisor = u32::from(divisor);
    let (mut quotient, mut rest) = (0, 0);
    for shift in [48, 32, 16, 0] {
        let digit = (number >> shift) as u16;
        let part = rest << 16 | u32::from(digit);
        quotient = quotient << 16 | u64::from(part.checked_div(divisor).unwrap_or(0));
        rest = part.checked_rem(divisor).unwrap_or(0);
    }
    (quotient, rest as u16)
}

impl Rng {
    /// A number below `bound`, or 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let high = Span::from_micros(u32::try_from(bound.saturating_sub(1)).unwrap_or(u32::MAX));
        self.between(Span::ZERO, high).as_micros() as usize
    }

    /// Two numbers drawn anew, as a process id.
    pub(crate) fn lot(&mut self) -> Pid {
        Pid {
            days: self.next_u32(),
            id: self.next_u32(),
        }
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The upper half: the better mixed one.
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for chunk in into.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            for (byte, drawn) in chunk.iter_mut().zip(word) {
                *byte = drawn;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // The first outputs for seed 1234567 as published with the algorithm's reference code.
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn digit_by_digit_the_quotient_and_the_remainder_are_those_of_the_whole() {
        let mut rng = Rng::new(11);
        for divisor in [1, 2, 7, 20, 0x7fff, u16::MAX] {
            for number in [0, 6, 7, u64::MAX]
                .into_iter()
                .chain((0..500).map(|_| rng.next_u64()))
            {
                let wide = u64::from(divisor);
                let (quotient, rest) = divide(number, divisor);
                assert_eq!((quotient, u64::from(rest)), (number / wide, number % wide));
            }
        }
    }

    #[test]
    fn between_reaches_both_ends_and_stays_inside() {
        let mut rng = Rng::new(7);
        let (low, high) = (Span::from_micros(3), Span::from_micros(6));
        let mut seen = [0_u32; 10];
        for _ in 0..4_000 {
            let drawn = rng.between(low, high);
            assert!(low <= drawn && drawn <= high);
            seen[drawn.as_micros() as usize] += 1;
        }
        assert!(seen[3..=6].iter().all(|&count| count > 800), "{seen:?}");
        assert_eq!(rng.between(high, low), high);
    }

    #[test]
    fn between_is_the_product_by_its_upper_word() {
        let (mut rng, mut same) = (Rng::new(3), Rng::new(3));
        for width in [1, 2, 9_999, 0x1234_5678, u32::MAX - 1, u32::MAX] {
            for _ in 0..1_000 {
                let product = u128::from(same.next_u64()) * (u128::from(width) + 1);
                let drawn = rng.between(Span::ZERO, Span::from_micros(width));
                assert_eq!(u128::from(drawn.as_micros()), product >> 64);
            }
        }
    }
}
