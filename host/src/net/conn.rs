//! One connection: the message one way, the answer the other.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use bully::Gone;
use polling::Poller;

use super::poll::{Interest, Registered};
use super::socket;
use super::tcp::Ends;
use crate::pickle::message::Due;

/// What a connection is about to do, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Theirs: the core is to be told of it.
    Accepted,
    /// Ours: the handshake is under way.
    Connecting,
    /// The message or the answer is being written.
    Sending,
    /// Theirs: a message is to be read. Ours: the answer that is due.
    Reading,
    /// Theirs: the message was told, the answer is the core's to give.
    Told,
    /// All is said; the peer may take its time to close.
    Draining,
    /// The core is to be told that it is over.
    Ending(Option<Gone>),
    /// Over, and the core knows; it has yet to close it.
    Over,
    /// Closed by the core: our half is shut, and what still comes is thrown away.
    Lingering,
}

/// How far a step got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is done.
    Done,
    /// The socket will be told ready later.
    Blocked,
    /// The connection broke.
    Broken(Gone),
}

#[derive(Debug)]
pub(super) struct Conn {
    stream: Option<Registered<TcpStream>>,
    pub(super) stage: Stage,
    /// The answer that is due to a message of ours; `None` if none is, or if they connected.
    pub(super) due: Option<Due>,
    pub(super) theirs: bool,
    pub(super) peer: SocketAddr,
    /// What is wrong with their message, for the answer.
    pub(super) detail: Option<String>,
    /// The name of their message, if it is one a member would serve.
    pub(super) heard: &'static str,
    out: Option<Rc<[u8]>>,
    sent: usize,
    pub(super) received: usize,
    eof: bool,
    /// Once it lingers: there is something to read.
    pub(super) ready: bool,
}

impl Conn {
    /// A connection that somebody else opened; `stream` does not block.
    pub(super) fn accepted(
        poller: &Arc<Poller>,
        stream: TcpStream,
        peer: SocketAddr,
        owner: usize,
        slot: usize,
    ) -> Self {
        let stream = Registered::new(poller, stream, owner, slot);
        Self::new(Some(stream), Stage::Accepted, peer, true)
    }

    /// A connection to `peer` on which `out` is sent and `due` expected. `Err` is for want of
    /// descriptors or ports alone; whatever else fails is told later.
    pub(super) fn open(
        poller: &Arc<Poller>,
        peer: SocketAddr,
        out: Rc<[u8]>,
        due: Option<Due>,
        owner: usize,
        slot: usize,
    ) -> io::Result<Self> {
        let stream = match socket::connect(peer) {
            Ok(stream) => stream,
            Err(error) if is_want_of_room(&error) => return Err(error),
            Err(_) => return Ok(Self::refused(peer)),
        };
        let stream = Registered::new(poller, stream, owner, slot);
        let mut conn = Self::new(Some(stream), Stage::Connecting, peer, false);
        conn.out = Some(out);
        conn.due = due;
        Ok(conn)
    }

    /// A connection to nowhere.
    pub(super) fn refused(peer: SocketAddr) -> Self {
        Self::new(None, Stage::Ending(Some(Gone::Refused)), peer, false)
    }

    fn new(
        stream: Option<Registered<TcpStream>>,
        stage: Stage,
        peer: SocketAddr,
        theirs: bool,
    ) -> Self {
        Self {
            stream,
            stage,
            due: None,
            theirs,
            peer,
            detail: None,
            heard: "",
            out: None,
            sent: 0,
            received: 0,
            eof: false,
            ready: false,
        }
    }

    /// Gives the core's answer, to be written.
    pub(super) fn answer(&mut self, out: Rc<[u8]>) {
        self.out = Some(out);
        self.sent = 0;
        self.stage = Stage::Sending;
    }

    /// Writes what is left: all of it in one piece unless the system's buffer is full. Whether the
    /// handshake is over shows in the first write.
    pub(super) fn send(&mut self) -> Progress {
        if self.stage == Stage::Connecting && self.is_to_itself() {
            return Progress::Broken(Gone::Refused);
        }
        loop {
            let out = self.out.as_deref().unwrap_or(&[]);
            let rest = out.get(self.sent..).unwrap_or(&[]);
            if rest.is_empty() {
                self.out = None;
                return Progress::Done;
            }
            let Some(stream) = self.stream.as_ref() else {
                return Progress::Broken(Gone::Reset);
            };
            if self.sent == 0 && rest.len() > SEGMENT {
                // Its end must not wait for an acknowledgement of its beginning.
                let _ = stream.get().set_nodelay(true);
            }
            match stream.get().write(rest) {
                Ok(0) => return Progress::Broken(Gone::Reset),
                Ok(written) => {
                    self.sent += written;
                    self.stage = Stage::Sending;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    return self.wait_for(Interest::Write);
                }
                Err(error) if self.stage == Stage::Connecting => {
                    return Progress::Broken(unreachable(&error));
                }
                Err(_) => return Progress::Broken(Gone::Reset),
            }
        }
    }

