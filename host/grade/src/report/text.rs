//! The report for people at a terminal.

use super::content::{CheckReport, Report, details};
use crate::verdict::Verdict;

/// Whether a terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Letters only.
    Plain,
    /// Colours by ANSI sequences.
    Colour,
}

impl Style {
    fn paint(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Pass => 32,
            Verdict::Part | Verdict::Unclear => 33,
            Verdict::Fail => 31,
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// How wide a line is at most, but for what others wrote.
const WIDTH: usize = 96;

pub(super) fn render(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for sentence in &report.dialect {
        text.push_str(&format!("{sentence}\n"));
    }
    text.push('\n');
    for check in &report.checks {
        text.push_str(&line(check, style));
    }
    text.push('\n');
    for check in &report.checks {
        let is_worth_it = check.verdict != Verdict::Pass || !check.notes.is_empty();
        let was_run = check.verdict != Verdict::Fail || !check.runs.is_empty() || report.joined;
        if is_worth_it && was_run {
            let heading = format!("{}: {}", check.id, check.verdict.name());
            text.push_str(&format!("{}\n", style.paint(check.verdict, &heading)));
            for line in details(check).lines() {
                // What is to be copied, and what others wrote, stays as it is.
                match line.split_once(": ") {
                    Some((name @ ("The assignment" | "Expected" | "Seen" | "Note"), said)) => {
                        text.push_str(&in_lines(&format!("  {name}:"), 4, said));
                    }
                    _ => text.push_str(&format!("  {line}\n")),
                }
            }
            text.push('\n');
        }
    }
    if !report.joined {
        text.push_str(
            "The program never joined. Check that the command and its placeholders fit the program: \
             --detect tries\nthe common orders of arguments.\n",
        );
    }
    for row in &report.by_hand {
        text.push_str(&format!(
            "judged by hand: {} ({} points)\n",
            row.row, row.points
        ));
    }
    text.push_str(&summary_line(report));
    text.push('\n');
    text
}

/// `52.5 of 65 points, 7 of 10 extra, 31 s`.
pub fn summary_line(report: &Report) -> String {
    let extra: f64 = report
        .checks
        .iter()
        .filter(|check| check.extra)
        .map(|check| check.points)
        .sum();
    let mut text = format!("{} of {} points", report.score - extra, report.max);
    if report.max_extra > 0.0 {
        text.push_str(&format!(", {extra} of {} extra", report.max_extra));
    }
    let unclear = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Unclear)
        .count();
    if unclear > 0 {
        text.push_str(&format!(", {unclear} unclear"));
    }
    text.push_str(&format!(", {:.0} s, seed {}", report.seconds, report.seed));
    text
}

/// `14 of 18, running: gives-up`.
pub fn progress_line(done: usize, all: usize, running: &[&str]) -> String {
    format!(
        "{done} of {all} checks done, running: {}",
        running.join(", ")
    )
}

/// The column of the titles.
const TITLE: usize = 38;

/// The verdict, the points, the id and the title of a check.
fn line(check: &CheckReport, style: Style) -> String {
    let name = check.verdict.name();
    let points = format!("{}/{}", check.points, check.max);
    let first = format!("{name:<7} {points:>7}  {:<20}", check.id);
    let lines = in_lines(&first, TITLE, check.title);
    // Colours have no width: they are put in when the lines are broken.
    lines.replacen(name, &style.paint(check.verdict, name), 1)
}

/// `first`, a space and `text`, in lines of at most 96 letters as far as single words allow that. The
/// second and further lines begin with `indent` spaces.
pub fn in_lines(first: &str, indent: usize, text: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut has_text = false;
    for word in text.split(' ') {
        if has_text && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = " ".repeat(indent.saturating_sub(1));
        }
        line.push(' ');
        line.push_str(word);
        has_text = true;
    }
    lines + &line + "\n"
}
