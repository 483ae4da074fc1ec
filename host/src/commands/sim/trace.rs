//! Everything that happens in one run, as text or as JSON.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::time::Instant;

use bully::Pid;
use bully_sim::{
    Build, Fate, Kind as SimKind, Observer, Run, Scenario, TraceEvent, TraceMessage, run_built,
};
use bully_view::Source;

use super::recorded::Files;
use super::runs;
use super::wire::Wire;
use crate::log::{Conn, Direction, Event, Kind, Message, Party, Problem, json_line};

/// Runs one seed whose members are recorded.
pub(super) fn recorded(scenario: &Scenario, build: Build<'_>, files: &Files) -> Run {
    events(scenario, build, Some(files), |_, _, _| ())
}

/// Runs one seed and writes everything that happens in it, as text.
pub(super) fn text(scenario: &Scenario, build: Build<'_>, files: Option<&Files>) -> Run {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut log = EventTrace::new(files, |_, _, _| ());
    // A reader who leaves is noticed when the row is written.
    let _ = writeln!(out, "{:>12}  {:>6}  what", "time / s", "member");
    let mut observer = |at: bully::Instant, member: usize, event: &TraceEvent| {
        log.record(at, member, event);
        // What a row says of its sending and its delay is not repeated when it arrives.
        if matches!(event, TraceEvent::Arrived(_) | TraceEvent::Refused(_)) {
            return;
        }
        let at = seconds(at);
        let _ = match member {
            0 => writeln!(out, "{at:>12.6}  {:>6}  {event}", "GCD"),
            _ => writeln!(out, "{at:>12.6}  {member:>6}  {event}"),
        };
    };
    run(scenario, Some(&mut observer), build)
}

/// Runs one seed and writes everything that happens in it, as the events of a log.
pub(super) fn json(scenario: &Scenario, build: Build<'_>, files: Option<&Files>) -> Run {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let run = events(scenario, build, files, |at, node, event| {
        // A reader who leaves is noticed when the row is written.
        let _ = writeln!(out, "{}", line(at, node, event));
    });
    let _ = out.flush();
    run
}

/// Runs one seed and keeps everything that happens in it, as a log is read.
pub(super) fn source(
    scenario: &Scenario,
    build: Build<'_>,
    files: Option<&Files>,
) -> (Run, Source) {
    let mut source = Source {
        name: format!("seed {}", scenario.seed),
        ..Source::default()
    };
    let mut number = 0;
    let run = events(scenario, build, files, |at, node, event| {
        number += 1;
        source.push(number, &line(at, node, event));
    });
    (run, source)
}

fn line(at: bully::Instant, node: Option<Pid>, event: &Event) -> String {
    let t = seconds(at);
    json_line(t, t, node, event)
}

/// Runs one seed and hands over everything that happens in it, as the events of a log.
fn events(
    scenario: &Scenario,
    build: Build<'_>,
    files: Option<&Files>,
    sink: impl FnMut(bully::Instant, Option<Pid>, &Event),
) -> Run {
    let mut log = EventTrace::new(files, sink);
    let mut observer = |at: bully::Instant, member: usize, event: &TraceEvent| {
        log.record(at, member, event);
    };
    let run = run(scenario, Some(&mut observer), build);
    log.finish();
    run
}

/// Runs one seed with members that `build` makes.
pub(super) fn run(scenario: &Scenario, observer: Option<Observer<'_>>, build: Build<'_>) -> Run {
    let wire = Wire::new();
    let started = Instant::now();
    let measure = |name: &str, members: &[bully::Member]| wire.bytes(name, members);
    let watched = observer.is_some();
    let mut observer = observer;
    let mut observe = |at: bully::Instant, member: usize, event: &TraceEvent| {
        if let Some(observer) = &mut observer {
            observer(at, member, event);
        }
    };
    let observe: Option<Observer<'_>> = if watched { Some(&mut observe) } else { None };
    let result = run_built(scenario, &measure, observe, build);
    Run {
        seed: scenario.seed,
        result,
        wall: started.elapsed(),
        peak_rss: runs::peak_rss(),
    }
}

