//! The forms that a report has.

use super::content::{Report, json};
use super::text::Style;
use super::{gradescope, junit, tap, text};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// The whole, `host/grade/REPORT.md` describes it.
    Json,
    /// JUnit's XML.
    Junit,
    /// The Test Anything Protocol, version 13.
    Tap,
    /// Gradescope's `results.json`.
    Gradescope,
}

impl Form {
    /// All of them, by the name they have on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("text", Self::Text),
        ("json", Self::Json),
        ("junit", Self::Junit),
        ("tap", Self::Tap),
        ("gradescope", Self::Gradescope),
    ];
}

impl Report {
    /// The report in a form, as it stands.
    pub fn render(&self, form: Form) -> String {
        match form {
            Form::Text => text::render(self, Style::Plain),
            Form::Json => json(self),
            Form::Junit => junit::render(self),
            Form::Tap => tap::render(self),
            Form::Gradescope => gradescope::render(self),
        }
    }

    /// The report for people, with or without colours.
    pub fn text(&self, style: Style) -> String {
        text::render(self, style)
    }
}
