//! What comes out of a run, and how it is told: as text, JSON or CSV.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;

use bully::{Messages, Pid};
use serde::Serialize;

use crate::checks::Breach;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed it ran from.
    pub seed: u64,
    /// Whether at the end every member that is up names the greatest one that is.
    pub agreed: bool,
    /// Who leads, if all agree.
    pub leader: Option<Pid>,
    /// When the agreement that lasts to the end began, counted from the start, or from when the
    /// late one joined.
    pub settled: Option<Duration>,
    /// The time from the last crash to that agreement.
    pub crash_to_leader: Option<Duration>,
    /// The time to that agreement from the last thing that went wrong: a start, a crash, a feigned
    /// failure or its end, a message lost or held up, the beginning or end of a partition.
    pub last_fault_to_leader: Option<Duration>,
    /// Messages sent, from the start, or from when the late one joined.
    pub messages: Messages,
    /// How many of the OKs among them answer a PROBE.
    pub probe_oks: u64,
    /// Connections opened.
    pub exchanges: u64,
    /// Bytes of all messages and answers as the pickle wire would have them.
    pub wire_bytes: u64,
    /// The most entries that any table held.
    pub fullest_table: usize,
    /// How often a machine was polled.
    pub polls: u64,
    /// Whether the run was cut off for sending too many messages.
    pub cut: bool,
    /// How much virtual time has passed.
    pub simulated: Duration,
}

impl Outcome {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            agreed: false,
            leader: None,
            settled: None,
            crash_to_leader: None,
            last_fault_to_leader: None,
            messages: Messages::default(),
            probe_oks: 0,
            exchanges: 0,
            wire_bytes: 0,
            fullest_table: 0,
            polls: 0,
            cut: false,
            simulated: Duration::ZERO,
        }
    }

    /// Forgets what was counted so far.
    pub(crate) fn restart_count(&mut self) {
        self.messages = Messages::default();
        self.probe_oks = 0;
        self.exchanges = 0;
        self.wire_bytes = 0;
    }

    /// Messages of all kinds.
    pub fn messages_sum(&self) -> u64 {
        let Messages {
            join,
            election,
            ok,
            coordinator,
            probe,
        } = self.messages;
        join + election + ok + coordinator + probe
    }

    /// Messages of all kinds but PROBE, and without the OKs that answer one: what elections cost.
    pub fn election_sum(&self) -> u64 {
        self.messages_sum() - self.messages.probe - self.probe_oks
    }
}

/// A finished run: what it came to, or what it broke, and how long it took by the real clock.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed it ran from.
    pub seed: u64,
    /// What [`run`](crate::run) returned.
    pub result: Result<Outcome, Breach>,
    /// How long it took. Nothing else here depends on the real clock.
    pub wall: Duration,
}

/// The columns of [`Run::csv`].
pub const CSV_HEADING: &str = "seed,agreed,leader_days,leader_id,settled_s,crash_to_leader_s,join,\
    election,ok,coordinator,probe,probe_oks,exchanges,wire_bytes,fullest_table,polls,cut,\
    simulated_s,breach,wall_s";

/// A run as an object; what a run that broke an invariant does not have is null.
#[derive(Serialize)]
struct Line<'a> {
    seed: u64,
    agreed: bool,
    leader: Option<(u32, u32)>,
    settled_s: Option<f64>,
    crash_to_leader_s: Option<f64>,
    messages: Option<Counts>,
    probe_oks: Option<u64>,
    exchanges: Option<u64>,
    wire_bytes: Option<u64>,
    fullest_table: Option<usize>,
    polls: Option<u64>,
    cut: bool,
    simulated_s: f64,
    breach: Option<Broken<'a>>,
    wall_s: f64,
}

#[derive(Serialize)]
struct Counts {
    join: u64,
    election: u64,
    ok: u64,
    coordinator: u64,
    probe: u64,
}

#[derive(Serialize)]
struct Broken<'a> {
    invariant: &'a str,
    member: usize,
    at_s: f64,
    seen: &'a str,
}

impl Run {
    /// Whether it is as it should be.
    pub fn is_good(&self) -> bool {
        self.result.as_ref().is_ok_and(|outcome| outcome.agreed)
    }

    /// How much virtual time has passed.
    pub fn simulated(&self) -> Duration {
        match &self.result {
            Ok(outcome) => outcome.simulated,
            Err(breach) => Duration::from_micros(breach.at.as_micros()),
        }
    }

    /// One JSON object, on one line, without its end.
    pub fn json(&self) -> String {
        // Numbers and texts always have a JSON form.
        serde_json::to_string(&self.line()).unwrap_or_default()
    }

