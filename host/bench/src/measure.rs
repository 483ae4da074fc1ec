//! Contenders that take turns, so that whatever else the machine does befalls all of them.

use core::time::Duration;
use std::time::Instant;

use crate::figure::Trouble;

/// Does something so many times, and returns how long that took.
pub type Contender<'a> = Box<dyn FnMut(u64) -> Result<Duration, Trouble> + 'a>;

/// How long a turn is to be at least: well above what a clock resolves, and so short that many
/// turns fall between two interruptions.
const TURN: Duration = Duration::from_millis(1);
const TURN_QUICK: Duration = Duration::from_micros(300);

const ROUNDS: usize = 60;
const ROUNDS_QUICK: usize = 3;

/// Rounds of [`steady_duel`] that are not counted: 60 ms and more.
const ROUNDS_FIRST: usize = 60;
const ROUNDS_STEADY: usize = 301;
const ROUNDS_STEADY_QUICK: usize = 31;

/// How long each contender takes for one time, in nanoseconds: the least of several rounds, in
/// which each has one turn. The least is what the work takes; all else is the machine.
///
/// # Errors
///
/// That of a contender.
pub fn duel<const N: usize>(
    quick: bool,
    mut contenders: [Contender<'_>; N],
) -> Result<[f64; N], Trouble> {
    let (turn, rounds) = if quick {
        (TURN_QUICK, ROUNDS_QUICK)
    } else {
        (TURN, ROUNDS)
    };
    let times = calibrate(turn, &mut contenders)?;
    let mut least = [f64::INFINITY; N];
    for _ in 0..rounds {
        for (took, least) in round(&mut contenders, times)?.into_iter().zip(&mut least) {
            *least = least.min(took);
        }
    }
    Ok(least)
}

/// As [`duel`], for work of which a part is put off by up to 60 ms: the median of many rounds after
/// as long as that. The least would be of a round in which nothing that was put off is due. It is
/// the thread's processor time that is counted, where the system reports it: the median does not spare
/// who is interrupted often.
pub fn steady_duel<const N: usize>(
    quick: bool,
    mut contenders: [Contender<'_>; N],
) -> Result<[f64; N], Trouble> {
    let rounds = if quick {
        ROUNDS_STEADY_QUICK
    } else {
        ROUNDS_STEADY
    };
    let times = calibrate(TURN, &mut contenders)?;
    let mut contenders = contenders.map(|mut contender| -> Contender<'_> {
        Box::new(move |times| {
            let before = processor_time();
            let took = contender(times)?;
            let spent = processor_time().zip(before);
            Ok(spent.map_or(took, |(after, before)| after.saturating_sub(before)))
        })
    });
    let mut all = [(); N].map(|()| Vec::with_capacity(rounds));
    for number in 0..ROUNDS_FIRST + rounds {
        let took = round(&mut contenders, times)?;
        for (took, all) in took.into_iter().zip(&mut all) {
            if number >= ROUNDS_FIRST {
                all.push(took);
            }
        }
    }
    Ok(all.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }))
}

/// What this thread has had of the processor; `None` where the system does not report it.
fn processor_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).ok()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// How often each contender has to do its work for a turn to be `turn` long.
fn calibrate<const N: usize>(
    turn: Duration,
    contenders: &mut [Contender<'_>; N],
) -> Result<[u64; N], Trouble> {
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
    Ok(times)
}

/// One turn of each contender: nanoseconds for one time.
fn round<const N: usize>(
    contenders: &mut [Contender<'_>; N],
    times: [u64; N],
) -> Result<[f64; N], Trouble> {
    let mut took = [0.0; N];
    for ((contender, times), took) in contenders.iter_mut().zip(times).zip(&mut took) {
        *took = contender(times)?.as_nanos() as f64 / times as f64;
    }
    Ok(took)
}

/// A contender that does `work`, which gets how often it was done before in this turn.
pub fn each<'a>(mut work: impl FnMut(u64) + 'a) -> Contender<'a> {
    Box::new(move |times| {
        let started = Instant::now();
        for time in 0..times {
            work(time);
        }
        Ok(started.elapsed())
    })
}
