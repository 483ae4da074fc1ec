//! Notices that the leader has failed.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "dead-leader",
    title: "starts an election when the leader does not listen any more",
    row: "Extra credit: PROBE",
    points: 2.0,
    extra: Some(Extra::Probe),
    sentence: "Notice when the current leader has failed and initiate an election.",
    seconds: 5,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let second = stage.peer(Rank::Greater, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    stage.join()?;
    stage.settle(leader)?;
    stage.wait(3.5, |stage| stage.got(leader, Kind::Probe))?;

    stage.phase()?;
    let failed = stage.now();
    stage.close_listener(leader);
    stage.within(
        within(4.5, 8.0),
        "ELECTION or COORDINATOR after the leader has closed its listening socket",
        |stage| {
            stage.got_since(second, Kind::Election, failed)
                || stage.got_since(lower, Kind::Coordinator, failed)
        },
    )
}
