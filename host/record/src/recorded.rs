//! A node that is recorded as it runs.

use core::time::Duration;

use bully::record::{Recorder, Sink};
use bully::{Config, Event, Instant, Net};
use bully_sim::AnyNode;

use crate::node::{AnyRecordable, node};

/// The methods of [`AnyNode`] that change nothing, for a type that has such a node in this field.
#[macro_export]
macro_rules! reads_of {
    ($node:ident) => {
        fn poll_at(&self) -> Option<$crate::bully::Instant> {
            $crate::bully_sim::AnyNode::poll_at(&*self.$node)
        }

        fn leader(&self) -> Option<$crate::bully::Pid> {
            self.$node.leader()
        }

        fn phase(&self) -> $crate::bully::Phase {
            self.$node.phase()
        }

        fn state(&self) -> $crate::bully::State {
            self.$node.state()
        }

        fn roster(&self) -> $crate::bully::Roster<'_> {
            self.$node.roster()
        }

        fn counters(&self) -> $crate::bully::Counters {
            self.$node.counters()
        }
    };
}

/// A node whose run is recorded. The recording ends in order when it is dropped.
pub trait Recorded: AnyNode {
    /// Adds a note for whoever writes a log of the recording.
    fn note(&mut self, note: &[u8]);

    /// What a note can refer to: see [`Recorder::position`].
    fn position(&self) -> Option<(u32, Instant)>;
}

/// A new node with room for so many members and exchanges, recorded into `sink`; `None` if there is
/// none of that size. `origin` is the Unix time at [`Instant::ZERO`] in microseconds, or 0.
pub fn recorded(
    members: usize,
    exchanges: usize,
    config: Config,
    sink: impl Sink + 'static,
    origin: u64,
) -> Option<Box<dyn Recorded>> {
    let node = node(members, exchanges, config)?;
    // Lists are no longer than tables, but for the coordinator's.
    Some(match members {
        ..=64 => Box::new(Running::<_, 64>::new(node, sink, origin)),
        65..=1024 => Box::new(Running::<_, 1024>::new(node, sink, origin)),
        _ => Box::new(Running::<_, 4096>::new(node, sink, origin)),
    })
}

struct Running<S: Sink, const LIST: usize> {
    node: Box<dyn AnyRecordable>,
    recorder: Recorder<S, LIST>,
    flushed_at: Option<Instant>,
}

/// What is not in the file yet is no older: a process that is killed loses as much.
const FLUSH_EACH: Duration = Duration::from_secs(1);

impl<S: Sink, const LIST: usize> Running<S, LIST> {
    fn new(node: Box<dyn AnyRecordable>, sink: S, origin: u64) -> Self {
        Self {
            node,
            recorder: Recorder::new(sink, origin),
            flushed_at: None,
        }
    }
}

impl<S: Sink, const LIST: usize> Recorded for Running<S, LIST> {
    fn note(&mut self, note: &[u8]) {
        self.recorder.note(note);
    }

    fn position(&self) -> Option<(u32, Instant)> {
        self.recorder.position()
    }
}

impl<S: Sink, const LIST: usize> AnyNode for Running<S, LIST> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        let event = self.recorder.poll(&mut *self.node, now, net);
        if self.flushed_at.is_none_or(|at| at + FLUSH_EACH <= now) {
            self.flushed_at = Some(now);
            self.recorder.flush();
        }
        event
    }

    fn resign(&mut self) {
        self.recorder.resign(&mut *self.node);
    }

    reads_of!(node);
}

impl<S: Sink, const LIST: usize> Drop for Running<S, LIST> {
    fn drop(&mut self) {
        self.recorder.finish(&*self.node);
    }
}