struct EventTrace<'f, S> {
    /// Takes the events.
    sink: S,
    /// Takes those of a member for its recording.
    files: Option<&'f Files>,
    /// Who a member is, by its number.
    pids: HashMap<usize, Pid>,
    /// Messages that were sent and have not arrived, by exchange; `true`: an answer.
    under_way: BTreeMap<(u64, bool), TraceMessage>,
    latest: bully::Instant,
}

impl<'f, S: FnMut(bully::Instant, Option<Pid>, &Event)> EventTrace<'f, S> {
    fn new(files: Option<&'f Files>, sink: S) -> Self {
        Self {
            sink,
            files,
            pids: HashMap::new(),
            under_way: BTreeMap::new(),
            latest: bully::Instant::ZERO,
        }
    }

    fn record(&mut self, at: bully::Instant, number: usize, event: &TraceEvent) {
        self.latest = at;
        match event {
            TraceEvent::Sent(message, fate) => {
                let arrives = matches!(fate, Fate::Arrives | Fate::Late);
                if arrives {
                    self.under_way.insert(key(message), *message);
                }
                let error = (!arrives).then_some(Problem::Lost);
                self.message(at, Direction::Send, message, error);
            }
            TraceEvent::Arrived(message) => {
                self.under_way.remove(&key(message));
                self.message(at, Direction::Recv, message, None);
            }
            TraceEvent::Refused(message) => {
                // What is lost on its way to a closed listener was lost already.
                if let Some(sent) = self.under_way.remove(&key(message)) {
                    self.message(at, Direction::Send, &sent, Some(Problem::Refused));
                }
            }
            TraceEvent::State("WAITING_FOR_VICTOR") => self.event(at, number, &Event::Waiting),
            TraceEvent::State(_) => {}
            TraceEvent::Node(node_event) => {
                let recorded = Event::of_node(node_event).unwrap_or_else(|| Event::Process {
                    what: event.to_string(),
                });
                self.event(at, number, &recorded);
            }
            other => {
                if let TraceEvent::Starts(pid) = other {
                    self.pids.extend(pid.map(|pid| (number, pid)));
                }
                // What is done to a process is no part of its recording.
                let what = other.to_string();
                let node = self.pids.get(&number).copied();
                (self.sink)(at, node, &Event::Process { what });
            }
        }
    }

    /// What has not arrived by the end never does.
    fn finish(&mut self) {
        for message in core::mem::take(&mut self.under_way).into_values() {
            self.message(self.latest, Direction::Recv, &message, Some(Problem::Lost));
        }
    }

    fn message(
        &mut self,
        at: bully::Instant,
        dir: Direction,
        message: &TraceMessage,
        error: Option<Problem>,
    ) {
        let (here, there) = match dir {
            Direction::Send => (Some(message.from), message.to),
            Direction::Recv => (message.to, Some(message.from)),
        };
        let list = matches!(
            message.kind,
            SimKind::Members | SimKind::Election | SimKind::Coordinator
        );
        let who = |number: Option<usize>| number.and_then(|number| self.pids.get(&number).copied());
        let event = Event::Message(Message {
            at,
            node: who(here),
            dir,
            kind: Some(match message.kind {
                _ if message.refusal.is_some() => Kind::Refused,
                SimKind::Join => Kind::Join,
                SimKind::Members => Kind::Members,
                SimKind::Election => Kind::Election,
                SimKind::Coordinator => Kind::Coordinator,
                SimKind::Probe => Kind::Probe,
                SimKind::Ok => Kind::Ok,
            }),
            conn: Some(Conn::Number(message.exchange)),
            peer: who(there),
            leader: message
                .greatest
                .filter(|_| message.kind == SimKind::Coordinator),
            members: (list && message.refusal.is_none()).then_some(message.members),
            bytes: message.bytes,
            error,
            request: None,
            party: Party::Caller,
            alone: false,
            waited: Duration::ZERO,
        });
        self.event(at, here.unwrap_or_default(), &event);
    }

    fn event(&mut self, at: bully::Instant, number: usize, event: &Event) {
        let node = self.pids.get(&number).copied();
        if let (Some(files), Some(pid)) = (self.files, node) {
            files.note(pid, at, event);
        }
        (self.sink)(at, node, event);
    }
}

fn key(message: &TraceMessage) -> (u64, bool) {
    (message.exchange, message.answers.is_some())
}

fn seconds(at: bully::Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}
