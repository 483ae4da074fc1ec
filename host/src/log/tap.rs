//! Hands events on to whoever watches a running program, without ever waiting for them.

#![cfg_attr(
    not(unix),
    expect(
        dead_code,
        reason = "it is watched over a control socket, which only Unix has"
    )
)]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the log hands over each event, as the line of JSON that it would write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    watchers: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    lost: u64,
}

/// How many lines wait at most: a second of the liveliest lab.
const LINES_MAX: usize = 4096;

impl Tap {
    /// Returns `true` if somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.watchers.load(Ordering::Relaxed) > 0
    }

    /// Says how many watch.
    pub(crate) fn set_watchers(&self, count: usize) {
        self.0.watchers.store(count, Ordering::Relaxed);
    }

    /// Hands over a line; the oldest gives way when nobody fetches them.
    pub(super) fn push(&self, line: String) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.lines.len() >= LINES_MAX {
            queue.lines.pop_front();
            queue.lost += 1;
        }
        queue.lines.push_back(line);
    }

    /// Takes what has been handed over, and how many lines gave way before.
    pub(crate) fn take(&self) -> (VecDeque<String>, u64) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = core::mem::take(&mut queue.lost);
        (core::mem::take(&mut queue.lines), lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_fetches_gives_way_and_is_counted() {
        let tap = Tap::default();
        for number in 0..LINES_MAX + 3 {
            tap.push(number.to_string());
        }
        let (lines, lost) = tap.take();
        assert_eq!((lines.len(), lost), (LINES_MAX, 3));
        assert_eq!(lines.front().map(String::as_str), Some("3"));
        assert_eq!(tap.take(), (VecDeque::new(), 0));
    }
}
