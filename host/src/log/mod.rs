//! The log: what happens, as lines for people on stderr or as JSON on stdout.
//!
//! `event` holds what is recorded, `text` and `json` how it is written, `writer` writes it in a
//! thread of its own, and `trace` records the messages of a member. `schema.md` describes the JSON.

mod args;
mod event;
mod json;
mod progress;
mod repeats;
mod terminal;
mod text;
mod trace;
mod wall;
mod writer;

use core::fmt::Write as _;
use core::time::Duration;
use std::io;

use bully::{Instant, Pid, State};

pub(crate) use args::{Format, LogArgs};
pub(crate) use event::{Event, HostPort, Summary, pid_text, printable};
pub(crate) use progress::Progress;
pub(crate) use text::{Detail, Tone};
pub(crate) use trace::{Book, Traced};
pub(crate) use writer::{End, OnError};

use self::repeats::Repeats;
use self::wall::Wall;
use self::writer::{Status, Stream, Writer};
use crate::net::Poll;

/// The log of one process.
#[derive(Debug)]
pub(crate) struct Log {
    format: Format,
    detail: Detail,
    colour: bool,
    /// There is a terminal for a line that changes.
    watched: bool,
    /// Who is meant when no member is.
    host: &'static str,
    wall: Wall,
    repeats: Repeats,
    writer: Writer,
    finished: bool,
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

/// As wide as the widest process id of the lab's ranges, `(365, 1234567)`.
const WHO_WIDTH: usize = 14;

/// As wide as the lab's longest name of a state.
const STATE_WIDTH: usize = State::WaitingForAnyMessage.name().len();

/// As wide as a time of day.
const TIME_WIDTH: usize = "07:21:06.123".len();

/// How long a reader may take for the next piece when the program ends.
const READER_WITHIN: Duration = Duration::from_millis(300);

/// How long readers may take for all that is left when the program ends by itself.
const READERS_WITHIN: Duration = Duration::from_secs(10);

impl Log {
    /// Opens a log in which `host` is meant when no member is. When it cannot be written any more,
    /// `on_error` decides: for [`OnError::End`] it has [`ended`](Self::ended), and `poll` wakes.
    ///
    /// # Errors
    ///
    /// The system's, if it has no thread to give.
    pub(crate) fn open(
        args: LogArgs,
        host: &'static str,
        on_error: OnError,
        poll: &Poll,
    ) -> io::Result<Self> {
        let waker = poll.waker();
        let terminal = terminal::is_capable();
        Ok(Self {
            format: args.format,
            detail: args.detail(),
            colour: terminal && terminal::wants_colour(),
            watched: terminal && args.format == Format::Text,
            host,
            wall: Wall::new(poll.clock()),
            repeats: Repeats::default(),
            writer: Writer::start(on_error, move || waker.wake())?,
            finished: false,
        })
    }

    /// Returns `true` if it is text for people.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether single messages are told too.
    pub(crate) fn traces(&self) -> bool {
        self.is_text() && self.detail > Detail::Quiet
    }

    /// Returns `true` if it cannot be written any more and the program is to end.
    pub(crate) fn ended(&self) -> bool {
        self.writer.ended()
    }

    /// Records what happened to `who`; `None` is the coordinator, the group, or the gateway.
    pub(crate) fn emit(&mut self, now: Instant, who: Option<Pid>, event: &Event) {
        if let Event::Rejected { peer, why } = event
            && !self.repeats.is_new(now, &peer.0, why)
        {
            return;
        }
        self.report_lost(now);
        self.write(now, who, event);
    }

    /// Records what was only counted, as often as that is done.
    pub(crate) fn turn(&mut self, now: Instant) {
        for event in self.repeats.due(now) {
            self.emit(now, None, &event);
        }
    }

