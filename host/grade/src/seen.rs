//! What happened in one run of a check, in order, and how it is shown to people.

use core::time::Duration;

use serde::Serialize;

use crate::wire::{Kind, Message, hex};

/// One of those between whom something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// The graded program.
    Program,
    /// Our group coordinator.
    Gcd,
    /// The peer of this number.
    Peer(usize),
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Since the check began.
    pub(crate) at: Duration,
    pub(crate) from: Party,
    pub(crate) to: Party,
    /// The connection, by number.
    pub(crate) link: Option<usize>,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The program sent a whole message, with these bytes.
    Message(Message, Vec<u8>),
    /// We sent one.
    Sent(Kind),
    /// The program connected.
    Connected,
    /// The program ended its side of a connection; the text is about a message that is missing.
    Closed(&'static str),
    /// The program does not let us connect.
    Refused,
    /// The program sent something that is no message.
    Unreadable(String, Vec<u8>),
    /// The grader did something other than send.
    Staged(String),
    /// The program was started, with this command.
    Started(String),
    /// The program ended, by itself.
    Ended(String),
}

impl Seen {
    /// The kind of message the program sent, if that is what happened.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match &self.what {
            What::Message(message, _) if self.from == Party::Program => Some(message.kind),
            _ => None,
        }
    }

    /// The message the program sent, if that is what happened.
    pub(crate) fn message(&self) -> Option<&Message> {
        match &self.what {
            What::Message(message, _) => Some(message),
            _ => None,
        }
    }

    /// The bytes of a message of the program in hex.
    pub(crate) fn hex(&self) -> Option<String> {
        match &self.what {
            What::Message(_, bytes) | What::Unreadable(_, bytes) => Some(hex(bytes)),
            _ => None,
        }
    }

    /// What it was, in words.
    pub(crate) fn text(&self) -> String {
        match &self.what {
            What::Message(message, _) => message.text.clone(),
            What::Sent(kind) => kind.name().to_owned(),
            What::Connected => "connects".to_owned(),
            What::Closed("") => "closes the connection".to_owned(),
            What::Closed(missing) => format!("closes the connection {missing}"),
            What::Refused => "refuses the connection: nobody listens there".to_owned(),
            What::Unreadable(why, _) => format!("something that is no message: {why}"),
            What::Staged(text) => text.clone(),
            What::Started(command) => format!("started: {command}"),
            What::Ended(how) => format!("ends {how}"),
        }
    }

    /// The word for its kind in reports.
    pub(crate) fn label(&self) -> &'static str {
        match &self.what {
            What::Message(message, _) => message.kind.name(),
            What::Sent(kind) => kind.name(),
            What::Connected => "connected",
            What::Closed(_) => "closed",
            What::Refused => "refused",
            What::Unreadable(..) => "unreadable",
            What::Staged(_) => "staged",
            What::Started(_) => "started",
            What::Ended(_) => "ended",
        }
    }
}

/// A line of evidence, as it stands in reports.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Seconds since the check began.
    pub t: f64,
    /// Who did it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The message's name, or `connected`, `closed`, `refused`, `unreadable`, `staged`, `started`,
    /// `ended`.
    pub kind: String,
    /// What it was, for people.
    pub text: String,
    /// The first 64 bytes of what the program sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// This is what the verdict is about.
    #[serde(skip_serializing_if = "is_false")]
    pub offending: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The most lines a timeline has.
const LINES_MAX: usize = 20;

/// The timeline of a run: the offending event and what led to it, at most [`LINES_MAX`] lines.
///
/// `name` says how a party is called. Connections and their ends are left out where a message says
/// the same.
pub(crate) fn timeline(
    seen: &[Seen],
    offending: Option<usize>,
    name: impl Fn(Party) -> String,
) -> Vec<Line> {
    let telling = |(at, event): &(usize, &Seen)| {
        Some(*at) == offending
            || match event.what {
                What::Connected => !seen.iter().skip(at + 1).any(|later| {
                    later.link == event.link && !matches!(later.what, What::Closed(_))
                }),
                What::Closed(missing) => !missing.is_empty(),
                _ => true,
            }
    };
    let lines: Vec<Line> = seen
        .iter()
        .enumerate()
        .filter(telling)
        .map(|(at, event)| Line {
            t: (event.at.as_secs_f64() * 1e3).round() / 1e3,
            from: name(event.from),
            to: name(event.to),
            kind: event.label().to_owned(),
            text: event.text(),
            hex: event.hex(),
            offending: Some(at) == offending,
        })
        .collect();
    shortened(lines)
}

/// Keeps the beginning, what offends, and the end.
fn shortened(mut lines: Vec<Line>) -> Vec<Line> {
    if lines.len() <= LINES_MAX {
        return lines;
    }
    let focus = lines
        .iter()
        .position(|line| line.offending)
        .unwrap_or(lines.len() - 1);
    const HEAD: usize = 7;
    let end = (focus + 3).max(LINES_MAX).min(lines.len());
    let begin = end - (LINES_MAX - HEAD - 1);
    let left_out = begin - HEAD;
    let rest = lines.split_off(begin);
    lines.truncate(HEAD);
    lines.push(Line {
        t: rest.first().map_or(0.0, |line| line.t),
        from: String::new(),
        to: String::new(),
        kind: "…".to_owned(),
        text: format!("{left_out} lines left out"),
        hex: None,
        offending: false,
    });
    lines.extend(rest.into_iter().take(LINES_MAX - HEAD - 1));
    lines
}

/// Seconds, to the millisecond.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
