//! The values of the options of `bully sim`, as people write them.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::super::duration;
use bully_sim::{Crash, Delay, Partition, Start, Who};

/// The order in which the members come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Order {
    /// All at once
    Together,
    /// The least first, 0.5 ms apart
    Ascending,
    /// The greatest first, 0.5 ms apart
    Descending,
    /// In an order drawn by lot, 0.5 ms apart
    Shuffled,
    /// The least joins a settled group, at 10 s
    LowestJoins,
    /// The greatest joins a settled group, at 10 s
    HighestJoins,
}

impl Order {
    pub(super) fn start(self) -> Start {
        match self {
            Self::Together => Start::Together,
            Self::Ascending => Start::Ascending,
            Self::Descending => Start::Descending,
            Self::Shuffled => Start::Shuffled,
            Self::LowestJoins => Start::LowestJoins,
            Self::HighestJoins => Start::HighestJoins,
        }
    }
}

/// Reads a share of all messages.
pub(super) fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share is a number from 0 to 1; 0.01 is one in a hundred".to_owned())
}

/// Reads `const:1ms`, `uniform:0.5ms..1.5ms` or `exp:1ms`.
pub(super) fn delay(text: &str) -> Result<Delay, String> {
    let read = || {
        Some(match text.split_once(':')? {
            ("const", delay) => Delay::Const(duration(delay).ok()?),
            ("uniform", range) => {
                let (low, high) = range.split_once("..")?;
                let (low, high) = (moment(low)?, duration(high).ok()?);
                Delay::Uniform(low, (low <= high).then_some(high)?)
            }
            ("exp", mean) => Delay::Exp(duration(mean).ok()?),
            _ => return None,
        })
    };
    read().ok_or_else(|| {
        "a delay is written const:1ms, uniform:0.5ms..1.5ms, or exp:1ms for a mean of 1 ms"
            .to_owned()
    })
}

/// Reads `leader@5s`, `3@5s` or, to be started again later, `3@5s..8s`.
pub(super) fn crash(text: &str) -> Result<Crash, String> {
    let read = || {
        let (who, times) = text.split_once('@')?;
        let who = match who {
            "leader" => Who::Leader,
            number => Who::Number(number.parse().ok().filter(|number| *number > 0)?),
        };
        let (at, until) = match times.split_once("..") {
            Some(times) => {
                let (at, until) = span(times)?;
                (at, Some(until))
            }
            None => (moment(times)?, None),
        };
        Some(Crash { who, at, until })
    };
    read().ok_or_else(|| {
        "a crash is written leader@5s, 3@5s for the third member, or 3@5s..8s if it comes back"
            .to_owned()
    })
}

/// Reads `2|3@5s..9s`: the members up to 2, and those from 3 on.
pub(super) fn partition(text: &str) -> Result<Partition, String> {
    let read = || {
        let (sides, times) = text.split_once('@')?;
        let (below, above) = sides.split_once('|')?;
        let (below, above): (usize, usize) = (below.parse().ok()?, above.parse().ok()?);
        let (from, to) = span(times.split_once("..")?)?;
        (below > 0 && above == below + 1).then_some(Partition {
            below: above,
            from,
            to,
        })
    };
    read().ok_or_else(|| {
        "a partition is written '2|3@5s..9s', in quotes: members up to 2 on one side, from 3 on \
         on the other"
            .to_owned()
    })
}

/// Reads `1..15`, the last one included.
pub(super) fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let read = || {
        let (first, last) = text.split_once("..")?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(first..=last)
    };
    read().ok_or_else(|| "seeds are written 1..15, from the first to the last".to_owned())
}

/// Reads a point in time: unlike a length of time it may be zero.
fn moment(text: &str) -> Option<Duration> {
    match duration(text) {
        Ok(span) => Some(span),
        Err(_) => {
            let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
            (digits.parse() == Ok(0.0)).then_some(Duration::ZERO)
        }
    }
}

fn span((from, to): (&str, &str)) -> Option<(Duration, Duration)> {
    let (from, to) = (moment(from)?, moment(to)?);
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_are_read() {
        assert_eq!(delay("const:1ms"), Ok(Delay::Const(MS)));
        assert_eq!(
            delay("uniform:0.5ms..1.5ms"),
            Ok(Delay::Uniform(MS / 2, MS * 3 / 2))
        );
        assert_eq!(
            delay("uniform:0..1ms"),
            Ok(Delay::Uniform(Duration::ZERO, MS))
        );
        assert_eq!(delay("exp:0.001"), Ok(Delay::Exp(MS)));
        for wrong in [
            "",
            "1ms",
            "const",
            "const:",
            "const:0",
            "const:-1ms",
            "uniform:1ms",
            "uniform:2ms..1ms",
            "uniform:0..0",
            "gauss:1ms",
        ] {
            assert!(delay(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn crashes_are_read() {
        let at = Duration::from_secs(5);
        let crash_of = |who, until| Ok(Crash { who, at, until });
        assert_eq!(crash("leader@5s"), crash_of(Who::Leader, None));
        assert_eq!(crash("3@5"), crash_of(Who::Number(3), None));
        assert_eq!(
            crash("3@5s..8s"),
            crash_of(Who::Number(3), Some(Duration::from_secs(8)))
        );
        for wrong in [
            "",
            "leader",
            "leader@",
            "leader@soon",
            "0@5s",
            "-1@5s",
            "me@5s",
            "3@5s..",
            "3@8s..5s",
            "3@5s..5s",
        ] {
            assert!(crash(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions_are_read() {
        let read = Partition {
            below: 3,
            from: Duration::ZERO,
            to: Duration::from_secs(9),
        };
        assert_eq!(partition("2|3@0s..9s"), Ok(read));
        for wrong in [
            "",
            "2|3",
            "2|3@5s",
            "3@5s..9s",
            "2|4@5s..9s",
            "3|2@5s..9s",
            "0|1@5s..9s",
            "2|3@9s..5s",
        ] {
            assert!(partition(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seeds_are_read() {
        assert_eq!(seeds("1..15"), Ok(1..=15));
        assert_eq!(seeds("7..7"), Ok(7..=7));
        for wrong in ["", "1", "1..", "..9", "9..1", "-1..3", "a..b"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_read() {
        assert_eq!(share("0.01"), Ok(0.01));
        for wrong in ["", "-0.1", "1.1", "nan", "1%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
