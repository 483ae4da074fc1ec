//! What a run leaves in the folder of `--keep`: the program's outputs and every message.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use bully::Pid;
use serde_json::{Value, json};

use crate::seen::{Party, Seen, What, rounded};
use crate::stage::Stage;
use crate::wire::Kind;

/// Writes `FOLDER/ID-NUMBER/{stdout.txt,stderr.txt,wire.jsonl,events.jsonl}`.
pub(crate) fn run(folder: &Path, id: &str, number: usize, stage: &Stage<'_>) -> io::Result<()> {
    let folder = folder.join(format!("{id}-{number}"));
    fs::create_dir_all(&folder)?;
    for (at, program) in stage.programs.iter().enumerate() {
        let copy = if at == 0 {
            String::new()
        } else {
            format!("-{}", at + 1)
        };
        let [out, err] = program.outputs();
        fs::write(folder.join(format!("stdout{copy}.txt")), out)?;
        fs::write(folder.join(format!("stderr{copy}.txt")), err)?;
    }
    let mut wire = io::BufWriter::new(fs::File::create(folder.join("wire.jsonl"))?);
    for seen in &stage.seen {
        let bytes = match &seen.what {
            What::Message(_, bytes) | What::Unreadable(_, bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Some(hex)
            }
            _ => None,
        };
        let line = json!({
            "t": rounded(seen.at.as_secs_f64()),
            "from": stage.name(seen.from),
            "to": stage.name(seen.to),
            "connection": seen.link,
            "kind": seen.label(),
            "text": seen.text(),
            "hex": bytes,
        });
        writeln!(wire, "{line}")?;
    }
    wire.flush()?;
    let mut events = io::BufWriter::new(fs::File::create(folder.join("events.jsonl"))?);
    for seen in &stage.seen {
        if let Some(line) = event(stage, seen) {
            writeln!(events, "{line}")?;
        }
    }
    events.flush()
}

/// Returns a message as the log of `bully node` has it, of the end that the grader plays: what reads such
/// logs draws it. `None` for anything else.
fn event(stage: &Stage<'_>, seen: &Seen) -> Option<Value> {
    let (kind, members, bytes, error) = match &seen.what {
        What::Message(message, bytes) => {
            (message.kind, message.members.as_ref(), bytes.len(), None)
        }
        What::Sent(kind) => (*kind, None, 0, None),
        What::Unreadable(_, bytes) => (Kind::Other, None, bytes.len(), Some("malformed")),
        _ => return None,
    };
    let pair = |party: Party| {
        let pid = match party {
            Party::Program => joined(stage),
            Party::Gcd => None,
            Party::Peer(peer) => stage.peers.get(peer)?.pid,
        };
        pid.map(|pid| [pid.days, pid.id])
    };
    let is_sent = seen.to == Party::Program;
    let (own, other) = if is_sent {
        (seen.from, seen.to)
    } else {
        (seen.to, seen.from)
    };
    let t = rounded(seen.at.as_secs_f64());
    let mut line = json!({
        "t": t,
        "time": t,
        "node": pair(own),
        "event": "message",
        "dir": if is_sent { "send" } else { "recv" },
        "kind": match kind {
            Kind::Members => "MEMBERS",
            Kind::Refusal => "REFUSED",
            kind => kind.name(),
        },
        "conn": seen.link,
        "peer": pair(other),
        "members": members.map(Vec::len),
        "bytes": bytes,
    });
    if let (Some(error), Some(line)) = (error, line.as_object_mut()) {
        line.insert("error".to_owned(), error.into());
    }
    Some(line)
}

/// Returns who the program is, by the JOIN that it sent.
fn joined(stage: &Stage<'_>) -> Option<Pid> {
    let joins = stage.seen.iter().filter_map(Seen::message);
    let mut joining = joins.filter_map(|message| message.joining.as_ref());
    joining.next().map(|entry| entry.pid)
}
