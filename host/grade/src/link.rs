//! One connection between the graded program and the grader.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use rustix::event::PollFlags;
use socket2::{Domain, Socket, Type};

use crate::seen::Party;

/// How many bytes of a connection are read at most.
const BYTES_MAX: usize = 1 << 20;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Option<TcpStream>,
    /// Whose side of it is ours.
    pub(crate) ours: Party,
    /// Who connected.
    pub(crate) inbound: bool,
    connected: bool,
    unsent: Vec<u8>,
    /// What was received and not yet taken for a message.
    pub(crate) received: Vec<u8>,
    /// How many whole messages came.
    pub(crate) messages: usize,
    /// Nothing more is read from it: what came is no message, or far too much.
    pub(crate) spoilt: bool,
    /// Nothing was ever to be read from it.
    pub(crate) unread: bool,
    /// When all that was due had been exchanged, so that it could be closed.
    pub(crate) done: Option<Duration>,
    /// When the program ended its side.
    pub(crate) closed: Option<Duration>,
    pub(crate) refused: bool,
}

/// What came of looking at a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// Nothing.
    None,
    /// All that was to be sent has been.
    Sent,
    /// Bytes, or the end of them.
    Received,
    /// It was refused.
    Refused,
}

impl Link {
    /// One that the program opened.
    pub(crate) fn accepted(stream: TcpStream, ours: Party, unread: bool) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut link = Self::over(stream, ours);
        link.inbound = true;
        link.connected = true;
        link.unread = unread;
        Ok(link)
    }

    /// One to the program at `to`, which sends `bytes` as soon as it stands.
    pub(crate) fn connecting(to: SocketAddr, ours: Party, bytes: Vec<u8>) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let refused = match socket.connect(&to.into()) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.raw_os_error() == Some(INPROGRESS) => false,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => true,
            Err(error) => return Err(error),
        };
        let mut link = Self::over(TcpStream::from(socket), ours);
        link.unsent = bytes;
        link.refused = refused;
        Ok(link)
    }

    /// One that could not even be tried.
    pub(crate) fn failed(ours: Party) -> Self {
        Self {
            refused: true,
            ..Self::over(None, ours)
        }
    }

    fn over(stream: impl Into<Option<TcpStream>>, ours: Party) -> Self {
        Self {
            stream: stream.into(),
            ours,
            inbound: false,
            connected: false,
            unsent: Vec::new(),
            received: Vec::new(),
            messages: 0,
            spoilt: false,
            unread: false,
            done: None,
            closed: None,
            refused: false,
        }
    }

    /// The stream and what to wait for on it; `None` if there is nothing to wait for.
    pub(crate) fn watch(&self) -> Option<(&TcpStream, PollFlags)> {
        let stream = self.stream.as_ref()?;
        let mut flags = PollFlags::empty();
        if !self.connected || !self.unsent.is_empty() {
            flags |= PollFlags::OUT;
        }
        let reads = self.connected && !self.unread && self.closed.is_none();
        if reads && !self.spoilt {
            flags |= PollFlags::IN;
        }
        (!flags.is_empty()).then_some((stream, flags))
    }

    /// Whether it is still open on our side.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Queues bytes to be sent.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// Sends and reads what can be at once, `at` being now.
    pub(crate) fn turn(&mut self, at: Duration) -> LinkEvent {
        let Some(stream) = &mut self.stream else {
            return LinkEvent::None;
        };
        if self.refused {
            self.stream = None;
            return LinkEvent::Refused;
        }
        if !self.connected {
            match stream.take_error() {
                Ok(None) if stream.peer_addr().is_ok() => self.connected = true,
                Ok(None) => return LinkEvent::None,
                _ => {
                    self.stream = None;
                    self.refused = true;
                    return LinkEvent::Refused;
                }
            }
        }
        if !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    if self.unsent.is_empty() {
                        return LinkEvent::Sent;
                    }
                }
                Err(error) if is_later(&error) => {}
                Err(_) => {
                    self.unsent.clear();
                    self.closed.get_or_insert(at);
                    return LinkEvent::Received;
                }
            }
        }
        if self.unread || self.spoilt || self.closed.is_some() {
            return LinkEvent::None;
        }
        let mut piece = [0; 1 << 14];
        match stream.read(&mut piece) {
            Ok(0) => self.closed = Some(at),
            Ok(count) => {
                self.received.extend(piece.iter().take(count));
                self.spoilt = self.received.len() > BYTES_MAX;
            }
            Err(error) if is_later(&error) => return LinkEvent::None,
            Err(_) => self.closed = Some(at),
        }
        LinkEvent::Received
    }

    /// Ends our side, and goes on reading.
    pub(crate) fn half_close(&mut self) {
        if let Some(stream) = &self.stream {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Closes it.
    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    /// Breaks it off (RST).
    pub(crate) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = Socket::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// What a connect under way reports; std has no stable name for it.
const INPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
