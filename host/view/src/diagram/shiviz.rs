//! A log with vector clocks, for ShiViz (<https://bestchai.bitbucket.io/shiviz/>).
//!
//! Its rules: a line that its pattern does not match is skipped without a word; a host's own entry
//! counts its events, 1, 2, 3, without a gap; no entry is 0, and none names a host without events;
//! each clock is the host's last one with 1 added, and merged with the sender's if it is of a receive.

use core::fmt::Write as _;
use std::collections::{BTreeMap, HashMap};

use crate::run::{Fate, PointWhat, Run, Who};
use crate::select::Selection;

use super::words;

/// How ShiViz reads the lines that follow. The second line of the file is empty: it is one execution.
const PATTERN: &str = r"(?<t>\d+\.\d+) (?<host>\S+) (?<clock>\{[^}]*\}) (?<event>.*)";

/// Returns what is selected as a log for ShiViz, its pattern first.
pub fn shiviz(run: &Run, selection: &Selection) -> String {
    let mut text = format!("{PATTERN}\n\n");
    let mut clocks = HashMap::<usize, BTreeMap<usize, u64>>::new();
    let mut sent = HashMap::<usize, BTreeMap<usize, u64>>::new();
    for place in &selection.points {
        let Some(point) = run.points.get(*place) else {
            continue;
        };
        let Some(lane) = point.lane.filter(|lane| selection.lanes.contains(lane)) else {
            continue;
        };
        let what = match &point.what {
            PointWhat::Event(what) => words::event(run, Some(lane), what).map(|(long, _)| long),
            PointWhat::Message(number) => says(run, *number, *place),
        };
        let Some(what) = what else { continue };
        let clock = clocks.entry(lane).or_default();
        *clock.entry(lane).or_insert(0) += 1;
        if let PointWhat::Message(number) = &point.what
            && let Some(message) = run.messages.get(*number)
        {
            if message.received == Some(*place) && message.fate == Fate::Arrived {
                for (lane, count) in sent.get(number).into_iter().flatten() {
                    let entry = clock.entry(*lane).or_insert(0);
                    *entry = (*entry).max(*count);
                }
            } else if message.sent == Some(*place) {
                sent.insert(*number, clock.clone());
            }
        }
        let entries = clock
            .iter()
            .map(|(lane, count)| format!("\"{}\":{count}", host(run.who(*lane))));
        let entries: Vec<_> = entries.collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:.6} {} {{{}}} {}",
            point.at.max(0) as f64 / 1e6,
            host(run.who(lane)),
            entries.join(", "),
            what.replace(['\n', '\r'], " ")
        );
    }
    text
}

/// Returns a name without spaces.
fn host(who: Who) -> String {
    match who {
        Who::Coordinator => "GCD".to_owned(),
        Who::Member(pid) => format!("{}.{}", pid.days, pid.id),
    }
}

/// Returns what an end of a message is.
fn says(run: &Run, number: usize, place: usize) -> Option<String> {
    let message = run.messages.get(number)?;
    let name = message.name();
    let why = match &message.fate {
        Fate::Failed(why) | Fate::Missing(why) => format!(": {}", words::problem(why)),
        Fate::Arrived | Fate::HalfSeen => String::new(),
    };
    Some(if message.received == Some(place) {
        let from = words::who(run, message.from);
        let verb = if why.is_empty() {
            "receives"
        } else {
            "does not receive"
        };
        format!("{verb} {name} from {from}{why}")
    } else if message.failed == Some(place)
        || (message.sent == Some(place)
            && message.failed.is_none()
            && message.received.is_none()
            && !why.is_empty())
    {
        format!("cannot send {name} to {}{why}", words::who(run, message.to))
    } else {
        format!("sends {name} to {}", words::who(run, message.to))
    })
}
