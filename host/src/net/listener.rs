//! The listening socket, and how it can be closed without losing its port.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bully::Instant;
use polling::Poller;
use socket2::Socket;

use super::socket::{self, bound};
use super::source::{self, Interest, Registered};

/// Where others connect to. Closed, it refuses connections but keeps the port: a socket that is
/// bound and does not listen holds it, so nobody else is given it meanwhile.
#[derive(Debug)]
pub(super) struct Listener {
    poller: Arc<Poller>,
    owner: usize,
    at: SocketAddr,
    state: State,
    /// Whether it should be open.
    wanted: bool,
    /// Somebody may wait to be accepted.
    ready: bool,
    arrivals: Arrivals,
    /// Accepting, or opening, has failed: it is tried again then.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Open(Registered<TcpListener>),
    /// `None`: the port was lost to somebody in the moment of closing.
    Closed(Option<Socket>),
}

/// What came of an attempt to accept.
#[derive(Debug)]
pub(super) enum Accepted {
    Connection(TcpStream, SocketAddr),
    /// Nobody waits; the poller reports who comes.
    Nobody,
    /// There are no descriptors left. It is to be tried again at once if one can be freed, and
    /// else after a [`pause`](Listener::pause).
    Exhausted,
    /// The system does not say what to do about this. It has paused.
    Failed(io::Error),
}

/// Whether connections come one at a time. An attempt to accept that finds nobody costs 2 µs of the 45
/// that an exchange takes: on Linux the socket is made before it looks. Where they come alone it is
/// left out, and the poller is asked instead.
#[derive(Debug, Default)]
struct Arrivals {
    /// How many have been accepted since the last report.
    accepted: u32,
    /// The last ones came alone.
    alone: bool,
    /// How many have come since that was found.
    since: u32,
}

/// How many are taken to come alone before that is found out again.
const ALONE_MAX: u32 = 8;

impl Arrivals {
    /// Notes that somebody was accepted. Returns `true` if that is taken to be the last one.
    fn is_last(&mut self) -> bool {
        self.accepted += 1;
        self.since += 1;
        let last = self.alone;
        self.alone &= self.since < ALONE_MAX;
        last
    }

    /// Notes that nobody else has come.
    fn found_nobody(&mut self) {
        self.alone = self.accepted == 1;
        self.since = 0;
    }
}

/// How many connections the system may hold for us before we accept them.
const BACKLOG: i32 = 1024;

/// How long to leave those who wait alone after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections in a row may have broken off before they were accepted.
const BROKEN_MAX: usize = 16;

impl Listener {
    /// Listens at `at`, as owner number `owner`.
    pub(super) fn open(poller: &Arc<Poller>, owner: usize, at: SocketAddr) -> io::Result<Self> {
        let socket = bound(at)?;
        let mut listener = Self {
            poller: Arc::clone(poller),
            owner,
            at,
            state: State::Closed(None),
            wanted: true,
            ready: false,
            arrivals: Arrivals::default(),
            paused_until: None,
        };
        listener.at = socket.local_addr()?.as_socket().unwrap_or(at);
        listener.listen(socket)?;
        Ok(listener)
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Opens or closes it. What fails is tried again by [`accept`](Self::accept).
    pub(super) fn set_open(&mut self, open: bool) -> io::Result<()> {
        self.wanted = open;
        self.ready = open;
        match (&mut self.state, open) {
            (State::Closed(held), true) => {
                let socket = match held.take() {
                    Some(socket) => socket,
                    None => bound(self.at)?,
                };
                self.listen(socket)
            }
            (State::Open(_), false) => {
                self.state = State::Closed(None);
                self.state = State::Closed(Some(bound(self.at)?));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The poller reports somebody.
    pub(super) fn note_ready(&mut self) {
        self.ready = true;
        self.arrivals.accepted = 0;
    }

    /// Returns `true` if an attempt to accept may succeed.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.ready && self.paused_until.is_none_or(|until| until <= now)
    }

    /// When to try again, if that is later.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until.filter(|_| self.ready)
    }

    /// Leaves those who wait alone for a while.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
    }

    /// Takes the next connection.
    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        self.paused_until = None;
        if self.wanted
            && matches!(self.state, State::Closed(_))
            && let Err(error) = self.set_open(true)
        {
            return self.fail(error, now);
        }
        let State::Open(listener) = &mut self.state else {
            self.ready = false;
            return Accepted::Nobody;
        };
        for _ in 0..BROKEN_MAX {
            match socket::accept(listener.get()) {
                Ok((stream, peer)) => {
                    if self.arrivals.is_last() {
                        // If the poller cannot be asked whether there are more, try to accept one.
                        self.ready = listener.wait_anew().is_err();
                    }
                    return Accepted::Connection(stream, peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.arrivals.found_nobody();
                    self.ready = listener.wait_for(Interest::Readable).is_err();
                    return Accepted::Nobody;
                }
                // One that broke off before it was accepted; there may be others.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => return self.fail(error, now),
            }
        }
        self.pause(now);
        Accepted::Nobody
    }

    fn fail(&mut self, error: io::Error, now: Instant) -> Accepted {
        if socket::is_exhausted(&error) {
            return Accepted::Exhausted;
        }
        self.pause(now);
        Accepted::Failed(error)
    }

    fn listen(&mut self, socket: Socket) -> io::Result<()> {
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let at = source::Socket::Listener;
        let mut listener = Registered::new(&self.poller, listener, self.owner, at);
        listener.wait_for(Interest::Readable)?;
        self.state = State::Open(listener);
        Ok(())
    }
}

/// Returns `true` if the error is that of the connection that would have been accepted.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::Interrupted
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    )
}
