//! Where the log goes: lines for people on stderr, or one JSON object a line on stdout.

use core::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use bully::{Instant, Pid, State};
use serde::Serialize;

use super::told::{Told, maybe_pair, pid_text};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned lines for people, on stderr
    Text,
    /// One object a line, on stdout
    Json,
}

/// The log of one process.
#[derive(Debug)]
pub(crate) struct Log {
    format: Format,
    colour: bool,
    /// Whether somebody may be watching a line that changes.
    watched: bool,
    /// How wide the line that stands there is.
    status_width: usize,
    closed: bool,
    line: String,
    /// Who speaks when no member does.
    host: &'static str,
}

/// How much something matters: its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It is mere routine.
    Faint,
    Plain,
    Election,
    Leader,
    Follower,
    Trouble,
}

/// A message on its way, seen from one member.
#[derive(Debug)]
pub(crate) struct Passing<'a> {
    /// Whether it comes in.
    pub(crate) incoming: bool,
    /// The other one.
    pub(crate) peer: &'a str,
    /// The state of the exchange, by the lab's names.
    pub(crate) state: State,
    /// The message, or what came instead.
    pub(crate) what: &'a str,
    pub(crate) tone: Tone,
}

/// Every JSON line.
#[derive(Serialize)]
struct Line<'a> {
    t: f64,
    #[serde(serialize_with = "maybe_pair")]
    node: Option<Pid>,
    #[serde(flatten)]
    told: &'a Told,
}

/// As wide as the widest process id of the lab's ranges, `(365, 1234567)`.
const WHO_WIDTH: usize = 14;

/// As wide as the lab's longest name of a state.
const STATE_WIDTH: usize = State::WaitingForAnyMessage.name().len();

impl Log {
    /// A log of a coordinator, or of members.
    pub(crate) fn new(format: Format) -> Self {
        Self::of("coordinator", format)
    }

    /// A log in which `host` speaks when no member does.
    pub(crate) fn of(host: &'static str, format: Format) -> Self {
        let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        Self {
            format,
            colour: terminal && unset("NO_COLOR"),
            watched: terminal && format == Format::Text,
            status_width: 0,
            closed: false,
            line: String::new(),
            host,
        }
    }

    /// Whether single messages are told too.
    pub(crate) fn traces(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether nobody reads it any more: then there is no point in going on.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Tells what happened to `who`; `None` is the coordinator, the group, or the gateway.
    pub(crate) fn tell(&mut self, now: Instant, who: Option<Pid>, told: &Told) {
        self.line.clear();
        if self.format == Format::Json {
            let line = Line {
                t: seconds(now),
                node: who,
                told,
            };
            // Numbers and text always have a JSON form.
            self.line
                .push_str(&serde_json::to_string(&line).unwrap_or_default());
            self.end_line(true);
        } else if let Told::Summary(_) = told {
            self.line.push_str(&told.text(who).0);
            self.end_line(true);
        } else {
            let name = self.name(who);
            let (text, tone) = told.text(who);
            self.text(now, &name, tone, &format!("  {text}"));
        }
    }

    /// Tells of one message. Only for a log that [`traces`](Self::traces).
    pub(crate) fn message(&mut self, now: Instant, who: Option<Pid>, passing: &Passing<'_>) {
        let Passing {
            incoming,
            peer,
            state,
            what,
            tone,
        } = *passing;
        let arrow = if incoming { '←' } else { '→' };
        let state = state.name();
        let text = format!("{arrow} {peer:<WHO_WIDTH$}  {state:<STATE_WIDTH$}  {what}");
        self.line.clear();
        self.text(now, &self.name(who), tone, text.trim_end());
    }

    /// Tells the person at the terminal something that is no event.
    pub(crate) fn remark(&mut self, text: &str) {
        self.line.clear();
        let (on, off) = self.paint(Tone::Faint);
        let _ = write!(self.line, "{on}{text}{off}");
        self.end_line(false);
    }

    /// Whether there is a terminal for a [`status`](Self::status).
    pub(crate) fn watched(&self) -> bool {
        self.watched
    }

    /// Shows how things stand in the last line of the terminal, until the next line is written.
    pub(crate) fn status(&mut self, text: &str) {
        if self.watched {
            let (on, off) = self.paint(Tone::Faint);
            let (old, new) = (self.status_width, text.chars().count());
            // Spaces over what is left of a longer one; and it is not missed if it fails.
            let line = format!("\r{on}{text:<old$}{off}");
            let _ = io::stderr().lock().write_all(line.as_bytes());
            self.status_width = old.max(new);
        }
    }

    /// Names the columns, for a log that [`traces`](Self::traces).
    pub(crate) fn heading(&mut self) {
        if self.traces() {
            let (t, who, peer, state) = ("t / s", "member", "other side", "state");
            self.remark(&format!(
                "{t:>8}  {who:>WHO_WIDTH$}   {peer:<WHO_WIDTH$}  {state:<STATE_WIDTH$}  message"
            ));
        }
    }

    fn name(&self, who: Option<Pid>) -> String {
        who.map_or_else(|| self.host.to_owned(), pid_text)
    }

    fn text(&mut self, now: Instant, who: &str, tone: Tone, text: &str) {
        let (on, off) = self.paint(tone);
        let (faint, normal) = self.paint(Tone::Faint);
        let t = seconds(now);
        let _ = write!(
            self.line,
            "{faint}{t:>8.3}{normal}  {on}{who:>WHO_WIDTH$} {text}{off}"
        );
        self.end_line(false);
    }

    /// What switches a colour on and off again.
    fn paint(&self, tone: Tone) -> (&'static str, &'static str) {
        let on = match tone {
            Tone::Plain => return ("", ""),
            _ if !self.colour => return ("", ""),
            Tone::Faint => "\x1b[2m",
            Tone::Election => "\x1b[33m",
            Tone::Leader => "\x1b[1;32m",
            Tone::Follower => "\x1b[32m",
            Tone::Trouble => "\x1b[31m",
        };
        (on, "\x1b[0m")
    }

    /// Writes the line in one piece, so that several processes can share a terminal.
    fn end_line(&mut self, data: bool) {
        self.line.push('\n');
        match core::mem::take(&mut self.status_width) {
            0 => {}
            width => {
                let clear = format!("\r{:width$}\r", "");
                // Before the line, not in it: the two may go to different places.
                let _ = io::stderr().lock().write_all(clear.as_bytes());
            }
        }
        let bytes = self.line.as_bytes();
        let written = if data {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        } else {
            io::stderr().lock().write_all(bytes)
        };
        // Whatever the reason: a log that cannot be written has no reader.
        self.closed |= written.is_err();
    }
}

fn seconds(now: Instant) -> f64 {
    now.as_micros() as f64 / 1e6
}
