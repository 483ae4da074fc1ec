//! Says tersely what happens.

use super::prelude::*;
use crate::check::Judgement;
use crate::observed::Observed;

pub(crate) const CHECK: Check = Check {
    id: "log",
    title: "its output names elections, COORDINATOR and the leader, tersely",
    row: "Terse log",
    points: 5.0,
    extra: None,
    sentence: "(the rubric's row; the assignment's text breaks off before it)",
    seconds: 0,
    judge: Judge::Observed(judge),
};

/// What must be named, and the words that count as naming it, in lower case.
const NAMED: [(&str, &[&str]); 3] = [
    ("ELECTION", &["elect"]),
    ("COORDINATOR", &["coord", "victor", "announc", "won", "win"]),
    (
        "the leader",
        &["lead", "bully", "boss", "coordinator is", "winner"],
    ),
];

/// More than this in a run is not terse, in bytes.
const TERSE_MAX: u64 = 30_000;

fn judge(observed: &Observed) -> Judgement {
    let text = observed.output.to_lowercase();
    let missing: Vec<&str> = NAMED
        .iter()
        .filter(|(_, words)| !words.iter().any(|word| text.contains(word)))
        .map(|(name, _)| *name)
        .collect();
    let runs = observed.runs.max(1) as u64;
    let (share, seen) = if observed.elections == 0 {
        (None, "no election to write about".to_owned())
    } else if observed.written == 0 {
        (Some(0.0), "no output at all".to_owned())
    } else if missing.len() == NAMED.len() {
        (
            Some(0.0),
            format!("none of them in {} bytes", observed.written),
        )
    } else if !missing.is_empty() {
        (
            Some(0.5),
            format!("nothing about {}", missing.join(" and ")),
        )
    } else if observed.written / runs > TERSE_MAX {
        (
            Some(0.5),
            format!(
                "{} bytes a run, which is not terse",
                observed.written / runs
            ),
        )
    } else {
        (
            Some(1.0),
            format!("{} bytes in {runs} runs", observed.written),
        )
    };
    Judgement {
        share,
        expected: "output that names elections, COORDINATOR and the leader".to_owned(),
        seen,
    }
}
