//! Non-blocking send and receive.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "not-blocked-send",
    title: "serves all others while one never reads and one answers late",
    row: "Uses non-blocking socket send and receive",
    points: 5.0,
    extra: None,
    sentence: "Peer sockets must be non-blocking, i.e. you mustn't block waiting for the receipt of the OK when sending an ELECTION message",
    seconds: 1,
    judge: Judge::Run(run),
};

const SOON: Manner = Manner {
    ok: Some(Duration::from_millis(300)),
    ..LIVE
};

const LATE: Manner = Manner {
    ok: Some(Duration::from_secs(5)),
    ..LIVE
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let soon = stage.peer(Rank::Greater, SOON)?;
    let late = stage.peer(Rank::Greater, LATE)?;
    let unread = stage.peer(Rank::Greater, UNREAD)?;
    stage.join()?;
    let is_reached = move |stage: &Stage<'_>| {
        stage
            .seen
            .iter()
            .any(|seen| seen.to == Party::Peer(unread) && matches!(seen.what, What::Connected))
    };
    if !stage.wait(1.0, is_reached)? {
        stage.election(lower)?;
    }
    stage.within(
        within(0.5, 1.5),
        "ELECTION to all greater members, though one never reads and one has not answered yet",
        |stage| {
            [soon, late]
                .iter()
                .all(|peer| stage.got(*peer, Kind::Election))
                && is_reached(stage)
        },
    )?;
    let link = stage.send(lower, Outgoing::Election);
    stage.within(
        within(0.5, 1.5),
        "an answer to an ELECTION from outside while it waits for OK",
        |stage| stage.answer(link).is_some(),
    )
}
