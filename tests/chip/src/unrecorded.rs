//! In place of a recording: nothing is recorded.

use core::marker::PhantomData;

use bully::{Event, Instant, Net, Node};

use crate::{EXCHANGES, MEMBERS};

/// Memory for nothing.
pub type Memory = [u8; 0];

/// No recording.
pub struct Recording<'m>(PhantomData<&'m mut Memory>);

impl<'m> Recording<'m> {
    /// Nothing is recorded.
    pub fn new(_: &'m mut Memory) -> Self {
        Self(PhantomData)
    }

    /// [`Node::poll`].
    pub fn poll(
        &mut self,
        node: &mut Node<MEMBERS, EXCHANGES>,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<Event> {
        node.poll(now, net)
    }

    /// There is none to be ended.
    pub fn end(&mut self, _: &Node<MEMBERS, EXCHANGES>) {}

    /// Nothing.
    pub fn banks(&self) -> [&[u8]; 2] {
        [&[]; 2]
    }

    /// There is none.
    pub fn start_anew(&mut self) {}
}