    fn write(&mut self, now: Instant, who: Option<Pid>, event: &Event) {
        let (to, line) = if self.is_text() {
            if text::detail(event) > self.detail {
                return;
            }
            let (text, tone) = text::sentence(event, who);
            match event {
                Event::Summary(_) => (Stream::Out, text + "\n"),
                _ => (
                    Stream::Err,
                    self.columns(now, who, tone, &format!("  {text}")),
                ),
            }
        } else {
            let unix = self.wall.unix_micros(now) as f64 / 1e6;
            let line = json::line(now.as_micros() as f64 / 1e6, unix, who, event);
            (Stream::Out, line + "\n")
        };
        if self.finished {
            self.writer.push_last(to, &line);
        } else {
            self.writer.push(to, &line);
        }
    }

    fn report_lost(&mut self, now: Instant) {
        let lines = self.writer.take_lost();
        if lines > 0 {
            self.write(now, None, &Event::LogLost { lines });
        }
    }

    /// Records one message. Only for a log that [`traces`](Self::traces).
    pub(crate) fn message(&mut self, now: Instant, who: Option<Pid>, passing: &Passing<'_>) {
        let Passing {
            incoming,
            peer,
            state,
            what,
            tone,
        } = *passing;
        if tone == Tone::Faint && self.detail < Detail::Verbose {
            return;
        }
        let arrow = if incoming { '←' } else { '→' };
        let state = state.name();
        let text = format!("{arrow} {peer:<WHO_WIDTH$}  {state:<STATE_WIDTH$}  {what}");
        let line = self.columns(now, who, tone, text.trim_end());
        self.report_lost(now);
        self.writer.push(Stream::Err, &line);
    }

    /// Tells the user something that is no event.
    pub(crate) fn remark(&mut self, text: &str) {
        let (on, off) = self.paint(Tone::Faint);
        self.writer.push(Stream::Err, &format!("{on}{text}{off}\n"));
    }

    /// Returns `true` if there is a terminal for a [`status`](Self::status).
    pub(crate) fn watched(&self) -> bool {
        self.watched
    }

    /// Shows `text` in the last line of the terminal, until the next line is written.
    pub(crate) fn status(&mut self, text: &str) {
        if self.watched {
            let (on, off) = self.paint(Tone::Faint);
            let text = terminal::clip(text);
            self.writer.status(Status {
                text: format!("{on}{text}{off}"),
                columns: text.chars().count(),
            });
        }
    }

    /// Names the columns of the text.
    pub(crate) fn heading(&mut self) {
        if self.traces() {
            let (time, who, peer, state) = ("time", "member", "peer", "state");
            self.remark(&format!(
                "{time:<TIME_WIDTH$}  {who:>WHO_WIDTH$}   {peer:<WHO_WIDTH$}  \
                 {state:<STATE_WIDTH$}  message"
            ));
        }
    }

    /// Writes what is left, for a bounded time: if the program is to end `at_once`, less than half
    /// a second in all. Returns why nothing could be written any more, if that was so.
    pub(crate) fn close(mut self, now: Instant, at_once: bool) -> Option<End> {
        self.flush(
            now,
            if at_once {
                READER_WITHIN
            } else {
                READERS_WITHIN
            },
        )
    }

    fn flush(&mut self, now: Instant, in_all: Duration) -> Option<End> {
        self.finished = true;
        self.writer.finishing();
        for event in self.repeats.all() {
            self.write(now, None, &event);
        }
        self.report_lost(now);
        self.writer.finish(READER_WITHIN.min(in_all), in_all)
    }

    fn columns(&mut self, now: Instant, who: Option<Pid>, tone: Tone, text: &str) -> String {
        let (on, off) = self.paint(tone);
        let (faint, normal) = self.paint(Tone::Faint);
        let time = self.wall.time_of_day(now);
        let who = who.map_or_else(|| self.host.to_owned(), pid_text);
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            line,
            "{faint}{time}{normal}  {on}{who:>WHO_WIDTH$} {text}{off}"
        );
        line
    }

    /// Returns what switches a colour on, and off again.
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
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.finished {
            // The command ends with an error, which follows on stderr.
            self.writer.finish(READER_WITHIN, READER_WITHIN);
        }
    }
}
