//! Sends ELECTION to all greater members, and to nobody else.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "only-greater",
    title: "sends ELECTION to every greater member and to no lower one; equal days are decided by the id",
    row: "ELECTION to all greater",
    points: 5.0,
    extra: None,
    sentence: "The ELECTION message is sent to each member with a higher process id than your own.",
    seconds: 2,
    judge: Judge::Run(run),
};

/// Late enough for a program that turns from one member to the next to have asked all before it
/// learns that somebody is there.
const LATE: Manner = Manner {
    ok: Some(Duration::from_millis(300)),
    ..LEADS
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peers(2, Rank::Lower, LIVE)?;
    let lower_by_id = stage.peer(Rank::TieLower, LIVE)?;
    let greater_by_id = stage.peer(Rank::TieGreater, LATE)?;
    let greater = stage.peers(3, Rank::Greater, LATE)?;
    stage.never("no ELECTION to a lower member", move |stage, seen| {
        seen.kind() == Some(Kind::Election)
            && matches!(seen.to, Party::Peer(peer) if stage.peers[peer].rank == Rank::Lower)
    });
    stage.join()?;
    stage.election(lower[0])?;

    stage.within(
        within(1.0, 5.0),
        "an ELECTION to each of the three greater members",
        |stage| greater.iter().all(|peer| stage.got(*peer, Kind::Election)),
    )?;
    if !stage.wait(1.0, |stage| stage.got(greater_by_id, Kind::Election))? {
        stage.partly("a member with as many days and a greater id got no ELECTION");
    }
    // What must not come would have come by now.
    stage.pause(0.4)?;
    if stage.got(lower_by_id, Kind::Election) {
        stage.partly("a member with as many days and a lower id got an ELECTION");
    }
    Ok(())
}