    /// Where nobody listens, the system may pick the very port as our own, and connect us to
    /// ourselves.
    fn is_to_itself(&self) -> bool {
        let ours = self.stream.as_ref().map(|stream| stream.get().local_addr());
        let (port, ip) = (self.peer.port(), self.peer.ip());
        // Connecting to no address in particular is connecting to this machine.
        let here = |ours: SocketAddr| ours.ip() == ip || ip.is_unspecified();
        matches!(ours, Some(Ok(ours)) if ours.port() == port && here(ours))
    }

    /// Returns `true` if the peer is on this machine: on loopback, or at the very address that it
    /// connected to.
    pub(super) fn is_from_here(&self) -> bool {
        let ip = self.peer.ip();
        let ours = self.stream.as_ref().map(|stream| stream.get().local_addr());
        ip.to_canonical().is_loopback() || matches!(ours, Some(Ok(ours)) if ours.ip() == ip)
    }

    /// Reads what there is, once. `Ok(0)`: the peer has closed its end.
    ///
    /// # Errors
    ///
    /// [`Progress::Blocked`] if there is nothing yet, [`Progress::Broken`] if there never will be.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Progress> {
        let Some(stream) = self.stream.as_ref() else {
            return Err(Progress::Broken(Gone::Reset));
        };
        loop {
            match stream.get().read(buffer) {
                Ok(count) => {
                    self.received = self.received.saturating_add(count);
                    self.eof |= count == 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(self.wait_for(Interest::Read));
                }
                Err(_) => return Err(Progress::Broken(Gone::Reset)),
            }
        }
    }

    pub(super) fn wait_for(&self, interest: Interest) -> Progress {
        match self.stream.as_ref().map(|stream| stream.wait_for(interest)) {
            Some(Ok(())) => Progress::Blocked,
            _ => Progress::Broken(Gone::Reset),
        }
    }

    /// Shuts our half, so that what was sent arrives and the peer sees the end; whether the rest
    /// is worth waiting for. A connection that is up never ends without its message.
    pub(super) fn shut(&mut self) -> bool {
        if matches!(self.stage, Stage::Ending(Some(_))) || self.stream.is_none() {
            return false;
        }
        if matches!(self.stage, Stage::Connecting | Stage::Sending) && self.send() != Progress::Done
        {
            return false;
        }
        self.stage = Stage::Lingering;
        self.received = 0;
        self.out = None;
        // With both ends seen, closing does all that shutting does.
        !self.eof
            && self
                .stream
                .as_ref()
                .is_some_and(|stream| stream.get().shutdown(Shutdown::Write).is_ok())
    }

    /// The two ends of it; `None` if it never came to be, or the system does not tell.
    pub(super) fn ends(&self) -> Option<Ends> {
        let ours = self.stream.as_ref()?.get().local_addr().ok()?;
        let (initiator, listener) = match self.theirs {
            true => (self.peer, ours),
            false => (ours, self.peer),
        };
        (initiator.port() != 0).then_some(Ends {
            initiator,
            listener,
        })
    }

    /// Ends it with a reset: the peer sees that it was not served.
    pub(super) fn reset(self) {
        if let Some(stream) = &self.stream {
            let socket = socket2::SockRef::from(stream.get());
            // Without it the peer sees an end in order, unless it has sent something.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }

    /// Returns `true` if the message, or the answer, has been sent whole.
    pub(super) fn finish_sending(&mut self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Sending) && self.send() == Progress::Done
    }

    /// Whether readiness is told, so that it may have been told already.
    pub(super) fn waited(&self) -> bool {
        self.stream.as_ref().is_some_and(Registered::waited)
    }
}

/// What every network takes in one segment, and so whole or not at all: the 536 bytes that are the
/// least (RFC 9293), but for options.
const SEGMENT: usize = 500;

/// Whether there are no descriptors, ports or buffers left: it says nothing about the peer.
pub(super) fn is_want_of_room(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let scarce = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        if scarce
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
        {
            return true;
        }
    }
    matches!(
        error.kind(),
        ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory
    )
}

/// How a handshake failed, for the core: broken off, or nobody there.
fn unreachable(error: &io::Error) -> Gone {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Gone::Reset
        }
        _ => Gone::Refused,
    }
}
