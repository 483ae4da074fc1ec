//! Pretends to fail now and then, and recovers.

use super::prelude::*;
use crate::seen::Seen;
use crate::wire::ProbeForm;

pub(crate) const CHECK: Check = Check {
    id: "feign",
    title: "pretends to fail again and again, for 1 to 4 s, and recovers with an election",
    row: "Extra credit: feigned failure",
    points: 5.0,
    extra: Some(Extra::Feign),
    sentence: "The time to your next failure should be chosen each time randomly between 0 and 10000ms and the length of your failure should be chosen independently between 1000 and 4000ms.",
    seconds: 25,
    judge: Judge::Run(run),
};

/// How often the program is looked at.
const EVERY: Duration = Duration::from_millis(150);

/// How long an answer may take until it counts as missing.
const SILENT_AFTER: Duration = Duration::from_millis(600);

/// How long a failure may last, with the allowance of two looks.
const LENGTH: core::ops::RangeInclusive<f64> = 0.85..=4.4;

/// The longest time up to a failure, with some allowance, in seconds.
const UNTIL_MAX: f64 = 10.8;

/// How many failures are observed.
const FAILURES: usize = 3;

/// How long it is looked at by PROBE until an answer must have come; one that answers none is looked
/// at by ELECTION, though that makes it elect.
const ANSWERS_PROBE_WITHIN: Duration = Duration::from_millis(1_000);

/// What has come of looking at the program so far.
struct Watch {
    lower: usize,
    began: Duration,
    /// What it is looked at by.
    by: Outgoing,
    /// It has answered at least once, so that its silence means something.
    answers: bool,
}

/// One look at the program.
struct Look {
    at: Duration,
    link: usize,
}

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    stage.tolerates_refusal = true;
    stage.join()?;
    let mut up_since = stage.now();
    let mut watch = Watch {
        lower,
        began: up_since,
        by: Outgoing::Probe,
        answers: false,
    };
    let mut failures = Vec::new();
    while failures.len() < FAILURES {
        let failed = await_failure(stage, up_since, &mut watch)?;
        let until = (failed - up_since).as_secs_f64();
        let recovered = await_recovery(stage, failed, &mut watch)?;
        let length = (recovered - failed).as_secs_f64();
        if !LENGTH.contains(&length) {
            return Err(wrong(
                "failures of 1 to 4 s",
                format!("a failure of {length:.1} s, {until:.1} s after the last recovery"),
                None,
            ));
        }
        stage.within(
            within(2.0, 5.0),
            "an election (ELECTION or COORDINATOR) or a JOIN after a failure",
            |stage| {
                let since = recovered.saturating_sub(Duration::from_millis(300));
                stage.seen.iter().any(|seen| {
                    seen.at >= since
                        && matches!(
                            seen.kind(),
                            Some(Kind::Join | Kind::Election | Kind::Coordinator)
                        )
                })
            },
        )?;
        failures.push(format!("{length:.1} s after {until:.1} s"));
        up_since = recovered;
    }
    stage.note(format!("failures: {}", failures.join(", ")));
    Ok(())
}

/// Looks at the program until it has failed, and returns since when.
fn await_failure(
    stage: &mut Stage<'_>,
    up_since: Duration,
    watch: &mut Watch,
) -> Result<Duration, Stop> {
    let mut looks: Vec<Look> = Vec::new();
    let until = up_since + Duration::from_secs_f64(UNTIL_MAX * stage.setting.slack);
    while stage.now() < until + SILENT_AFTER {
        look(stage, watch, &mut looks)?;
        watch.answers |= looks.iter().any(|look| stage.answer(look.link).is_some());
        let now = stage.now();
        // Since the last look that went well, or rather in the middle between the two.
        if let Some(at) = looks.iter().position(|look| {
            stage.links[look.link].refused
                || (watch.answers
                    && now - look.at > SILENT_AFTER
                    && stage.answer(look.link).is_none())
        }) {
            return Ok(looks[at].at.saturating_sub(EVERY / 2).max(up_since));
        }
    }
    Err(stage.missing(
        "a pretended failure within 10 s of the start or the last recovery",
        within(UNTIL_MAX, UNTIL_MAX),
    ))
}

/// Looks at the program until it is back, and returns since when.
fn await_recovery(
    stage: &mut Stage<'_>,
    failed: Duration,
    watch: &mut Watch,
) -> Result<Duration, Stop> {
    let mut looks: Vec<Look> = Vec::new();
    let until = failed + Duration::from_secs_f64((LENGTH.end() + 2.0) * stage.setting.slack);
    let was_silent = stage.links.last().is_some_and(|link| !link.refused);
    while stage.now() < until {
        look(stage, watch, &mut looks)?;
        // It may be up for less time than there is between two looks; its election shows it.
        let shortest = failed + Duration::from_secs_f64(*LENGTH.start());
        let elects = |seen: &&Seen| {
            let kinds = [Kind::Join, Kind::Election, Kind::Coordinator];
            seen.at >= shortest && seen.kind().is_some_and(|kind| kinds.contains(&kind))
        };
        if let Some(seen) = stage.seen.iter().find(elects) {
            return Ok(seen.at);
        }
        let back = looks.iter().find(|look| {
            let link = &stage.links[look.link];
            let answered = stage.answer(look.link).is_some();
            answered || (!was_silent && !link.refused && stage.now() - look.at >= EVERY)
        });
        if let Some(look) = back {
            // An answer comes when it wakes up; a refusal ends some time before it is seen to.
            let answered = stage.answer(look.link).map(|seen| seen.at);
            return Ok(answered.unwrap_or(look.at.saturating_sub(EVERY / 2)));
        }
    }
    Err(stage.missing(
        "a recovery after 1 to 4 s of failure",
        within(4.0, *LENGTH.end()),
    ))
}

/// A message, never a connection without one, for those harm some programs; a PROBE has its list.
fn look(stage: &mut Stage<'_>, watch: &mut Watch, looks: &mut Vec<Look>) -> Result<(), Stop> {
    stage.setting.dialect.probe = ProbeForm::Members;
    let at = stage.now();
    if !watch.answers && at >= watch.began + ANSWERS_PROBE_WITHIN {
        watch.by = Outgoing::Election;
    }
    let link = stage.send(watch.lower, watch.by);
    looks.push(Look { at, link });
    stage.pause(EVERY.as_secs_f64())
}
