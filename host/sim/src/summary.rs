//! What many runs came to.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::outcome::Unchecked;
use crate::run::Run;

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
    unchecked: BTreeSet<Unchecked>,
    sent: Tally,
    sent_to_elect: Tally,
    settled: Tally,
    crash_to_leader: Tally,
    detection_to_leader: Tally,
    contact_to_leader: Tally,
    after_fault: Tally,
    bytes_after_fault: Tally,
    disagreed: Duration,
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
        self.detection_to_leader
            .add_time(outcome.detection_to_leader);
        self.contact_to_leader.add_time(outcome.contact_to_leader);
        self.after_fault.add(outcome.messages_after_fault);
        self.bytes_after_fault.add(outcome.bytes_after_fault);
        self.disagreed += outcome.disagreed;
        self.unchecked.extend(&outcome.unchecked);
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
            (
                "leader after the first failed PROBE",
                &self.detection_to_leader,
            ),
            ("leader after the first contact", &self.contact_to_leader),
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
        if let Some((messages, bytes)) = self
            .after_fault
            .median()
            .zip(self.bytes_after_fault.median())
        {
            let _ = write!(
                text,
                "\nafter the last planned fault, median: {messages} messages for elections, {bytes} bytes"
            );
        }
        if !self.disagreed.is_zero() {
            let share = 100.0 * self.disagreed.as_secs_f64() / self.simulated.as_secs_f64();
            let _ = write!(
                text,
                "\nwithout agreement, once there had been one: {share:.3} % of the time"
            );
        }
        for unchecked in &self.unchecked {
            let _ = write!(text, "\nnot checked: {}", unchecked.text());
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
