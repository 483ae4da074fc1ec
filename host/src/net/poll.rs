//! The place that waits.

use core::cell::RefCell;
use core::fmt;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bully::Instant;
use polling::{Events, Poller};

use super::clock::Clock;
use super::descriptors;
use super::shared::Shared;
use super::source::{self, Socket};

/// Waits for sockets and for deadlines; shared by any number of [`Tcp`](super::Tcp)s in one
/// thread.
///
/// It also ends the connections that its users have closed, once their last bytes have arrived.
pub struct Poll {
    poller: Arc<Poller>,
    events: Events,
    clock: Clock,
    shared: Rc<RefCell<Shared>>,
    /// The last wait has asked the system.
    looked: bool,
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut poll = f.debug_struct("Poll");
        poll.field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// A socket of one [`Tcp`](super::Tcp) is ready: hand it to that one.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number that the `Tcp` was bound with.
    pub owner: usize,
    pub(super) socket: Socket,
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

/// How many sockets are reported ready by one wait.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("more than none");

/// What time peers on this machine are given to end a connection before it is looked after.
const LOOK_MIN: Duration = Duration::from_millis(1);

/// After a turn that took so long, answers are looked for before the time goes on: far less than any
/// answer is waited for.
const HELD_UP: Duration = Duration::from_millis(100);

impl Poll {
    /// A poll that watches nothing yet, with a clock that starts now. It will hold no more
    /// connections than the process may have descriptors at present.
    ///
    /// # Errors
    ///
    /// The system's, if it has no such facility or no descriptors left.
    pub fn new() -> io::Result<Self> {
        let clock = Clock::new();
        let allowed = descriptors::allowed().and_then(|allowed| usize::try_from(allowed).ok());
        let allowed = allowed.unwrap_or(usize::MAX);
        let shared = Shared::new(allowed.saturating_sub(descriptors::RESERVE), clock.now());
        Ok(Self {
            poller: Arc::new(Poller::new()?),
            events: Events::with_capacity(EVENTS_MAX),
            clock,
            shared: Rc::new(RefCell::new(shared)),
            looked: false,
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

    /// Holds at most `connections` at once, whoever's they are; those that are needed least give
    /// way to others. By itself it is what the users may have open and 64 more for each.
    pub fn allow_connections(&mut self, connections: usize) {
        self.shared
            .borrow_mut()
            .connections_mut()
            .allow(connections);
    }

    /// Keeps few messages of its users under way at a time: for a process with many members, in which
    /// those who are to answer wait for the processor behind those who ask. Without that a thousand
    /// members on a busy machine do not answer each other in time.
    pub fn share_processor(&mut self) {
        self.shared.borrow_mut().connections_mut().share_processor();
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
    /// The system's. An interruption by a signal is none: the wait goes on.
    pub fn wait(&mut self, until: Option<Instant>, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        let before = self.clock.now();
        let (has_notices, tidy_at) = {
            let shared = &mut *self.shared.borrow_mut();
            shared.connections_mut().look_for_answers();
            let tidy_at = shared.tidy(before, LOOK_MIN);
            (shared.connections().has_notices(), tidy_at)
        };
        // What the system need not be asked about goes ahead, but not twice in a row.
        self.looked = !(has_notices && self.looked);
        if self.looked {
            let until = if has_notices {
                Some(before)
            } else {
                until.into_iter().chain(tidy_at).min()
            };
            self.look(until, before, &mut ready)?;
        }
        loop {
            let notice = self.shared.borrow_mut().connections_mut().next_notice();
            let Some((owner, slot)) = notice else { break };
            let socket = Socket::Connection(slot);
            ready(Ready { owner, socket });
        }
        Ok(())
    }

    /// Asks the system, and waits until `until` unless there are answers to look for; it is `before`.
    fn look(
        &mut self,
        until: Option<Instant>,
        before: Instant,
        ready: &mut impl FnMut(Ready),
    ) -> io::Result<()> {
        let (held_up, answers) = {
            let shared = &mut *self.shared.borrow_mut();
            let held_up = shared.now() + HELD_UP <= before;
            (held_up, shared.connections_mut().poller_looks())
        };
        let until = if answers { Some(before) } else { until };
        let mut timeout = until.map(|until| until.since(before));
        loop {
            self.events.clear();
            self.poller.wait(&mut self.events, timeout)?;
            let after = self.clock.now();
            // No later than what was waited for: the system has looked at the sockets until then, and
            // a process that was held up in between would take for silent whoever has answered.
            let looked = until.map_or(after, |until| after.min(until.max(before)));
            self.shared.borrow_mut().set_now(looked);
            for event in self.events.iter() {
                let (owner, socket) = source::owner_and_socket(event.key);
                let settled = match socket {
                    Socket::Listener => false,
                    Socket::Connection(slot) => self.shared.borrow_mut().settle(slot),
                };
                if !settled {
                    ready(Ready { owner, socket });
                }
            }
            // There may be more than could be reported, which have come by now too.
            if self.events.len() < EVENTS_MAX.get() {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        if held_up {
            // Answers may have come that the system was not asked about.
            self.shared
                .borrow_mut()
                .connections_mut()
                .look_for_answers();
        }
        Ok(())
    }
}
