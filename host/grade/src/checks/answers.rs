//! Answers ELECTION with OK and starts an election of its own.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "answers",
    title: "answers ELECTION with OK at once and starts an election of its own",
    row: "Starts an election on ELECTION",
    points: 3.0,
    extra: None,
    sentence: "then you respond with the text OK. If you are currently in an election, that's all you do. If you aren't in an election, then proceed as though you are initiating a new election.",
    seconds: 2,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    stage.join()?;
    stage.settle(leader)?;

    stage.phase()?;
    let asked = stage.now();
    let link = stage.send(lower, Outgoing::Election);
    stage.within(within(1.0, 2.5), "OK in answer to an ELECTION", |stage| {
        stage.answer(link).is_some()
    })?;
    let is_ok = stage
        .answer(link)
        .and_then(crate::seen::Seen::message)
        .map(|message| (message.kind == Kind::Ok, message.text.clone()));
    if let Some((false, text)) = is_ok {
        let at = stage.seen.iter().position(|seen| {
            seen.link == Some(link) && seen.from == Party::Program && seen.message().is_some()
        });
        return Err(wrong("OK: 'OK', ('OK', None) or ('OK', members)", text, at));
    }
    stage.within(
        within(1.0, 5.0),
        "an election of its own after the OK: an ELECTION to the greater member",
        |stage| stage.got_since(leader, Kind::Election, asked),
    )
}
