//! Where everything of a diagram goes: members from left to right, time from top to bottom.

use core::fmt;
use std::collections::HashMap;

use crate::line::{Kind, What};
use crate::run::{Fate, Message, Phase, PointWhat, Run, Who};
use crate::select::Selection;

use super::words;

/// How time is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// A row for each event, whatever time passes between them; pauses are marked.
    #[default]
    Events,
    /// The same length for the same time.
    Time,
}

/// A number of pixels, written with one decimal at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Px(pub(super) f64);

impl Px {
    /// Returns the sum, for templates.
    pub(super) fn plus(self, more: f64) -> Self {
        Self(self.0 + more)
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(self.0))
    }
}

/// A picture.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: Px,
    pub(super) height: Px,
    /// How far lanes are apart.
    pub(super) apart: Px,
    /// Where the first begins, half of that before its line.
    pub(super) left: Px,
    pub(super) lanes: Vec<Lane>,
    pub(super) spans: Vec<Span>,
    pub(super) marks: Vec<Mark>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) ticks: Vec<Tick>,
    /// Across all lanes: what happens to links, and pauses.
    pub(super) notes: Vec<Tick>,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) x: Px,
    /// The name, in one line or two.
    pub(super) name: Vec<String>,
    pub(super) is_logged: bool,
}

/// A time during which a member is the same.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) x: Px,
    pub(super) top: Px,
    pub(super) height: Px,
    pub(super) width: Px,
    /// The class of its colour.
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// An event of one member.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) x: Px,
    pub(super) y: Px,
    pub(super) class: &'static str,
    pub(super) label: String,
    pub(super) title: String,
    /// The place in the order of everything, for the script.
    pub(super) order: String,
}

/// A message.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) class: String,
    pub(super) path: String,
    pub(super) label: Option<Label>,
    pub(super) title: String,
    /// The places of its sending and its receiving in the order of everything, for the script.
    pub(super) order: String,
}

#[derive(Debug)]
pub(super) struct Label {
    pub(super) x: Px,
    pub(super) y: Px,
    /// It ends there, instead of beginning.
    pub(super) ends: bool,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Tick {
    pub(super) y: Px,
    pub(super) text: String,
}

/// How far the first lane is from the left, which leaves space for the times.
const LEFT: f64 = 100.0;
/// Below the edge of the picture, or of the names.
const TOP: f64 = 14.0;
/// A row of the scale of events.
const ROW: f64 = 8.0;
/// A row with a word beside it.
const ROW_OF_WORDS: f64 = 12.0;
/// The least distance between two words below each other.
const WORDS_APART: f64 = 10.0;
/// How long the arrow of a message is whose other end nobody knows.
const STUB: f64 = 18.0;
/// Longer than this, in microseconds, is a pause, which takes space of its own.
const PAUSE: i64 = 100_000;

/// Returns how far lanes are apart.
fn spacing(lanes: usize) -> f64 {
    match lanes {
        0..=8 => 150.0,
        9..=16 => 84.0,
        _ => 54.0,
    }
}

impl Layout {
    pub(super) fn new(run: &Run, selection: &Selection, scale: Scale) -> Self {
        let apart = spacing(selection.lanes.len());
        let wide = apart > 100.0;
        let mut layout = Self {
            width: Px((selection.lanes.len() as f64).mul_add(apart, LEFT) + 30.0),
            height: Px(0.0),
            apart: Px(apart),
            left: Px(LEFT),
            lanes: Vec::new(),
            spans: Vec::new(),
            marks: Vec::new(),
            arrows: Vec::new(),
            ticks: Vec::new(),
            notes: Vec::new(),
        };
        let mut drawing = Drawing {
            run,
            apart,
            wide,
            x: HashMap::new(),
            y: HashMap::new(),
            labelled: HashMap::new(),
            words: HashMap::new(),
        };
        drawing.columns(selection, &mut layout);
        drawing.rows(selection, scale, &mut layout);
        drawing.spans(selection, &mut layout);
        drawing.events(selection, &mut layout);
        layout
    }
}

struct Drawing<'a> {
    run: &'a Run,
    apart: f64,
    wide: bool,
    /// By lane.
    x: HashMap<usize, f64>,
    /// By point.
    y: HashMap<usize, f64>,
    /// Where the last word of an arrow is, by lane and side.
    labelled: HashMap<(usize, bool), f64>,
    /// Where the last word of an event is, by lane.
    words: HashMap<usize, f64>,
}

