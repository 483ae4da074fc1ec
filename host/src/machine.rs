//! The shipped machines by the capacities they are compiled for.

use bully::{Config, Counters, Event, Instant, Net, Node, Phase, Pid, Roster, State};

/// A node of any capacity; its methods are those of [`Node`].
pub trait Machine {
    /// See [`Node::poll`].
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event>;
    /// See [`Node::poll_at`].
    fn poll_at(&self) -> Option<Instant>;
    /// See [`Node::leader`].
    fn leader(&self) -> Option<Pid>;
    /// See [`Node::phase`].
    fn phase(&self) -> Phase;
    /// See [`Node::state`].
    fn state(&self) -> State;
    /// See [`Node::roster`].
    fn roster(&self) -> Roster<'_>;
    /// See [`Node::counters`].
    fn counters(&self) -> Counters;
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Machine for Node<MEMBERS, EXCHANGES> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        Node::poll(self, now, net)
    }

    fn poll_at(&self) -> Option<Instant> {
        Node::poll_at(self)
    }

    fn leader(&self) -> Option<Pid> {
        Node::leader(self)
    }

    fn phase(&self) -> Phase {
        Node::phase(self)
    }

    fn state(&self) -> State {
        Node::state(self)
    }

    fn roster(&self) -> Roster<'_> {
        Node::roster(self)
    }

    fn counters(&self) -> Counters {
        Node::counters(self)
    }
}

/// For how many members there are nodes.
pub const CAPACITIES: [usize; 7] = [4, 8, 16, 64, 256, 1024, 4096];

/// For how many connections at once there are nodes.
pub const CONNECTIONS: [usize; 4] = [16, 64, 256, 1024];

/// A node with room for `capacity` members, itself included, and for `connections` at once.
/// `None` if there is none: see [`CAPACITIES`] and [`CONNECTIONS`].
pub fn node(capacity: usize, connections: usize, config: Config) -> Option<Box<dyn Machine>> {
    match connections {
        16 => sized::<16>(capacity, config),
        64 => sized::<64>(capacity, config),
        256 => sized::<256>(capacity, config),
        1024 => sized::<1024>(capacity, config),
        _ => None,
    }
}

/// A node with room for `capacity` members, one of [`CAPACITIES`].
pub(crate) fn sized<const EXCHANGES: usize>(
    capacity: usize,
    config: Config,
) -> Option<Box<dyn Machine>> {
    Some(match capacity {
        4 => Box::new(Node::<4, EXCHANGES>::new(config)),
        8 => Box::new(Node::<8, EXCHANGES>::new(config)),
        16 => Box::new(Node::<16, EXCHANGES>::new(config)),
        64 => Box::new(Node::<64, EXCHANGES>::new(config)),
        256 => Box::new(Node::<256, EXCHANGES>::new(config)),
        1024 => Box::new(Node::<1024, EXCHANGES>::new(config)),
        4096 => Box::new(Node::<4096, EXCHANGES>::new(config)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bully::{Addr, Member};

    use super::*;

    #[test]
    fn every_size_that_is_named_is_built() {
        let pid = Pid { days: 1, id: 1 };
        let me = Member { pid, addr: Addr(1) };
        for connections in CONNECTIONS {
            for capacity in CAPACITIES {
                let node = node(capacity, connections, Config::new(me));
                assert!(node.is_some(), "{capacity}, {connections}");
            }
            assert!(node(100, connections, Config::new(me)).is_none());
        }
        assert!(node(4, 17, Config::new(me)).is_none());
    }
}
