//! The log of a run that is repeated from its recording.

use std::collections::VecDeque;

use bully::record::Inspected;
use bully::{Addr, Exchange, Incoming, Instant, Pid, Reply, Request, State};
use bully_record::{Observer, Problem, Replay, Step};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::event::{Event, HostPort, pid_text};
use super::json;
use super::notes::{NoteReader, Noted, Written, is_reported};
use super::text::{self, Detail};
use super::trace::Trace;
use crate::names::{self, Names};
use crate::net::Seen;

/// A recorded run, and the log of it as it is repeated.
pub(crate) struct Repeated {
    replay: Replay,
    collected: Collector,
    me: Pid,
    directory: Option<HostPort>,
    /// Unix time at the node's origin in microseconds; 0: not known.
    origin: u64,
    /// What the node has reported and is not in the log yet.
    reported: VecDeque<(Instant, Event)>,
}

/// What a log has of one moment.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The time of the node.
    pub(crate) at: Instant,
    /// Unix time in microseconds; if that is not known, the node's.
    pub(crate) unix: i64,
    who: Pid,
    what: What,
}

#[derive(Debug)]
enum What {
    Event(Event),
    /// As it was written then.
    Written(Written),
}

impl Repeated {
    /// Repeats `replay`, of a node whose clock began at the Unix time `origin`.
    pub(crate) fn new(replay: Replay, origin: u64) -> Self {
        let mut who = None;
        replay.node().inspect(&mut |inspected| {
            if let Inspected::Me { me, directory } = inspected {
                who = Some((me.pid, directory));
            }
        });
        // Every node says who it is.
        let (me, directory) = who.unwrap_or((Pid { days: 0, id: 0 }, None));
        Self {
            collected: Collector {
                trace: Trace::repeated(me, directory),
                reader: NoteReader::default(),
                noted: Vec::new(),
                has_notes: false,
                at: Instant::ZERO,
            },
            reported: VecDeque::new(),
            replay,
            me,
            directory: directory.map(host_port),
            origin,
        }
    }

    /// The name of an event in JSON.
    pub(crate) fn name(entry: &Entry) -> String {
        let value = match &entry.what {
            What::Event(event) => serde_json::to_value(event),
            What::Written(written) => serde_json::from_str(&written.json),
        };
        let value = value.unwrap_or_default();
        let name = value.get("event").and_then(serde_json::Value::as_str);
        name.unwrap_or_default().to_owned()
    }

    /// Whose run it is.
    pub(crate) fn who(&self) -> Pid {
        self.me
    }

    /// How it goes.
    pub(crate) fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Repeats the next poll. Returns what the log has of it, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of [`Replay::step`].
    pub(crate) fn step(&mut self) -> Result<Option<Vec<Entry>>, Problem> {
        let node = self.replay.node();
        let before = node.state();
        self.collected.trace.learn(node.roster());
        let step = self.replay.step(&mut self.collected)?;
        let mut whats = Vec::new();
        let seen = self.collected.trace.take();
        if !self.collected.has_notes {
            let seen = seen.into_iter();
            whats.extend(seen.map(|message| (message.at, What::Event(Event::Message(message)))));
        }
        if let Some(Step::Polled(at, event)) = step {
            let state = self.replay.node().state();
            let waits = state == State::WaitingForVictor && state != before;
            if waits && !self.collected.has_notes {
                whats.push((at, What::Event(Event::Waiting)));
            }
            let event = event.and_then(|event| self.event(&event));
            // The notes have their own words for what the member reports in none of the log's.
            let event = event.filter(|event| !self.collected.has_notes || is_reported(event));
            self.reported.extend(event.map(|event| (at, event)));
        }
        for (at, noted) in self.collected.noted.drain(..) {
            match noted {
                Noted::Reported(_) => {
                    let reported = self.reported.pop_front();
                    whats.extend(reported.map(|(_, event)| (at, What::Event(event))));
                }
                Noted::Event(_, event) => whats.push((at, What::Event(event))),
                Noted::Written(_, written) => whats.push((at, What::Written(written))),
            }
        }
        // Without notes it is in the log at once; with them what is left at the end was cut off.
        if !self.collected.has_notes || step.is_none() {
            let reported = self.reported.drain(..);
            whats.extend(reported.map(|(at, event)| (at, What::Event(event))));
        }
        if step.is_none() && whats.is_empty() {
            return Ok(None);
        }
        let entry = |(at, what)| Entry {
            at,
            unix: self
                .origin
                .saturating_add(Instant::as_micros(at))
                .cast_signed(),
            who: self.me,
            what,
        };
        Ok(Some(whats.into_iter().map(entry).collect()))
    }

