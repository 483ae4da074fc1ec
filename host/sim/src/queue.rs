//! Virtual time: what happens when.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use bully::Instant;

/// Events to come, the earliest first; at the same time, in the order in which they were pushed.
///
/// The heap has their times and places only: events are three times as large, and would be moved at
/// every step of a sift.
#[derive(Debug)]
pub(crate) struct EventQueue<T> {
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    events: Vec<Option<T>>,
    free: Vec<u32>,
    pushed: u64,
}

impl<T> EventQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            pushed: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Instant, event: T) {
        self.pushed += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            // Memory ends long before the places do.
            u32::try_from(self.events.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(entry) = self.events.get_mut(place as usize) {
            *entry = Some(event);
        }
        self.heap.push(Reverse((at, self.pushed, place)));
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        let event = self.events.get_mut(place as usize)?.take()?;
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_pushing() {
        let mut queue = EventQueue::new();
        let at = Instant::from_micros;
        for (micros, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(at(micros), event);
        }
        assert_eq!(queue.next_at(), Some(at(3)));
        assert_eq!(queue.pop(), Some((at(3), 'b')));
        queue.push(at(3), 'e');
        let rest: Vec<char> = core::iter::from_fn(|| queue.pop()).map(|it| it.1).collect();
        assert_eq!(rest, ['d', 'e', 'a', 'c']);
        assert_eq!(queue.next_at(), None);
    }
}
