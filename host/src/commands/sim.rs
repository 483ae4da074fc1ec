//! `bully sim`: groups that never touch a socket, in virtual time, from a seed.

mod runs;
mod wire;
mod words;

use core::fmt::Write as _;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Instant;

use clap::ValueEnum;

use self::runs::{Next, Runs};
use self::wire::Wire;
use super::node::Mode;
use super::output::Output;
use super::{Failure, drawn_seed, duration, remark, seed};
use crate::log::Progress;
use bully_sim::{
    CAPACITIES, CSV_HEADING, Crash, Delay, Partition, Run, Scenario, Summary, Who, run as simulate,
    text_heading,
};

/// Simulate a group: the same members on a network of its own, in no time
///
/// Runs the members of `bully node` in virtual time, on a network in memory that delays and loses
/// what it is told to. Checks after every step what must always hold, and in the end whether all
/// agree. The same seed gives the same run and the same bytes on stdout, but for what is named
/// wall. Members are numbered 1 to N from the least to the greatest; member K has the id
/// 1000000 + K.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many members, 1 to 4096
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=4096))]
    members: u16,

    /// How many members a table can hold: 4, 8, 16, 64, 256, 1024 or 4096 [default: all]
    #[arg(long, value_name = "C", value_parser = super::capacity::capacity, allow_negative_numbers = true)]
    capacity: Option<usize>,

    /// In which order the members come
    #[arg(long, value_name = "ORDER", default_value = "together")]
    start: words::Order,

    /// Who fails, and when: leader@5s, 3@5s, or 3@5s..8s to come back at 8 s; may be repeated
    #[arg(long, value_name = "WHO@TIME[..TIME]", value_parser = words::crash)]
    crash: Vec<Crash>,

    /// How long messages take: const:1ms, uniform:0.5ms..1.5ms, exp:1ms (1 ms on average)
    #[arg(long, value_name = "LAW:TIME", default_value = "uniform:0.5ms..1.5ms", value_parser = words::delay)]
    delay: Delay,

    /// The share of messages and answers that are lost, 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = words::share, allow_negative_numbers = true)]
    loss: f64,

    /// Parts members up to A from those from B on, B = A + 1: '2|3@5s..9s'; may be repeated
    ///
    /// What they send each other in that time is lost without a word. The coordinator is with the
    /// lesser ones. The quotes are for the shell.
    #[arg(long, value_name = "A|B@FROM..TO", value_parser = words::partition)]
    partition: Vec<Partition>,

    /// Members play dead now and then: refuse connections, or ignore them [default: never]
    ///
    /// Each fails 0 to 10 s after its start or last recovery, for 1 to 4 s.
    #[arg(long, value_name = "HOW")]
    feign: Option<Mode>,

    /// Follow the assignment to the letter, without the rules that prevent message storms
    #[arg(long)]
    strict: bool,

    /// Virtual time to simulate: 5s, 2m, 1h [default: 10 s after the last that is planned]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Seed of everything random [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,

    /// Many runs, with the seeds from A to B: 1..15; all cores take part
    #[arg(long, value_name = "A..B", value_parser = words::seeds, conflicts_with = "seed")]
    seeds: Option<RangeInclusive<u64>>,

    /// Cut a run off that has sent more messages than this
    #[arg(long, value_name = "N", default_value_t = Scenario::default().messages_max)]
    messages_max: u64,

    /// Form of the report: a row for each seed and a summary, or a line for each seed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,

    /// Tell everything that happens in one run: when, to which member, what
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
}

const EXAMPLES: &str = "\
Examples:
  bully sim --crash leader@5s --trace        five members lose their leader
  bully sim --members 1000 --start shuffled  a thousand come in any order
  bully sim --members 20 --start lowest-joins --strict --seeds 1..15 --format json
  bully sim --partition '2|3@5s..9s'         two leaders, and what becomes of them

Exit status: 0 if in every run all that must hold did, and at its end every member that is up names
the greatest member that is up; 1 if not, 2 for wrong usage.";

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned rows for people
    Text,
    /// One object a line
    Json,
    /// A heading, and one line each
    Csv,
}

