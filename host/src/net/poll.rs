//! The place that waits, and sources that leave it by themselves.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bully::Instant;
use polling::{AsRawSource, AsSource, Events, Poller};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use polling::{Event, PollMode};

use super::clock::Clock;
use super::shared::Shared;

/// Waits for sockets and for deadlines; shared by any number of [`Tcp`](super::Tcp)s in one
/// thread.
pub struct Poll {
    poller: Arc<Poller>,
    events: Events,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    ready: Vec<rustix::event::epoll::Event>,
    clock: Clock,
    shared: Rc<RefCell<Shared>>,
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut poll = f.debug_struct("Poll");
        poll.field("poller", &self.poller);
        poll.field("clock", &self.clock).finish_non_exhaustive()
    }
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
            #[cfg(any(target_os = "linux", target_os = "android"))]
            ready: Vec::with_capacity(READY_MAX),
            clock: Clock::new(),
            shared: Rc::new(RefCell::new(Shared::new())),
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

    /// What all who wait here have in common.
    pub(super) fn shared(&self) -> &Rc<RefCell<Shared>> {
        &self.shared
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
        self.wait_for(timeout, |key| {
            ready(Ready {
                owner: key >> SLOT_BITS,
                slot: key & SLOT_MASK,
            });
        })
    }

    /// The poller's own wait takes five system calls, four of them for a timer finer than a
    /// millisecond and for wakers. One will do: the fifth, of which the poller lends the descriptor.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn wait_for(
        &mut self,
        timeout: Option<Duration>,
        mut ready: impl FnMut(usize),
    ) -> io::Result<()> {
        use rustix::event::{Timespec, epoll};
        // What is too long for the system may as well be for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.ready.clear();
        let room = rustix::buffer::spare_capacity(&mut self.ready);
        match epoll::wait(&*self.poller, room, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        let mut woken = false;
        for event in &self.ready {
            let key = event.data.u64() as usize;
            if key == WAKER {
                woken = true;
            } else {
                ready(key);
            }
        }
        if woken {
            // Only the poller can take the waker's word back.
            self.poll(Some(Duration::ZERO), ready)?;
        }
        Ok(())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn wait_for(&mut self, timeout: Option<Duration>, ready: impl FnMut(usize)) -> io::Result<()> {
        self.poll(timeout, ready)
    }

    fn poll(&mut self, timeout: Option<Duration>, mut ready: impl FnMut(usize)) -> io::Result<()> {
        self.events.clear();
        match self.poller.wait(&mut self.events, timeout) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in self.events.iter() {
            ready(event.key);
        }
        Ok(())
    }
}

/// How many sockets are told ready by one wait.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READY_MAX: usize = 1024;

/// The poller's own key, which no socket can have.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WAKER: usize = usize::MAX;

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

/// A socket that enters the poller when it first waits, and leaves it when it is dropped.
#[derive(Debug)]
pub(super) struct Registered<S: AsSource>
where
    for<'a> &'a S: AsRawSource,
{
    source: S,
    poller: Arc<Poller>,
    key: usize,
    /// What it last waited for; `None`: it is not in the poller.
    interest: Cell<Option<Interest>>,
}

impl<S: AsSource> Registered<S>
where
    for<'a> &'a S: AsRawSource,
{
    pub(super) fn new(poller: &Arc<Poller>, source: S, owner: usize, slot: usize) -> Self {
        Self {
            source,
            poller: Arc::clone(poller),
            key: owner << SLOT_BITS | slot,
            interest: Cell::new(None),
        }
    }

    /// Asks to be told of readiness, once an operation was found to block: the next readiness is
    /// told, and where the system can also each one after it.
    pub(super) fn wait_for(&self, interest: Interest) -> io::Result<()> {
        if self.interest.get() == Some(interest) && self.poller.supports_edge() {
            // Still armed: whatever comes is an edge.
            return Ok(());
        }
        self.watch(interest)?;
        self.interest.set(Some(interest));
        Ok(())
    }

    /// Straight to the system, which forgets a socket when it is closed: that saves taking it out.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn watch(&self, interest: Interest) -> io::Result<()> {
        use rustix::event::epoll::{EventData, EventFlags, add, modify};
        let flags = EventFlags::ET
            | match interest {
                Interest::Read => EventFlags::IN,
                Interest::Write => EventFlags::OUT,
                Interest::Both => EventFlags::IN | EventFlags::OUT,
            };
        let data = EventData::new_u64(self.key as u64);
        match self.interest.get() {
            Some(_) => modify(&*self.poller, &self.source, data, flags)?,
            None => add(&*self.poller, &self.source, data, flags)?,
        }
        Ok(())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(
        unsafe_code,
        reason = "the poller must not outlive its sources: `Drop` takes this one out first"
    )]
    fn watch(&self, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Read => Event::readable(self.key),
            Interest::Write => Event::writable(self.key),
            Interest::Both => Event::all(self.key),
        };
        let mode = if self.poller.supports_edge() {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        match self.interest.get() {
            Some(_) => self.poller.modify_with_mode(&self.source, event, mode),
            // SAFETY: the source is owned by this value, never leaves it, and is deleted from the
            // poller in its `Drop`, before the descriptor is closed.
            None => unsafe { self.poller.add_with_mode(&self.source, event, mode) },
        }
    }

    /// Whether it is in the poller.
    pub(super) fn waited(&self) -> bool {
        self.interest.get().is_some()
    }

    pub(super) fn get(&self) -> &S {
        &self.source
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl<S: AsSource> Drop for Registered<S>
where
    for<'a> &'a S: AsRawSource,
{
    fn drop(&mut self) {
        if self.interest.get().is_some() {
            // It can fail only if the source is not there, and then there is nothing to delete.
            let _ = self.poller.delete(&self.source);
        }
    }
}
