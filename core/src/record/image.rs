//! A node as bytes: what a bank of a recording begins with.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crc::Crc;
use crate::event::Event;
use crate::net::Net;
use crate::node::Node;
use crate::time::Instant;

/// A node that can be recorded: a [`Node`] of any capacities.
pub trait Recordable {
    /// See [`Node::poll`].
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event>;

    /// See [`Node::poll_at`].
    fn poll_at(&self) -> Option<Instant>;

    /// See [`Node::resign`].
    fn resign(&mut self);

    /// How many members and how many exchanges it has slots for.
    fn capacities(&self) -> (usize, usize);

    /// Writes all that the node is, byte by byte. [`Node::from_image`] reads it.
    fn image(&self, put: &mut dyn FnMut(u8));
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Recordable for Node<MEMBERS, EXCHANGES> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        Self::poll(self, now, net)
    }

    fn poll_at(&self) -> Option<Instant> {
        Self::poll_at(self)
    }

    fn resign(&mut self) {
        Self::resign(self);
    }

    fn capacities(&self) -> (usize, usize) {
        (MEMBERS, EXCHANGES)
    }

    fn image(&self, put: &mut dyn FnMut(u8)) {
        let mut bytes = postcard::Serializer { output: Bytes(put) };
        // Nothing in it can fail.
        let _ = self.serialize(&mut bytes);
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Node<MEMBERS, EXCHANGES> {
    /// The node whose [image](Recordable::image) these bytes are; `None` if they are none, or that
    /// of a node of other capacities.
    pub fn from_image(bytes: &[u8]) -> Option<Self> {
        let (node, rest) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        (rest.is_empty() && node.is_sound()).then_some(node)
    }
}

/// The checksum of a node's [image](Recordable::image), as [`op::END`](super::op::END) has it.
pub fn image_checksum(node: &dyn Recordable) -> u32 {
    let mut crc = Crc::new();
    node.image(&mut |byte| crc.add(byte));
    crc.value()
}

/// Bytes that are handed on one by one.
struct Bytes<'a>(&'a mut dyn FnMut(u8));

impl Flavor for Bytes<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        (self.0)(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// One more than the time, so that a timer that is not set is a single byte.
impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.as_micros().wrapping_add(1))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let later = u64::deserialize(from)?;
        Ok(Self::from_micros(later.wrapping_sub(1)))
    }
}
