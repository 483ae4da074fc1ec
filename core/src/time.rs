//! Points in time, which the caller gives.

use core::ops::Add;
use core::time::Duration;

/// A point in time: microseconds since an origin that the caller chooses once.
///
/// The core has no clock; every method that depends on time takes an `Instant`. Arithmetic
/// saturates, so no deadline can wrap round into the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The caller's origin.
    pub const ZERO: Self = Self(0);

    /// The end of time, which never comes: [`LAST`](Self::LAST) is the latest "now".
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) const LAST: Self = Self(u64::MAX - 1);

    /// The instant `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this instant, or zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The same instant by a clock that is `by` microseconds behind; never stays never.
    // `#[inline(never)]`: a call is shorter than the body.
    #[inline(never)]
    pub(crate) const fn earlier(self, by: u64) -> Self {
        match self.0 {
            u64::MAX => self,
            micros => Self(micros.saturating_sub(by)),
        }
    }

    /// What is left until then at `now`.
    // `#[inline(never)]`: 16 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) fn left(self, now: Self) -> Span {
        Span(u32::try_from(self.0.saturating_sub(now.0)).unwrap_or(u32::MAX))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Add<Span> for Instant {
    type Output = Self;

    // `#[inline(never)]`: a call is half as long as the sum.
    #[inline(never)]
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(u64::from(span.0)))
    }
}

/// A length of time as nodes keep it: whole microseconds, saturating at 71 minutes. It takes 4 bytes
/// where [`Duration`] takes 16, and a chip adds and halves it without 128-bit arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Span(u32);

impl Span {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    pub(crate) const fn from_millis(millis: u32) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub(crate) const fn as_micros(self) -> u32 {
        self.0
    }

    pub(crate) const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    // `#[inline(never)]`: 130 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub(crate) const fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    pub(crate) const fn twice(self) -> Self {
        Self(self.0.saturating_mul(2))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<&Duration> for Span {
    // `#[inline(never)]`: a node converts nineteen when it is made.
    #[inline(never)]
    fn from(time: &Duration) -> Self {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Self(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(time.subsec_micros()),
        )
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        // Not `from_micros`, which divides 64 bits: 0.9 KB on a chip.
        Self::new((span.0 / 1_000_000).into(), span.0 % 1_000_000 * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        let late = Instant::from_micros(u64::MAX - 1);
        assert_eq!(late + Duration::MAX, Instant::from_micros(u64::MAX));
        assert_eq!(Instant::ZERO.since(late), Duration::ZERO);
        assert_eq!(
            Instant::from_micros(7).since(Instant::from_micros(3)),
            Duration::from_micros(4)
        );
    }

    #[test]
    fn a_span_is_a_duration_in_whole_microseconds_up_to_its_bound() {
        let bound = Duration::from_micros(0xffff_ffff);
        for (time, kept) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1_999), Duration::from_micros(1)),
            (Duration::from_millis(1_500), Duration::from_millis(1_500)),
            (bound, bound),
            (bound + Duration::from_micros(1), bound),
            (Duration::from_secs(4_295), bound),
            (Duration::MAX, bound),
        ] {
            assert_eq!(Duration::from(Span::from(&time)), kept, "{time:?}");
        }
    }
}
