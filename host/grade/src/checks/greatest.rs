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

const LIMITS: Limits = within(1.5, 5.0);

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peers(4, Rank::Lower, LIVE)?;
    stage.never("no ELECTION, for all members are lower", |_, seen| {
        seen.kind() == Some(Kind::Election)
    });
    stage.join()?;
    const EXPECTED: &str = "COORDINATOR to all four lower members";
    let told_since = |stage: &Stage<'_>, since| {
        let announced = |peer: &usize| stage.got_since(*peer, Kind::Coordinator, since);
        lower.iter().all(announced)
    };
    if !stage.wait(LIMITS.fail, |stage| told_since(stage, Duration::ZERO))? {
        // One that starts no election by itself is asked for two: the first COORDINATOR might be
        // that of a start which took too long.
        for _ in 0..2 {
            let asked = stage.now();
            stage.send(lower[0], Outgoing::Election);
            stage.within(LIMITS, EXPECTED, |stage| told_since(stage, asked))?;
            stage.pause(0.6)?;
        }
        stage.note("it announces itself only after an ELECTION from a lower member");
    }
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
