//! The values of the options of `bully sim`, as people write them.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::super::duration;
use bully_sim::{Attack, BackAs, Crash, Cut, Delay, ForgedAt, Partition, Pause, Slow, Start, Who};

/// The order in which the members come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Order {
    /// All at once
    Together,
    /// The least first, 0.5 ms apart
    Ascending,
    /// The greatest first, 0.5 ms apart
    Descending,
    /// In a random order, 0.5 ms apart
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

/// As whom crashed members come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Back {
    /// With their process id and at their address
    Before,
    /// With other days, at their address
    NextDay,
    /// At another address
    Moved,
}

impl Back {
    pub(super) fn back_as(self) -> BackAs {
        match self {
            Self::Before => BackAs::Before,
            Self::NextDay => BackAs::NextDay,
            Self::Moved => BackAs::Moved,
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

/// Reads `8` or `8,64,4096`: the sizes of tables.
pub(super) fn capacities(text: &str) -> Result<Vec<usize>, String> {
    text.split(',')
        .map(super::super::capacity::capacity)
        .collect()
}

/// The longest delay that is simulated: more than a thousand times what any time-out allows.
const DELAY_MAX: Duration = Duration::from_secs(3_600);

/// Reads `const:1ms`, `uniform:0.5ms..1.5ms` or `exp:1ms`.
pub(super) fn delay(text: &str) -> Result<Delay, String> {
    let read = || {
        Some(match text.split_once(':')? {
            ("const", delay) => Delay::Const(length(delay)?),
            ("uniform", range) => {
                let (low, high) = range.split_once("..")?;
                let (low, high) = (moment(low)?, length(high)?);
                Delay::Uniform(low, (low <= high).then_some(high)?)
            }
            ("exp", mean) => Delay::Exp(length(mean)?),
            _ => return None,
        })
    };
    let delay = read().ok_or_else(|| {
        "a delay is written const:1ms, uniform:0.5ms..1.5ms, or exp:1ms for a mean of 1 ms"
            .to_owned()
    })?;
    let (Delay::Const(longest) | Delay::Uniform(_, longest) | Delay::Exp(longest)) = delay;
    short_enough(longest)?;
    Ok(delay)
}

fn short_enough(delay: Duration) -> Result<Duration, String> {
    if delay > DELAY_MAX {
        return Err("delays are at most 1h: members give up waiting after seconds".to_owned());
    }
    Ok(delay)
}

/// Reads `leader`, `gcd`, `3` or `10%`.
fn who(text: &str) -> Option<Who> {
    Some(match text {
        "leader" => Who::Leader,
        "gcd" => Who::Number(0),
        text => match text.strip_suffix('%') {
            Some(share) => {
                let share: u8 = share.parse().ok()?;
                Who::Percent((1..=100).contains(&share).then_some(share)?)
            }
            None => Who::Number(text.parse().ok().filter(|number| *number > 0)?),
        },
    })
}

/// Reads `leader@5s`, `3@5s` or, to be started again later, `3@5s..8s`.
pub(super) fn crash(text: &str) -> Result<Crash, String> {
    let read = || {
        let (whom, times) = text.split_once('@')?;
        let whom = who(whom)?;
        Some(match times.split_once("..") {
            Some(times) => {
                let (at, until) = span(times)?;
                Crash::new(whom, at).until(until)
            }
            None => Crash::new(whom, moment(times)?),
        })
    };
    read().ok_or_else(|| {
        "it is written leader@5s, 3@5s for the third member, gcd@5s for the coordinator, 10%@5s for \
         as many members drawn at random, or 3@5s..8s if it comes back"
            .to_owned()
    })
}

/// Reads `leader@5s..9s`.
pub(super) fn pause(text: &str) -> Result<Pause, String> {
    let read = || {
        let (whom, times) = text.split_once('@')?;
        let (from, to) = span(times.split_once("..")?)?;
        let who = who(whom)?;
        Some(Pause { who, from, to })
    };
    read().ok_or_else(|| {
        "a pause is written leader@5s..9s, 3@5s..9s, gcd@5s..9s or 10%@5s..9s".to_owned()
    })
}

/// Reads `3:200ms` or `5%:200ms`.
pub(super) fn slow(text: &str) -> Result<Slow, String> {
    let read = || {
        let (whom, delay) = text.split_once(':')?;
        let who = who(whom).filter(|who| *who != Who::Number(0))?;
        let delay = length(delay)?;
        Some(Slow { who, delay })
    };
    let slow = read().ok_or_else(|| {
        "slow members are written 3:200ms, leader:200ms for the greatest, or 5%:200ms".to_owned()
    })?;
    short_enough(slow.delay)?;
    Ok(slow)
}

/// Reads `3`, `leader` or `10%`.
pub(super) fn plain(text: &str) -> Result<Who, String> {
    who(text)
        .filter(|who| *who != Who::Number(0))
        .ok_or_else(|| "plain members are written 3, leader for the greatest, or 10%".to_owned())
}

/// Reads `2-3@5s..9s` or, if only what 2 sends to 3 is lost, `2>3@5s..9s`.
pub(super) fn cut(text: &str) -> Result<Cut, String> {
    let end = |text: &str| match text {
        "gcd" => Some(0),
        number => number.parse().ok().filter(|number: &usize| *number > 0),
    };
    let read = || {
        let (ends, times) = text.split_once('@')?;
        let (one_way, (from, to)) = match ends.split_once('>') {
            Some(ends) => (true, ends),
            None => (false, ends.split_once('-')?),
        };
        let (from, to_whom) = (end(from)?, end(to)?);
        let (since, to) = span(times.split_once("..")?)?;
        (from != to_whom).then_some(Cut {
            from,
            to_whom,
            one_way,
            since,
            to,
        })
    };
    read().ok_or_else(|| {
        "a cut link is written 2-3@5s..9s, or '2>3@5s..9s', in quotes, if only what 2 sends to 3 is \
         lost; gcd is the coordinator"
            .to_owned()
    })
}

/// Reads `1000@5s..9s:refusing`.
pub(super) fn attack(text: &str) -> Result<Attack, String> {
    let read = || {
        let (forged, rest) = text.split_once('@')?;
        let (times, at) = rest.split_once(':')?;
        let forged = forged
            .parse()
            .ok()
            .filter(|forged| (1..=FORGED_MAX).contains(forged))?;
        let at = match at {
            "refusing" => ForgedAt::Refusing,
            "silent" => ForgedAt::Silent,
            "answering" => ForgedAt::Answering,
            "real" => ForgedAt::Real,
            _ => return None,
        };
        let (from, to) = span(times.split_once("..")?)?;
        Some(Attack {
            forged,
            at,
            from,
            to,
        })
    };
    read().ok_or_else(|| {
        format!(
            "forged members are written 1000@5s..9s:refusing, 1 to {FORGED_MAX} of them; their \
             addresses are refusing, silent, answering or real"
        )
    })
}

/// As many as a list of the lab's wire may have.
const FORGED_MAX: u32 = 4_096;

/// Reads `2|3@5s..9s`: the members up to 2, and those from 3 on; `+gcd` follows the side that the
/// coordinator is on.
pub(super) fn partition(text: &str) -> Result<Partition, String> {
    let read = || {
        let (sides, times) = text.split_once('@')?;
        let (below, above) = sides.split_once('|')?;
        let (below, coordinator_below) = side(below);
        let (above, coordinator_above) = side(above);
        let (below, above): (usize, usize) = (below.parse().ok()?, above.parse().ok()?);
        let (from, to) = span(times.split_once("..")?)?;
        let sound = below > 0 && above == below + 1 && !(coordinator_below && coordinator_above);
        sound.then_some(Partition {
            below: above,
            coordinator_above,
            from,
            to,
        })
    };
    read().ok_or_else(|| {
        "a partition is written '2|3@5s..9s', in quotes: members up to 2 on one side, with the \
         coordinator, from 3 on on the other; '2|3+gcd@5s..9s' puts the coordinator there"
            .to_owned()
    })
}

fn side(text: &str) -> (&str, bool) {
    match text.strip_suffix("+gcd") {
        Some(number) => (number, true),
        None => (text, false),
    }
}

/// Reads `2/8`: of the seeds the second, the tenth and so on.
pub(super) fn shard(text: &str) -> Result<Shard, String> {
    let read = || {
        let (index, count) = text.split_once('/')?;
        let (index, count) = (index.parse().ok()?, count.parse().ok()?);
        (1..=count)
            .contains(&index)
            .then_some(Shard { index, count })
    };
    read().ok_or_else(|| "a shard is written 2/8: the second of eight, from 1 to 8".to_owned())
}

/// Every `count`-th seed, from the `index`-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(super) index: u64,
    pub(super) count: u64,
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

/// The longest time that anything is planned for: a year.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Reads how long to simulate.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let limit = duration(text)?;
    if limit > TIME_MAX {
        return Err("at most a year is simulated, 8760h".to_owned());
    }
    Ok(limit)
}

/// Reads a length of time.
fn length(text: &str) -> Option<Duration> {
    duration(text).ok()
}

/// Reads a point in time: unlike a length of time it may be zero.
fn moment(text: &str) -> Option<Duration> {
    match duration(text) {
        Ok(span) => Some(span).filter(|span| *span <= TIME_MAX),
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
        let crash_of = |who| Crash::new(who, at);
        assert_eq!(crash("leader@5s"), Ok(crash_of(Who::Leader)));
        assert_eq!(crash("3@5"), Ok(crash_of(Who::Number(3))));
        assert_eq!(crash("gcd@5"), Ok(crash_of(Who::Number(0))));
        assert_eq!(crash("10%@5"), Ok(crash_of(Who::Percent(10))));
        assert_eq!(
            crash("3@5s..8s"),
            Ok(crash_of(Who::Number(3)).until(Duration::from_secs(8)))
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
            "0%@5s",
            "101%@5s",
            "3@1e19s",
        ] {
            assert!(crash(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions_are_read() {
        let read = Partition {
            below: 3,
            coordinator_above: false,
            from: Duration::ZERO,
            to: Duration::from_secs(9),
        };
        assert_eq!(partition("2|3@0s..9s"), Ok(read));
        assert_eq!(partition("2+gcd|3@0s..9s"), Ok(read));
        let above = Partition {
            coordinator_above: true,
            ..read
        };
        assert_eq!(partition("2|3+gcd@0s..9s"), Ok(above));
        for wrong in [
            "",
            "2|3",
            "2|3@5s",
            "3@5s..9s",
            "2|4@5s..9s",
            "3|2@5s..9s",
            "0|1@5s..9s",
            "2|3@9s..5s",
            "2+gcd|3+gcd@5s..9s",
        ] {
            assert!(partition(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cut_links_are_read() {
        let read = Cut {
            from: 2,
            to_whom: 3,
            one_way: false,
            since: 5_000 * MS,
            to: 9_000 * MS,
        };
        assert_eq!(cut("2-3@5s..9s"), Ok(read));
        let one_way = Cut {
            from: 3,
            to_whom: 0,
            one_way: true,
            ..read
        };
        assert_eq!(cut("3>gcd@5s..9s"), Ok(one_way));
        for wrong in [
            "",
            "2-3",
            "2-2@5s..9s",
            "0-1@5s..9s",
            "2-3@9s..5s",
            "2|3@5s..9s",
        ] {
            assert!(cut(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pauses_slow_and_plain_members_are_read() {
        let (from, to) = (5_000 * MS, 9_000 * MS);
        let who = Who::Leader;
        assert_eq!(pause("leader@5s..9s"), Ok(Pause { who, from, to }));
        let slow_of = |who, millis| {
            Ok(Slow {
                who,
                delay: millis * MS,
            })
        };
        assert_eq!(slow("3:200ms"), slow_of(Who::Number(3), 200));
        assert_eq!(slow("5%:1s"), slow_of(Who::Percent(5), 1_000));
        assert_eq!(plain("3"), Ok(Who::Number(3)));
        for wrong in ["", "leader", "leader@5s", "@5s..9s"] {
            assert!(pause(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "3", "gcd:1s", "3:0s", "3:2h"] {
            assert!(slow(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "gcd", "some"] {
            assert!(plain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn forged_members_are_read() {
        let read = Attack {
            forged: 1_000,
            at: ForgedAt::Silent,
            from: 5_000 * MS,
            to: 9_000 * MS,
        };
        assert_eq!(attack("1000@5s..9s:silent"), Ok(read));
        for wrong in [
            "",
            "1000@5s..9s",
            "0@5s..9s:silent",
            "9@5s..9s:here",
            "9@5s:real",
        ] {
            assert!(attack(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_are_read() {
        assert_eq!(shard("2/8"), Ok(Shard { index: 2, count: 8 }));
        for wrong in ["", "2", "0/8", "9/8", "1/0", "a/b"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn absurd_delays_are_refused() {
        for absurd in ["const:1e19", "exp:1e18", "uniform:0..1e15", "const:2h"] {
            let error = delay(absurd).expect_err(absurd);
            assert!(error.contains("at most 1h"), "{error}");
        }
        assert!(limit("1e19").is_err());
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
