//! A sequence diagram for Mermaid, as pages and READMEs on the web show it.
//!
//! Its arrows cannot slant, so that it does not show which messages overtake each other.

use core::fmt;
use core::fmt::Write as _;

use crate::run::{Fate, PointWhat, Run};
use crate::select::Selection;

use super::words;

/// How many messages there may be: more, nobody reads in such a diagram.
pub const MERMAID_MESSAGES_MAX: usize = 300;

/// How many characters there may be: Mermaid refuses 50,000, `maxTextSize`.
pub const MERMAID_CHARS_MAX: usize = 45_000;

/// Why there is no diagram: it would be larger than Mermaid shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// How many messages it would have.
    pub messages: usize,
    /// How many characters.
    pub chars: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages in {} characters are more than Mermaid shows: {MERMAID_MESSAGES_MAX} in \
             {MERMAID_CHARS_MAX} here",
            self.messages, self.chars
        )
    }
}

impl core::error::Error for TooLarge {}

/// Returns what is selected as a sequence diagram.
///
/// # Errors
///
/// [`TooLarge`] for what Mermaid would not show.
pub fn mermaid(run: &Run, selection: &Selection) -> Result<String, TooLarge> {
    let mut text = "sequenceDiagram\n".to_owned();
    for lane in &selection.lanes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    participant m{lane} as {}", run.who(*lane));
    }
    for place in &selection.points {
        let Some(point) = run.points.get(*place) else {
            continue;
        };
        match &point.what {
            PointWhat::Event(what) => {
                let event = words::event(run, point.lane, what);
                if let (Some((long, _)), Some(lane)) = (event, point.lane) {
                    let _ = writeln!(text, "    Note over m{lane}: {}", plain(&long));
                }
            }
            PointWhat::Message(number) => message(run, *number, *place, &mut text),
        }
    }
    let chars = text.chars().count();
    let messages = selection.messages.len();
    if messages > MERMAID_MESSAGES_MAX || chars > MERMAID_CHARS_MAX {
        return Err(TooLarge { messages, chars });
    }
    Ok(text)
}

/// Writes a message where it was seen first.
fn message(run: &Run, number: usize, place: usize, text: &mut String) {
    let Some(message) = run.messages.get(number) else {
        return;
    };
    if message.points().min() != Some(place) {
        return;
    }
    let name = plain(message.name());
    let (arrow, remark) = match &message.fate {
        Fate::Arrived => ("->>", String::new()),
        Fate::HalfSeen => ("-->>", String::new()),
        Fate::Failed(why) => ("-x", format!(" ({})", plain(words::problem(why)))),
        Fate::Missing(why) => ("--x", format!(" ({})", plain(words::problem(why)))),
    };
    let _ = match (message.from, message.to) {
        (Some(from), Some(to)) => writeln!(text, "    m{from}{arrow}m{to}: {name}{remark}"),
        (Some(one), None) => {
            writeln!(
                text,
                "    Note over m{one}: {name} to somebody unknown{remark}"
            )
        }
        (None, Some(one)) => {
            writeln!(
                text,
                "    Note over m{one}: {name} from somebody unknown{remark}"
            )
        }
        (None, None) => Ok(()),
    };
}

/// Returns `text` without what means something to Mermaid.
fn plain(text: &str) -> String {
    let plain = |letter: char| !matches!(letter, ';' | '#' | '\n' | '\r' | '<' | '>');
    text.chars().filter(|letter| plain(*letter)).collect()
}
