//! What a person who watches a `Tcp` can see beside what is reported to the core.

use core::net::SocketAddr;
use std::collections::VecDeque;

use bully::Addr;

use super::connection::Connection;

/// Something that a person watching should know, and the core need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What a peer sent was not accepted.
    Rejected {
        /// Who sent it, as far as their address says.
        peer: SocketAddr,
        /// What was wrong with it.
        why: String,
    },
    /// A member cannot be connected to, whether it lives or not. Reported once for each.
    Unreachable {
        /// Its address, or all on its host if the port is 0.
        to: Addr,
        /// What keeps us from it, and what to do.
        why: String,
    },
    /// The listener does not work at present; it is tried again.
    Listener {
        /// What it cannot do, and why.
        why: String,
    },
}

/// What a [`Tcp`](super::Tcp) has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Messages that were encoded.
    pub encoded: u64,
    /// Messages that were sent in the bytes of an earlier one.
    pub reused: u64,
    /// Lists of members that were decoded.
    pub decoded: u64,
    /// Lists of members that were recognised by their bytes.
    pub recognised: u64,
    /// Bytes handed to connections to be written.
    pub bytes: u64,
    /// Exchanges with members that cannot be connected to: see [`Note::Unreachable`].
    pub unreachable: u64,
    /// Connections that gave way to others for want of descriptors, of all who share the poll.
    pub evicted: u64,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who connected.
    pub initiator: SocketAddr,
    /// Who listened.
    pub listener: SocketAddr,
}

/// What a watcher can see beside what is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The ends of a connection that was accepted, if the system says.
    pub ends: Option<Ends>,
    /// How many bytes have been received on it so far.
    pub received: u64,
    /// The name of a message that is not served.
    pub name: Option<String>,
}

/// Notes for somebody to fetch; while nobody does, the first 64 are held.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<Note>);

const NOTES_MAX: usize = 64;

impl Notes {
    pub(super) fn push(&mut self, note: Note) {
        if self.0.len() < NOTES_MAX {
            self.0.push_back(note);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Note> {
        self.0.pop_front()
    }
}

impl Ends {
    /// The two ends of `connection`; `None` if it has not come to be, or the system does not say.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let (local, peer) = (connection.local_addr()?, connection.peer());
        let (initiator, listener) = if connection.is_initiated() {
            (local, peer)
        } else {
            (peer, local)
        };
        (initiator.port() != 0).then_some(Self {
            initiator,
            listener,
        })
    }
}
