//! Gradescope's `results.json`.

use serde::Serialize;

use super::content::{CheckReport, Report, details, json};
use crate::rubric::Visibility;
use crate::verdict::Verdict;

#[derive(Serialize)]
struct Results {
    score: f64,
    execution_time: f64,
    output: String,
    output_format: &'static str,
    visibility: Visibility,
    /// The program's own output belongs to nobody but the instructors.
    stdout_visibility: Visibility,
    tests: Vec<Test>,
}

#[derive(Serialize)]
struct Test {
    score: f64,
    max_score: f64,
    status: &'static str,
    name: String,
    number: String,
    output: String,
    output_format: &'static str,
    tags: Vec<&'static str>,
    visibility: Visibility,
}

pub(super) fn render(report: &Report) -> String {
    let mut output = String::new();
    if !report.finished {
        output.push_str("The grader did not get to the end: these are the results up to then.\n");
    }
    if !report.joined {
        output.push_str("The program never joined the group, so nothing else could be checked.\n");
    }
    for row in &report.by_hand {
        output.push_str(&format!(
            "Judged by hand: {} ({} points)\n",
            row.row, row.points
        ));
    }
    json(&Results {
        score: report.score,
        execution_time: report.seconds,
        output,
        output_format: "text",
        visibility: Visibility::Visible,
        stdout_visibility: Visibility::Hidden,
        tests: report
            .checks
            .iter()
            .enumerate()
            .map(|(at, check)| test(at + 1, check))
            .collect(),
    })
}

fn test(number: usize, check: &CheckReport) -> Test {
    Test {
        score: check.points,
        max_score: check.max,
        // Without it a part of the points would show as failed, and so would an unclear verdict.
        status: match check.verdict {
            Verdict::Pass | Verdict::Part => "passed",
            Verdict::Fail | Verdict::Unclear => "failed",
        },
        name: format!("{}: {} ({})", check.id, check.title, check.verdict.name()),
        number: number.to_string(),
        output: details(check),
        output_format: "text",
        tags: if check.extra {
            vec!["extra credit"]
        } else {
            Vec::new()
        },
        visibility: check.visibility,
    }
}
