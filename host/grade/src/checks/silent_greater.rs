//! Declares itself the leader when no greater member answers.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "silent-greater",
    title: "declares itself the leader when no greater member answers, and not before",
    row: "Declares itself victor after silence",
    points: 5.0,
    extra: None,
    sentence: "if none of the higher processes respond within the given time limit, you win the election",
    seconds: 2,
    judge: Judge::Run(run),
};

/// How long any program must wait for an answer.
const PATIENCE: Duration = Duration::from_millis(300);

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peers(2, Rank::Lower, LIVE)?;
    stage.peers(3, Rank::Greater, SILENT)?;
    stage.never(
        "no COORDINATOR in the first 0.3 s of waiting for greater members",
        |stage, seen| {
            let asked = stage.first(Kind::Election).map(|asked| asked.at + PATIENCE);
            seen.kind() == Some(Kind::Coordinator) && asked.is_none_or(|asked| seen.at < asked)
        },
    );
    stage.join()?;
    stage.election(lower[0])?;
    stage.within(
        within(3.0, 10.0),
        "COORDINATOR to the lower members, for no greater one answers",
        |stage| lower.iter().all(|peer| stage.got(*peer, Kind::Coordinator)),
    )
}
