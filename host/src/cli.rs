//! The command line: what is asked for, what comes of it, and the exit code.

use core::time::Duration;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::ask::Ask;
#[cfg(unix)]
use crate::commands::grade;
use crate::commands::{
    Failure, ask, bench, completions, diagram, explain, gateway, gcd, lab, node, replay, sim, top,
};

/// Leader election in a lab group: the bully algorithm over pickled messages
///
/// Programs of the lab, in Python or any other language, find each other through a group coordinator
/// (GCD) and elect the greatest of them: the one with the most days to the next birthday or, if these
/// are equal, with the greatest student number (SU ID).
#[derive(Debug, Parser)]
#[command(name = "bully", bin_name = "bully", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bully lab --for 5s                          watch five members elect, all in this process
  bully sim --members 20 --crash leader@5s    simulate twenty, and the end of their leader
  bully diagram group.jsonl -o group.html     draw a run from its log
  bully replay member.byr                     repeat a run of a member started with --record
  bully bench --quick                         measure what it costs, in half a minute
  bully gcd                                   start a group coordinator on port 23600
  bully node localhost 23600 1234567 04-01    join its group, in another shell
  bully grade -- python3 lab2.py {gcd_host} {gcd_port} {su_id} {birthday}
                                              grade a program of the lab
  bully gateway --link /dev/ttyACM0 --gcd localhost 23600
                                              let a chip on a serial line join it

The log goes to stderr as text, or with --log json to stdout, one object a line.
Exit status: 0 done, 1 failed, 2 wrong usage; some commands have more, see their help.";

#[derive(Debug, Subcommand)]
enum Command {
    Node(node::Args),
    Gcd(gcd::Args),
    Lab(lab::Args),
    Sim(Box<sim::Args>),
    Diagram(diagram::Args),
    Replay(replay::Args),
    Explain(explain::Args),
    Top(top::Args),
    #[command(after_help = ask::STATUS)]
    Status(ask::Args),
    /// List the members in a running member's table
    #[command(after_help = ask::MEMBERS)]
    Members(ask::Args),
    /// Follow what happens to a running member
    #[command(after_help = ask::MONITOR)]
    Monitor(ask::Args),
    /// Stop a running program as Ctrl-C does: a leader announces the next one first
    #[command(after_help = ask::RESIGN)]
    Resign(ask::Args),
    Gateway(gateway::Args),
    #[cfg(unix)]
    Grade(Box<grade::Args>),
    Bench(bench::Args),
    Completions(completions::Completions),
    Man(completions::Man),
    #[cfg(unix)]
    GradeKeeper(grade::Keeper),
}

/// Runs the program: reads the arguments of this process, does what they ask for, and returns what
/// the process is to exit with, 0 for done, 1 for failed, 2 for wrong usage.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Without a reader there is nobody to report to.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match &cli.command {
        #[cfg(unix)]
        Command::Grade(args) => return exit(grade::run(args)),
        #[cfg(unix)]
        Command::GradeKeeper(args) => return exit(grade::keep(args)),
        Command::Diagram(args) => return exit(diagram::run(args)),
        Command::Replay(args) => return exit(replay::run(args)),
        Command::Explain(args) => return exit(explain::run(args)),
        Command::Status(args) => return exit(ask::run(args, Ask::Status)),
        Command::Members(args) => return exit(ask::run(args, Ask::Members)),
        Command::Monitor(args) => return exit(ask::run(args, Ask::Monitor)),
        Command::Resign(args) => return exit(ask::run(args, Ask::Resign)),
        Command::Top(args) => top::run(args),
        Command::Node(args) => node::run(args),
        Command::Gcd(args) => gcd::run(args),
        Command::Lab(args) => lab::run(args),
        Command::Sim(args) => sim::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => completions::completions(args, Cli::command()),
        Command::Man(args) => completions::man(args, Cli::command()),
    };
    exit(outcome.map(|()| ExitCode::SUCCESS))
}

/// Says what went wrong, if anything did, and returns what the process is to exit with.
fn exit(outcome: Result<ExitCode, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(Failure { what, tip, usage }) => {
            report(format!("error: {what}\n  tip: {tip}\n"));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Writes why a command failed. A reader who stalls does not keep the process from ending.
fn report(text: String) {
    let (done, written) = mpsc::channel();
    let write = move || {
        // Without a reader there is nobody to report to.
        let _ = std::io::stderr().write_all(text.as_bytes());
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = written.recv_timeout(READER_WITHIN);
    }
}

/// How long whoever reads stderr may take for the reason of a failure.
const READER_WITHIN: Duration = Duration::from_millis(300);
