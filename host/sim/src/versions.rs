//! The coordinator's list as it was at any time, in the memory of one list.
//!
//! A hundred thousand members that join at once are each sent a list of their own, all of them under
//! way at the same time: as copies these would take 80 GB.

use core::cell::RefCell;
use std::rc::Rc;

use bully::{Member, Pid};

/// Every member that was ever in the list, ascending, and from which version to which.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    shared: Rc<RefCell<Entries>>,
    /// The coordinator's own number of what was kept last.
    revision: Option<u32>,
}

/// The list as it was in one version.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    shared: Rc<RefCell<Entries>>,
    version: u32,
    len: usize,
    greatest: Option<Pid>,
}

#[derive(Debug, Default)]
struct Entries {
    entries: Vec<Entry>,
    version: u32,
    /// The version that was read last, as a list: most are read several times in a row.
    read: Option<(u32, Rc<[Member]>)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    member: Member,
    /// The first version that has it.
    from: u32,
    /// The first version after it that has it no more.
    to: u32,
}

impl Versions {
    /// Keeps `list`, which is ascending, as the latest version. With a `revision` it is the same list
    /// as it was with the same one.
    pub(crate) fn snapshot(&mut self, list: &[Member], revision: Option<u32>) -> Snapshot {
        // The same revision is the same list.
        if revision.is_none() || revision != self.revision {
            self.shared.borrow_mut().update(list);
            self.revision = revision;
        }
        let version = self.shared.borrow().version;
        Snapshot {
            shared: Rc::clone(&self.shared),
            version,
            len: list.len(),
            greatest: list.last().map(|last| last.pid),
        }
    }
}

impl Entries {
    fn update(&mut self, list: &[Member]) {
        let next = self.version + 1;
        let mut at = 0;
        let mut changed = false;
        for member in list {
            while let Some(entry) = self.entries.get_mut(at)
                && entry.member < *member
            {
                changed |= entry.to == u32::MAX;
                entry.to = entry.to.min(next);
                at += 1;
            }
            let known = self.entries.get(at);
            // One that left and has come back has a second entry.
            let same = known.is_some_and(|entry| entry.member == *member && entry.to == u32::MAX);
            if !same {
                changed = true;
                let entry = Entry {
                    member: *member,
                    from: next,
                    to: u32::MAX,
                };
                self.entries.insert(at, entry);
            }
            at += 1;
        }
        for entry in self.entries.iter_mut().skip(at) {
            changed |= entry.to == u32::MAX;
            entry.to = entry.to.min(next);
        }
        if changed {
            self.version = next;
        }
    }
}

impl Snapshot {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn greatest(&self) -> Option<Pid> {
        self.greatest
    }

    /// Which version it is: of one coordinator, the same list has the same one.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The list itself. It is as large as all of it: nobody should keep it for long.
    pub(crate) fn list(&self) -> Rc<[Member]> {
        let mut shared = self.shared.borrow_mut();
        match &shared.read {
            Some((version, list)) if *version == self.version => Rc::clone(list),
            _ => {
                let there = |entry: &&Entry| entry.from <= self.version && self.version < entry.to;
                let entries = shared.entries.iter().filter(there);
                let list: Vec<Member> = entries.map(|entry| entry.member).collect();
                let list: Rc<[Member]> = list.into();
                shared.read = Some((self.version, Rc::clone(&list)));
                list
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{addr, next_day, pid};
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    #[test]
    fn every_version_stays_as_it_was() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut versions = Versions::default();
        let mut list: Vec<Member> = Vec::new();
        let mut kept = Vec::new();
        for _ in 0..2_000 {
            let number = rng.random_range(1..60);
            let member = Member {
                pid: match rng.random_ratio(1, 4) {
                    true => next_day(pid(number)),
                    false => pid(number),
                },
                addr: addr(number, 0),
            };
            match rng.random_ratio(1, 3) {
                true => list.retain(|other| *other != member),
                false if !list.contains(&member) => list.push(member),
                false => {}
            }
            list.sort_unstable();
            kept.push((versions.snapshot(&list, None), list.clone()));
        }
        for (snapshot, list) in kept {
            assert_eq!(*snapshot.list(), *list);
            assert_eq!(snapshot.len(), list.len());
            assert_eq!(snapshot.greatest(), list.last().map(|last| last.pid));
        }
    }
}
