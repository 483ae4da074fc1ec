//! The pickle reader, and the messages made of what it has read.

use std::collections::BTreeSet;

use bully::{Member, Pid, Request, Roster};
use bully_host::names::Names;
use bully_host::pickle::message::{self, Due, Keyed, Received};
use bully_host::pickle::writer::{self, Forms};
use bully_host::pickle::{Limits, Reader, Refused};
use bully_pickle::{Fixed, Storage};

/// `('PROBE', None)`, as Python writes it.
const PROBE: &[u8] = b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x05PROBE\x94N\x86\x94.";

/// Reads bytes in pieces of this size.
fn read<S: Storage>(
    reader: &mut bully_pickle::Reader<S>,
    data: &[u8],
    size: usize,
) -> Result<Option<usize>, Refused> {
    let mut at = 0;
    for piece in data.chunks(size) {
        match reader.push(piece)? {
            Some(end) => return Ok(Some(at + end)),
            None => at += piece.len(),
        }
    }
    Ok(None)
}

/// The reader: the same in one piece and in many, no less strict in fixed storage, and of use again
/// after whatever it has refused.
///
/// # Panics
///
/// If one of these is not so.
pub fn pickle(data: &[u8]) {
    let size = 1 + usize::from(data.first().copied().unwrap_or(0) % 16);
    let mut whole = Reader::new(Limits::default());
    let end = read(&mut whole, data, data.len().max(1));
    let mut pieces = Reader::new(Limits::default());
    assert_eq!(end, read(&mut pieces, data, size), "in pieces of {size}");
    let mut fixed = Box::new(bully_pickle::Reader::<Fixed<64>>::fixed());
    let within = read(&mut fixed, data, size);
    if let Ok(Some(_)) = within {
        assert_eq!(within, end, "fixed storage takes what the heap does not");
        assert_eq!(kind(&fixed), kind(&whole));
    }
    for refused in [end.err(), within.err()].into_iter().flatten() {
        assert!(refused.offset <= data.len(), "{refused:?}");
    }
    whole.clear();
    assert_eq!(whole.push(PROBE), Ok(Some(PROBE.len())), "after clear");
    assert_eq!(kind(&whole), "Probe");
}

/// The name of the request that a reader holds.
fn kind<S: Storage>(reader: &bully_pickle::Reader<S>) -> String {
    let parsed = message::request(reader, &mut Names::new(), &mut Vec::new());
    let text = format!("{parsed:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Requests and answers: whatever was read has a meaning that can be shown, and a list that was
/// understood is the same after it was written and read again.
///
/// # Panics
///
/// If that is not so.
pub fn messages(data: &[u8]) {
    let mut reader = Reader::new(Limits::default());
    let Ok(Some(end)) = reader.push(data) else {
        return;
    };
    let mut names = Names::new();
    let mut members = Vec::new();
    let parsed = message::request(&reader, &mut names, &mut members);
    let shown = match parsed {
        Received::Unfit(refusal) => message::detail(&reader, refusal).to_string(),
        _ => message::describe(&reader).to_string(),
    };
    assert!(shown.len() < 4_096, "{} bytes", shown.len());
    if let Received::Election(_) | Received::Probe(_) | Received::Coordinator(_) = parsed {
        again(&mut members, &mut names);
    }
    for due in [Due::Members, Due::Ok] {
        let mut listed = Vec::new();
        let _ = message::answer(&reader, due, &mut names, &mut listed);
        again(&mut listed, &mut names);
    }
    let _ = message::origin(&data[end..], &mut reader);
}

/// Writes a list and reads it: the same processes are in it.
fn again(members: &mut [Member], names: &mut Names) {
    let roster = Roster::sorted(members);
    let mut out = Vec::new();
    let forms = Forms {
        keyed: Keyed::Pid,
        ..Forms::default()
    };
    writer::request(&mut out, &Request::Election(roster), &forms, names);
    let pids: BTreeSet<Pid> = roster.members().iter().map(|member| member.pid).collect();
    let mut reader = Reader::new(Limits::default());
    let end = reader.push(&out);
    assert!(matches!(end, Ok(Some(_))), "{end:?}: {out:02x?}");
    let mut read = Vec::new();
    let parsed = message::request(&reader, names, &mut read);
    assert!(
        matches!(parsed, Received::Election(_)),
        "{parsed:?}: {out:02x?}"
    );
    assert_eq!(pids, read.iter().map(|member| member.pid).collect());
}
