//! Takes over members it did not know from every list it gets.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "learns",
    title: "asks members it learnt of from ELECTION and from COORDINATOR",
    row: "Updates members from every payload",
    points: 3.0,
    extra: None,
    sentence: "you update your membership list with any members you didn't already know about … If you receive a COORDINATOR message, then … update your group membership list as necessary.",
    seconds: 3,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    let y = stage.unlisted(Rank::Greater, LIVE)?;
    let x = stage.unlisted(Rank::Greater, LIVE)?;
    stage.join()?;
    stage.settle(leader)?;
    stage.peers[leader].manner = LIVE;

    // An ELECTION whose list names X.
    stage.phase()?;
    let named = stage.now();
    stage.send_naming(lower, Outgoing::Election, &[x]);
    let asked_x = stage.wait(4.0, |stage| stage.got_since(x, Kind::Election, named))?;
    let elected = asked_x || stage.got_since(leader, Kind::Election, named);
    if !elected {
        return Err(Stop::Undecided(
            "an ELECTION from a lower member makes it start no election, so there is none to see \
             whom it asks"
                .into(),
        ));
    }

    // X leads, and its COORDINATOR names Y.
    stage.pause(0.2)?;
    stage.send_naming(x, Outgoing::Coordinator, &[y]);
    stage.pause(0.6)?;

    // The next election asks all of them.
    stage.phase()?;
    let again = stage.now();
    stage.send(lower, Outgoing::Election);
    let asked_y = stage.wait(4.0, |stage| stage.got_since(y, Kind::Election, again))?;
    let elected = asked_y
        || [leader, x]
            .iter()
            .any(|peer| stage.got_since(*peer, Kind::Election, again));
    let expected = "the next election asks the greater members named in ELECTION and COORDINATOR";
    match (asked_x, asked_y, elected) {
        (_, _, false) => Err(wrong(
            "COORDINATOR ends the election in progress, so that the next ELECTION starts a new one",
            "no ELECTION to anybody after it",
            None,
        )),
        (true, true, _) => Ok(()),
        (true, false, _) => {
            stage.partly("a member named in COORDINATOR only was not asked");
            Ok(())
        }
        (false, true, _) => {
            stage.partly("a member named in ELECTION only was not asked");
            Ok(())
        }
        (false, false, _) => Err(wrong(expected, "neither of them was asked", None)),
    }
}