    fn event(&self, event: &bully::Event) -> Option<Event> {
        match event {
            bully::Event::JoinFailed { failure, again_in } => Some(Event::JoinFailed {
                peer: self.directory.clone().unwrap_or(HostPort("?".into(), 0)),
                why: failure.to_string(),
                tip: String::new(),
                again_in: Some(*again_in),
            }),
            event => Event::of_node(event),
        }
    }
}

impl Entry {
    /// The line for people; `None` for what is not shown to them. `verbose`: routine too.
    pub(crate) fn text(&self, zone: &TimeZone, verbose: bool) -> Option<String> {
        let detail = if verbose {
            Detail::Verbose
        } else {
            Detail::Normal
        };
        let (shown, sentence) = match &self.what {
            What::Event(event) => {
                let (sentence, _) = text::sentence(event, Some(self.who));
                let indent = if let Event::Message(_) = event {
                    ""
                } else {
                    "  "
                };
                (text::detail(event) <= detail, format!("{indent}{sentence}"))
            }
            What::Written(written) => (verbose || !written.routine, format!("  {}", written.text)),
        };
        let who = text::name_column(&pid_text(self.who));
        shown.then(|| format!("{}  {who} {sentence}", self.time(zone)))
    }

    /// The line of JSON.
    pub(crate) fn json(&self) -> String {
        let (t, unix) = (self.at.as_micros() as f64 / 1e6, self.unix as f64 / 1e6);
        match &self.what {
            What::Event(event) => json::line(t, unix, Some(self.who), event),
            What::Written(written) => json::spliced(t, unix, Some(self.who), &written.json),
        }
    }

    /// The local time of day, or the node's time if that is not known.
    fn time(&self, zone: &TimeZone) -> String {
        let known = self.unix > self.at.as_micros().cast_signed();
        match Timestamp::from_microsecond(self.unix) {
            Ok(at) if known => {
                let at = zone.to_datetime(at);
                let (hour, minute, second) = (at.hour(), at.minute(), at.second());
                format!("{hour:02}:{minute:02}:{second:02}.{:03}", at.millisecond())
            }
            _ => format!("{:>12.6}", self.at.as_micros() as f64 / 1e6),
        }
    }
}

/// Where that is, as far as a recording says: a name that was no address is not in it.
pub(crate) fn host_port(addr: Addr) -> HostPort {
    HostPort(Names::new().host(addr).into(), names::port(addr))
}

/// Messages as they are repeated, and notes. Without notes, what only the network knew is not known:
/// connections and numbers of bytes.
struct Collector {
    trace: Trace,
    reader: NoteReader,
    noted: Vec<(Instant, Noted)>,
    /// The recording has notes, which are about messages too.
    has_notes: bool,
    /// The time of the poll.
    at: Instant,
}

impl Observer for Collector {
    fn bank(&mut self) {
        self.reader = NoteReader::default();
    }

    fn polled(&mut self, at: Instant) {
        self.at = at;
        self.trace.set_time(at);
    }

    fn opened(&mut self, exchange: Exchange, to: Addr, request: Request<'_>) {
        let at = self.trace.now();
        self.trace.opened(exchange, to, &request, None, 0, at);
    }

    fn received(&mut self, exchange: Exchange, incoming: Incoming<'_>) {
        let at = self.trace.now();
        self.trace.note(exchange, &incoming, Seen::default(), at);
    }

    fn replied(&mut self, on: Exchange, reply: Reply<'_>) {
        self.trace.replied(on, &reply, 0);
    }

    fn closed(&mut self, exchange: Exchange) {
        self.trace.closed(exchange, 0);
    }

    fn noted(&mut self, note: &[u8]) {
        // Another host's notes say nothing here.
        if let Some(noted) = self.reader.read(note) {
            let (Noted::Reported(after) | Noted::Event(after, _) | Noted::Written(after, _)) =
                &noted;
            let at = self.at.as_micros().saturating_add_signed(*after);
            self.noted.push((Instant::from_micros(at), noted));
            self.has_notes = true;
        }
    }
}
