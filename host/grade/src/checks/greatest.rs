//! Declares victory when it is the greatest it knows.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "greatest",
    title: "declares itself the leader when it knows nobody greater",
    row: "Declares victory when it is the highest known pid",
    points: 5.0,
    extra: None,
    sentence: "If you are the highest process id in the group or if none of the higher processes respond within the given time limit, you win the election. If you win an election, you immediately send a COORDINATOR message to everyone.",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peers(4, Rank::Lower, LIVE)?;
    stage.never("no ELECTION, for all members are lower", |_, seen| {
        seen.kind() == Some(Kind::Election)
    });
    stage.join()?;
    stage.election(lower[0])?;
    let everybody =
        |stage: &Stage<'_>| lower.iter().all(|peer| stage.got(*peer, Kind::Coordinator));
    stage.within(
        within(1.5, 5.0),
        "COORDINATOR to all four lower members",
        everybody,
    )?;
    let unreadable = stage.seen.iter().any(|seen| {
        seen.kind() == Some(Kind::Coordinator)
            && seen
                .message()
                .is_some_and(|message| message.members.is_none())
    });
    if unreadable {
        stage.partly("COORDINATOR carries no list of members");
    }
    Ok(())
}
