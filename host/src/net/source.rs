//! Sockets in the poller, and the keys by which the poller names them.

use std::io;
use std::rc::Rc;

use mio::event::Source;
use mio::{Interest, Registry, Token};

/// A socket that enters the poller when it first has to wait; the system takes it out when it is
/// closed.
///
/// Readiness is reported by edges: wait only after an operation was found to block.
#[derive(Debug)]
pub(super) struct Registered<S> {
    source: S,
    registry: Rc<Registry>,
    token: Token,
    /// What it last waited for; `None`: it is not in the poller.
    interest: Option<Interest>,
}

impl<S: Source> Registered<S> {
    /// `source`, to be reported as `socket` of owner `owner`. It is not in the poller yet.
    pub(super) fn new(registry: &Rc<Registry>, source: S, owner: usize, socket: Socket) -> Self {
        Self {
            source,
            registry: Rc::clone(registry),
            token: token(owner, socket),
            interest: None,
        }
    }

    /// Asks for a report when it becomes ready.
    pub(super) fn wait_for(&mut self, interest: Interest) -> io::Result<()> {
        let (source, token) = (&mut self.source, self.token);
        match self.interest {
            // Still in the poller: whatever comes is an edge.
            Some(before) if before == interest => return Ok(()),
            Some(_) => self.registry.reregister(source, token, interest)?,
            None => self.registry.register(source, token, interest)?,
        }
        self.interest = Some(interest);
        Ok(())
    }

    /// Returns `true` if it is in the poller.
    pub(super) fn is_watched(&self) -> bool {
        self.interest.is_some()
    }

    pub(super) fn get(&self) -> &S {
        &self.source
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
pub(super) const fn token(owner: usize, socket: Socket) -> Token {
    let number = match socket {
        Socket::Listener => 0,
        Socket::Connection(slot) => slot + 1,
    };
    Token(owner << SOCKET_BITS | number)
}

/// The owner and the socket of a key.
pub(super) const fn owner_and_socket(token: Token) -> (usize, Socket) {
    let owner = token.0 >> SOCKET_BITS;
    match (token.0 & ((1 << SOCKET_BITS) - 1)).checked_sub(1) {
        None => (owner, Socket::Listener),
        Some(slot) => (owner, Socket::Connection(slot)),
    }
}
