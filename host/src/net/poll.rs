//! The place that waits, and sources that leave it by themselves.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use bully::Instant;
use polling::{AsRawSource, AsSource, Event, Events, Poller};

use super::clock::Clock;

/// Waits for sockets and for deadlines; shared by any number of [`Tcp`](super::Tcp)s in one
/// thread.
#[derive(Debug)]
pub struct Poll {
    poller: Arc<Poller>,
    events: Events,
    clock: Clock,
}

/// A socket of one [`Tcp`](super::Tcp) is ready: hand it to that one.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number that the `Tcp` was bound with.
    pub owner: usize,
    pub(super) slot: usize,
}

/// Ends a wait from another thread or a signal handler's thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Poller>);

impl Waker {
    /// Makes the wait that is under way, or the next one, return at once.
    pub fn wake(&self) {
        // It fails only when the system is out of resources; the wait then lasts to its deadline.
        let _ = self.0.notify();
    }
}

impl Poll {
    /// A poll that watches nothing yet, with a clock that starts now.
    ///
    /// # Errors
    ///
    /// The system's, if it has no such facility or no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Arc::new(Poller::new()?),
            events: Events::new(),
            clock: Clock::new(),
        })
    }

    /// The clock that [`wait`](Self::wait) reads.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A handle by which others can end a wait.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.poller))
    }

    pub(super) fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Blocks until a socket is ready, `until` has come (`None`: never) or somebody
    /// [wakes](Waker::wake) it, and calls `ready` for each socket that is.
    ///
    /// # Errors
    ///
    /// The system's. An interruption by a signal is none: the wait just ends.
    pub fn wait(&mut self, until: Option<Instant>, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        let timeout = until.map(|until| {
            let left = until.since(self.clock.now());
            // Systems count in milliseconds and may round down, which would spin at the end.
            if left.is_zero() {
                left
            } else {
                left.max(SHORTEST)
            }
        });
        self.events.clear();
        match self.poller.wait(&mut self.events, timeout) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in self.events.iter() {
            ready(Ready {
                owner: event.key >> SLOT_BITS,
                slot: event.key & SLOT_MASK,
            });
        }
        Ok(())
    }
}

/// The shortest wait that is asked of the system.
const SHORTEST: Duration = Duration::from_micros(50);

/// Sockets of one owner: more than any process can have descriptors by default, and it leaves
/// room for two thousand owners even on 32 bits.
const SLOT_BITS: u32 = 20;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;

/// What a socket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Read,
    Write,
    Both,
}

/// A socket in the poller, which it leaves when it is dropped. Readiness is told once for each
/// [`wait_for`](Self::wait_for).
#[derive(Debug)]
pub(super) struct Registered<S: AsSource> {
    source: S,
    poller: Arc<Poller>,
    key: usize,
}

impl<S: AsSource> Registered<S>
where
    for<'a> &'a S: AsRawSource,
{
    #[expect(
        unsafe_code,
        reason = "the poller must not outlive its sources: `Drop` takes this one out first"
    )]
    pub(super) fn new(
        poller: &Arc<Poller>,
        source: S,
        owner: usize,
        slot: usize,
    ) -> io::Result<Self> {
        let key = owner << SLOT_BITS | slot;
        // SAFETY: the source is owned by the value returned, never leaves it, and is deleted from
        // the poller in its `Drop`, before the descriptor is closed.
        unsafe { poller.add(&source, Event::none(key))? };
        Ok(Self {
            source,
            poller: Arc::clone(poller),
            key,
        })
    }
}

impl<S: AsSource> Registered<S> {
    pub(super) fn wait_for(&self, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Read => Event::readable(self.key),
            Interest::Write => Event::writable(self.key),
            Interest::Both => Event::all(self.key),
        };
        self.poller.modify(&self.source, event)
    }

    pub(super) fn get(&self) -> &S {
        &self.source
    }
}

impl<S: AsSource> Drop for Registered<S> {
    fn drop(&mut self) {
        // It can fail only if the source is not there, and then there is nothing to delete.
        let _ = self.poller.delete(&self.source);
    }
}
