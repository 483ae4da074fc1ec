//! JSON logs that a command reads: files, or standard input.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bully_view::{Run, Source};

use super::Failure;

/// Reads all of `files`; `-`, or none at all, is standard input.
///
/// # Errors
///
/// Which file cannot be read, and why.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    if files.is_empty() {
        return Ok(vec![read_input()?]);
    }
    files.iter().map(|file| read_file(file)).collect()
}

fn read_file(file: &Path) -> Result<Source, Failure> {
    if file == Path::new("-") {
        return read_input();
    }
    let name = file.display().to_string();
    let source = File::open(file).and_then(|opened| Source::read(&name, BufReader::new(opened)));
    source.map_err(|error| {
        Failure::usage(
            format!("{name} cannot be read: {error}"),
            "give a log that was written with --log json, as in: bully lab --for 5s --log json > FILE",
        )
    })
}

fn read_input() -> Result<Source, Failure> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        return Err(Failure::usage(
            "no log is given",
            "name a file that was written with --log json, or write into a pipe: \
             bully lab --for 5s --log json | bully diagram -o lab.html",
        ));
    }
    Source::read("standard input", input).map_err(|error| Failure::system(&error))
}

/// Puts the run of `sources` together. What its user has to know goes to stderr.
pub(super) fn run(sources: &[Source]) -> Run {
    let run = Run::new(sources);
    for remark in &run.remarks {
        super::remark(&format!("note: {remark}\n"));
    }
    run
}

/// Says that there is nothing to `verb`, and returns the exit status for that.
pub(super) fn nothing(verb: &str) -> ExitCode {
    super::remark(&format!(
        "error: there is nothing to {verb}\n  tip: give logs with messages, of --log json, and a time \
         within the run\n"
    ));
    ExitCode::from(3)
}
