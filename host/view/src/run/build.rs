//! Puts a run together from its logs.

use std::collections::BTreeMap;

use super::clocks;
use super::ends::{self, Ends};
use super::model::{Clock, Fate, Lane, Message, Point, PointWhat, Run, Who};
use super::order;
use super::time::{micros, span_text};
use crate::line::What;
use crate::read::Source;

impl Run {
    /// Puts the run together from its logs.
    pub fn new(sources: &[Source]) -> Self {
        let ends = Ends::collect(sources);
        let shifts = clocks::shifts(sources.len(), &ends);
        let (shift_of, is_consistent) = (shifts.shift, shifts.is_consistent);
        let mut run = Builder::new(sources, &shift_of);
        let messages = ends.messages(&shift_of);
        run.add(messages, &ends);
        let mut run = run.finish();
        if !is_consistent {
            run.remarks.push(
                "the clocks of the logs run at different speeds: no shift makes every message \
                 arrive after it left"
                    .to_owned(),
            );
        }
        run
    }
}

/// Collects points and messages before they have their order.
struct Builder<'a> {
    sources: &'a [Source],
    clocks: Vec<Clock>,
    origin: i64,
    lanes: BTreeMap<Who, bool>,
    points: Vec<Point>,
    /// Where a line went in `points`, by source and place among its lines.
    places: Vec<Vec<Option<usize>>>,
    messages: Vec<Message>,
}

impl<'a> Builder<'a> {
    fn new(sources: &'a [Source], shifts: &[i64]) -> Self {
        let clocks: Vec<_> = sources
            .iter()
            .zip(shifts)
            .map(|(source, shift)| Clock {
                name: source.name.clone(),
                shift: *shift,
            })
            .collect();
        let started = |(source, shift): (&Source, &i64)| {
            let (_, first) = source.lines.first()?;
            Some(micros(first.time - first.t).saturating_add(*shift))
        };
        let origin = sources.iter().zip(shifts).filter_map(started).min();
        let mut builder = Self {
            sources,
            clocks,
            origin: origin.unwrap_or(0),
            lanes: BTreeMap::new(),
            points: Vec::new(),
            places: Vec::new(),
            messages: Vec::new(),
        };
        builder.collect_lanes();
        builder.collect_points();
        builder
    }

    fn collect_lanes(&mut self) {
        for (_, line) in self.sources.iter().flat_map(|source| &source.lines) {
            let who = line.node.map_or(Who::Coordinator, Who::Member);
            let is_certain = match line.what {
                // A gateway's log is of nobody, too.
                What::Message(_) | What::Joined { .. } => true,
                What::Other => false,
                _ => line.node.is_some(),
            };
            if is_certain {
                self.lanes.insert(who, true);
            }
            if let What::Message(message) = &line.what
                && let Some(peer) = message.peer
            {
                self.lanes.entry(Who::Member(peer)).or_insert(false);
            }
        }
    }

    fn collect_points(&mut self) {
        let lanes: BTreeMap<Who, usize> = self.lanes.keys().copied().zip(0..).collect();
        for (number, source) in self.sources.iter().enumerate() {
            let shift = self.clocks.get(number).map_or(0, |clock| clock.shift);
            let mut places = Vec::with_capacity(source.lines.len());
            for (line_number, line) in &source.lines {
                let who = line.node.map_or(Who::Coordinator, Who::Member);
                let lane = match &line.what {
                    What::Other => {
                        places.push(None);
                        continue;
                    }
                    What::Process { what } if line.node.is_none() && !is_of_process(what) => None,
                    _ => lanes.get(&who).copied(),
                };
                places.push(Some(self.points.len()));
                let at = micros(line.time).saturating_add(shift);
                self.points.push(Point {
                    at: at.saturating_sub(self.origin),
                    lane,
                    source: number,
                    line: *line_number,
                    what: PointWhat::Event(line.what.clone()),
                });
            }
            self.places.push(places);
        }
    }

