//! The log of a run that is repeated from its recording.

use bully::record::Inspected;
use bully::{Addr, Exchange, Incoming, Instant, Pid, Reply, Request, State};
use bully_record::{Observer, Problem, Replay, Step};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::event::{Event, HostPort, pid_text};
use super::json;
use super::text::{self, Detail};
use super::trace::Trace;
use crate::names::{self, Names};
use crate::net::Seen;

/// A recorded run, and the log of it as it is repeated.
pub(crate) struct Repeated {
    replay: Replay,
    told: Told,
    me: Pid,
    directory: Option<HostPort>,
    /// Unix time at the node's origin in microseconds; 0: not known.
    origin: u64,
}

/// What a log has of one moment.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The time of the node.
    pub(crate) at: Instant,
    /// Unix time in microseconds; if that is not known, the node's.
    pub(crate) unix: i64,
    who: Pid,
    pub(crate) event: Event,
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
            told: Told(Trace::repeated(me, directory)),
            replay,
            me,
            directory: directory.map(host_port),
            origin,
        }
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
        self.told.0.learn(node.roster());
        let Some(step) = self.replay.step(&mut self.told)? else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        let messages = self.told.0.take();
        entries.extend(
            messages
                .into_iter()
                .map(|message| (message.at, Event::Message(message))),
        );
        if let Step::Polled(at, event) = step {
            let state = self.replay.node().state();
            if state == State::WaitingForVictor && state != before {
                entries.push((at, Event::Waiting));
            }
            entries.extend(
                event
                    .and_then(|event| self.event(&event))
                    .map(|event| (at, event)),
            );
        }
        let entry = |(at, event)| Entry {
            at,
            unix: self
                .origin
                .saturating_add(Instant::as_micros(at))
                .cast_signed(),
            who: self.me,
            event,
        };
        Ok(Some(entries.into_iter().map(entry).collect()))
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
        if text::detail(&self.event) > detail {
            return None;
        }
        let (sentence, _) = text::sentence(&self.event, Some(self.who));
        let indent = if let Event::Message(_) = self.event {
            ""
        } else {
            "  "
        };
        let who = text::name_column(&pid_text(self.who));
        Some(format!("{}  {who} {indent}{sentence}", self.time(zone)))
    }

    /// The line of JSON.
    pub(crate) fn json(&self) -> String {
        let t = self.at.as_micros() as f64 / 1e6;
        json::line(t, self.unix as f64 / 1e6, Some(self.who), &self.event)
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

/// Where that is, as far as a recording tells: a name that was no address is not in it.
pub(crate) fn host_port(addr: Addr) -> HostPort {
    HostPort(Names::new().host(addr).into(), names::port(addr))
}

/// Messages as they are repeated. What only the network knew, connections and numbers of bytes, is
/// not known.
struct Told(Trace);

impl Observer for Told {
    fn polled(&mut self, at: Instant) {
        self.0.set_time(at);
    }

    fn opened(&mut self, exchange: Exchange, to: Addr, request: Request<'_>) {
        let at = self.0.now();
        self.0.opened(exchange, to, &request, None, 0, at);
    }

    fn received(&mut self, exchange: Exchange, incoming: Incoming<'_>) {
        let at = self.0.now();
        self.0.note(exchange, &incoming, Seen::default(), at);
    }

    fn replied(&mut self, on: Exchange, reply: Reply<'_>) {
        self.0.replied(on, &reply, 0);
    }

    fn closed(&mut self, exchange: Exchange) {
        self.0.closed(exchange, 0);
    }
}
