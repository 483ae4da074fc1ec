//! Nodes of every capacity that recordings come from.

use bully::record::{Inspect, Recordable};
use bully::{Config, Node};
use bully_sim::{AnyNode, CAPACITIES};

/// A node of any capacity that can be recorded.
pub trait AnyRecordable: AnyNode + Recordable + Inspect {}

impl<const MEMBERS: usize, const EXCHANGES: usize> AnyRecordable for Node<MEMBERS, EXCHANGES> {}

/// A node that has done nothing yet, with room for so many members and exchanges; `None` if this
/// program has none of that size.
pub fn node(members: usize, exchanges: usize, config: Config) -> Option<Box<dyn AnyRecordable>> {
    made(members, exchanges, &New(config))
}

/// The node whose image these bytes are; `None` if this program has none of that size, or they are
/// no image of one.
pub fn restored(members: usize, exchanges: usize, image: &[u8]) -> Option<Box<dyn AnyRecordable>> {
    let from = Image {
        bytes: image,
        alone: true,
    };
    made(members, exchanges, &from)
}

/// The image of a node with which these bytes begin; `None` if they do not begin with one.
pub(crate) fn image_of(members: usize, exchanges: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let from = Image {
        bytes,
        alone: false,
    };
    let node = made(members, exchanges, &from)?;
    let mut image = Vec::new();
    node.image(&mut |byte| image.push(byte));
    bytes.starts_with(&image).then_some(image)
}

/// Returns `true` if this program has nodes of that size.
pub(crate) fn exists(members: usize, exchanges: usize) -> bool {
    match exchanges {
        16 | 22 | 64 | 256 | 1024 => CAPACITIES.contains(&members),
        8192 => members == 64,
        8 => members == 32,
        _ => false,
    }
}

/// A node is made on the stack before it is moved, and one from an image several times: the largest
/// takes 0.5 MB.
fn made(
    members: usize,
    exchanges: usize,
    from: &(impl Source + Sync),
) -> Option<Box<dyn AnyRecordable>> {
    if members.max(exchanges) <= 256 {
        return sized(members, exchanges, from).map(|node| node as Box<dyn AnyRecordable>);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 << 20);
        let made = thread.spawn_scoped(scope, || sized(members, exchanges, from));
        let made = made.ok()?.join().ok()??;
        Some(made as Box<dyn AnyRecordable>)
    })
}

/// A node that another thread has made.
type Made = Option<Box<dyn AnyRecordable + Send>>;

/// Where a node comes from.
trait Source {
    fn make<const MEMBERS: usize, const EXCHANGES: usize>(&self) -> Made;
}

struct New(Config);

impl Source for New {
    // `#[inline(never)]`: a node is made on the stack, and so one size at a time.
    #[inline(never)]
    fn make<const MEMBERS: usize, const EXCHANGES: usize>(&self) -> Made {
        Some(Box::new(Node::<MEMBERS, EXCHANGES>::new(self.0.clone())))
    }
}

/// The image of a node.
struct Image<'a> {
    bytes: &'a [u8],
    /// Nothing may follow it.
    alone: bool,
}

impl Source for Image<'_> {
    // `#[inline(never)]`: a node is made on the stack, and so one size at a time.
    #[inline(never)]
    fn make<const MEMBERS: usize, const EXCHANGES: usize>(&self) -> Made {
        let (node, rest) = Node::<MEMBERS, EXCHANGES>::from_image(self.bytes)?;
        (rest.is_empty() || !self.alone).then(|| Box::new(node) as _)
    }
}

/// The sizes of the command line, the simulator and the firmware.
fn sized(members: usize, exchanges: usize, from: &impl Source) -> Made {
    match (members, exchanges) {
        (_, 16) => of_members::<16>(members, from),
        (_, 22) => of_members::<22>(members, from),
        (_, 64) => of_members::<64>(members, from),
        (_, 256) => of_members::<256>(members, from),
        (_, 1024) => of_members::<1024>(members, from),
        (64, 8192) => from.make::<64, 8192>(),
        (32, 8) => from.make::<32, 8>(),
        _ => None,
    }
}

fn of_members<const EXCHANGES: usize>(members: usize, from: &impl Source) -> Made {
    match members {
        4 => from.make::<4, EXCHANGES>(),
        8 => from.make::<8, EXCHANGES>(),
        16 => from.make::<16, EXCHANGES>(),
        64 => from.make::<64, EXCHANGES>(),
        256 => from.make::<256, EXCHANGES>(),
        1024 => from.make::<1024, EXCHANGES>(),
        4096 => from.make::<4096, EXCHANGES>(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bully::{Addr, Member, Pid};

    use super::*;

    #[test]
    fn a_node_of_every_size_comes_back_from_its_image() {
        // The greatest takes half a megabyte, and an unoptimized build has several copies of it on
        // the stack: more than the 2 MiB of a test's thread.
        let tested = std::thread::Builder::new().stack_size(16 << 20);
        let tested = tested.spawn(every_size_comes_back).expect("a thread");
        assert!(tested.join().is_ok());
    }

    fn every_size_comes_back() {
        let pid = Pid { days: 1, id: 1 };
        let config = Config::new(Member { pid, addr: Addr(1) });
        let image = |node: &dyn Recordable| {
            let mut image = Vec::new();
            node.image(&mut |byte| image.push(byte));
            image
        };
        let mut sizes = vec![(64, 8192), (32, 8)];
        for exchanges in [16, 22, 64, 256, 1024] {
            sizes.extend(CAPACITIES.map(|members| (members, exchanges)));
        }
        for (members, exchanges) in sizes {
            assert!(exists(members, exchanges));
            let before = node(members, exchanges, config.clone()).expect("there is one");
            let bytes = image(&*before);
            let again = restored(members, exchanges, &bytes).expect("it is an image");
            assert_eq!(again.capacities(), (members, exchanges));
            assert_eq!(image(&*again), bytes);
            assert!(restored(members, exchanges, &bytes[1..]).is_none());
        }
        assert!(!exists(100, 16) && node(100, 16, config).is_none());
    }
}
