//! What all who wait at one [`Poll`](super::Poll) have in common.

use core::time::Duration;

use bully::{Instant, Origin};

use super::connection::Step;
use super::connections::{Connections, Entry};
use super::encoder::Pool;
use super::exchange::Exchanged;
use super::inbox::{Arrival, Context, Inbox, Scope};
use crate::names::Names;

/// The connections, the memory in which messages are read and written, and the time.
#[derive(Debug)]
pub(super) struct Shared {
    connections: Connections<Exchanged>,
    inbox: Inbox,
    pool: Pool,
    /// Where everything is read to.
    buffer: Box<[u8]>,
    /// When the poller last looked: nothing that came before has been missed.
    now: Instant,
    users: u64,
}

/// How much is read at once: a list of some 4,000 members.
const BUFFER: usize = 64 * 1024;

impl Shared {
    /// No connections yet, and never more than `descriptors`.
    pub(super) fn new(descriptors: usize, now: Instant) -> Self {
        Self {
            connections: Connections::new(descriptors),
            inbox: Inbox::new(),
            pool: Pool::default(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            now,
            users: 0,
        }
    }

    /// Returns a number that no other user ever has.
    pub(super) fn user(&mut self) -> u64 {
        self.users += 1;
        self.users
    }

    /// When the poller last looked.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Notes that the poller has looked.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub(super) fn connections(&self) -> &Connections<Exchanged> {
        &self.connections
    }

    pub(super) fn connections_mut(&mut self) -> &mut Connections<Exchanged> {
        &mut self.connections
    }

    pub(super) fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// The connection in `slot`, if it is `user`'s and open.
    pub(super) fn entry(&mut self, slot: usize, user: u64) -> Option<&mut Entry<Exchanged>> {
        let entry = self.connections.get_mut(slot);
        entry.filter(|entry| entry.state.is_of(user))
    }

    /// Goes on with a connection of `user` up to the next thing to report.
    pub(super) fn step(&mut self, slot: usize, user: u64) -> Option<Step> {
        let entry = self.connections.get_mut(slot)?;
        if !entry.state.is_of(user) {
            return None;
        }
        entry.state.leave_queue();
        entry.connection.step(&mut self.buffer)
    }

    /// What the `count` bytes that were read last make of the message on the connection in `slot`,
    /// and which program of our own kind has sent it. The names are those of `scope`.
    pub(super) fn take(
        &mut self,
        slot: usize,
        count: usize,
        names: &mut Names,
        scope: Scope,
    ) -> Option<(Arrival, Option<Origin>)> {
        let entry = self.connections.get_mut(slot)?;
        let context = Context {
            due: entry.state.due(),
            received: entry.connection.received(),
            names,
            scope,
        };
        let piece = self.buffer.get(..count).unwrap_or(&[]);
        Some(self.inbox.take(entry.state.partial_mut(), piece, context))
    }

    /// Awaits the answer on the connection in `slot`: after the next turns if members of this process
    /// may talk to each other, and else by the poller. Returns `false` if the system does not let it,
    /// which is reported by the next step.
    pub(super) fn await_answer(&mut self, slot: usize) -> bool {
        if self.connections.has_several_owners() {
            self.connections.look_for_answer(slot);
            return true;
        }
        let entry = self.connections.get_mut(slot);
        entry.is_some_and(|entry| entry.connection.watch())
    }

    /// As [`Connections::settle`].
    pub(super) fn settle(&mut self, slot: usize) -> bool {
        self.connections.settle(slot, &mut self.buffer)
    }

    /// As [`Connections::tidy`].
    pub(super) fn tidy(&mut self, now: Instant, age: Duration) -> Option<Instant> {
        self.connections.tidy(now, age, &mut self.buffer)
    }

    /// The core has closed the connection in `slot`, which is `user`'s. Returns `true` if we opened
    /// it, and `None` if there is none.
    pub(super) fn close(&mut self, slot: usize, user: u64) -> Option<bool> {
        let entry = self.entry(slot, user)?;
        let initiated = entry.connection.is_initiated();
        let received = entry.connection.received();
        let mut partial = core::mem::take(entry.state.partial_mut());
        self.inbox.forget(&mut partial, received);
        self.connections.close(slot, self.now);
        Some(initiated)
    }
}
