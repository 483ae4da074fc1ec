//! `bully sim`: groups that never touch a socket, in virtual time, from a seed.

mod recorded;
mod report;
mod runs;
mod trace;
mod wire;
mod words;

use core::fmt::Write as _;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bully_sim::{
    Attack, BackAs, CAPACITIES, Crash, Cut, Delay, Failure as How, MEMBERS_MAX, Partition, Pause,
    Scenario, Slow, Summary, Who,
};

use self::report::{Format, Report};
use self::runs::{Next, Runs};
use super::node::Mode;
use super::{Failure, diagram, drawn_seed, logs, seed};
use crate::log::Progress;

/// Simulate a group: the same members on a simulated network, in virtual time
///
/// Runs the members of `bully node` in virtual time, on a network in memory that delays and loses
/// messages as the options say. Checks the invariants after every step, and at the end whether all
/// members agree. The same seed gives the same run and the same bytes on stdout, except for fields
/// named wall_.... Members are numbered 1 to N from the least to the greatest; member K has the id
/// 1000000 + K.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many members, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=MEMBERS_MAX as i64))]
    members: u32,

    /// How many members a table can hold: 4, 8, 16, 64, 256, 1024 or 4096 [default: all]
    ///
    /// With several sizes, as in 8,64,4096, each member draws one.
    #[arg(long, value_name = "C[,C]", value_parser = words::capacities, allow_negative_numbers = true)]
    capacity: Option<Capacities>,

    /// In which order the members start
    #[arg(long, value_name = "ORDER", default_value = "together")]
    start: words::Order,

    /// Who crashes, and when: leader@5s, 3@5s, or 3@5s..8s to come back at 8 s; may be repeated
    ///
    /// Its connections break, and its host refuses new ones. gcd is the coordinator, which forgets
    /// all members; 10% draws that share of the members that are up.
    #[arg(long, value_name = "WHO@TIME[..TIME]", value_parser = words::crash)]
    crash: Vec<Crash>,

    /// Whose host vanishes, written as for --crash: nothing comes back from it any more
    #[arg(long, value_name = "WHO@TIME[..TIME]", value_parser = words::crash)]
    vanish: Vec<Crash>,

    /// How crashed members come back: unchanged, with the next day's days, or at another address
    #[arg(long, value_name = "HOW", default_value = "before")]
    back_as: words::Back,

    /// Whose process is stopped (as by SIGSTOP) and continued: leader@5s..9s; may be repeated
    ///
    /// Its host accepts connections for it meanwhile.
    #[arg(long, value_name = "WHO@TIME..TIME", value_parser = words::pause)]
    pause: Vec<Pause>,

    /// How long messages take: const:1ms, uniform:0.5ms..1.5ms, exp:1ms (1 ms on average)
    #[arg(long, value_name = "LAW:TIME", default_value = "uniform:0.5ms..1.5ms", value_parser = words::delay)]
    delay: Delay,

    /// Whose messages and answers take longer: 3:200ms, or 5%:200ms for 5 % of the members; may be repeated
    #[arg(long, value_name = "WHO:TIME", value_parser = words::slow)]
    slow: Vec<Slow>,

    /// The share of messages and answers that are lost, 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = words::share, allow_negative_numbers = true)]
    loss: f64,

    /// The share of packets that are lost and sent again, as TCP does, 0 to 1
    ///
    /// Messages come 0.2 s later or more, and at the start of a connection 1 s or more.
    #[arg(long, value_name = "P", default_value = "0", value_parser = words::share, allow_negative_numbers = true)]
    packet_loss: f64,

    /// Separates members 1 to A from the others (B = A + 1): '2|3@5s..9s'; may be repeated
    ///
    /// Messages between the two parts are lost silently. The coordinator is with the lesser members, or,
    /// as in '2|3+gcd@5s..9s', with the greater ones. The quotes are for the shell.
    #[arg(long, value_name = "A|B@FROM..TO", value_parser = words::partition)]
    partition: Vec<Partition>,

    /// Cuts one link: 2-3@5s..9s, or '2>3@5s..9s' if only what 2 sends is lost; may be repeated
    #[arg(long, value_name = "A-B@FROM..TO", value_parser = words::cut)]
    cut: Vec<Cut>,

    /// An attacker forges N greater members at addresses of kind WHERE: 1000@5s..9s:refusing
    ///
    /// Every 5 s it sends all members a list of these in ELECTION and COORDINATOR. The addresses are
    /// refusing (nothing listens), silent (no host), answering (the attacker's) or real (members').
    #[arg(long, value_name = "N@FROM..TO:WHERE", value_parser = words::attack)]
    forge: Vec<Attack>,

    /// Which members follow the assignment to the letter: 3, or 10%; may be repeated
    ///
    /// Their tables have capacity for all members. Whom they follow is not checked.
    #[arg(long, value_name = "WHO", value_parser = words::plain)]
    plain: Vec<Who>,

    /// Members feign failures now and then: refuse connections, or ignore them [default: never]
    ///
    /// Each fails 0 to 10 s after its start or last recovery, for 1 to 4 s.
    #[arg(long, value_name = "HOW")]
    feign: Option<Mode>,

    /// Follow the assignment to the letter, without the rules that prevent message storms
    #[arg(long)]
    strict: bool,

    /// Virtual time to simulate: 5s, 2m, 1h [default: until all must agree after the last fault]
    #[arg(long = "for", value_name = "DURATION", value_parser = words::limit)]
    limit: Option<Duration>,

    /// Seed of everything random [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,

    /// Many runs, with the seeds from A to B: 1..15; all cores take part
    #[arg(long, value_name = "A..B", value_parser = words::seeds, conflicts_with = "seed")]
    seeds: Option<RangeInclusive<u64>>,

    /// Also draw the group, the sizes of its tables and the faults from each seed
    ///
    /// 2 to 24 members; all faults are over by 21 s, and all must agree again by the end.
    #[arg(long, conflicts_with_all = DRAWN)]
    random: bool,

    /// Only every N-th of these seeds, beginning with the I-th: one share of a sweep on N machines
    #[arg(long, value_name = "I/N", value_parser = words::shard, requires = "seeds")]
    shard: Option<words::Shard>,

    /// Record what each member receives, for bully replay, in files of this directory: DAYS-ID.byr,
    /// DAYS-ID.2.byr after its second start
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seeds", "merge"])]
    record: Option<PathBuf>,

    /// Merge what the shards of a sweep wrote with --format json into one report
    ///
    /// It equals the report of the sweep without shards, except for fields named wall_....
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["seed", "seeds", "trace"])]
    merge: Vec<PathBuf>,

    /// Cut a run off that has sent more messages than this
    #[arg(long, value_name = "N", default_value_t = Scenario::default().messages_max)]
    messages_max: u64,

    /// Form of the report: a row for each seed and a summary, or a line for each seed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,

    /// Report only the failed runs, and the summary of all
    ///
    /// Not for shards that will be merged: these need all rows.
    #[arg(long)]
    failed: bool,

    /// Print all events and messages of one run
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,

    /// Draw one run, as bully diagram does; the form is that of the file's extension: .html, .svg, .json, .mmd, .log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "trace", "merge"])]
    diagram: Option<PathBuf>,
}