impl Drawing<'_> {
    fn columns(&mut self, selection: &Selection, layout: &mut Layout) {
        for (column, lane) in selection.lanes.iter().enumerate() {
            let x = (column as f64).mul_add(self.apart, LEFT) + self.apart / 2.0;
            self.x.insert(*lane, x);
            let who = self.run.who(*lane);
            let name = match who {
                Who::Coordinator if self.wide => vec!["coordinator".to_owned()],
                Who::Coordinator => vec!["GCD".to_owned()],
                Who::Member(_) if self.wide => vec![who.to_string()],
                Who::Member(pid) => vec![format!("({},", pid.days), format!("{})", pid.id)],
            };
            let is_logged = self.run.lanes.get(*lane).is_some_and(|lane| lane.is_logged);
            layout.lanes.push(Lane {
                x: Px(x),
                name,
                is_logged,
            });
        }
    }

    fn rows(&mut self, selection: &Selection, scale: Scale, layout: &mut Layout) {
        let at = |place: &usize| self.run.at(*place);
        let first = selection.points.first().map_or(0, at);
        let last = selection.points.iter().map(at).max().unwrap_or(first);
        let rows = selection.points.len() as f64;
        // As tall as a row for every other event would be, within what can be scrolled.
        let tall = (rows * ROW / 2.0).clamp(400.0, 20_000.0);
        let per_micro = tall / (last.saturating_sub(first).max(1) as f64);
        let mut y = TOP;
        let mut before = first;
        let mut labelled = f64::MIN;
        let mut noted = f64::MIN;
        for place in &selection.points {
            let now = self.run.at(*place);
            let event = self.run.points.get(*place).map(|point| &point.what);
            let has_words = matches!(event, Some(PointWhat::Event(_)));
            match scale {
                Scale::Time => {
                    y = (now.saturating_sub(first) as f64).mul_add(per_micro, TOP);
                }
                Scale::Events => {
                    let pause = now.saturating_sub(before);
                    if pause >= PAUSE {
                        y += 10.0;
                        layout.notes.push(Tick {
                            y: Px(y),
                            text: format!("{:.1} s later", pause as f64 / 1e6),
                        });
                        y += 8.0;
                    }
                    y += if has_words { ROW_OF_WORDS } else { ROW };
                }
            }
            before = now;
            self.y.insert(*place, y);
            if y - labelled >= 40.0 {
                labelled = y;
                layout.ticks.push(Tick {
                    y: Px(y),
                    text: format!("{:.6}", now as f64 / 1e6),
                });
            }
            let of_all = self
                .run
                .points
                .get(*place)
                .filter(|point| point.lane.is_none());
            if let Some(point) = of_all
                && let PointWhat::Event(What::Process { what }) = &point.what
                && y - noted >= WORDS_APART
            {
                noted = y;
                layout.notes.push(Tick {
                    y: Px(y),
                    text: what.clone(),
                });
            }
        }
        layout.height = Px(y + 24.0);
    }

    fn spans(&self, selection: &Selection, layout: &mut Layout) {
        let first = selection.points.first().copied().unwrap_or(0);
        let last = selection.points.last().copied().unwrap_or(0);
        let bottom = layout.height.0 - 12.0;
        for (lane, spans) in self.run.phases().into_iter().enumerate() {
            let Some(x) = self.x.get(&lane) else { continue };
            for span in spans {
                // What began before the first point or ends after the last is cut there.
                if span.until.is_some_and(|until| until < first) || span.from > last {
                    continue;
                }
                let top = self.y_from(selection, span.from);
                let until = span.until.filter(|until| *until <= last);
                let end = until.map_or(bottom, |until| self.y_from(selection, until));
                let Some((class, width)) = look(span.phase) else {
                    continue;
                };
                let what = match span.phase {
                    Phase::Following(leader) => format!("following {}", Who::Member(leader)),
                    phase => phase.name().to_owned(),
                };
                layout.spans.push(Span {
                    x: Px(x - width / 2.0),
                    top: Px(top),
                    height: Px((end - top).max(1.0)),
                    width: Px(width),
                    class,
                    title: format!("{} {what}", self.run.who(lane)),
                });
            }
        }
    }

    /// Where a point is, or would be if it were shown.
    fn y_from(&self, selection: &Selection, place: usize) -> f64 {
        let next = selection.points.partition_point(|point| *point < place);
        let next = selection.points.get(next);
        next.and_then(|point| self.y.get(point))
            .copied()
            .unwrap_or(TOP)
    }

    /// Draws events and messages, in their order, so that words keep clear of each other.
    fn events(&mut self, selection: &Selection, layout: &mut Layout) {
        for place in &selection.points {
            match self.run.points.get(*place).map(|point| &point.what) {
                Some(PointWhat::Event(what)) => layout.marks.extend(self.mark(*place, what)),
                Some(PointWhat::Message(number)) => {
                    let message = self.run.messages.get(*number);
                    let first = message.filter(|message| message.points().min() == Some(*place));
                    layout
                        .arrows
                        .extend(first.and_then(|message| self.arrow(message)));
                }
                None => {}
            }
        }
    }

    fn mark(&mut self, place: usize, what: &What) -> Option<Mark> {
        let point = self.run.points.get(place)?;
        let lane = point.lane?;
        let (x, y) = (*self.x.get(&lane)?, *self.y.get(&place)?);
        let (long, short) = words::event(self.run, Some(lane), what)?;
        // Beside a wide lane there is space for a sentence's beginning.
        let label = match what {
            What::Listening { .. } => "",
            What::Leader { .. } if short == "follows" && !self.wide => "",
            What::Election { cause } if self.wide && cause.len() < 14 => &long,
            _ => short,
        };
        let class = match short {
            "crashes" | "lost" => "x",
            "leads" => "l",
            _ => "",
        };
        let apart = self
            .words
            .get(&lane)
            .is_none_or(|word| y - word >= WORDS_APART);
        let label = if apart { label } else { "" }.to_owned();
        if !label.is_empty() {
            self.words.insert(lane, y);
        }
        Some(Mark {
            x: Px(x),
            y: Px(y),
            class,
            label,
            title: format!(
                "{} {long}\n{}",
                self.run.who(lane),
                crate::run::seconds_text(point.at)
            ),
            order: place.to_string(),
        })
    }

    /// Returns `text` if there is space for it beside the lane.
    fn label(&mut self, lane: usize, right: bool, y: f64, text: &str) -> Option<String> {
        let last = self.labelled.entry((lane, right)).or_insert(f64::MIN);
        if text.is_empty() || y - *last < WORDS_APART {
            return None;
        }
        *last = y;
        Some(text.to_owned())
    }

    fn arrow(&mut self, message: &Message) -> Option<Arrow> {
        let x = |lane: Option<usize>| lane.and_then(|lane| self.x.get(&lane).copied());
        let y = |point: Option<usize>| point.and_then(|point| self.y.get(&point).copied());
        let (from, to) = (x(message.from), x(message.to));
        let any = message.points().min().and_then(|point| y(Some(point)))?;
        let begin_y = y(message.sent).unwrap_or(any);
        let end_y = y(message.received).or(y(message.failed)).unwrap_or(begin_y);
        // Towards the other end, or to the left of the one that is known.
        let (mut begin_x, mut end_x) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, from - STUB),
            (None, Some(to)) => (to - STUB, to),
            (None, None) => return None,
        };
        let right = begin_x < end_x;
        let side = if right { 1.0 } else { -1.0 };
        match &message.fate {
            Fate::Arrived | Fate::HalfSeen => {}
            // It ends where that was seen: at its receiver, before it, or on the way.
            Fate::Failed(why) => {
                if message.received.is_none() {
                    end_x = match why.as_str() {
                        "lost" => f64::midpoint(begin_x, end_x),
                        _ => end_x - 7.0 * side,
                    };
                }
            }
            Fate::Missing(_) => {
                if from.is_some() {
                    begin_x = end_x - STUB * side;
                }
                end_x -= 5.0 * side;
            }
        }
        let path = format!("M{}L{}", pair(begin_x, begin_y), pair(end_x, end_y));
        let dash = match &message.fate {
            Fate::HalfSeen => " h",
            Fate::Missing(_) => " h x",
            Fate::Failed(_) => " x",
            Fate::Arrived => "",
        };
        let name = match (&message.kind, self.wide) {
            (Some(kind), true) => kind.name(),
            (Some(kind), false) => initial(kind),
            (None, _) => "?",
        };
        let (lane, x, y, right) = match (message.sent.and(message.from), message.to) {
            (Some(lane), _) => (lane, begin_x, begin_y, right),
            // Nobody sent it, as far as is known: the word is at its receiver.
            (None, Some(lane)) => (lane, end_x, end_y, !right),
            (None, None) => return None,
        };
        let label = self.label(lane, right, y, name).map(|text| {
            // Clear of the words of events, and on the arrow.
            let word = self
                .words
                .get(&lane)
                .is_some_and(|word| (y - word).abs() < 26.0);
            let away = match (right && word, self.wide) {
                (true, true) => 82.0,
                (true, false) => 38.0,
                (false, _) => 8.0,
            };
            let across = end_x - begin_x;
            let slope = if across.abs() < 1.0 {
                0.0
            } else {
                (end_y - begin_y) / across
            };
            let dx = if right { away } else { -away };
            Label {
                x: Px(x + dx),
                y: Px(slope.mul_add(dx, y) - 2.0),
                ends: !right,
                text,
            }
        });
        let place =
            |point: Option<usize>| point.map_or_else(String::new, |point| point.to_string());
        let arrived = message.received.filter(|_| message.fate == Fate::Arrived);
        let request = self.run.request_kind(message);
        let labelled = if label.is_some() { " b" } else { "" };
        let class = class(message.kind.as_ref(), request);
        let class = format!("{class}{dash}{labelled}");
        Some(Arrow {
            class,
            path,
            label,
            title: words::message(self.run, message),
            order: format!(
                "{}.{}",
                place(message.sent),
                place(arrived.or(message.received.filter(|_| message.sent.is_none())))
            ),
        })
    }
}

