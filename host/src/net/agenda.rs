//! Who is due when, in a process with many members.

use core::time::Duration;
use std::collections::BTreeSet;

use bully::Instant;

use super::clock::Clock;

/// Who is due when, by the numbers of the poll's owners, so that members at rest cost nothing.
#[derive(Debug)]
pub struct Agenda {
    due: Vec<Option<Instant>>,
    order: BTreeSet<(Instant, usize)>,
}

/// How long turns are taken before the sockets are looked at again. The time that members are given
/// is that of the last look: after a round of a thousand members that took a second, on a busy
/// machine, what they had sent in it was overdue before anybody could have answered.
const TURNS_MAX: Duration = Duration::from_millis(10);

/// The least time that the clock can tell.
const MOMENT: Duration = Duration::from_micros(1);

impl Agenda {
    /// `count` owners, none of whom is due.
    pub fn new(count: usize) -> Self {
        Self {
            due: vec![None; count],
            order: BTreeSet::new(),
        }
    }

    /// Has `owner` due at `at`; `None`: not before somebody says so.
    pub fn set(&mut self, owner: usize, at: Option<Instant>) {
        let Some(due) = self.due.get_mut(owner) else {
            return;
        };
        if let Some(before) = core::mem::replace(due, at) {
            self.order.remove(&(before, owner));
        }
        self.order.extend(at.map(|at| (at, owner)));
    }

    /// Has `owner` due at `at`, or when they are due anyway if that is sooner.
    pub fn hasten(&mut self, owner: usize, at: Instant) {
        let due = self.due.get(owner).copied().flatten();
        if due.is_none_or(|due| at < due) {
            self.set(owner, Some(at));
        }
    }

    /// When the first is due.
    pub fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Gives those who are due a turn each, whoever has waited longest first; `turn` returns when
    /// the next one of that owner is due. If that takes long, the rest is left for the next call,
    /// before which the sockets should be looked at.
    pub fn take_turns(&mut self, clock: Clock, mut turn: impl FnMut(usize) -> Option<Instant>) {
        let start = clock.now();
        while let Some(owner) = self.next(start) {
            let until = turn(owner);
            // Whoever has more to do comes after everybody who is due by now.
            let now = clock.now().max(start + MOMENT);
            self.set(owner, until.map(|until| until.max(now)));
            if start + TURNS_MAX <= now {
                break;
            }
        }
    }

    /// Takes out whoever is due first, if that is by `now`.
    fn next(&mut self, now: Instant) -> Option<usize> {
        let (_, owner) = *self.order.first().filter(|(at, _)| *at <= now)?;
        self.set(owner, None);
        Some(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_waited_longest_has_a_turn_first() {
        let clock = Clock::new();
        let mut agenda = Agenda::new(3);
        let at = |micros| Instant::ZERO + Duration::from_micros(micros);
        std::thread::sleep(Duration::from_micros(20));
        for (owner, micros) in [(0, 3), (1, 9), (2, 8)] {
            agenda.set(owner, Some(at(micros)));
        }
        agenda.hasten(1, at(1));
        agenda.hasten(2, at(10));
        let mut order = Vec::new();
        agenda.take_turns(clock, |owner| {
            order.push(owner);
            None
        });
        assert_eq!((order, agenda.first()), (vec![1, 0, 2], None));
    }

    #[test]
    fn members_that_are_never_done_leave_turns_to_others() {
        let clock = Clock::new();
        let mut agenda = Agenda::new(3);
        for owner in 0..3 {
            agenda.set(owner, Some(Instant::ZERO));
        }
        let mut turns = [0_u32; 3];
        for _ in 0..100 {
            agenda.take_turns(clock, |owner| {
                turns[owner] += 1;
                Some(Instant::ZERO)
            });
            let (most, least) = (turns.iter().max(), turns.iter().min());
            let ahead = most.zip(least).map(|(most, least)| most - least);
            assert!(ahead.is_some_and(|ahead| ahead <= 1), "{turns:?}");
        }
    }

    #[test]
    fn a_long_round_is_cut_so_that_the_sockets_are_looked_at() {
        let clock = Clock::new();
        let mut agenda = Agenda::new(3);
        for owner in 0..3 {
            agenda.set(owner, Some(Instant::ZERO));
        }
        let mut order = Vec::new();
        for rounds in 1..=6 {
            agenda.take_turns(clock, |owner| {
                order.push(owner);
                std::thread::sleep(TURNS_MAX);
                Some(Instant::ZERO)
            });
            assert_eq!(order.len(), rounds);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }
}