    /// Adds the messages that the ends make.
    fn add(&mut self, messages: Vec<ends::Joint>, ends: &Ends<'_>) {
        let lanes: BTreeMap<Who, usize> = self.lanes.keys().copied().zip(0..).collect();
        let listeners = ends.listeners();
        for joint in messages {
            let place = |end: Option<ends::End>| {
                let (source, index) = end?;
                *self.places.get(source)?.get(index)?
            };
            let (sent, received, failed) = (
                place(joint.sent),
                place(joint.received),
                place(joint.failed),
            );
            let message = ends.message(&joint, &listeners, |who| lanes.get(&who).copied());
            let number = self.messages.len();
            for point in [sent, received, failed].into_iter().flatten() {
                if let Some(point) = self.points.get_mut(point) {
                    point.what = PointWhat::Message(number);
                }
            }
            self.messages.push(Message {
                sent,
                received,
                failed,
                ..message
            });
        }
    }

    fn finish(self) -> Run {
        let lanes = self
            .lanes
            .iter()
            .map(|(who, is_logged)| Lane {
                who: *who,
                is_logged: *is_logged,
            })
            .collect();
        let mut run = Run {
            clocks: self.clocks,
            lanes,
            points: self.points,
            messages: self.messages,
            remarks: Vec::new(),
            is_inconsistent: false,
        };
        order::sort(&mut run);
        let remarks = remarks(&mut run);
        run.remarks = self.sources.iter().flat_map(Source::remarks).collect();
        run.remarks.extend(remarks);
        run
    }
}

fn remarks(run: &mut Run) -> Vec<String> {
    let mut remarks = Vec::new();
    for clock in run.clocks.iter().filter(|clock| clock.shift != 0) {
        remarks.push(format!(
            "{}: its clock was moved back by {}, so that no message arrives before it left",
            clock.name,
            span_text(clock.shift.saturating_neg())
        ));
    }
    let logged = |lane: Option<usize>| {
        let lane = lane.and_then(|lane| run.lanes.get(lane));
        lane.is_some_and(|lane| lane.is_logged)
    };
    let half = run
        .messages
        .iter()
        .filter(|message| message.fate == Fate::HalfSeen);
    let (mut halves, mut orphans, mut unmatched) = (0, 0, 0);
    for message in half {
        if message.conn.is_none() {
            unmatched += 1;
            continue;
        }
        halves += 1;
        orphans += u64::from(message.sent.is_none() && logged(message.from));
    }
    let backwards = run
        .messages
        .iter()
        .filter(|message| is_backwards(message, run));
    let backwards = backwards.count();
    if halves > 0 {
        remarks.push(format!(
            "{halves} messages were seen at one end only: the program at the other end has no log \
             among these, or an incomplete one"
        ));
    }
    if unmatched > 0 {
        remarks.push(format!(
            "{unmatched} messages are of logs that do not say on which connections, as replays of \
             recordings do not: they are shown at one end only"
        ));
    }
    if orphans > 0 {
        remarks.push(format!(
            "{orphans} messages were received and never sent, by the log of their sender: a log is \
             incomplete, or of another run"
        ));
    }
    if backwards > 0 {
        remarks.push(format!(
            "{backwards} messages were received before they were sent: clocks changed while the \
             group ran, or a file has the logs of several machines; give each its own"
        ));
    }
    run.is_inconsistent = orphans > 0 || backwards > 0;
    remarks
}

/// Returns `true` for what befalls one process in a simulation, not links between many.
fn is_of_process(what: &str) -> bool {
    matches!(what, "starts" | "is stopped" | "goes on") || what.starts_with("crashes")
}

/// Returns `true` if `message` came before it was sent, by the clocks that there are.
fn is_backwards(message: &Message, run: &Run) -> bool {
    match (message.sent, message.received) {
        (Some(sent), Some(received)) => run.at(received) < run.at(sent) || received < sent,
        _ => false,
    }
}
