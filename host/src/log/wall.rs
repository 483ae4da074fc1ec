//! The wall clock beside the core's: Unix time and the local time of day.

use bully::Instant;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::net::Clock;

/// Converts the core's time. It looks at the system's clock once a second, so that a clock that
/// is set, or a machine that sleeps, shows in the log.
#[derive(Debug)]
pub(super) struct Wall {
    clock: Clock,
    /// Unix time, in microseconds, at the clock's zero.
    origin: i64,
    measured: Instant,
    zone: TimeZone,
}

/// How long a measurement is good for.
const MEASURE_EACH: core::time::Duration = core::time::Duration::from_secs(1);

/// How much a new measurement must differ to replace the old one, in microseconds: what is less
/// may be this process waiting between two readings.
const NOISE: u64 = 500;

impl Wall {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            origin: measure(clock),
            measured: clock.now(),
            zone: TimeZone::system(),
        }
    }

    /// Returns the Unix time at the clock's zero, in microseconds.
    pub(super) fn origin(&self) -> i64 {
        self.origin
    }

    /// Returns the Unix time at `t`, in microseconds.
    pub(super) fn unix_micros(&mut self, t: Instant) -> i64 {
        if t > self.measured + MEASURE_EACH {
            let origin = measure(self.clock);
            if origin.abs_diff(self.origin) > NOISE {
                self.origin = origin;
            }
            self.measured = t;
        }
        self.origin.saturating_add_unsigned(t.as_micros())
    }

    /// Returns the local time of day at `t`, as `07:21:06.123`.
    pub(super) fn time_of_day(&mut self, t: Instant) -> String {
        let unix = self.unix_micros(t);
        let Ok(at) = Timestamp::from_microsecond(unix) else {
            return "--:--:--.---".to_owned();
        };
        let at = self.zone.to_datetime(at);
        format!(
            "{:02}:{:02}:{:02}.{:03}",
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

/// Returns the Unix time at the clock's zero: the least disturbed of some readings.
fn measure(clock: Clock) -> i64 {
    let reading = || {
        let before = clock.now();
        let unix = Timestamp::now().as_microsecond();
        let after = clock.now();
        let width = after.since(before);
        let middle = before.as_micros() + width.as_micros() as u64 / 2;
        (width, unix.saturating_sub_unsigned(middle))
    };
    let readings = (0..5).map(|_| reading());
    readings.min().map_or(0, |(_, origin)| origin)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn the_time_is_the_systems() {
        let clock = Clock::new();
        let mut wall = Wall::new(clock);
        for later in [0, 5] {
            let t = clock.now() + Duration::from_secs(later);
            let ours = wall.unix_micros(t);
            let theirs = Timestamp::now().as_microsecond() + later as i64 * 1_000_000;
            // Generous: this thread may wait between the two.
            assert!(ours.abs_diff(theirs) < 2_000_000, "{ours} {theirs}");
        }
    }

    #[test]
    fn the_time_of_day_is_local() {
        let clock = Clock::new();
        let mut wall = Wall {
            clock,
            origin: 1_795_670_000_123_456,
            measured: Instant::ZERO + Duration::from_secs(9),
            zone: TimeZone::fixed(jiff::tz::offset(2)),
        };
        let t = Instant::ZERO + Duration::from_millis(7);
        // 2026-11-26 05:13:20.130 UTC.
        assert_eq!(wall.time_of_day(t), "07:13:20.130");
    }
}