    /// One line of [`CSV_HEADING`]'s columns, without its end; what there is not is empty.
    pub fn csv(&self) -> String {
        let line = self.line();
        let counts = line.messages.as_ref();
        let count = |which: fn(&Counts) -> u64| maybe(counts.map(which));
        [
            line.seed.to_string(),
            line.agreed.to_string(),
            maybe(line.leader.map(|(days, _)| days)),
            maybe(line.leader.map(|(_, id)| id)),
            maybe(line.settled_s),
            maybe(line.crash_to_leader_s),
            count(|counts| counts.join),
            count(|counts| counts.election),
            count(|counts| counts.ok),
            count(|counts| counts.coordinator),
            count(|counts| counts.probe),
            maybe(line.probe_oks),
            maybe(line.exchanges),
            maybe(line.wire_bytes),
            maybe(line.fullest_table),
            maybe(line.polls),
            line.cut.to_string(),
            line.simulated_s.to_string(),
            // The names of invariants have commas in them, and no quotes.
            maybe(
                line.breach
                    .map(|breach| format!("\"{}\"", breach.invariant)),
            ),
            line.wall_s.to_string(),
        ]
        .join(",")
    }

    /// One row of [`text_heading`]'s columns, without its end.
    pub fn text(&self) -> String {
        let outcome = match &self.result {
            Ok(outcome) => outcome,
            Err(breach) => {
                let (seed, invariant) = (self.seed, breach.invariant);
                return format!("{seed:>SEED_WIDTH$}  broken: \"{invariant}\"");
            }
        };
        let agreed = match outcome {
            Outcome { cut: true, .. } => "cut",
            Outcome { agreed: true, .. } => "yes",
            _ => "no",
        };
        let leader = outcome
            .leader
            .map_or_else(dash, |pid| format!("({}, {})", pid.days, pid.id));
        let time = |span: Option<Duration>| {
            span.map_or_else(dash, |span| format!("{:.6}", span.as_secs_f64()))
        };
        let sent = outcome.messages;
        row(&[
            &outcome.seed.to_string(),
            agreed,
            &leader,
            &time(outcome.settled),
            &time(outcome.crash_to_leader),
            &sent.join.to_string(),
            &sent.election.to_string(),
            &sent.ok.to_string(),
            &sent.coordinator.to_string(),
            &sent.probe.to_string(),
            &outcome.wire_bytes.to_string(),
        ])
    }

    fn line(&self) -> Line<'_> {
        let outcome = self.result.as_ref().ok();
        let seconds = |span: Duration| span.as_secs_f64();
        Line {
            seed: self.seed,
            agreed: outcome.is_some_and(|outcome| outcome.agreed),
            leader: outcome
                .and_then(|outcome| outcome.leader)
                .map(|pid| (pid.days, pid.id)),
            settled_s: outcome.and_then(|outcome| outcome.settled).map(seconds),
            crash_to_leader_s: outcome
                .and_then(|outcome| outcome.crash_to_leader)
                .map(seconds),
            messages: outcome.map(|outcome| Counts {
                join: outcome.messages.join,
                election: outcome.messages.election,
                ok: outcome.messages.ok,
                coordinator: outcome.messages.coordinator,
                probe: outcome.messages.probe,
            }),
            probe_oks: outcome.map(|outcome| outcome.probe_oks),
            exchanges: outcome.map(|outcome| outcome.exchanges),
            wire_bytes: outcome.map(|outcome| outcome.wire_bytes),
            fullest_table: outcome.map(|outcome| outcome.fullest_table),
            polls: outcome.map(|outcome| outcome.polls),
            cut: outcome.is_some_and(|outcome| outcome.cut),
            simulated_s: seconds(self.simulated()),
            breach: self.result.as_ref().err().map(|breach| Broken {
                invariant: breach.invariant,
                member: breach.member,
                at_s: breach.at.as_micros() as f64 / 1e6,
                seen: &breach.seen,
            }),
            wall_s: seconds(self.wall),
        }
    }
}

/// Names the columns of [`Run::text`].
pub fn text_heading() -> String {
    row(&[
        "seed",
        "agreed",
        "leader",
        "settled / s",
        "crash / s",
        "JOIN",
        "ELECTION",
        "OK",
        "COORDINATOR",
        "PROBE",
        "bytes",
    ])
}

const SEED_WIDTH: usize = 5;

/// As wide as a line of figures of a large group.
const WIDTHS: [usize; 11] = [SEED_WIDTH, 6, 14, 11, 9, 4, 8, 7, 11, 6, 9];

fn row(cells: &[&str; 11]) -> String {
    let mut row = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let gap = if row.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(row, "{gap}{cell:>width$}");
    }
    row
}

