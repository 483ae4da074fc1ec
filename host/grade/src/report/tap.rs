//! The Test Anything Protocol, version 13: the latest that Perl reads.

use super::content::{Report, details};
use crate::verdict::Verdict;

pub(super) fn render(report: &Report) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", report.checks.len());
    for (at, check) in report.checks.iter().enumerate() {
        let (word, directive) = match check.verdict {
            Verdict::Pass => ("ok", ""),
            // A thing to do, which does not make the whole fail.
            Verdict::Unclear => ("not ok", " # TODO unclear: the machine was in the way"),
            Verdict::Part | Verdict::Fail => ("not ok", ""),
        };
        let points = format!("{} of {} points", check.points, check.max);
        let title = check.title.replace('#', "no.");
        text.push_str(&format!(
            "{word} {} - {}: {title} ({points}){directive}\n",
            at + 1,
            check.id
        ));
        if check.verdict != Verdict::Pass {
            text.push_str("  ---\n  message: |\n");
            for line in details(check).lines() {
                text.push_str(&format!("    {line}\n"));
            }
            text.push_str(&format!("  severity: {}\n  ...\n", check.verdict.name()));
        }
    }
    if !report.finished {
        text.push_str("Bail out! The grader did not get to the end\n");
    }
    text
}
