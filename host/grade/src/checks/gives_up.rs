//! Gives up on a member that cannot be reached.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "gives-up",
    title: "goes on after a time when a greater member neither accepts nor refuses",
    row: "Gives up sending or receiving after a time",
    points: 3.0,
    extra: None,
    sentence: "if none of the higher processes respond within the given time limit, you win the election",
    seconds: 2,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    stage.peer(Rank::Greater, HANGS)?;
    stage.join()?;
    // Its ELECTION cannot be seen, so it is asked for one only if nothing comes of it.
    let goes_on = |stage: &Stage<'_>| stage.got(lower, Kind::Coordinator);
    if stage.wait(5.0, goes_on)? {
        return Ok(());
    }
    stage.send(lower, Outgoing::Election);
    stage.within(
        within(5.0, 25.0),
        "COORDINATOR, for the only greater member is never reached",
        goes_on,
    )
}
