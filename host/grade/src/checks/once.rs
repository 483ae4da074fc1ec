//! Starts no second election while one is going on.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "once",
    title: "asked five times during an election it answers each time and starts no second one",
    row: "Starts an election on ELECTION",
    points: 2.0,
    extra: None,
    sentence: "If you are currently in an election, that's all you do.",
    seconds: 2,
    judge: Judge::Run(run),
};

/// How long an election lasts at least, with a greater member that answered OK and will announce
/// itself.
const ELECTION: Duration = Duration::from_millis(800);

/// ELECTIONs closer together than this are one round.
const ROUND: Duration = Duration::from_millis(80);

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let greater = stage.peer(Rank::Greater, LIVE)?;
    stage.join()?;
    stage.election(lower)?;
    stage.within(
        within(1.0, 5.0),
        "an ELECTION to the greater member",
        |stage| stage.got(greater, Kind::Election),
    )?;
    let began = stage
        .messages(greater, Kind::Election)
        .next()
        .map_or(Duration::ZERO, |seen| seen.at);

    let mut links = Vec::new();
    for _ in 0..5 {
        stage.pause(0.05)?;
        links.push(stage.send(lower, Outgoing::Election));
    }
    let late = stage.now() > began + ELECTION / 2;
    let left = (began + ELECTION).saturating_sub(stage.now());
    stage.pause(left.as_secs_f64())?;
    let second = stage.seen.iter().position(|seen| {
        seen.to == Party::Peer(greater)
            && seen.kind() == Some(Kind::Election)
            && seen.at > began + ROUND
            && seen.at < began + ELECTION
    });
    // One that has announced itself is in no election any more; that this is wrong is for another
    // check to say.
    let announced = stage.first(Kind::Coordinator).map(|seen| seen.at);
    stage.announce(greater);
    if let Some(at) = second
        && !late
        && announced.is_none_or(|announced| announced > stage.seen[at].at)
    {
        return Err(wrong(
            "no second election during the first",
            format!(
                "a second ELECTION {:.3} s after the first",
                (stage.seen[at].at - began).as_secs_f64()
            ),
            Some(at),
        ));
    }
    stage.within(
        within(1.0, 2.5),
        "an answer to each of five ELECTIONs during its election",
        |stage| links.iter().all(|link| stage.answer(*link).is_some()),
    )
}
