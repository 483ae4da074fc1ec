//! A trace for Perfetto (<https://ui.perfetto.dev>), in the JSON of Chrome.
//!
//! Its user interface shows no slices of one thread that overlap without one being within the other, so
//! phases are asynchronous ones, and each end of a message takes a microsecond. An arrow binds to the
//! slices at its ends.

use serde_json::{Value, json};

use crate::run::{Fate, PointWhat, Run, seconds_text};
use crate::select::Selection;

use super::words;

/// Returns what is selected as a trace for Perfetto.
pub fn perfetto(run: &Run, selection: &Selection) -> String {
    let mut events = Vec::new();
    for lane in &selection.lanes {
        let name = run.who(*lane).to_string();
        for what in ["process_name", "thread_name"] {
            events.push(
                json!({"ph": "M", "name": what, "pid": lane, "tid": lane, "args": {"name": name}}),
            );
        }
        events.push(json!({"ph": "M", "name": "process_sort_index", "pid": lane, "tid": lane, "args": {"sort_index": lane}}));
    }
    phases(run, selection, &mut events);
    for place in &selection.points {
        let Some(point) = run.points.get(*place) else {
            continue;
        };
        let Some(lane) = point.lane else { continue };
        match &point.what {
            PointWhat::Event(what) => {
                if let Some((long, _)) = words::event(run, Some(lane), what) {
                    events.push(json!({"ph": "i", "s": "t", "cat": "event", "name": long, "pid": lane, "tid": lane, "ts": point.at}));
                }
            }
            PointWhat::Message(number) => message(run, *number, *place, lane, &mut events),
        }
    }
    let text = json!({"displayTimeUnit": "ms", "traceEvents": events});
    text.to_string()
}

fn phases(run: &Run, selection: &Selection, events: &mut Vec<Value>) {
    let first = selection.points.first().map_or(0, |first| run.at(*first));
    let last = selection.points.last().map_or(0, |last| run.at(*last));
    let mut id = 0;
    for (lane, spans) in run.phases().into_iter().enumerate() {
        if selection.lanes.binary_search(&lane).is_err() {
            continue;
        }
        for span in spans.iter().filter(|span| span.phase.is_up()) {
            let from = run.at(span.from).max(first);
            let until = span.until.map_or(last, |until| run.at(until)).min(last);
            if until <= from {
                continue;
            }
            id += 1;
            let name = span.phase.name();
            for (ph, ts) in [("b", from), ("e", until)] {
                events.push(json!({"ph": ph, "cat": "phase", "name": name, "id": id, "pid": lane, "tid": lane, "ts": ts}));
            }
        }
    }
}

fn message(run: &Run, number: usize, place: usize, lane: usize, events: &mut Vec<Value>) {
    let Some(message) = run.messages.get(number) else {
        return;
    };
    let name = message.name();
    let is_receive = message.received == Some(place);
    let at = run.at(place);
    let title = if is_receive {
        format!("{name} from {}", words::who(run, message.from))
    } else {
        format!("{name} to {}", words::who(run, message.to))
    };
    let error = match &message.fate {
        Fate::Failed(why) | Fate::Missing(why) => Some(words::problem(why)),
        Fate::Arrived | Fate::HalfSeen => None,
    };
    events.push(json!({
        "ph": "X", "cat": "message", "name": title, "pid": lane, "tid": lane, "ts": at, "dur": 1,
        "args": {"bytes": message.bytes, "members": message.members, "error": error, "at": seconds_text(at)},
    }));
    if message.fate == Fate::Arrived && message.sent.is_some() && message.failed != Some(place) {
        let mut flow = json!({"ph": if is_receive { "f" } else { "s" }, "cat": "message", "name": name, "id": number, "pid": lane, "tid": lane, "ts": at});
        if is_receive && let Some(flow) = flow.as_object_mut() {
            flow.insert("bp".to_owned(), json!("e"));
        }
        events.push(flow);
    }
}
