//! The book-keeping of a node as one would write it on a heap: what ours is compared with.

use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bully::Member;

/// Members in a map, open exchanges in another, their deadlines in a set.
#[derive(Debug)]
pub(crate) struct Baseline {
    me: Member,
    /// What is known of each, as a number.
    pub(crate) members: BTreeMap<Member, u8>,
    exchanges: HashMap<u32, (u8, u64)>,
    deadlines: BTreeSet<(u64, u32)>,
    next: u32,
}

impl Baseline {
    pub(crate) fn new(me: Member) -> Self {
        Self {
            me,
            members: BTreeMap::from([(me, 0)]),
            exchanges: HashMap::new(),
            deadlines: BTreeSet::new(),
            next: 0,
        }
    }

    /// Adds everyone in `list`, and returns the greatest that was new.
    pub(crate) fn merge(&mut self, list: &[Member]) -> Option<Member> {
        let mut greatest_added = None;
        for member in list {
            if member.pid != self.me.pid && member.addr != self.me.addr {
                self.members.entry(*member).or_insert_with(|| {
                    greatest_added = Some(*member);
                    0
                });
            }
        }
        greatest_added
    }

    /// Opens an exchange that has time until `deadline`.
    pub(crate) fn open(&mut self, deadline: u64) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.exchanges.insert(self.next, (0, deadline));
        self.deadlines.insert((deadline, self.next));
        self.next
    }

    /// Notes that an exchange has come further, and has time until `deadline` now.
    pub(crate) fn advance(&mut self, exchange: u32, deadline: u64) {
        if let Some((state, before)) = self.exchanges.get_mut(&exchange) {
            self.deadlines.remove(&(*before, exchange));
            self.deadlines.insert((deadline, exchange));
            (*state, *before) = (*state + 1, deadline);
        }
    }

    pub(crate) fn close(&mut self, exchange: u32) {
        if let Some((_, deadline)) = self.exchanges.remove(&exchange) {
            self.deadlines.remove(&(deadline, exchange));
        }
    }

    /// Closes the exchanges whose time is over.
    pub(crate) fn pass_time(&mut self, now: u64) {
        while let Some(&(deadline, exchange)) = self.deadlines.first()
            && deadline <= now
        {
            self.close(exchange);
        }
    }

    /// Everyone greater than me, from the greatest down.
    pub(crate) fn greater(&self) -> impl Iterator<Item = &Member> {
        self.members
            .range((Bound::Excluded(self.me), Bound::Unbounded))
            .rev()
            .map(|(member, _)| member)
    }
}