/// What --random draws itself.
const DRAWN: [&str; 18] = [
    "members",
    "capacity",
    "start",
    "crash",
    "vanish",
    "back_as",
    "pause",
    "delay",
    "slow",
    "loss",
    "packet_loss",
    "partition",
    "cut",
    "forge",
    "plain",
    "feign",
    "strict",
    "limit",
];

/// The sizes of tables, of which each member draws one.
type Capacities = Vec<usize>;

const EXAMPLES: &str = "\
Examples:
  bully sim --crash leader@5s --trace        five members lose their leader
  bully sim --crash leader@5s --diagram crash.html
                                             draw that
  bully sim --trace --format json --seed 7   the same events as --log json of bully node
  bully sim --members 1000 --start shuffled  a thousand come in any order
  bully sim --members 10 --start lowest-joins --strict --seeds 1..15 --format json
  bully sim --partition '2|3@5s..9s'         two leaders, and what becomes of them
  bully sim --members 300 --capacity 16,64 --crash 10%@5s..30s --seeds 1..100
  bully sim --random --seeds 1..10000 --failed
  bully sim --random --seed 7 --record run   the input of each member, for bully replay run/*.byr

A sweep on many machines: each runs a shard, and one merges what they wrote. With GNU parallel here,
with -S host1,host2 over ssh, as a Slurm array, or as an indexed job of Kubernetes:
  parallel bully sim --seeds 1..1000 --shard {}/8 --format json '>' {}.json ::: 1 2 3 4 5 6 7 8
  srun bully sim --seeds 1..1000 --shard $SLURM_ARRAY_TASK_ID/8 --format json > ...  (--array=1-8)
  bully sim --seeds 1..1000 --shard $((JOB_COMPLETION_INDEX + 1))/8 --format json > ...
  bully sim --merge *.json

Exit status: 0 if in every run all invariants held, and at its end every member that was up named
the greatest member that was up; 1 if not, 2 for wrong usage. What was not checked is listed.";

/// The least capacity of a table unless a smaller one is asked for: real ones have more, and only at this
/// size has a member the exchanges that a storm takes.
const CAPACITY_MIN: usize = 64;

/// How much longer than all may take to agree a run lasts, so that it is seen to last.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Runs the simulations and reports.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !args.merge.is_empty() {
        return merge(args);
    }
    let scenario = args.scenarios()?;
    if args.trace && args.format == Format::Csv {
        return Err(Failure::usage(
            "--trace is text or JSON, and does not go with --format csv",
            "leave out one of them, or use --format json",
        ));
    }
    let seeds = args.seeds.clone().unwrap_or_else(|| {
        let seed = args.seed.unwrap_or_else(drawn_seed);
        seed..=seed
    });
    let shard = args.shard.unwrap_or(words::Shard { index: 1, count: 1 });
    let started = Instant::now();
    let mut report = Report::new(args.format, args.failed);
    report.open(&seeds);
    let recorder = args
        .record
        .as_deref()
        .map(recorded::Files::create)
        .transpose()?;
    let build = |scenario: &Scenario, capacity: usize, config: bully::Config| match &recorder {
        Some(files) => files.node(scenario, capacity, config),
        None => bully_sim::node(scenario, capacity, config),
    };
    let build: bully_sim::Build<'_> = &build;
    if args.trace {
        let scenario = scenario(*seeds.start());
        report.add(&match args.format {
            Format::Json => trace::json(&scenario, build, recorder.as_ref()),
            Format::Text | Format::Csv => trace::text(&scenario, build, recorder.as_ref()),
        });
    } else if let Some(file) = &args.diagram {
        let (run, source) = trace::source(&scenario(*seeds.start()), build, recorder.as_ref());
        let title = format!("Bully election, simulated: seed {}", run.seed);
        report.add(&run);
        let drawn = diagram::write(&logs::run(&[source]), file, &title);
        if let Err(failure) = drawn {
            let verdict = report.close(started.elapsed(), |_| Ok(()));
            return verdict.and(Err(failure));
        }
    } else if let Some(files) = &recorder {
        report.add(&trace::recorded(&scenario(*seeds.start()), build, files));
    } else {
        let of_all = (seeds.end() - seeds.start()).saturating_add(1);
        let count = of_all.saturating_sub(shard.index - 1).div_ceil(shard.count);
        let mut progress = Progress::new(count, "seeds");
        let mut runs = Runs::start(&scenario, seeds, shard);
        while !report.ended() {
            match runs.next(progress.again()) {
                Next::Run(run) => {
                    progress.clear();
                    report.add(&run);
                }
                Next::NotYet => {}
                Next::Over => break,
            }
            progress.show(report.summary().runs());
        }
        progress.clear();
    }
    if let Some(error) = recorder.and_then(|files| files.error()) {
        return Err(error);
    }
    // If nobody reads any more the process ends, and with it the runs under way; what those before
    // came to counts.
    report.close(started.elapsed(), |summary| verdict(summary, true))
}

/// Makes one report of those of many shards.
fn merge(args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let runs = report::read(&args.merge)?;
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return Err(Failure::new(
            "there are no runs in these files",
            "merge what bully sim --shard I/N --format json wrote",
        ));
    };
    let mut report = Report::new(args.format, args.failed);
    report.open(&(first.seed..=last.seed));
    for run in &runs {
        report.add(run);
    }
    report.close(started.elapsed(), |summary| verdict(summary, false))
}

impl Args {
    /// The scenario of each seed.
    fn scenarios(&self) -> Result<runs::Scenarios, Failure> {
        if self.random {
            let messages_max = self.messages_max;
            return Ok(Arc::new(move |seed| {
                let mut scenario = Scenario::random(seed);
                scenario.messages_max = scenario.messages_max.min(messages_max);
                scenario
            }));
        }
        let scenario = self.scenario()?;
        Ok(Arc::new(move |seed| Scenario {
            seed,
            ..scenario.clone()
        }))
    }

    fn scenario(&self) -> Result<Scenario, Failure> {
        let members = self.members as usize;
        self.check_numbers(members)?;
        let fits = |capacity: &usize| *capacity >= members.max(CAPACITY_MIN);
        let all = || CAPACITIES.into_iter().find(fits).map(|all| vec![all]);
        let capacities = self.capacity.clone().or_else(all).ok_or_else(|| {
            Failure::usage(
                format!("no table has room for all of {members} members"),
                "say how many it can hold: --capacity 64",
            )
        })?;
        let back_as = self.back_as.back_as();
        let failing = |crashes: &[Crash], how: How| {
            let mut crashes = crashes.to_vec();
            for crash in &mut crashes {
                (crash.how, crash.back_as) = (how, back_as);
            }
            crashes
        };
        let mut crashes = failing(&self.crash, How::Ends);
        crashes.extend(failing(&self.vanish, How::Vanishes));
        if back_as != BackAs::Before && crashes.iter().all(|crash| crash.until.is_none()) {
            return Err(Failure::usage(
                "nobody comes back",
                "say who does and when: --crash leader@5s..9s",
            ));
        }
        let mut scenario = Scenario {
            members,
            capacities,
            start: self.start.start(),
            crashes,
            pauses: self.pause.clone(),
            delay: self.delay,
            slow: self.slow.clone(),
            loss: self.loss,
            packet_loss: self.packet_loss,
            partitions: self.partition.clone(),
            cuts: self.cut.clone(),
            attacks: self.forge.clone(),
            plain: self.plain.clone(),
            feign: self.feign.map(|mode| mode.feign().mode),
            strict: self.strict,
            messages_max: self.messages_max,
            ..Scenario::default()
        };
        let planned = scenario.planned_until();
        let afterwards = || planned.saturating_add(scenario.settles_within() + AFTERWARDS);
        scenario.duration = self.limit.unwrap_or_else(afterwards);
        Ok(scenario)
    }

    /// Refuses what is said of members that there are not.
    fn check_numbers(&self, members: usize) -> Result<(), Failure> {
        let whom = |who: Who| match who {
            Who::Number(number) => Some(number),
            Who::Leader | Who::Percent(_) => None,
        };
        let crashes = self.crash.iter().chain(&self.vanish).map(|crash| crash.who);
        let who = crashes
            .chain(self.pause.iter().map(|pause| pause.who))
            .chain(self.slow.iter().map(|slow| slow.who))
            .chain(self.plain.iter().copied());
        let ends = self.cut.iter().flat_map(|cut| [cut.from, cut.to_whom]);
        let numbers = who
            .filter_map(whom)
            .chain(ends)
            .chain(self.partition.iter().map(|partition| partition.below));
        match numbers.max().filter(|number| *number > members) {
            Some(number) => Err(Failure::usage(
                format!("there is no member {number}: they are 1 to {members}"),
                format!("choose one of them, or start more: --members {number}"),
            )),
            None => Ok(()),
        }
    }
}

/// What is to be said of the runs that were not as they should be.
fn verdict(summary: &Summary, repeatable: bool) -> Result<(), Failure> {
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
    if !repeatable {
        let tip = "to watch one, run its shard's command with --seed and --trace, without --shard";
        return Err(Failure::new(what, tip));
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
        if core::mem::take(&mut skip) || arg == "--trace" || arg == "--failed" {
            continue;
        }
        let (flag, value) = arg
            .split_once('=')
            .map_or((&*arg, None), |(flag, value)| (flag, Some(value)));
        if ["--seed", "--seeds", "--shard", "--format", "--diagram"].contains(&flag) {
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
