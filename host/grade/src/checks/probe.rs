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

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    stage.peers(2, Rank::Lower, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    stage.never("PROBE to the leader only", move |_, seen| {
        seen.kind() == Some(Kind::Probe) && seen.to != Party::Peer(leader)
    });
    stage.join()?;
    stage.settle(leader)?;
    let settled = stage.now();
    let probes = |stage: &Stage<'_>| -> Vec<Duration> {
        stage
            .messages(leader, Kind::Probe)
            .map(|seen| seen.at)
            .filter(|at| *at >= settled)
            .collect()
    };
    stage.within(within(4.0, 6.0), "a PROBE to the leader", |stage| {
        !probes(stage).is_empty()
    })?;
    // A gap that is too long need not be waited for to its end.
    let is_decided = |stage: &Stage<'_>| {
        let probes = probes(stage);
        let last = probes.last().copied().unwrap_or_default();
        probes.len() > GAPS || (stage.now() - last).as_secs_f64() > GAP.end() + 0.5
    };
    stage.wait(30.0, is_decided)?;
    let probes = probes(stage);
    let gaps: Vec<f64> = probes
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64())
        .collect();
    let list = gaps
        .iter()
        .map(|gap| format!("{gap:.2}"))
        .collect::<Vec<_>>()
        .join(", ");
    let seen = format!("{list} s between PROBEs");
    if gaps.len() < GAPS || gaps.iter().any(|gap| !GAP.contains(gap)) {
        let last = probes.last().copied().unwrap_or_default();
        let seen = if gaps.len() < GAPS {
            format!(
                "{} PROBEs, the last after {:.1} s; {seen}",
                probes.len(),
                last.as_secs_f64()
            )
        } else {
            seen
        };
        return Err(wrong("0.5 to 3 s between PROBEs", seen, None));
    }
    let longest = gaps.iter().copied().fold(f64::MIN, f64::max);
    let shortest = gaps.iter().copied().fold(f64::MAX, f64::min);
    if longest - shortest <= SPREAD {
        return Err(wrong("random times between PROBEs", seen, None));
    }
    Ok(())
}
