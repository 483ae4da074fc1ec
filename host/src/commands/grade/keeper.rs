//! `bully grade-keeper`: the process that keeps a graded program in bounds. Not for people.

use std::ffi::OsString;
use std::process::ExitCode;

use bully_grade::keeper::{Bounds, keep, launch};

use crate::commands::Failure;

/// Keep a program in bounds and end it when standard input ends (used by `bully grade`)
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Keeper {
    /// Bytes of memory
    #[arg(long)]
    memory: u64,

    /// Processes at once
    #[arg(long)]
    processes: usize,

    /// Become the program instead of starting it
    #[arg(long)]
    launch: bool,

    /// The program
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Returns when nothing of the program is left.
pub(crate) fn run(args: &Keeper) -> Result<ExitCode, Failure> {
    let bounds = Bounds {
        memory: args.memory,
        processes: args.processes,
    };
    if args.launch {
        return Ok(launch(bounds, &args.command));
    }
    let own = std::env::current_exe().map_err(|error| Failure::system(&error))?;
    let mut words = vec![own.into_os_string()];
    let memory = args.memory.to_string();
    let processes = args.processes.to_string();
    words.extend(
        [
            "grade-keeper",
            "--launch",
            "--memory",
            &memory,
            "--processes",
            &processes,
            "--",
        ]
        .map(OsString::from),
    );
    Ok(keep(bounds, &words, &args.command))
}
