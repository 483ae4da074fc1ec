//! Survives what no right program sends.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "hardy",
    title: "survives garbage, halves, pieces, resets and long lists",
    row: "Not in the rubric",
    points: 0.0,
    extra: None,
    sentence: "(not in the assignment: what befalls a program among others that are not right)",
    seconds: 6,
    judge: Judge::Run(run),
};

/// One thing that befalls the program.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Pieces,
    Reset,
    Silent,
    Half,
    Garbage,
    Long,
}

const ALL: [(Trouble, &str); 6] = [
    (Trouble::Pieces, "an ELECTION in two segments"),
    (Trouble::Reset, "an ELECTION followed by a reset"),
    (Trouble::Silent, "a connection closed without a message"),
    (Trouble::Half, "half an ELECTION"),
    (Trouble::Garbage, "bytes that are no pickle"),
    (Trouble::Long, "an ELECTION of more than 1,024 bytes"),
];

/// How often a program may be found without an answer, and back soon after, until that is harm.
const TRIES: usize = 3;

/// How long a program that pretends to fail may be away, with some allowance, in seconds.
const FAILED: f64 = 4.5;

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let mut failed = Vec::new();
    let mut rest = ALL.as_slice();
    let mut tries_left = TRIES - 1;
    while !rest.is_empty() {
        let mut inner = Stage::new(stage.setting)?;
        let lower = inner.peer(Rank::Lower, LIVE)?;
        inner.tolerates_refusal = true;
        let prepared = inner.join().and_then(|()| inner.lead(lower));
        if let Err(stop) = prepared {
            stage.seen.append(&mut inner.seen);
            stage.peers.append(&mut inner.peers);
            return Err(stop);
        }
        while let Some(((trouble, name), others)) = rest.split_first() {
            let harm = befall(&mut inner, lower, *trouble)?;
            if harm.is_some() && tries_left > 0 && is_back(&mut inner, lower)? {
                // It may have pretended to fail just then; so the same is tried again.
                tries_left -= 1;
                continue;
            }
            (rest, tries_left) = (others, TRIES - 1);
            if let Some(harm) = harm {
                failed.push(format!("{name}: {harm}"));
                break;
            }
        }
        // The last one's timeline is the evidence.
        core::mem::swap(&mut stage.seen, &mut inner.seen);
        core::mem::swap(&mut stage.peers, &mut inner.peers);
        core::mem::swap(&mut stage.programs, &mut inner.programs);
    }
    if failed.is_empty() {
        return Ok(());
    }
    stage.partly(failed.join("; "));
    Ok(())
}

/// Lets it happen, and returns what has come of it if that was harm.
fn befall(stage: &mut Stage<'_>, lower: usize, trouble: Trouble) -> Result<Option<String>, Stop> {
    let codec = stage.setting.codec;
    let whole = codec.write(Outgoing::Election, &stage.roster(), stage.setting.dialect);
    let (first, second) = whole.split_at(whole.len() / 2);
    let bytes = match trouble {
        Trouble::Pieces | Trouble::Half => first.to_vec(),
        Trouble::Reset => whole.clone(),
        Trouble::Silent => Vec::new(),
        Trouble::Garbage => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        Trouble::Long => codec.write(
            Outgoing::Election,
            &crowd(stage.roster()),
            stage.setting.dialect,
        ),
    };
    let link = stage.connect(lower, bytes, Kind::Other);
    let answered = match trouble {
        Trouble::Pieces => {
            live_on(stage, 0.15)?;
            stage.links[link].send(second);
            Some(link)
        }
        Trouble::Long => Some(link),
        Trouble::Reset => {
            live_on(stage, 0.02)?;
            stage.links[link].reset();
            None
        }
        Trouble::Silent | Trouble::Half | Trouble::Garbage => {
            live_on(stage, 0.15)?;
            stage.links[link].close();
            None
        }
    };
    live_on(stage, 0.3)?;
    if let Some(link) = answered
        && ends_before(stage, 2.5, |stage| stage.answer(link).is_some())? != Some(true)
    {
        return Ok(Some(fate(stage, "it was not answered")));
    }
    let link = stage.send(lower, Outgoing::Election);
    match ends_before(stage, 2.5, |stage| stage.answer(link).is_some())? {
        Some(true) => Ok(None),
        _ => Ok(Some(fate(stage, "an ELECTION after it was not answered"))),
    }
}

/// Returns `true` if the program answers an ELECTION before the longest failure it may pretend is over.
fn is_back(stage: &mut Stage<'_>, lower: usize) -> Result<bool, Stop> {
    let until = stage.now() + Duration::from_secs_f64(FAILED * stage.setting.slack);
    while stage.now() < until {
        let link = stage.send(lower, Outgoing::Election);
        match ends_before(stage, 0.5, |stage| stage.answer(link).is_some())? {
            Some(true) => return Ok(true),
            Some(false) => {}
            None => return Ok(false),
        }
    }
    Ok(false)
}

fn fate(stage: &Stage<'_>, otherwise: &str) -> String {
    let ended = stage
        .programs
        .iter()
        .find_map(crate::program::Program::ended);
    ended.map_or(otherwise.to_owned(), |how| {
        format!("the program ended {how}")
    })
}

fn live_on(stage: &mut Stage<'_>, seconds: f64) -> Result<(), Stop> {
    ends_before(stage, seconds, |_| false).map(drop)
}

/// Waits for `condition`; `None` if the program has ended or refuses.
fn ends_before(
    stage: &mut Stage<'_>,
    seconds: f64,
    condition: impl Fn(&Stage<'_>) -> bool,
) -> Result<Option<bool>, Stop> {
    match stage.wait(seconds, condition) {
        Ok(held) => Ok(Some(held)),
        Err(Stop::Ended(_) | Stop::Away) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// With sixty lower members more, at addresses where nobody listens.
fn crowd(mut members: Vec<crate::wire::Entry>) -> Vec<crate::wire::Entry> {
    members.extend((1..=60).map(|number| crate::wire::Entry {
        pid: bully::Pid {
            days: 1,
            id: 2_000_000 + number,
        },
        host: format!("127.1.0.{number}"),
        port: 1,
    }));
    members
}
