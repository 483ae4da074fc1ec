//! Starts over when who answered never announces itself.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "restart",
    title: "after an OK it announces nothing, and it starts over when no COORDINATOR comes",
    row: "Re-initiates when no COORDINATOR comes",
    points: 5.0,
    extra: None,
    sentence: "While you are waiting for responses from higher processes, you put yourself into an election-in-progress state.",
    seconds: 4,
    judge: Judge::RunInEachForm(run),
};

/// How long an OK may be on its way until it counts as received.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// Two ELECTIONs further apart than this are two rounds.
const ROUND: Duration = Duration::from_millis(300);

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peers(2, Rank::Lower, LIVE)?;
    let greater = stage.peer(Rank::Greater, LIVE)?;
    stage.never(
        "no COORDINATOR from a program that was sent OK",
        |stage, seen| {
            seen.kind() == Some(Kind::Coordinator)
                && stage.seen.iter().any(|sent_ok| {
                    matches!(sent_ok.what, What::Sent(Kind::Ok))
                        && sent_ok.at + ON_ITS_WAY < seen.at
                })
        },
    );
    stage.join()?;
    stage.election(lower[0])?;
    stage.within(
        within(1.0, 5.0),
        "an ELECTION to the greater member",
        |stage| stage.got(greater, Kind::Election),
    )?;
    stage.within(
        within(5.0, 15.0),
        "a second ELECTION to the greater member, which answered OK and never announced itself",
        |stage| {
            let mut asked = stage.messages(greater, Kind::Election).map(|seen| seen.at);
            asked
                .next()
                .is_some_and(|first| asked.any(|later| later > first + ROUND))
        },
    )
}
