//! The listening socket, and how it plays dead without losing its port.

use core::net::SocketAddr;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use polling::Poller;
use socket2::{Domain, Protocol, Socket, Type};

use super::poll::{Interest, Registered};
use super::socket;

/// Where others connect to. Closed, it refuses connections but keeps the port: a socket that is
/// bound and does not listen holds it, so nobody else is given it meanwhile.
#[derive(Debug)]
pub(super) struct Door {
    poller: Arc<Poller>,
    owner: usize,
    slot: usize,
    at: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Registered<TcpListener>),
    /// `None`: the port was lost to somebody in the moment of closing.
    Closed(Option<Socket>),
}

/// How many connections the system may hold for us before we accept them.
const BACKLOG: i32 = 1024;

impl Door {
    pub(super) fn open(
        poller: &Arc<Poller>,
        owner: usize,
        slot: usize,
        at: SocketAddr,
    ) -> io::Result<Self> {
        let socket = bound(at)?;
        let mut door = Self {
            poller: Arc::clone(poller),
            owner,
            slot,
            at,
            state: State::Closed(None),
        };
        door.at = socket.local_addr()?.as_socket().unwrap_or(at);
        door.listen(socket)?;
        Ok(door)
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Whether connections are refused at present.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    pub(super) fn set_open(&mut self, open: bool) -> io::Result<()> {
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

    /// The next connection, one that does not block, if there is one.
    /// [`io::ErrorKind::WouldBlock`]: not now.
    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.state {
            State::Open(listener) => socket::accept(listener.get()),
            State::Closed(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Asks to be told of the next connection.
    pub(super) fn watch(&self) -> io::Result<()> {
        match &self.state {
            State::Open(listener) => listener.wait_for(Interest::Read),
            State::Closed(_) => Ok(()),
        }
    }

    fn listen(&mut self, socket: Socket) -> io::Result<()> {
        socket.listen(BACKLOG)?;
        let listener = Registered::new(&self.poller, socket.into(), self.owner, self.slot);
        listener.wait_for(Interest::Read)?;
        self.state = State::Open(listener);
        Ok(())
    }
}

/// A socket at `at` that does not listen yet.
fn bound(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of our own past on this port, still in TIME_WAIT, must not keep us from it. On
    // Windows the option means another thing, and is not needed.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}
