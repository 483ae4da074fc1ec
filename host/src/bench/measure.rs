//! Contenders that take turns, so that whatever else the machine does befalls all of them.

use core::time::Duration;
use std::time::Instant;

use super::Trouble;

/// Does something so many times, and tells how long that took.
pub(super) type Contender<'a> = Box<dyn FnMut(u64) -> Result<Duration, Trouble> + 'a>;

/// How long a turn is to be at least: well above what a clock can tell, and so short that many
/// turns fall between two interruptions.
const TURN: Duration = Duration::from_millis(1);
const TURN_QUICK: Duration = Duration::from_micros(300);

const ROUNDS: usize = 60;
const ROUNDS_QUICK: usize = 3;

/// How long each contender takes for one time, in nanoseconds: the least of several rounds, in
/// which each has one turn. The least is what the work takes; all else is the machine.
///
/// # Errors
///
/// That of a contender.
pub(super) fn duel<const N: usize>(
    quick: bool,
    mut contenders: [Contender<'_>; N],
) -> Result<[f64; N], Trouble> {
    let (turn, rounds) = if quick {
        (TURN_QUICK, ROUNDS_QUICK)
    } else {
        (TURN, ROUNDS)
    };
    let mut times = [1; N];
    for (contender, times) in contenders.iter_mut().zip(&mut times) {
        loop {
            let took = contender(*times)?;
            if took >= turn {
                break;
            }
            // Towards the goal, but not on the word of a single short try.
            let more = turn.as_nanos() / took.as_nanos().max(1) + 1;
            *times *= u64::try_from(more).unwrap_or(10).clamp(2, 10);
        }
    }
    let mut least = [f64::INFINITY; N];
    for _ in 0..rounds {
        for ((contender, times), least) in contenders.iter_mut().zip(times).zip(&mut least) {
            let took = contender(times)?.as_nanos() as f64 / times as f64;
            *least = least.min(took);
        }
    }
    Ok(least)
}

/// A contender that does `work`, which is told how often it was done before in this turn.
pub(super) fn each<'a>(mut work: impl FnMut(u64) + 'a) -> Contender<'a> {
    Box::new(move |times| {
        let started = Instant::now();
        for time in 0..times {
            work(time);
        }
        Ok(started.elapsed())
    })
}
