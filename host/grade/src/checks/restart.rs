//! Starts over when who answered never announces itself.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "restart",
    title: "after an OK it announces nothing, and it starts over when no COORDINATOR comes, but only then",
    row: "Re-initiates when no COORDINATOR comes",
    points: 5.0,
    extra: None,
    sentence: "While you are waiting for responses from higher processes, you put yourself into an election-in-progress state. … If you receive a COORDINATOR message, then change your state to not be election-in-progress",
    seconds: 9,
    judge: Judge::RunInEachForm(run),
};

/// How long an OK may be on its way until it counts as received.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// How long after the program's ELECTION the greater member announces itself, in seconds.
const BEFORE_IT_LEADS: f64 = 0.3;

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
    )?;
    ends_when_announced(stage, greater)
}

/// The greater member announces itself now, and again when the program elects all the same: one
/// that starts over as if no COORDINATOR had come is at fault.
///
/// A single election may have another cause, such as the end of a feigned failure. Two in a row,
/// each as long after the one before as without a COORDINATOR, have none, if the program was
/// reached by both.
fn ends_when_announced(stage: &mut Stage<'_>, leader: usize) -> Result<(), Stop> {
    // A program that feigns failure meanwhile shows nothing here.
    stage.tolerates_refusal = true;
    let rounds = |stage: &Stage<'_>| -> Vec<Duration> {
        let mut starts: Vec<Duration> = Vec::new();
        for seen in stage.messages(leader, Kind::Election) {
            if starts.last().is_none_or(|last| seen.at > *last + ROUND) {
                starts.push(seen.at);
            }
        }
        starts
    };
    let first = rounds(stage);
    let [.., before, last] = first.as_slice() else {
        return Ok(());
    };
    let usual = *last - *before;
    let late = (usual / 4).max(Duration::from_millis(400));
    let mut announced = Vec::new();
    for round in 1..=2 {
        stage.pause(BEFORE_IT_LEADS)?;
        announced.push(stage.send(leader, Outgoing::Coordinator));
        let count = first.len() + round;
        let left =
            (*rounds(stage).last().unwrap_or(last) + usual + late).saturating_sub(stage.now());
        let elects = |stage: &Stage<'_>| rounds(stage).len() >= count;
        stage.wait(left.as_secs_f64() / stage.setting.slack, elects)?;
        let is_reached = announced.iter().all(|link| !stage.links[*link].refused);
        let starts = rounds(stage);
        let Some([before, now]) = starts.last_chunk() else {
            return Ok(());
        };
        let gap = *now - *before;
        if starts.len() != count || gap.abs_diff(usual) > late || !is_reached {
            return Ok(());
        }
    }
    let at = stage
        .seen
        .iter()
        .rposition(|seen| seen.to == Party::Peer(leader) && seen.kind() == Some(Kind::Election));
    Err(wrong(
        "COORDINATOR ends the election: no other one is started without a cause",
        format!(
            "after each of two COORDINATORs another election, {:.1} s after the one before, as \
             without them",
            usual.as_secs_f64()
        ),
        at,
    ))
}
