//! What all who wait at one [`Poll`](super::Poll) have in common.

use bully::Instant;

use super::connections::Connections;
use super::encoder::Pool;
use super::inbox::{Inbox, Partial};
use crate::pickle::message::Due;

/// The connections, the memory in which messages are read and written, and the time.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connections: Connections<Exchanged>,
    pub(super) inbox: Inbox,
    pub(super) pool: Pool,
    /// Where everything is read to.
    pub(super) buffer: Box<[u8]>,
    /// When the poller last looked: nothing that came before has been missed.
    pub(super) now: Instant,
    users: u64,
}

/// What a connection is used for: one message and its answer.
#[derive(Debug)]
pub(super) struct Exchanged {
    /// Whose it is: see [`Shared::user`].
    pub(super) user: u64,
    /// The answer that is due to a message of ours.
    pub(super) due: Option<Due>,
    /// As much of the message or answer as has come.
    pub(super) partial: Partial,
    /// The name of their message, if it is one that a member serves.
    pub(super) name: Option<&'static str>,
    /// What is wrong with their message, for the answer.
    pub(super) detail: Option<String>,
    /// It is in its user's queue.
    pub(super) queued: bool,
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

    /// A number that no other user ever has.
    pub(super) fn user(&mut self) -> u64 {
        self.users += 1;
        self.users
    }
}

impl Exchanged {
    /// An exchange of `user` in which nothing has been received.
    pub(super) fn new(user: u64, due: Option<Due>) -> Self {
        Self {
            user,
            due,
            partial: Partial::Nothing,
            name: None,
            detail: None,
            queued: false,
        }
    }
}