/// Returns two numbers as a path has them: a sign parts them, too.
fn pair(x: f64, y: f64) -> String {
    let (x, y) = (short(x), short(y));
    let gap = if y.starts_with('-') { "" } else { " " };
    format!("{x}{gap}{y}")
}

/// Returns a number of pixels with one decimal at most.
pub(super) fn short(pixels: f64) -> String {
    let text = format!("{pixels:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Returns the class of a phase's colour, and how wide it is drawn; `None`: not at all.
fn look(phase: Phase) -> Option<(&'static str, f64)> {
    Some(match phase {
        Phase::Up => ("pu", 2.0),
        Phase::Electing => ("pe", 7.0),
        Phase::Waiting => ("pw", 7.0),
        Phase::Following(_) => ("pf", 4.0),
        Phase::Leading => ("pl", 11.0),
        Phase::Failed => ("px", 9.0),
        Phase::Paused => ("ps", 9.0),
        Phase::Crashed | Phase::Ended => return None,
    })
}

/// Returns the classes of a message: its own, and for an answer that of what it answers.
fn class(kind: Option<&Kind>, request: Option<&Kind>) -> &'static str {
    let is_probe = request == Some(&Kind::Probe);
    match kind {
        Some(Kind::Join) => "J",
        Some(Kind::Members | Kind::Refused) => "J M",
        Some(Kind::Election) => "E",
        Some(Kind::Ok) if is_probe => "P O",
        Some(Kind::Ok) => "O",
        Some(Kind::Coordinator) => "C",
        Some(Kind::Probe) => "P",
        Some(Kind::Other(_)) | None => "U",
    }
}

fn initial(kind: &Kind) -> &str {
    match kind {
        Kind::Join => "J",
        Kind::Members => "M",
        Kind::Refused => "R",
        Kind::Election => "E",
        Kind::Ok => "OK",
        Kind::Coordinator => "C",
        Kind::Probe => "P",
        Kind::Other(_) => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_parts_two_numbers() {
        for (x, y, text) in [(1.0, 2.0, "1 2"), (1.0, -2.0, "1-2"), (-1.0, -0.01, "-1 0")] {
            assert_eq!(pair(x, y), text);
        }
    }

    #[test]
    fn pixels_are_written_in_as_few_bytes_as_they_take() {
        for (pixels, text) in [(3.0, "3"), (3.04, "3"), (3.06, "3.1"), (-0.5, "-0.5")] {
            assert_eq!(short(pixels), text);
        }
    }
}
