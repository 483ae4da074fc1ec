//! Another process of ours, started for what it measures.

use std::path::Path;
use std::process::{Command, Stdio};

use bully_bench::Trouble;
use serde::Deserialize;

/// Runs `program` with these arguments, and returns what it answers: one value in JSON.
///
/// The answer may borrow its text, a few hundred bytes, which stay for the rest of the run.
///
/// # Errors
///
/// It does not start, or it answers something else: then the first line of its stderr.
pub(super) fn ask<T: Deserialize<'static>>(program: &Path, args: &[&str]) -> Result<T, Trouble> {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Trouble(format!("{}: {error}", program.display())))?;
    serde_json::from_slice(child.stdout.leak()).map_err(|_| {
        let text = String::from_utf8_lossy(&child.stderr);
        let line = text.lines().next().unwrap_or_default();
        Trouble(line.trim_start_matches("error: ").to_owned())
    })
}
