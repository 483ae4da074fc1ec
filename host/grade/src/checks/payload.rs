//! ELECTION carries the list of all members.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "payload",
    title: "ELECTION carries all members, itself included, as the answer to JOIN did",
    row: "Updates members from every payload",
    points: 2.0,
    extra: None,
    sentence: "The ELECTION message is a list of all the current (alive or failed) group members, including yourself. This is the same format as the list returned from the JOIN message.",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    const EXPECTED: &str = "('ELECTION', members), a dict of everybody in the answer to JOIN";
    let lower = stage.peers(2, Rank::Lower, LIVE)?;
    stage.peers(3, Rank::Greater, LEADS)?;
    stage.join()?;
    stage.election(lower[0])?;
    let is_election = |seen: &crate::seen::Seen| seen.kind() == Some(Kind::Election);
    stage.within(
        within(1.0, 5.0),
        "an ELECTION to a greater member",
        |stage| stage.seen.iter().any(is_election),
    )?;

    let at = stage.seen.iter().position(is_election);
    let election = at.and_then(|at| stage.seen[at].message()).cloned();
    let Some(election) = election else {
        return Err(Stop::Undecided("the ELECTION is gone".into()));
    };
    let Some(members) = election.members else {
        let seen = if election.bare {
            format!("the name alone, {}", election.text)
        } else {
            election.text
        };
        return Err(wrong(EXPECTED, seen, at));
    };
    let me = stage.program().map(|program| program.pid);
    let all = stage.roster();
    let is_listed = |wanted: &crate::wire::Entry| {
        let found = members.iter().find(|member| member.pid == wanted.pid);
        found.is_some_and(|member| member.port == wanted.port)
    };
    let missing: Vec<String> = all
        .iter()
        .filter(|wanted| Some(wanted.pid) != me && !is_listed(wanted))
        .map(|wanted| format!("({}, {})", wanted.pid.days, wanted.pid.id))
        .collect();
    if !missing.is_empty() {
        let seen = format!("without {}: {}", missing.join(", "), election.text);
        return Err(wrong(EXPECTED, seen, at));
    }
    if !all.iter().all(is_listed) {
        stage.partly("the list does not include the program itself");
    }
    if election
        .keyed
        .is_some_and(|keyed| keyed != stage.setting.dialect.keyed)
    {
        stage.partly("the list is keyed otherwise than the answer to JOIN");
    }
    Ok(())
}
