//! The shipped node, by the capacities and the connections it is compiled for.

use bully::Config;
use bully_sim::sized;
pub use bully_sim::{AnyNode, CAPACITIES};

/// For how many connections at once there are nodes.
pub const CONNECTIONS: [usize; 4] = [16, 64, 256, 1024];

/// A node with room for `capacity` members, itself included, and for `connections` at once.
/// `None` if there is none: see [`CAPACITIES`] and [`CONNECTIONS`].
pub fn node(capacity: usize, connections: usize, config: Config) -> Option<Box<dyn AnyNode>> {
    match connections {
        16 => sized::<16>(capacity, config),
        64 => sized::<64>(capacity, config),
        256 => sized::<256>(capacity, config),
        1024 => sized::<1024>(capacity, config),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bully::{Addr, Member, Pid};

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