fn dash() -> String {
    "-".to_owned()
}

fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// What many runs came to.
///
/// Its size does not grow with the number of runs, only with that of different figures.
#[derive(Debug, Default)]
pub struct Summary {
    runs: u64,
    agreed: u64,
    cut: u64,
    broken: u64,
    bad: Vec<(u64, Option<&'static str>)>,
    sent: Tally,
    sent_to_elect: Tally,
    settled: Tally,
    crash_to_leader: Tally,
    exchanges: Tally,
    wire_bytes: Tally,
    polls: Tally,
    fullest_table: usize,
    simulated: Duration,
    wall: Duration,
}

/// How many of the runs that went wrong are named.
const BAD_MAX: usize = 5;

impl Summary {
    /// Takes a run in.
    pub fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.simulated += run.simulated();
        self.wall += run.wall;
        if !run.is_good() && self.bad.len() < BAD_MAX {
            let invariant = run.result.as_ref().err().map(|breach| breach.invariant);
            self.bad.push((run.seed, invariant));
        }
        let Ok(outcome) = &run.result else {
            self.broken += 1;
            return;
        };
        self.agreed += u64::from(outcome.agreed);
        self.cut += u64::from(outcome.cut);
        self.sent.add(outcome.messages_sum());
        self.sent_to_elect.add(outcome.election_sum());
        self.settled.add_time(outcome.settled);
        self.crash_to_leader.add_time(outcome.crash_to_leader);
        self.exchanges.add(outcome.exchanges);
        self.wire_bytes.add(outcome.wire_bytes);
        self.polls.add(outcome.polls);
        self.fullest_table = self.fullest_table.max(outcome.fullest_table);
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many of them ended in agreement.
    pub fn agreed(&self) -> u64 {
        self.agreed
    }

    /// How many were cut off.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// How many broke an invariant.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// The first few that were not as they should be: the seed, and the invariant if one was
    /// broken.
    pub fn bad(&self) -> &[(u64, Option<&'static str>)] {
        &self.bad
    }

    /// How much virtual time passed in all runs together.
    pub fn simulated(&self) -> Duration {
        self.simulated
    }

    /// How much real time all runs took, one after the other.
    pub fn wall(&self) -> Duration {
        self.wall
    }

    /// A few lines for people, each with its end. Nothing in them depends on the real clock.
    pub fn text(&self) -> String {
        let (runs, agreed) = (self.runs, self.agreed);
        let mut text = format!("agreed: {agreed} of {runs}");
        let mut part = |count: u64, what: &str| {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        };
        part(self.cut, "cut off");
        part(self.broken, "broke an invariant");
        if let (Some(sent), Some(elect)) = (self.sent.median(), self.sent_to_elect.median()) {
            let _ = write!(
                text,
                "\nmessages, median: {sent}; {elect} without PROBEs and their OKs"
            );
        }
        for (what, times) in [
            ("agreement", &self.settled),
            ("leader after the last crash", &self.crash_to_leader),
        ] {
            if let Some((median, greatest)) = times.median().zip(times.greatest()) {
                let (median, greatest) = (median as f64 / 1e4, greatest as f64 / 1e4);
                let _ = write!(
                    text,
                    "\nseconds to {what}, median: {median:.4}, at most {greatest:.4}"
                );
            }
        }
        if let (Some(exchanges), Some(bytes), Some(polls)) = (
            self.exchanges.median(),
            self.wire_bytes.median(),
            self.polls.median(),
        ) {
            let _ = write!(
                text,
                "\nexchanges, median: {exchanges}; bytes: {bytes}; polls: {polls}; fullest table: {}",
                self.fullest_table
            );
        }
        text.push('\n');
        text
    }
}

/// How often each figure came up.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<u64, u64>,
}

impl Tally {
    fn add(&mut self, figure: u64) {
        *self.counts.entry(figure).or_default() += 1;
    }

    /// Takes in a time, in units of 0.1 ms: to the microsecond hardly two would be the same.
    fn add_time(&mut self, span: Option<Duration>) {
        if let Some(span) = span {
            self.add(u64::try_from(span.as_micros() / 100).unwrap_or(u64::MAX));
        }
    }

    /// The middle one of all figures, the lesser of two.
    fn median(&self) -> Option<u64> {
        let middle = self.counts.values().sum::<u64>().div_ceil(2);
        let mut seen = 0;
        let middle = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen >= middle
        });
        middle.map(|(figure, _)| *figure)
    }

    fn greatest(&self) -> Option<u64> {
        self.counts.last_key_value().map(|(figure, _)| *figure)
    }
}