/// The least room that a table has unless asked for less: real ones have more, and only at this
/// size has a member the exchanges that a storm takes.
const CAPACITY_MIN: usize = 64;

/// How much longer than the last thing planned a run lasts: an election on a member gone silent
/// takes 4 s, and a member that missed its outcome asks within 3 s more.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// Runs the simulations and reports.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let scenario = args.scenario()?;
    if args.trace && args.format != Format::Text {
        return Err(Failure::usage(
            "--trace is text, and does not go with another --format",
            "leave out one of them",
        ));
    }
    let seeds = args.seeds.clone().unwrap_or_else(|| {
        let seed = args.seed.unwrap_or_else(drawn_seed);
        seed..=seed
    });
    let started = Instant::now();
    let mut report = Report {
        format: args.format,
        output: Output::default(),
        summary: Summary::default(),
    };
    report.open(&seeds);
    if args.trace {
        report.add(&traced(&scenario, *seeds.start()));
    } else {
        let count = (seeds.end() - seeds.start()).saturating_add(1);
        let mut progress = Progress::new(count, "seeds");
        let mut runs = Runs::start(&scenario, seeds);
        while !report.output.ended() {
            match runs.next(progress.again()) {
                Next::Run(run) => {
                    progress.clear();
                    report.add(&run);
                }
                Next::NotYet => {}
                Next::Over => break,
            }
            progress.show(report.summary.runs());
        }
        progress.clear();
    }
    if !report.output.ended() {
        report.close(started.elapsed());
    }
    // If nobody reads any more the process ends, and with it the runs under way; what those before
    // came to counts.
    verdict(&report.summary).and(report.output.close())
}

impl Args {
    fn scenario(&self) -> Result<Scenario, Failure> {
        let members = usize::from(self.members);
        let missing = |number: usize| {
            Failure::usage(
                format!("there is no member {number}: they are 1 to {members}"),
                format!("choose one of them, or start more: --members {number}"),
            )
        };
        for crash in &self.crash {
            match crash.who {
                Who::Number(number) if number > members => return Err(missing(number)),
                _ => {}
            }
        }
        for partition in &self.partition {
            if partition.below > members {
                return Err(missing(partition.below));
            }
        }
        let fits = |capacity: &usize| *capacity >= members.max(CAPACITY_MIN);
        let mut scenario = Scenario {
            members,
            // The greatest has room for everyone the command line allows.
            capacity: self
                .capacity
                .or_else(|| CAPACITIES.into_iter().find(fits))
                .unwrap_or(members),
            start: self.start.start(),
            crashes: self.crash.clone(),
            delay: self.delay,
            loss: self.loss,
            partitions: self.partition.clone(),
            feign: self.feign.map(|mode| mode.feign().mode),
            strict: self.strict,
            messages_max: self.messages_max,
            ..Scenario::default()
        };
        let afterwards = || scenario.planned_until() + AFTERWARDS;
        scenario.duration = self.limit.unwrap_or_else(afterwards);
        Ok(scenario)
    }
}

/// The report as it grows. stdout has what the seed determines, stderr what the clock does.
struct Report {
    format: Format,
    output: Output,
    summary: Summary,
}

impl Report {
    fn open(&mut self, seeds: &RangeInclusive<u64>) {
        let (first, last) = (seeds.start(), seeds.end());
        let seeds = if first == last {
            format!("seed {first} (repeat with --seed {first})\n")
        } else {
            format!("seeds {first}..{last}\n")
        };
        match self.format {
            Format::Text => self.write(&seeds),
            Format::Json => remark(&seeds),
            Format::Csv => {
                remark(&seeds);
                self.write(&format!("{CSV_HEADING}\n"));
            }
        }
    }

    fn add(&mut self, run: &Run) {
        let mut line = match self.format {
            // After a trace too: the heading belongs right above the rows.
            Format::Text if self.summary.runs() == 0 => text_heading() + "\n" + &run.text(),
            Format::Text => run.text(),
            Format::Json => run.json(),
            Format::Csv => run.csv(),
        };
        line.push('\n');
        self.write(&line);
        self.summary.add(run);
    }

