//! Sends COORDINATOR to everyone, though some cannot be reached.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "everyone",
    title: "COORDINATOR reaches every live member, though others refuse or never accept",
    row: "COORDINATOR to everyone",
    points: 5.0,
    extra: None,
    sentence: "If you win an election, you immediately send a COORDINATOR message to everyone.",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower: Vec<usize> = [GONE, LIVE, HANGS, LIVE, GONE, LIVE]
        .into_iter()
        .map(|manner| stage.peer(Rank::Lower, manner))
        .collect::<Result<_, _>>()?;
    let live = [lower[1], lower[3], lower[5]];
    stage.join()?;
    stage.election(live[0])?;
    // When it announces itself is another check's affair.
    stage.within(
        within(5.0, 10.0),
        "COORDINATOR to a lower member",
        |stage| live.iter().any(|peer| stage.got(*peer, Kind::Coordinator)),
    )?;
    stage.within(
        within(1.0, 5.0),
        "COORDINATOR to all three live members after the first got it",
        |stage| live.iter().all(|peer| stage.got(*peer, Kind::Coordinator)),
    )
}
