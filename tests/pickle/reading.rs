//! What we make of bytes, in the words of `verdicts` in `pickles.py`.

use bully::Member;
use bully_host::names::{Names, port};
use bully_host::pickle::message::{self, Answer, Due, Keyed, Listed, Received};
use bully_host::pickle::{Limits, Reader, Refused};
use bully_pickle::Storage;

/// What `bytes` are as a request, as an answer to JOIN, and as one to ELECTION.
pub(crate) fn verdicts(bytes: &[u8]) -> [String; 3] {
    read(&[bytes]).map_or_else(|_| refused(), |reader| reading(&reader))
}

pub(crate) fn refused() -> [String; 3] {
    ["Refused"; 3].map(str::to_owned)
}

/// A reader that was given these pieces. A message that does not end counts as refused, as
/// Python does it.
pub(crate) fn read(pieces: &[&[u8]]) -> Result<Reader, Option<Refused>> {
    let mut reader = Reader::new(Limits::default());
    for piece in pieces {
        if reader.push(piece)?.is_some() {
            return Ok(reader);
        }
    }
    Err(None)
}

pub(crate) fn reading<S: Storage>(reader: &bully_pickle::Reader<S>) -> [String; 3] {
    let mut names = Names::new();
    let mut members = Vec::new();
    let parsed = message::request(reader, &mut names, &mut members);
    let request = match parsed {
        Received::Join(member) => format!("JOIN {}", show_member(&member, &names)),
        Received::Election(listed) => format!("ELECTION {}", show(listed, &members, &names)),
        Received::Coordinator(listed) => format!("COORDINATOR {}", show(listed, &members, &names)),
        Received::Probe(listed) => format!("PROBE {}", show(listed, &members, &names)),
        Received::Unfit(refusal) => format!("{refusal:?}"),
    };
    let [members, ok] = [Due::Members, Due::Ok].map(|due| {
        let mut members = vec![];
        match message::answer(reader, due, &mut names, &mut members) {
            Answer::Ok(listed) => format!("OK {}", show(listed, &members, &names)),
            Answer::Members(listed) => format!("Members {}", show(listed, &members, &names)),
            Answer::Text(text) => format!("Text {}", super::python::hex(text.as_bytes())),
            Answer::Unfit => "Unfit".to_owned(),
        }
    });
    [request, members, ok]
}

/// How a list was keyed and who is in it, in the order of the text.
fn show(listed: Listed, members: &[Member], names: &Names) -> String {
    let mut shown: Vec<_> = members
        .iter()
        .map(|member| format!(" {}", show_member(member, names)))
        .collect();
    shown.sort();
    let keyed = match listed.keyed {
        Some(Keyed::Address) => "address",
        Some(Keyed::Pid) => "pid",
        None => "-",
    };
    keyed.to_owned() + &shown.concat()
}

fn show_member(member: &Member, names: &Names) -> String {
    let Member { pid, addr } = *member;
    let host = super::python::hex(names.host(addr).as_bytes());
    format!("{},{},{host},{}", pid.days, pid.id, port(addr))
}
