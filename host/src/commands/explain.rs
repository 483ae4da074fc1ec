//! `bully explain`: a run in sentences.

use std::path::PathBuf;
use std::process::ExitCode;

use bully_view::{Wanted, explain};

use super::output::Output;
use super::{Failure, diagram, logs};

/// Explain a run in sentences: who started an election and why, who answered, who won and why
///
/// Reads what bully diagram reads. Each step has the assignment's sentence for it, where it comes first
/// in full and later by its number.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Logs of the run; without any, or with -, standard input
    files: Vec<PathBuf>,

    /// Leave out what is earlier: 5s, 500ms, 1.25, since the start
    #[arg(long, value_name = "TIME", value_parser = diagram::moment)]
    from: Option<i64>,

    /// Leave out what is later
    #[arg(long, value_name = "TIME", value_parser = diagram::moment)]
    until: Option<i64>,
}

const EXAMPLES: &str = "\
Examples:
  bully lab --for 5s --log json | bully explain
  bully sim --crash leader@5s --trace --format json | bully explain --from 4.9s

Exit status: 0 explained, 1 explained, but the logs contradict each other, 2 wrong usage,
3 there is nothing to explain.";

/// Writes what happened.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let run = logs::run(&logs::read(&args.files)?);
    let selection = Wanted {
        from: args.from,
        until: args.until,
        messages_max: usize::MAX,
        lanes_max: usize::MAX,
        ..Wanted::default()
    }
    .select(&run);
    if selection.points.is_empty() {
        return Ok(logs::nothing("explain"));
    }
    let mut out = Output::default();
    out.write(&explain(&run, &selection));
    out.close()?;
    Ok(ExitCode::from(u8::from(run.is_inconsistent)))
}
