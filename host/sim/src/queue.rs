//! Virtual time: what happens when.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use bully::Instant;

/// Things to come, the earliest first; at the same time, in the order in which they were planned.
#[derive(Debug)]
pub(crate) struct EventQueue<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Planned<T> {
    at: Instant,
    order: u64,
    what: T,
}

impl<T> Planned<T> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.order)
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> EventQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            planned: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Instant, what: T) {
        self.planned += 1;
        self.heap.push(Reverse(Planned {
            at,
            order: self.planned,
            what,
        }));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(next)| next.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|Reverse(next)| (next.at, next.what))
    }
}
