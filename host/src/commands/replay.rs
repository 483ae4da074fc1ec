//! `bully replay`: what a recorded node did, again.

mod scenario;

use core::fmt::Write as _;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bully::record::Inspected;
use bully::{Instant, Phase};
use bully_record::{Problem, Recording, Replay};
use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::output::Output;
use super::{Failure, remark};
use crate::log::{Repeated, host_port, pid_text};

/// Repeat a recorded member's run with the same code
///
/// FILE is what --record of node, lab, sim and gateway writes. The member receives again what it received
/// then, and what it does is compared with the recording. The lines of several members are sorted by
/// time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings; if one has a second file that ends in .old, name that one first
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Form of the lines
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,

    /// Write routine messages too, with --format text: PROBEs that are answered
    #[arg(long)]
    verbose: bool,

    /// Print only whether the members do what is recorded
    #[arg(long, conflicts_with_all = ["from", "to", "until", "state", "verbose"])]
    verify: bool,

    /// Write only lines from this time on: seconds since the member started, as in 14.2, 500ms or 2m
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Duration>,

    /// Write only lines up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Duration>,

    /// End with the first event of this name, as in --format json: leader, election, failed, ...
    #[arg(long, value_name = "EVENT", value_parser = event)]
    until: Option<String>,

    /// Print the recordings of a group as a scenario of the simulator, for a test: who was there from
    /// when to when, who feigned failures, and how long messages took
    #[arg(long, conflicts_with_all = ["from", "to", "until", "state", "verbose", "verify"])]
    to_scenario: bool,

    /// At the end print the member's state: phase, timers, table, connections
    #[arg(long)]
    state: bool,
}

const EXAMPLES: &str = "\
Examples:
  bully replay member.byr                      what it did
  bully replay --verify *.byr                  does this program do the same?
  bully replay member.byr --until leader_lost --state
                                               what it knew when it lost its leader
  bully replay --to-scenario *.byr > tests/scenarios/ours.txt
                                               a test of what happened; BULLY_REWRITE=1 cargo test
                                               -p bully-tests --test sim adds its trace
  bully replay --format json a.byr b.byr       the events of --log json, of two members

Exit status: 0 if all is as recorded, 1 if a member does something else (the record is named), 2 for
wrong usage, 3 if a recording is truncated, damaged, or of another version.";

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned lines for people
    Text,
    /// One object a line, as of --log json
    Json,
}

/// A recording that cannot be read to its end.
const UNREADABLE: u8 = 3;

/// A member that does something else.
const DIVERGED: u8 = 1;

/// Repeats the recordings. Returns what the process is to exit with.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.to_scenario {
        return to_scenario(args);
    }
    let mut worst = 0;
    let mut lines = Vec::new();
    let mut states = String::new();
    let zone = TimeZone::system();
    for recording in args.recordings()? {
        let outcome = match recording {
            Ok((name, recording)) => args.repeat(&name, recording, &zone, &mut lines, &mut states),
            Err(code) => code,
        };
        // What does something else matters more than what cannot be read.
        worst = match (worst, outcome) {
            (DIVERGED, _) | (_, DIVERGED) => DIVERGED,
            (before, now) => before.max(now),
        };
    }
    // Stable: what one member did stays in its order.
    lines.sort_by_key(|(unix, _)| *unix);
    let mut output = Output::default();
    for (_, line) in lines {
        output.write(&(line + "\n"));
    }
    output.write(&states);
    output.close()?;
    Ok(ExitCode::from(worst))
}

/// A recording and its name, or the exit code in place of one that cannot be read.
type Read = Result<(String, Recording), u8>;

/// Lines with their Unix times.
type Lines = Vec<(i64, String)>;

impl Args {
    /// The recordings, each with a name for messages; what follows an .old file belongs to it. Those
    /// that cannot be read have been reported to the user.
    fn recordings(&self) -> Result<Vec<Read>, Failure> {
        let mut recordings: Vec<Read> = Vec::new();
        for file in &self.files {
            let bytes = std::fs::read(file).map_err(|error| {
                Failure::usage(
                    format!("{} cannot be read: {error}", file.display()),
                    "name files that bully node, lab or sim wrote with --record",
                )
            })?;
            let name = file.display().to_string();
            let recording = match Recording::read(&bytes) {
                Ok(recording) => recording,
                Err(unreadable) => {
                    remark(&format!("{name}: {unreadable}\n"));
                    recordings.push(Err(UNREADABLE));
                    continue;
                }
            };
            match recordings.last_mut() {
                Some(Ok((before, older))) if continues(before, file) => {
                    older.banks.extend(recording.banks);
                }
                _ => recordings.push(Ok((name, recording))),
            }
        }
        Ok(recordings)
    }

    /// Repeats one recording. Returns the exit code.
    fn repeat(
        &self,
        name: &str,
        recording: Recording,
        zone: &TimeZone,
        lines: &mut Lines,
        states: &mut String,
    ) -> u8 {
        let origin = recording.banks.first().map_or(0, |bank| bank.header.origin);
        let outcome = Replay::new(recording).and_then(|replay| {
            let mut repeated = Repeated::new(replay, origin);
            let outcome = self.follow(&mut repeated, zone, lines);
            if self.state {
                state(&repeated, states);
            }
            if self.verify && outcome.is_ok() {
                let ended = repeated.replay().so_far();
                let seconds = ended.at.as_micros() as f64 / 1e6;
                let (who, records) = (pid_text(repeated.who()), ended.records);
                let text =
                    format!("{name}: {who} does as recorded: {records} records, {seconds:.6} s");
                lines.push((0, text));
            }
            outcome
        });
        let Err(problem) = outcome else {
            return 0;
        };
        remark(&format!("{name}: {problem}\n"));
        code(&problem)
    }