    fn close(&mut self, wall: Duration) {
        if self.format == Format::Text {
            let text = self.summary.text();
            self.write(&text);
        }
        let simulated = self.summary.simulated().as_secs_f64();
        let cores = self.summary.wall().as_secs_f64();
        let rate = simulated / cores.max(1e-6);
        remark(&format!(
            "simulated {simulated:.0} s in {:.1} s: {rate:.0} s a second on each core\n",
            wall.as_secs_f64()
        ));
    }

    fn write(&mut self, text: &str) {
        self.output.write(text);
    }
}

/// Runs one seed and tells everything that happens in it.
fn traced(scenario: &Scenario, seed: u64) -> Run {
    let scenario = Scenario {
        seed,
        ..scenario.clone()
    };
    let wire = Wire::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    // A reader who leaves is noticed when the row is written.
    let _ = writeln!(out, "{:>12}  {:>6}  what", "time / s", "member");
    let mut tell = |at: bully::Instant, member: usize, what: &str| {
        let at = at.as_micros() as f64 / 1e6;
        let _ = match member {
            0 => writeln!(out, "{at:>12.6}  {:>6}  {what}", "GCD"),
            _ => writeln!(out, "{at:>12.6}  {member:>6}  {what}"),
        };
    };
    let started = Instant::now();
    let measure = |name: &str, members: &[bully::Member]| wire.bytes(name, members);
    let result = simulate(&scenario, &measure, Some(&mut tell));
    Run {
        seed,
        result,
        wall: started.elapsed(),
    }
}

/// What is to be said of the runs that were not as they should be.
fn verdict(summary: &Summary) -> Result<(), Failure> {
    let Some((first, _)) = summary.bad().first() else {
        return Ok(());
    };
    let mut what = String::new();
    for (seed, invariant) in summary.bad() {
        let gap = if what.is_empty() { "" } else { "\n       " };
        // Writing to a string cannot fail.
        let _ = match invariant {
            Some(invariant) => write!(what, "{gap}seed {seed} breaks \"{invariant}\""),
            None => write!(what, "{gap}seed {seed} ends without agreement"),
        };
    }
    let more = summary.runs() - summary.agreed() - summary.bad().len() as u64;
    if more > 0 {
        let _ = write!(what, "\n       and {more} more");
    }
    let repeat = repeat(std::env::args_os().skip(1), *first);
    let tip = if summary.cut() > 0 {
        format!("a run that was cut off goes further with --messages-max; to watch it: {repeat}")
    } else {
        format!("to watch it: {repeat}")
    };
    Err(Failure::new(what, tip))
}

/// The command line that shows one seed of what `args` asked for.
fn repeat(args: impl Iterator<Item = OsString>, seed: u64) -> String {
    let mut command = "bully".to_owned();
    let mut skip = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        if core::mem::take(&mut skip) || arg == "--trace" {
            continue;
        }
        let (flag, value) = arg
            .split_once('=')
            .map_or((&*arg, None), |(flag, value)| (flag, Some(value)));
        if ["--seed", "--seeds", "--format"].contains(&flag) {
            skip = value.is_none();
            continue;
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=.:@".contains(letter);
        let quote = if arg.chars().all(plain) { "" } else { "'" };
        let _ = write!(command, " {quote}{arg}{quote}");
    }
    format!("{command} --seed {seed} --trace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_repeats_a_run_differs_in_its_seed_only() {
        for (args, expected) in [
            (
                &[
                    "sim",
                    "--members",
                    "20",
                    "--seeds",
                    "1..15",
                    "--format",
                    "json",
                    "--strict",
                ][..],
                "bully sim --members 20 --strict --seed 7 --trace",
            ),
            (
                &[
                    "sim",
                    "--seeds=1..15",
                    "--partition",
                    "2|3@1s..2s",
                    "--format=csv",
                ],
                "bully sim --partition '2|3@1s..2s' --seed 7 --trace",
            ),
            (
                &["sim", "--seed", "7", "--trace"],
                "bully sim --seed 7 --trace",
            ),
        ] {
            let args = args.iter().map(OsString::from);
            assert_eq!(repeat(args, 7), expected);
        }
    }
}
