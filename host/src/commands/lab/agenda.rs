//! Who is due when, in a process with many members.

use std::collections::BTreeSet;

use bully::Instant;

/// Who is due when, so that members at rest cost nothing.
pub(super) struct Agenda {
    due: Vec<Option<Instant>>,
    order: BTreeSet<(Instant, usize)>,
}

impl Agenda {
    pub(super) fn new(count: usize) -> Self {
        Self {
            due: vec![None; count],
            order: BTreeSet::new(),
        }
    }

    pub(super) fn set(&mut self, number: usize, at: Option<Instant>) {
        let Some(due) = self.due.get_mut(number) else {
            return;
        };
        if let Some(before) = core::mem::replace(due, at) {
            self.order.remove(&(before, number));
        }
        self.order.extend(at.map(|at| (at, number)));
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out whoever is due first, if that is by `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<usize> {
        let (_, number) = *self.order.first().filter(|(at, _)| *at <= now)?;
        self.set(number, None);
        Some(number)
    }
}
