//! Sends PROBE to the leader, at random times.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "probe",
    title: "sends PROBE to the leader only, 0.5 to 3 s apart and at random",
    row: "Extra credit: PROBE",
    points: 2.0,
    extra: Some(Extra::Probe),
    sentence: "The PROBE message is sent occasionally to the group leader by all the other members of the group. … Between each PROBE message, choose a random amount of time between 500 and 3000ms.",
    seconds: 14,
    judge: Judge::Run(run),
};

/// How many times between PROBEs are looked at. That all of them are within [`SPREAD`] of each
/// other happens by chance in 15 of 100,000 runs.
const GAPS: usize = 6;

/// The shortest and the longest time between PROBEs, with some allowance, in seconds.
const GAP: core::ops::RangeInclusive<f64> = 0.4..=3.3;

/// Times that differ by no more than this are not random, in seconds.
const SPREAD: f64 = 0.3;

/// A program that pretends to fail sends nothing for up to 4 s, and elects when it is back: no time
/// between PROBEs is measured across that. How much longer a pause may be that ends so, in seconds.
const FAILED: f64 = 4.5;

/// For how long PROBEs are observed at most, in seconds: at worst a program is up for a third of it.
const OBSERVED: f64 = 60.0;

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    stage.peers(2, Rank::Lower, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    stage.tolerates_refusal = true;
    stage.never("PROBE to the leader only", move |_, seen| {
        seen.kind() == Some(Kind::Probe) && seen.to != Party::Peer(leader)
    });
    stage.join()?;
    stage.settle(leader)?;
    let settled = stage.now();
    // A pause that is too long need not be waited for to its end.
    let is_decided = |stage: &Stage<'_>| {
        let pauses = Pauses::of(stage, leader, settled);
        let idle = (stage.now() - pauses.active).as_secs_f64();
        pauses.gaps.len() >= GAPS || idle > GAP.end() + FAILED
    };
    stage.wait(OBSERVED, is_decided)?;
    let pauses = Pauses::of(stage, leader, settled);
    let Pauses {
        gaps, count, last, ..
    } = pauses;
    if count == 0 {
        let waited = GAP.end() + FAILED;
        return Err(stage.missing("a PROBE to the leader", within(waited, waited)));
    }
    let list = gaps
        .iter()
        .map(|gap| format!("{gap:.2}"))
        .collect::<Vec<_>>()
        .join(", ");
    let seen = if gaps.len() < GAPS {
        let last = last.as_secs_f64();
        format!("{count} PROBEs, the last after {last:.1} s; {list} s between PROBEs")
    } else {
        format!("{list} s between PROBEs")
    };
    if gaps.len() < GAPS || gaps.iter().any(|gap| !GAP.contains(gap)) {
        return Err(wrong("0.5 to 3 s between PROBEs", seen, None));
    }
    let longest = gaps.iter().copied().fold(f64::MIN, f64::max);
    let shortest = gaps.iter().copied().fold(f64::MAX, f64::min);
    if longest - shortest <= SPREAD {
        return Err(wrong("random times between PROBEs", seen, None));
    }
    Ok(())
}

/// The PROBEs to the leader since it was settled who that is.
struct Pauses {
    /// Seconds from one PROBE to the next, without an election between them.
    gaps: Vec<f64>,
    count: usize,
    last: Duration,
    /// When the program last sent PROBE or ELECTION.
    active: Duration,
}

impl Pauses {
    fn of(stage: &Stage<'_>, leader: usize, settled: Duration) -> Self {
        let mut pauses = Self {
            gaps: Vec::new(),
            count: 0,
            last: settled,
            active: settled,
        };
        let mut before = None;
        for seen in stage.seen.iter().filter(|seen| seen.at >= settled) {
            match seen.kind() {
                Some(Kind::Probe) if seen.to == Party::Peer(leader) => {
                    let gap = before.map(|before| (seen.at - before).as_secs_f64());
                    pauses.gaps.extend(gap);
                    pauses.count += 1;
                    pauses.last = seen.at;
                    pauses.active = seen.at;
                    before = Some(seen.at);
                }
                // It was back from a failure.
                Some(Kind::Election) => {
                    pauses.active = seen.at;
                    before = None;
                }
                _ => {}
            }
        }
        pauses
    }
}
