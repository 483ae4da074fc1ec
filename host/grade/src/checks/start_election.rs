//! Starts an election on startup.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "start-election",
    title: "starts an election once it has joined",
    row: "Starts an election on startup",
    points: 5.0,
    extra: None,
    sentence: "You then start an election.",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    stage.peers(2, Rank::Lower, LIVE)?;
    stage.peers(3, Rank::Greater, LEADS)?;
    stage.join()?;
    stage.within(
        within(1.0, 5.0),
        "an ELECTION to a greater member after the answer to JOIN",
        |stage| stage.first(Kind::Election).is_some(),
    )
}
