//! What a grading came to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::options::Options;
use crate::rubric::{ByHand, Visibility};
use crate::seen::Line;
use crate::verdict::{Run, Verdict};

/// What a grading came to. Its serialization is the JSON report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `bully grade`.
    pub tool: &'static str,
    /// The tool's version.
    pub version: &'static str,
    /// The graded command, with its placeholders.
    pub command: Vec<String>,
    /// Every check has its verdict; `false` in what is written meanwhile.
    pub finished: bool,
    /// The program joined at least once.
    pub joined: bool,
    /// The forms in which it was spoken to: `keyed_by` and `ok`.
    #[serde(rename = "dialect")]
    pub forms: BTreeMap<&'static str, &'static str>,
    /// How those forms were chosen, a sentence each.
    #[serde(rename = "dialect_found")]
    pub dialect: Vec<String>,
    /// Points, those of extra credits included.
    pub score: f64,
    /// Points of the required checks that were selected.
    pub max: f64,
    /// Points of the extra credits that were selected.
    pub max_extra: f64,
    /// How long it took.
    pub seconds: f64,
    /// Of everything random.
    pub seed: u64,
    /// The checks, in the order in which they ended.
    pub checks: Vec<CheckReport>,
    /// Rows that a person judges.
    pub by_hand: Vec<ByHand>,
}

/// What a check came to.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Its id.
    pub id: &'static str,
    /// What a program that passes does.
    pub title: &'static str,
    /// The row of the rubric it belongs to.
    pub row: String,
    /// Points given.
    pub points: f64,
    /// Points for passing.
    pub max: f64,
    /// It belongs to an extra credit.
    pub extra: bool,
    /// What it came to.
    pub verdict: Verdict,
    /// The sentence of the assignment.
    pub sentence: String,
    /// Who sees it on Gradescope.
    pub visibility: Visibility,
    /// How long all its runs took.
    pub seconds: f64,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Its runs.
    pub runs: Vec<Run>,
    /// What happened in the run that decided, at most 20 lines.
    pub evidence: Vec<Line>,
    /// The last lines that the program wrote in it.
    pub output: String,
    /// The command that repeats just this check.
    pub repeat: String,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            tool: "bully grade",
            version: env!("CARGO_PKG_VERSION"),
            command: options.command.words().to_vec(),
            finished: false,
            joined: false,
            forms: BTreeMap::new(),
            dialect: Vec::new(),
            score: 0.0,
            max: 0.0,
            max_extra: 0.0,
            seconds: 0.0,
            seed: options.seed,
            checks: Vec::new(),
            by_hand: options.rubric.by_hand.clone(),
        }
    }

    pub(crate) fn add(&mut self, check: CheckReport) {
        self.score += check.points;
        if check.extra {
            self.max_extra += check.max;
        } else {
            self.max += check.max;
        }
        self.checks.push(check);
    }

    /// What the process exits with: 0 all required checks pass, 1 some do not, 3 none fails but some
    /// are unclear, or the program never joined.
    pub fn exit_code(&self) -> u8 {
        let required = || {
            self.checks
                .iter()
                .filter(|check| !check.extra || self.max == 0.0)
        };
        let any = |verdict| required().any(|check| check.verdict == verdict && check.max > 0.0);
        if !self.joined || !self.finished {
            3
        } else if any(Verdict::Fail) || any(Verdict::Part) {
            1
        } else if any(Verdict::Unclear) {
            3
        } else {
            0
        }
    }
}

/// A value of ours as indented JSON: texts, numbers and lists always can be written.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |text| text + "\n")
}

/// All there is to say about a check but its points: for reports that have one text for that.
pub(super) fn details(check: &CheckReport) -> String {
    let mut text = format!("The assignment: \"{}\"\n", check.sentence);
    if check.verdict == Verdict::Pass {
        text.push_str(&format!("Seen: {}\n", check.expected));
    } else {
        text.push_str(&format!(
            "Expected: {}\nSeen: {}\n",
            check.expected, check.seen
        ));
    }
    for note in &check.notes {
        text.push_str(&format!("Note: {note}\n"));
    }
    if check.verdict != Verdict::Pass {
        if !check.evidence.is_empty() {
            text.push_str("What happened, in seconds:\n");
        }
        for line in &check.evidence {
            text.push_str(&format!("  {}\n", evidence_line(line)));
        }
        if !check.output.is_empty() {
            text.push_str("The program's last lines:\n");
            for line in check.output.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text.push_str(&format!("Again: {}\n", check.repeat));
    }
    text
}

/// A line of a timeline.
pub(super) fn evidence_line(line: &Line) -> String {
    let mark = if line.offending { ">" } else { " " };
    let mut text = match (line.from.as_str(), line.to.as_str()) {
        ("", _) => format!("{mark}          … {}", line.text),
        (from, to) if from == to => format!("{mark}{:>8.3}  {from} {}", line.t, line.text),
        (from, to) => format!("{mark}{:>8.3}  {from} → {to}  {}", line.t, line.text),
    };
    if line.offending
        && let Some(hex) = &line.hex
    {
        text.push_str(&format!("\n            bytes {hex}"));
    }
    text
}
