//! A node as bytes: what a bank of a recording begins with.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::Bytes;
use super::digest::Digest;
use crate::event::Event;
use crate::net::Net;
use crate::node::Node;
use crate::time::Instant;

/// A node that can be recorded: a [`Node`] of any capacities.
pub trait Recordable {
    /// See [`Node::poll`].
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event>;

    /// The latest time it was given, and until when a poll without input changes nothing but that.
    fn idle(&self) -> (Instant, Instant);

    /// See [`Node::resign`].
    fn resign(&mut self);

    /// How many members and how many exchanges it has slots for.
    fn capacities(&self) -> (usize, usize);

    /// Writes all that the node is, byte by byte, as postcard does. [`Node::from_image`] reads it.
    fn image(&self, put: &mut dyn FnMut(u8));
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Recordable for Node<MEMBERS, EXCHANGES> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        Self::poll(self, now, net)
    }

    fn idle(&self) -> (Instant, Instant) {
        let (.., state) = self.parts();
        let until = match state.set_back_to {
            None => self.poll_at().unwrap_or(Instant::NEVER),
            // The next time says whether the clock was set back.
            Some(_) => Instant::ZERO,
        };
        (state.now, until)
    }

    fn resign(&mut self) {
        Self::resign(self);
    }

    fn capacities(&self) -> (usize, usize) {
        (MEMBERS, EXCHANGES)
    }

    fn image(&self, put: &mut dyn FnMut(u8)) {
        let Ok(()) = self.serialize(&mut Bytes(put));
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Node<MEMBERS, EXCHANGES> {
    /// The node with whose [image](Recordable::image) `bytes` begin, and what follows it; `None` if it
    /// is none, or that of a node of other capacities.
    pub fn from_image(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let read = postcard::take_from_bytes::<Self>(bytes).ok();
        read.filter(|(node, _)| node.is_sound())
    }
}

/// The digest of a node's [image](Recordable::image), as [`op::END`](super::op::END) has it.
pub fn image_digest(node: &dyn Recordable) -> Digest {
    let mut digest = Digest::new();
    node.image(&mut |byte| digest.add(byte.into()));
    digest
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
