//! An order of everything that happened in which no message arrives before it left.
//!
//! By time, and where times are equal, as they are after clocks were shifted, by the order of each
//! log's own lines and by messages.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::model::{Fate, PointWhat, Run};

/// Sorts the points and the messages of `run`.
pub(super) fn sort(run: &mut Run) {
    let order = order(run);
    let mut place = vec![0; order.len()];
    for (now, before) in order.iter().enumerate() {
        if let Some(place) = place.get_mut(*before) {
            *place = now;
        }
    }
    let moved = |point: Option<usize>| point.and_then(|point| place.get(point).copied());
    for message in &mut run.messages {
        message.sent = moved(message.sent);
        message.received = moved(message.received);
        message.failed = moved(message.failed);
    }
    let points = order.iter().filter_map(|before| run.points.get(*before));
    run.points = points.cloned().collect();
    sort_messages(run);
}

/// Sorts the messages by their first points, and numbers them anew.
fn sort_messages(run: &mut Run) {
    let mut order: Vec<usize> = (0..run.messages.len()).collect();
    let first = |number: &usize| {
        let message = run.messages.get(*number)?;
        message.points().min()
    };
    order.sort_by_key(first);
    let place: HashMap<usize, usize> = order.iter().copied().zip(0..).collect();
    let messages = order.iter().filter_map(|before| run.messages.get(*before));
    run.messages = messages.cloned().collect();
    for message in &mut run.messages {
        message.answers = message.answers.and_then(|of| place.get(&of).copied());
    }
    for point in &mut run.points {
        if let PointWhat::Message(number) = &mut point.what
            && let Some(place) = place.get(number)
        {
            *number = *place;
        }
    }
}

/// Returns the points in their order, by their places now.
fn order(run: &Run) -> Vec<usize> {
    let count = run.points.len();
    let mut after = vec![Vec::new(); count];
    let mut awaits = vec![0_u32; count];
    let mut rule = |before: usize, later: usize| {
        if let (Some(after), Some(awaits)) = (after.get_mut(before), awaits.get_mut(later)) {
            after.push(later);
            *awaits += 1;
        }
    };
    for message in &run.messages {
        if let (Some(sent), Some(received)) = (message.sent, message.received)
            && message.fate == Fate::Arrived
        {
            rule(sent, received);
        }
    }
    let key = |place: usize| {
        let at = run.points.get(place).map(|point| point.at);
        Reverse((at, place))
    };
    // What a log says of somebody is in the order of its times, and of its lines where those are equal.
    let mut sorted: Vec<usize> = (0..count).collect();
    sorted.sort_by_key(|place| Reverse(key(*place)));
    let mut latest = HashMap::new();
    for place in &sorted {
        let Some(point) = run.points.get(*place) else {
            continue;
        };
        if let Some(before) = latest.insert((point.source, point.lane), *place) {
            rule(before, *place);
        }
    }
    let mut ready: BinaryHeap<_> = (0..count)
        .filter(|place| awaits.get(*place) == Some(&0))
        .map(key)
        .collect();
    let mut order = Vec::with_capacity(count);
    let mut done = vec![false; count];
    let mut next = sorted.iter();
    loop {
        let place = match ready.pop() {
            Some(Reverse((_, place))) => place,
            // Rules that contradict each other: the earliest that is left goes first.
            None => match next.find(|place| done.get(**place) == Some(&false)) {
                Some(place) => *place,
                None => break,
            },
        };
        match done.get_mut(place) {
            Some(done) if !*done => *done = true,
            _ => continue,
        }
        order.push(place);
        for later in after.get(place).into_iter().flatten() {
            if let Some(awaits) = awaits.get_mut(*later) {
                *awaits = awaits.saturating_sub(1);
                if *awaits == 0 {
                    ready.push(key(*later));
                }
            }
        }
    }
    order
}
