//! The log of one process.

use core::time::Duration;
use std::io;

use bully::{Instant, Pid};

use super::args::{Format, LogArgs};
use super::event::{Event, pid_text};
use super::repeats::Repeats;
use super::tap::Tap;
use super::text::{self, Detail, Tone};
use super::trace::Trace;
use super::wall::Wall;
use super::writer::{End, OnError, Status, Stream, Streams, Writer};
use super::{json, terminal};
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
    /// Whoever watches from outside.
    tap: Option<Tap>,
    writer: Writer,
    /// When to show the status again.
    status_at: Instant,
    finished: bool,
}

/// How often [`Log::show_status`] shows it: a member at rest stays at rest.
const STATUS_EACH: Duration = Duration::from_secs(1);

/// How long a reader may take for the next piece when the program ends by itself.
const READER_WITHIN: Duration = Duration::from_millis(300);

/// How long readers may take for all that is left when the program is to end: it is to be gone within
/// 500 ms, and a leader may need most of that to hand over.
const READERS_WITHIN_AT_ONCE: Duration = Duration::from_millis(80);

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
            tap: None,
            writer: Writer::start(Streams::standard(), on_error, move || waker.wake())?,
            status_at: Instant::ZERO,
            finished: false,
        })
    }

    /// Hands all events but messages to `tap` too, while somebody watches there.
    #[cfg(unix)]
    pub(crate) fn set_tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Returns `true` if it is text for people.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Returns `true` if it records single messages.
    pub(crate) fn has_messages(&self) -> bool {
        match self.format {
            Format::Text => self.detail > Detail::Quiet,
            Format::Json => true,
            Format::JsonBrief => false,
        }
    }

    /// Returns `true` if it cannot be written any more and the program is to end.
    pub(crate) fn ended(&self) -> bool {
        self.writer.ended()
    }

    /// Records what happened to `who`; `None` is the coordinator, the group, or the gateway.
    /// Returns `false` if it is one of many and only counted.
    pub(crate) fn emit(&mut self, now: Instant, who: Option<Pid>, event: &Event) -> bool {
        if let Event::Rejected { peer, why } = event
            && !self.repeats.is_new(now, &peer.0, why)
        {
            return false;
        }
        self.report_lost(now);
        self.write(now, who, event);
        true
    }

    /// Unix time at the origin of the log's times, in microseconds.
    pub(crate) fn unix_origin(&self) -> u64 {
        u64::try_from(self.wall.origin()).unwrap_or(0)
    }

    /// Records the messages that `trace` has seen.
    pub(crate) fn messages(&mut self, trace: &mut Trace) {
        for message in trace.take() {
            let (at, node) = (message.at, message.node);
            self.emit(at, node, &Event::Message(message));
        }
    }

    /// Records what was only counted, as often as that is done.
    pub(crate) fn turn(&mut self, now: Instant) {
        for event in self.repeats.due(now) {
            self.emit(now, None, &event);
        }
    }

    fn write(&mut self, now: Instant, who: Option<Pid>, event: &Event) {
        let watched = self.tap.as_ref().is_some_and(Tap::is_watched);
        if watched && !matches!(event, Event::Message(_)) {
            let unix = self.unix_seconds(now);
            let line = json::line(now.as_micros() as f64 / 1e6, unix, who, event);
            if let Some(tap) = &self.tap {
                tap.push(line);
            }
        }
        let (to, line) = if self.is_text() {
            if text::detail(event) > self.detail {
                return;
            }
            let (text, tone) = text::sentence(event, who);
            match event {
                Event::Summary(_) => (Stream::Out, text + "\n"),
                Event::Message(_) => (Stream::Err, self.columns(now, who, tone, &text)),
                _ => {
                    let text = format!("  {text}");
                    (Stream::Err, self.columns(now, who, tone, &text))
                }
            }
        } else {
            let unix = self.unix_seconds(now);
            let line = json::line(now.as_micros() as f64 / 1e6, unix, who, event);
            (Stream::Out, line + "\n")
        };
        if self.finished {
            self.writer.push_last(to, &line);
        } else {
            self.writer.push(to, &line);
        }
    }

    /// Returns the Unix time at `t`, in seconds, as the log's lines have it.
    pub(crate) fn unix_seconds(&mut self, t: Instant) -> f64 {
        self.wall.unix_micros(t) as f64 / 1e6
    }

    fn report_lost(&mut self, now: Instant) {
        let lines = self.writer.take_lost();
        if lines > 0 {
            self.write(now, None, &Event::LogLost { lines });
        }
    }

    /// Writes something for the user that is no event.
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

    /// Shows the status once a second, if there is a terminal for it. Returns when it is due again.
    pub(crate) fn show_status(
        &mut self,
        now: Instant,
        status: impl FnOnce() -> String,
    ) -> Option<Instant> {
        if !self.watched {
            return None;
        }
        if self.status_at <= now {
            self.status(&status());
            self.status_at = now + STATUS_EACH;
        }
        Some(self.status_at)
    }

    /// Names the columns of the text.
    pub(crate) fn heading(&mut self) {
        if self.is_text() && self.has_messages() {
            let heading = text::heading("time", "member");
            self.remark(&heading);
        }
    }

    /// Writes what is left, for a bounded time: if the program is to end `at_once`, less than half
    /// a second in all. Returns why nothing could be written any more, if that was so.
    pub(crate) fn close(mut self, now: Instant, at_once: bool) -> Option<End> {
        let in_all = if at_once {
            READERS_WITHIN_AT_ONCE
        } else {
            READERS_WITHIN
        };
        self.flush(now, in_all)
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
        let who = text::name_column(&who);
        format!("{faint}{time}{normal}  {on}{who} {text}{off}\n")
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
