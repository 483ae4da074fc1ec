//! The run of the node, recorded in memory.

use bully::record::{Recorder, Ring};
use bully::{Event, Instant, Net, Node};

use crate::{EXCHANGES, MEMBERS};

/// Bytes for a recording: some minutes of a small group.
pub const BYTES: usize = 8_192;

/// Memory for a recording.
pub type Memory = [u8; BYTES];

/// A recording under way.
pub struct Recording<'m> {
    recorder: Option<Recorder<Ring<'m>, MEMBERS>>,
    /// It is ended, and is handed out as it is.
    ended: bool,
}

impl<'m> Recording<'m> {
    /// Nothing is recorded yet.
    pub fn new(memory: &'m mut Memory) -> Self {
        Self {
            recorder: Some(Recorder::new(Ring::new(memory), 0)),
            ended: false,
        }
    }

    /// [`Node::poll`], recorded unless the recording is ended.
    pub fn poll(
        &mut self,
        node: &mut Node<MEMBERS, EXCHANGES>,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<Event> {
        match &mut self.recorder {
            Some(recorder) if !self.ended => recorder.poll(node, now, net),
            _ => node.poll(now, net),
        }
    }

    /// Ends the recording.
    pub fn end(&mut self, node: &Node<MEMBERS, EXCHANGES>) {
        if let Some(recorder) = &mut self.recorder
            && !self.ended
        {
            recorder.finish(node);
            self.ended = true;
        }
    }

    /// What is recorded, the older bank and the younger one.
    pub fn banks(&self) -> [&[u8]; 2] {
        match &self.recorder {
            Some(recorder) => recorder.sink().banks(),
            None => [&[]; 2],
        }
    }

    /// Drops it, and begins another one.
    pub fn start_anew(&mut self) {
        self.recorder = self.recorder.take().map(|recorder| {
            let mut ring = recorder.into_sink();
            ring.clear();
            Recorder::new(ring, 0)
        });
        self.ended = false;
    }
}