    /// Repeats what is asked for.
    fn follow(
        &self,
        repeated: &mut Repeated,
        zone: &TimeZone,
        lines: &mut Lines,
    ) -> Result<(), Problem> {
        let from = Instant::ZERO + self.from.unwrap_or(Duration::ZERO);
        let to = self.to.map(|to| Instant::ZERO + to);
        while let Some(entries) = repeated.step()? {
            for entry in entries {
                if to.is_some_and(|to| entry.at > to) {
                    return Ok(());
                }
                if self.verify || entry.at < from {
                    continue;
                }
                let line = match self.format {
                    Format::Json => Some(entry.json()),
                    Format::Text => entry.text(zone, self.verbose),
                };
                lines.extend(line.map(|line| (entry.unix, line)));
                if self.until.as_deref() == Some(Repeated::name(&entry).as_str()) {
                    return Ok(());
                }
            }
            if to.is_some_and(|to| repeated.replay().so_far().at >= to) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Prints all recordings as one scenario.
fn to_scenario(args: &Args) -> Result<ExitCode, Failure> {
    let mut group = scenario::Group::default();
    let mut worst = 0;
    for recording in args.recordings()? {
        let outcome = match recording {
            Ok((name, recording)) => group.add(recording).map_err(|problem| {
                remark(&format!("{name}: {problem}\n"));
                code(&problem)
            }),
            Err(code) => Err(code),
        };
        worst = worst.max(outcome.err().unwrap_or(0));
    }
    if worst == 0 {
        let mut output = Output::default();
        output.write(&group.text());
        output.close()?;
    }
    Ok(ExitCode::from(worst))
}

/// The exit code for a replay that ended so.
fn code(problem: &Problem) -> u8 {
    match problem {
        Problem::Diverged(_) => DIVERGED,
        _ => UNREADABLE,
    }
}

/// Returns `true` if `file` goes on with what is in the file `before`.
fn continues(before: &str, file: &Path) -> bool {
    let mut old = file.as_os_str().to_owned();
    old.push(".old");
    Path::new(before) == Path::new(&old)
}

/// What is in the member now.
fn state(repeated: &Repeated, text: &mut String) {
    let mut now = Instant::ZERO;
    repeated.replay().node().inspect(&mut |inspected| {
        let written = match inspected {
            Inspected::Now(at) => {
                now = at;
                let seconds = at.as_micros() as f64 / 1e6;
                writeln!(text, "{} at {seconds:.6} s", pid_text(repeated.who()))
            }
            Inspected::Me { me, directory } => {
                let _ = writeln!(text, "  listens at {}", host_port(me.addr));
                directory.map_or(Ok(()), |at| {
                    writeln!(text, "  coordinator at {}", host_port(at))
                })
            }
            Inspected::Phase(phase) => writeln!(text, "  phase: {}", phase_text(phase)),
            Inspected::Contest { greater, lesser } => {
                let (greater, lesser) = (pid_text(greater), pid_text(lesser));
                writeln!(text, "  {greater} leads if it answers, else {lesser}")
            }
            Inspected::Unsent { below, message } => {
                let whom = match below {
                    Some(below) => format!("those below {}", pid_text(below.pid)),
                    None => "all it is for".to_owned(),
                };
                writeln!(text, "  {message} is to be sent to {whom}")
            }
            Inspected::Timer { name, at } => writeln!(text, "  {} {name}", due(now, at)),
            Inspected::Member {
                member,
                liveness,
                trust,
                gone,
            } => {
                let (who, at) = (pid_text(member.pid), host_port(member.addr));
                let gone = if gone { ", was not reached" } else { "" };
                writeln!(text, "  knows {who} at {at}: {trust}, {liveness}{gone}")
            }
            Inspected::Exchange {
                exchange,
                state,
                peer,
                deadline,
            } => {
                let peer = peer.map_or_else(|| "a caller".to_owned(), |peer| pid_text(peer.pid));
                let (number, due) = (exchange.0, due(now, deadline));
                writeln!(
                    text,
                    "  exchange {number} with {peer}: {}, ends {due}",
                    state.name()
                )
            }
            _ => Ok(()),
        };
        // Writing to a string cannot fail.
        let _ = written;
    });
}

/// When that is, seen from `now`.
fn due(now: Instant, at: Instant) -> String {
    let micros = at.as_micros() as f64 - now.as_micros() as f64;
    if micros <= 0.0 {
        "now".to_owned()
    } else {
        format!("in {:.6} s", micros / 1e6)
    }
}

fn phase_text(phase: Phase) -> String {
    match phase {
        Phase::Joining => "joining".to_owned(),
        Phase::Electing => "electing".to_owned(),
        Phase::Waiting => "waiting for COORDINATOR".to_owned(),
        Phase::Failed => "feigning failure".to_owned(),
        Phase::Leading => "leading".to_owned(),
        Phase::Following(leader) => format!("following {}", pid_text(leader)),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Reads a time, which may be 0.
fn time(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => super::duration(text),
    }
}

/// Every event that a member's log can have.
const EVENTS: [&str; 15] = [
    "listening",
    "stopped",
    "unreachable",
    "pid_in_use",
    "joined",
    "rejected",
    "election",
    "waiting",
    "leader",
    "leader_lost",
    "failed",
    "recovered",
    "roster_full",
    "resigned",
    "message",
];

/// Reads the name of an event.
fn event(text: &str) -> Result<String, String> {
    if EVENTS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "there is no such event; there are {}",
        EVENTS.join(", ")
    ))
}
