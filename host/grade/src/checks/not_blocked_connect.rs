//! Non-blocking accept and connect.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "not-blocked-connect",
    title: "serves all others while a connection to one of them neither stands nor fails",
    row: "Uses non-blocking socket accept and connect",
    points: 5.0,
    extra: None,
    sentence: "Uses non-blocking socket accept and connect. Test: will connect to all desired processes that are active even though some or many potential members are unavailable.",
    seconds: 1,
    judge: Judge::Run(run),
};

const SOON: Manner = Manner {
    ok: Some(Duration::from_millis(300)),
    ..LIVE
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let near = stage.peer(Rank::Greater, SOON)?;
    stage.peer(Rank::Greater, HANGS)?;
    let far = stage.peer(Rank::Greater, SOON)?;
    stage.join()?;
    stage.election(lower)?;
    stage.within(
        within(0.5, 1.5),
        "ELECTION to the reachable greater members, though a connection to another hangs",
        |stage| {
            [near, far]
                .iter()
                .all(|peer| stage.got(*peer, Kind::Election))
        },
    )?;
    let link = stage.send(lower, Outgoing::Election);
    stage.within(
        within(0.5, 1.5),
        "an answer to an ELECTION from outside while its own connection hangs",
        |stage| stage.answer(link).is_some(),
    )
}
