//! The shipped machines, by the capacities they are compiled for.

use bully::{Config, Event, Instant, Net, Node, Phase, Pid, Roster};

/// A node of any capacity.
pub(super) trait Machine {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event>;
    fn poll_at(&self) -> Option<Instant>;
    fn leader(&self) -> Option<Pid>;
    fn phase(&self) -> Phase;
    fn roster(&self) -> Roster<'_>;
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

    fn roster(&self) -> Roster<'_> {
        Node::roster(self)
    }
}

/// The member capacities there are.
pub const CAPACITIES: [usize; 7] = [4, 8, 16, 64, 256, 1024, 4096];

/// Exchanges of every simulated node: a quarter of each side's is kept for the other, so that 16
/// ELECTIONs go out at once, as in the simulations that the storm rules come from.
pub(super) const EXCHANGES: usize = 22;

/// A node with room for `capacity` members, one of [`CAPACITIES`].
pub(super) fn node(capacity: usize, config: Config) -> Option<Box<dyn Machine>> {
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
