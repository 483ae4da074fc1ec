//! The shipped node, by the capacities it is compiled for.

use bully::{
    Config, Counters, Directory, DirectoryEvent, Event, Instant, Net, Node, Phase, Pid, Roster,
    State,
};

use crate::scenario::Scenario;

/// A node of any capacity; its methods are those of [`Node`].
pub trait AnyNode {
    /// See [`Node::poll`].
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event>;
    /// See [`Node::resign`].
    fn resign(&mut self);
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

impl<const MEMBERS: usize, const EXCHANGES: usize> AnyNode for Node<MEMBERS, EXCHANGES> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        Node::poll(self, now, net)
    }

    fn resign(&mut self) {
        Node::resign(self);
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

/// A node with `EXCHANGES` exchanges and room for `capacity` members, one of [`CAPACITIES`]; `None`
/// for any other.
pub fn sized<const EXCHANGES: usize>(capacity: usize, config: Config) -> Option<Box<dyn AnyNode>> {
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

/// Exchanges of a simulated node: a quarter of each side's is kept for the other, so that 16
/// ELECTIONs go out at once, as in the simulations that the storm rules come from.
const EXCHANGES: usize = 22;

/// Exchanges of a node that keeps to the letter: its storms would be bounded by the table, not by
/// the rules.
const STORM_EXCHANGES: usize = 8_192;

/// The capacity of nodes with so many exchanges; in a larger group a storm fills any table.
const STORM_CAPACITY: usize = 64;

/// How many exchanges a member of this scenario has whose table is of this capacity.
pub fn exchanges(scenario: &Scenario, capacity: usize) -> usize {
    let small = scenario.members <= STORM_CAPACITY && STORM_CAPACITY <= capacity;
    if scenario.strict && small {
        STORM_EXCHANGES
    } else {
        EXCHANGES
    }
}

/// The shipped node with a table of this capacity, for this scenario; `None` if there is none of the
/// size.
pub fn node(scenario: &Scenario, capacity: usize, config: Config) -> Option<Box<dyn AnyNode>> {
    match exchanges(scenario, capacity) {
        STORM_EXCHANGES => Some(Box::new(Node::<STORM_CAPACITY, STORM_EXCHANGES>::new(
            config,
        ))),
        _ => sized::<EXCHANGES>(capacity, config),
    }
}

/// The shipped coordinator of any capacity; its methods are those of [`Directory`].
pub(crate) trait AnyDirectory {
    /// See [`Directory::poll`].
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<DirectoryEvent>;
    /// See [`Directory::poll_at`].
    fn poll_at(&self) -> Option<Instant>;
}

impl<const MEMBERS: usize> AnyDirectory for Directory<MEMBERS, EXCHANGES> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<DirectoryEvent> {
        Directory::poll(self, now, net)
    }

    fn poll_at(&self) -> Option<Instant> {
        Directory::poll_at(self)
    }
}

/// How many exchanges the coordinator has.
pub(crate) const DIRECTORY_EXCHANGES: usize = EXCHANGES;

/// The shipped coordinator with room for this many members.
pub(crate) fn directory(members: usize) -> Box<dyn AnyDirectory> {
    match members {
        0..=4_096 => Box::new(Directory::<4_096, EXCHANGES>::new()),
        4_097..=16_384 => Box::new(Directory::<16_384, EXCHANGES>::new()),
        _ => {
            // Its 2 MB are made on a stack before they are moved.
            let make = || Box::new(Directory::<131_072, EXCHANGES>::new());
            let made = std::thread::Builder::new().stack_size(16 << 20).spawn(make);
            let made = made.map(std::thread::JoinHandle::join);
            let made = made.expect("a thread can be started");
            made.expect("making a coordinator does not panic")
        }
    }
}
