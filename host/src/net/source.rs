//! Sockets in the poller, and the keys by which the poller names them.

use core::fmt;
use std::io;
use std::sync::Arc;

use polling::{AsSource, Event, PollMode, Poller};

/// A source that enters the poller when it first has to wait, and leaves it when it is dropped.
///
/// Where the system can, readiness is reported by edges: wait only after an operation was found to
/// block.
pub(super) struct Registered<S: AsSource> {
    source: S,
    poller: Arc<Poller>,
    key: usize,
    /// What it last waited for; `None`: it is not in the poller.
    interest: Option<Interest>,
}

/// What a source waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Readable,
    Writable,
    Both,
}

impl<S: AsSource> Registered<S> {
    /// `source`, to be reported as `socket` of owner `owner`. It is not in the poller yet.
    pub(super) fn new(poller: &Arc<Poller>, source: S, owner: usize, socket: Socket) -> Self {
        Self {
            source,
            poller: Arc::clone(poller),
            key: key(owner, socket),
            interest: None,
        }
    }

    /// Asks for a report when it becomes ready.
    pub(super) fn wait_for(&mut self, interest: Interest) -> io::Result<()> {
        if self.poller.supports_edge() && self.interest == Some(interest) {
            // Whatever comes is an edge.
            return Ok(());
        }
        self.enter(interest)
    }

    fn enter(&mut self, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Readable => Event::readable(self.key),
            Interest::Writable => Event::writable(self.key),
            Interest::Both => Event::all(self.key),
        };
        let mode = if self.poller.supports_edge() {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        if self.interest.is_some() {
            self.poller.modify_with_mode(&self.source, event, mode)?;
        } else {
            self.add(event, mode)?;
        }
        self.interest = Some(interest);
        Ok(())
    }

    /// Asks for a report of what it last waited for, and at once if it is ready already.
    pub(super) fn wait_anew(&mut self) -> io::Result<()> {
        match self.interest {
            Some(interest) => self.enter(interest),
            None => Ok(()),
        }
    }

    #[expect(unsafe_code, reason = "the poller does not own its sources")]
    fn add(&self, event: Event, mode: PollMode) -> io::Result<()> {
        // SAFETY: the source is owned by `self`, never given away or replaced, and deleted from the
        // poller by `drop`, which is before it is dropped itself.
        unsafe {
            self.poller
                .add_with_mode(&self.source.source(), event, mode)
        }
    }

    /// Returns `true` if it is in the poller.
    pub(super) fn is_watched(&self) -> bool {
        self.interest.is_some()
    }

    pub(super) fn get(&self) -> &S {
        &self.source
    }
}

impl<S: AsSource> Drop for Registered<S> {
    fn drop(&mut self) {
        if self.interest.is_some() {
            // It fails only if the source is not in the poller.
            let _ = self.poller.delete(&self.source);
        }
    }
}

impl<S: AsSource + fmt::Debug> fmt::Debug for Registered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut registered = f.debug_struct("Registered");
        registered.field("source", &self.source);
        registered.field("key", &self.key);
        registered.field("interest", &self.interest).finish()
    }
}

/// Which socket of an owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// Its listener, or the only one it has.
    Listener,
    /// The connection in that slot.
    Connection(usize),
}

/// Sockets of one owner: more than a process has descriptors, and it leaves two thousand owners
/// even on 32 bits.
const SOCKET_BITS: u32 = 20;

/// The poller's key for an owner's socket.
const fn key(owner: usize, socket: Socket) -> usize {
    let number = match socket {
        Socket::Listener => 0,
        Socket::Connection(slot) => slot + 1,
    };
    owner << SOCKET_BITS | number
}

/// The owner and the socket of a key.
pub(super) const fn owner_and_socket(key: usize) -> (usize, Socket) {
    let owner = key >> SOCKET_BITS;
    match (key & ((1 << SOCKET_BITS) - 1)).checked_sub(1) {
        None => (owner, Socket::Listener),
        Some(slot) => (owner, Socket::Connection(slot)),
    }
}
