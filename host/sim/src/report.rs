//! A finished run as text, JSON or CSV, and read from JSON.

use core::fmt::Write as _;
use core::time::Duration;

use crate::line::{Counts, Line};
use crate::outcome::Outcome;
use crate::run::Run;

/// The columns of [`Run::csv`].
pub const CSV_HEADING: &str = "seed,agreed,leader_days,leader_id,settled_s,crash_to_leader_s,\
    detection_to_leader_s,contact_to_leader_s,disagreed_s,join,election,ok,coordinator,probe,\
    probe_oks,messages_after_fault,bytes_after_fault,exchanges,wire_bytes,fullest_table,polls,cut,\
    simulated_s,not_checked,breach,wall_s,wall_peak_rss_bytes";

impl Run {
    /// One JSON object, on one line, without its end.
    pub fn json(&self) -> String {
        // Numbers and texts always have a JSON form.
        serde_json::to_string(&Line::from(self)).unwrap_or_default()
    }

    /// Reads what [`json`](Self::json) wrote.
    ///
    /// # Errors
    ///
    /// What is wrong with the line: it is no JSON, no run, or one of another version of the simulator.
    pub fn from_json(line: &str) -> Result<Self, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        line.run()
    }

    /// One line of [`CSV_HEADING`]'s columns, without its end; what there is not is empty.
    pub fn csv(&self) -> String {
        let line = Line::from(self);
        let counts = line.messages.as_ref();
        let count = |which: fn(&Counts) -> u64| maybe(counts.map(which));
        [
            line.seed.to_string(),
            line.agreed.to_string(),
            maybe(line.leader.map(|(days, _)| days)),
            maybe(line.leader.map(|(_, id)| id)),
            maybe(line.settled_s),
            maybe(line.crash_to_leader_s),
            maybe(line.detection_to_leader_s),
            maybe(line.contact_to_leader_s),
            maybe(line.disagreed_s),
            count(|counts| counts.join),
            count(|counts| counts.election),
            count(|counts| counts.ok),
            count(|counts| counts.coordinator),
            count(|counts| counts.probe),
            maybe(line.probe_oks),
            maybe(line.messages_after_fault),
            maybe(line.bytes_after_fault),
            maybe(line.exchanges),
            maybe(line.wire_bytes),
            maybe(line.fullest_table),
            maybe(line.polls),
            line.cut.to_string(),
            line.simulated_s.to_string(),
            // These and the names of invariants may have commas in them, and no quotes.
            match &line.not_checked[..] {
                [] => String::new(),
                some => format!("\"{}\"", some.join("; ")),
            },
            maybe(
                line.breach
                    .map(|breach| format!("\"{}\"", breach.invariant)),
            ),
            line.wall_s.to_string(),
            maybe(line.wall_peak_rss_bytes),
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
}

/// Names the columns of [`Run::text`].
pub fn text_heading() -> String {
    row(&[
        "seed",
        "agreed",
        "leader",
        "settled s",
        "crash s",
        "JOIN",
        "ELECTION",
        "OK",
        "COORDINATOR",
        "PROBE",
        "bytes",
    ])
}

const SEED_WIDTH: usize = 10;

/// As wide as a line of figures of a large group.
const WIDTHS: [usize; 11] = [SEED_WIDTH, 6, 14, 9, 8, 4, 8, 6, 11, 6, 8];

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
