//! Distinguishes connections of one process that use the same two ports one after the other.
//!
//! Systems use a pair of ports again within seconds. Two processes cannot do better than to show the
//! ports, and the time; where both ends are in one process, a number is added to all but the first.

use core::cell::RefCell;
use core::hash::BuildHasher as _;
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::rc::Rc;

use crate::net::Ends;

/// The connections of one process, shared by the traces of its members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(Rc<RefCell<Used>>);

#[derive(Debug, Default)]
struct Used {
    hasher: RandomState,
    /// Pairs that were used, hashed: those of late, and those before.
    late: HashSet<u64>,
    before: HashSet<u64>,
    /// Connections that were opened on a pair used before, and not yet accepted.
    numbers: HashMap<Ends, u64>,
    next: u64,
}

/// How many pairs are remembered twice over. Systems use one again after some ten thousand.
const REMEMBERED: usize = 1 << 17;

impl Ports {
    /// Takes note of a connection that is opened. Returns its number if its ports were used before.
    pub(super) fn open(&self, ends: Ends) -> Option<u64> {
        let used = &mut *self.0.borrow_mut();
        let hash = used.hasher.hash_one(ends);
        if used.late.len() >= REMEMBERED {
            used.before = core::mem::take(&mut used.late);
        }
        let again = used.before.contains(&hash);
        if used.late.insert(hash) && !again {
            return None;
        }
        used.next += 1;
        if used.numbers.len() >= REMEMBERED {
            // Of those that nobody accepts in the end.
            used.numbers.clear();
        }
        used.numbers.insert(ends, used.next);
        Some(used.next)
    }

    /// Returns the number of a connection that is accepted.
    pub(super) fn accept(&self, ends: Ends) -> Option<u64> {
        self.0.borrow_mut().numbers.remove(&ends)
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;

    fn ends(initiator: u16) -> Ends {
        Ends {
            initiator: SocketAddr::from(([127, 0, 0, 1], initiator)),
            listener: SocketAddr::from(([127, 0, 0, 1], 9)),
        }
    }

    #[test]
    fn connections_on_the_same_ports_differ_by_a_number_that_both_ends_see() {
        let ports = Ports::default();
        assert_eq!((ports.open(ends(1)), ports.accept(ends(1))), (None, None));
        assert_eq!((ports.open(ends(2)), ports.accept(ends(2))), (None, None));
        let again = ports.open(ends(1));
        assert!(again.is_some());
        assert_eq!(ports.accept(ends(1)), again);
        let third = ports.clone().open(ends(1));
        assert!(third.is_some() && third != again);
        assert_eq!(ports.accept(ends(1)), third);
    }

    #[test]
    fn memory_is_bounded() {
        let ports = Ports::default();
        for round in 0..6 {
            for port in 1..=u16::MAX {
                let number = ports.open(ends(port));
                assert_eq!(number.is_some(), round > 0);
            }
        }
        let used = ports.0.borrow();
        assert!(used.late.len() + used.before.len() <= 2 * REMEMBERED);
        assert!(used.numbers.len() <= REMEMBERED);
    }
}
