//! Messages as bytes: an ELECTION with so many members, read and written.
//!
//! Reading goes from the bytes to the ascending list that the core takes. It is measured with two
//! messages in turns, which differ in one member, so that nothing learned of the one helps with the
//! other; "decode again" is the same message each time. Members are keyed by address unless the
//! name says otherwise, and then come in another order than that of their keys. Writing goes into a
//! buffer that is there.

use core::hint::black_box;
use std::collections::HashMap;

use bully::{Member, Pid, Request, Roster};

use crate::names::Names;
use crate::pickle::message::{self, Keyed, Received};
use crate::pickle::writer::{self, Forms};
use crate::pickle::{Limits, Reader};
use bully_bench::measure::{Contender, duel, each};
use bully_bench::{Bench, Job, Section, Trouble, cost, members};

pub(super) const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

const CPYTHON: &str = "CPython's pickle";
const SERDE_PICKLE: &str = "serde-pickle";

/// An ELECTION as a program in Rust without this project would have it.
pub(super) type Plain = (String, HashMap<(String, u16), (u32, u32)>);

pub(super) fn jobs() -> Vec<Job> {
    let job = |count| {
        let what = format!("ELECTION of {count} members");
        Job::new(Section::Wire, what, move |bench| run(bench, count))
    };
    COUNTS.into_iter().map(job).collect()
}

/// An ELECTION of these members as we send it.
pub(super) fn election(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, members, Keyed::Address);
    bytes
}

fn write(bytes: &mut Vec<u8>, members: &[Member], keyed: Keyed) {
    let roster = Roster::new(members).unwrap_or(Roster::EMPTY);
    let forms = Forms {
        keyed,
        ..Forms::default()
    };
    writer::request(bytes, &Request::Election(roster), &forms, &Names::new());
}

fn run(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let one = members(count);
    let mut two = one.clone();
    // The id of a member more, with the days of the greatest: the greatest of all.
    if let Some(last) = two.last_mut() {
        let id = 1_000_001 + count as u32;
        last.pid = Pid { id, ..last.pid };
    }
    let messages = [election(&one), election(&two)];
    let plain = |message: &Vec<u8>| {
        serde_pickle::from_slice::<Plain>(message, Default::default())
            .map_err(|error| Trouble(format!("serde-pickle does not read it: {error}")))
    };
    let plains = [plain(&messages[0])?, plain(&messages[1])?];
    if plains[0].1.len() != count {
        return Err(Trouble("serde-pickle reads something else".to_owned()));
    }

    decode(bench, "decode", &messages, count)?;
    decode(bench, "decode again", &messages[..1], count)?;
    let by_pid = [&one, &two].map(|members| {
        let mut bytes = Vec::new();
        write(&mut bytes, members, Keyed::Pid);
        bytes
    });
    decode(bench, "decode keyed by pid", &by_pid, count)?;

    let mut bytes = Vec::new();
    let ours = each(|time| {
        bytes.clear();
        let members = if time % 2 == 0 { &one } else { &two };
        write(&mut bytes, members, Keyed::Address);
        black_box(&bytes);
    });
    let serde = each(|time| {
        black_box(serde_plain(&plains[time as usize % 2]).len());
    });
    let quick = bench.quick;
    let times = match bench.python.as_mut() {
        Some(python) => {
            python.messages(&[&messages[0], &messages[1]])?;
            let python = Box::new(|times| Ok(python.dumps(times)?));
            duel(quick, [ours, serde, python])?
        }
        None => {
            let [ours, serde] = duel(quick, [ours, serde])?;
            [ours, serde, f64::NAN]
        }
    };
    per_member(bench, "encode", count, times);

    let sizes = [
        messages[0].len() as f64,
        serde_plain(&plains[0]).len() as f64,
        match bench.python.as_mut() {
            Some(python) => python.size()? as f64,
            None => f64::NAN,
        },
    ];
    let figure = (Section::Wire, "bytes", count);
    let [ours, serde, python] = sizes.map(|size| size / count as f64);
    let unit = cost("bytes/member");
    if python.is_finite() {
        bench.add(figure, ours, (CPYTHON, python), unit);
    }
    bench.add(figure, ours, (SERDE_PICKLE, serde), unit);
    Ok(())
}

/// Adds what ours, serde-pickle and CPython took for one message; the last may be missing.
fn per_member(bench: &mut Bench, name: &'static str, count: usize, times: [f64; 3]) {
    let [ours, serde, python] = times.map(|nanos| nanos / count as f64);
    let (figure, unit) = ((Section::Wire, name, count), cost("ns/member"));
    if python.is_finite() {
        bench.add(figure, ours, (CPYTHON, python), unit);
    }
    bench.add(figure, ours, (SERDE_PICKLE, serde), unit);
}

/// Reads these messages in turns. serde-pickle reads a value of any form, as ours does: which
/// message it is and how it is keyed is seen only then.
fn decode(
    bench: &mut Bench,
    name: &'static str,
    messages: &[Vec<u8>],
    count: usize,
) -> Result<(), Trouble> {
    let ours = reading(messages, count)?;
    let serde = each(|time| {
        let message = &messages[time as usize % messages.len()];
        black_box(serde_pickle::value_from_slice(message, Default::default()).is_ok());
    });
    let quick = bench.quick;
    let times = match bench.python.as_mut() {
        Some(python) => {
            let lent: Vec<_> = messages.iter().map(Vec::as_slice).collect();
            python.messages(&lent)?;
            let python = Box::new(|times| Ok(python.loads(times)?));
            duel(quick, [ours, serde, python])?
        }
        None => {
            let [ours, serde] = duel(quick, [ours, serde])?;
            [ours, serde, f64::NAN]
        }
    };
    per_member(bench, name, count, times);
    Ok(())
}

fn reading(messages: &[Vec<u8>], count: usize) -> Result<Contender<'_>, Trouble> {
    let mut reader = Reader::new(Limits::default());
    let mut names = Names::new();
    let mut members = Vec::new();
    let mut read = move |message: &[u8]| {
        reader.clear();
        let whole = reader.push(message).is_ok();
        let parsed = message::request(&reader, &mut names, &mut members);
        let roster = Roster::sorted(&mut members);
        let whole = whole && matches!(parsed, Received::Election(_));
        if whole { roster.len() } else { 0 }
    };
    if messages.iter().any(|message| read(message) != count) {
        return Err(Trouble("our own message is not understood".to_owned()));
    }
    Ok(each(move |time| {
        black_box(read(&messages[time as usize % messages.len()]));
    }))
}

/// What serde-pickle writes, in the protocol that ours are in.
pub(super) fn serde_plain(plain: &Plain) -> Vec<u8> {
    let options = serde_pickle::SerOptions::new().proto_v2();
    // Texts, numbers and tuples always can be written.
    serde_pickle::to_vec(plain, options).unwrap_or_default()
}
