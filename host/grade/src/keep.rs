//! What a run leaves in the folder of `--keep`: the program's outputs and every message.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

use crate::seen::{What, rounded};
use crate::stage::Stage;

/// Writes `FOLDER/ID-NUMBER/{stdout.txt,stderr.txt,wire.jsonl}`.
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
    wire.flush()
}
