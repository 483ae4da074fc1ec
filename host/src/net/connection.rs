//! One connection: bytes out, bytes in, and what stage it is at. It knows no messages and no names.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;

use bully::Gone;

use super::source::{Interest, Registered};

/// A connection on which one message goes one way and at most one answer the other.
#[derive(Debug)]
pub(super) struct Connection {
    /// `None`: nothing was connected, or the descriptor was taken back.
    stream: Option<Registered<TcpStream>>,
    stage: Stage,
    peer: SocketAddr,
    initiated: bool,
    answer_due: bool,
    answered: bool,
    /// The peer is a program of our own kind, which sends nothing more and does not mind who closes
    /// first.
    kin: bool,
    /// The message or the answer, from before it is sent until it was.
    out: Option<Rc<[u8]>>,
    sent: usize,
    received: usize,
    /// Our end is closed.
    shut: bool,
    /// The peer has closed its end, and all that came before was read.
    ended: bool,
}

/// What a connection is about to do, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Ours: the handshake is under way.
    Connecting,
    /// The message or the answer is being written.
    Sending,
    /// Theirs: a message is to be read. Ours: the answer that is due.
    Reading,
    /// Theirs: the message has been delivered. Whether the core is expected to answer it.
    Delivered { answer: bool },
    /// Ours, and no answer is due: the peer may take its time to close.
    Draining,
    /// Its end is to be reported to the core.
    Ending(Option<Gone>),
    /// Over, and the core knows; it has yet to close it.
    Over,
    /// Closed by the core: what still comes is thrown away.
    Lingering,
}

/// What [`Connection::step`] has to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All that was to be sent has been.
    Sent(Next),
    /// So many bytes of a message or an answer are in the buffer.
    Piece(usize),
    /// The peer closed its end before its message or answer was whole.
    ClosedEarly,
    /// It ended in order. Nothing is reported after that.
    Done,
    /// It broke. Nothing is reported after that.
    Gone(Gone),
}

/// When to go on with a connection after its message or answer was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At once: there is more to report.
    Now,
    /// When the poller reports it.
    Ready,
    /// When an answer has come. The poller reports that once it is to [watch](Connection::watch).
    Answered,
    /// A little later: only the peer's end is awaited, and most peers close before it would be
    /// worth telling the poller.
    Later,
}

/// How much a connection's descriptor is needed, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The core has closed it.
    Lingering,
    /// All has been exchanged.
    Spent,
    /// Somebody connected and has sent nothing.
    Silent,
    /// Somebody's message is not whole.
    Partial,
    /// One side waits for the other.
    Waited,
}

/// Why an operation got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// The poller reports when it may go on.
    Blocked,
    Broken(Gone),
}

impl Connection {
    /// A connection that `peer` opened.
    pub(super) fn accepted(stream: Registered<TcpStream>, peer: SocketAddr) -> Self {
        Self::new(Some(stream), Stage::Reading, peer, false)
    }

    /// A connection to `peer` under way, to send `out` and then, if `answer_due`, to read
    /// an answer.
    pub(super) fn initiated(
        stream: Registered<TcpStream>,
        peer: SocketAddr,
        out: Rc<[u8]>,
        answer_due: bool,
    ) -> Self {
        Self {
            out: Some(out),
            answer_due,
            ..Self::new(Some(stream), Stage::Connecting, peer, true)
        }
    }

    /// A connection to nowhere: it reports that nobody listens at `peer`.
    pub(super) fn refused(peer: SocketAddr) -> Self {
        Self::new(None, Stage::Ending(Some(Gone::Refused)), peer, true)
    }

    fn new(
        stream: Option<Registered<TcpStream>>,
        stage: Stage,
        peer: SocketAddr,
        initiated: bool,
    ) -> Self {
        Self {
            stream,
            stage,
            peer,
            initiated,
            answer_due: false,
            answered: false,
            kin: false,
            out: None,
            sent: 0,
            received: 0,
            shut: false,
            ended: false,
        }
    }

    /// Goes on as far as it can without waiting, up to the next thing to report. What it reads is
    /// put into `buffer`.
    pub(super) fn step(&mut self, buffer: &mut [u8]) -> Option<Step> {
        loop {
            match self.stage {
                Stage::Connecting | Stage::Sending => match self.write() {
                    Ok(()) => return Some(self.sent()),
                    Err(Halt::Blocked) => return None,
                    Err(Halt::Broken(gone)) => self.stage = Stage::Ending(Some(gone)),
                },
                Stage::Reading => match self.read(buffer) {
                    Ok(0) => return Some(Step::ClosedEarly),
                    Ok(count) if self.is_echo(buffer.get(..count).unwrap_or(&[])) => {
                        self.stage = Stage::Ending(Some(Gone::Refused));
                    }
                    Ok(count) => return Some(Step::Piece(count)),
                    Err(Halt::Blocked) => return None,
                    Err(Halt::Broken(gone)) => self.stage = Stage::Ending(Some(gone)),
                },
                Stage::Draining => {
                    if !self.drain(buffer) {
                        return None;
                    }
                }
                Stage::Ending(gone) => {
                    self.stage = Stage::Over;
                    return Some(gone.map_or(Step::Done, Step::Gone));
                }
                Stage::Delivered { .. } | Stage::Over | Stage::Lingering => return None,
            }
        }
    }

    /// Their message is whole and has been delivered. `answer`: the core is expected to answer it.
    pub(super) fn delivered(&mut self, answer: bool) {
        self.stage = Stage::Delivered { answer };
    }

    /// The peer is a program of our own kind: once its message or answer is whole nobody has to wait
    /// for its end.
    pub(super) fn note_kin(&mut self) {
        self.kin = true;
    }

    /// Our answer is whole and has been delivered: nothing is left but to report the end.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        self.stage = Stage::Ending(None);
    }

    /// The last of it has been reported to the core.
    pub(super) fn over(&mut self) {
        self.stage = Stage::Over;
    }

    /// Sends `out` as the answer. Does nothing, and returns `false`, if none can be given any more.
    pub(super) fn answer(&mut self, out: Rc<[u8]>) -> bool {
        let open = self.takes_answer();
        if open {
            self.out = Some(out);
            self.sent = 0;
            self.stage = Stage::Sending;
        }
        open
    }

    /// Returns `true` if an answer would be sent.
    pub(super) fn takes_answer(&self) -> bool {
        matches!(self.stage, Stage::Delivered { .. })
    }

    /// Ends it: what was sent still arrives. Returns `true` if it lingers for the peer's end, and
    /// `false` if it may be dropped at once.
    pub(super) fn close(&mut self) -> bool {
        if self.stream.is_none() || matches!(self.stage, Stage::Ending(Some(_))) {
            return false;
        }
        // A connection that is up never ends without its message: peers die of that.
        if matches!(self.stage, Stage::Connecting | Stage::Sending) && self.write().is_err() {
            return false;
        }
        if self.ended || self.kin {
            return false;
        }
        self.stage = Stage::Lingering;
        self.received = 0;
        // Whoever has been answered closes soon, and whoever has answered may not have logged that
        // yet: see `holds_open`.
        !self.initiated || self.answered || self.shut()
    }

    /// Returns `true` if it lingers and our end is still open: until the peer's end has come, or
    /// nothing more has when it is [drained](Self::drain).
    pub(super) fn holds_open(&self) -> bool {
        self.stage == Stage::Lingering && !self.shut
    }

    /// Closes our end, so that the peer sees that nothing more comes. Returns `true` if the peer's
    /// end is still open.
    fn shut(&mut self) -> bool {
        self.shut = true;
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.get().shutdown(Shutdown::Write).is_ok())
    }

    /// Ends it with a reset: the peer sees that it was not served.
    pub(super) fn reset(self) {
        if let Some(stream) = &self.stream {
            let socket = socket2::SockRef::from(stream.get());
            // Without it the peer sees an end in order, unless it has sent something.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }

    /// Sends what is left to send, if the system takes it at once. Returns `true` if that was
    /// something.
    pub(super) fn finish_sending(&mut self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Sending) && self.write().is_ok()
    }

    /// Returns `true` if there is something to read.
    pub(super) fn has_input(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| matches!(stream.get().peek(&mut [0]), Ok(1..)))
    }

    /// Gives its descriptor back. Its end is reported to the core, unless the core closed it.
    pub(super) fn cut(&mut self) {
        self.stream = None;
        self.out = None;
        if !matches!(self.stage, Stage::Over | Stage::Ending(_)) {
            self.stage = Stage::Ending(None);
        }
    }

    /// Reads on without waiting, throws away what comes, and returns `true` if the peer's end has
    /// come or has been waited for long enough.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) -> bool {
        let over = loop {
            match self.read(buffer) {
                Ok(0) | Err(Halt::Broken(_)) => break None,
                Ok(count) if self.is_echo(buffer.get(..count).unwrap_or(&[])) => {
                    break Some(Gone::Refused);
                }
                Ok(_) if self.received > DISCARD_MAX => break None,
                Ok(_) => {}
                Err(Halt::Blocked) if self.stage != Stage::Lingering || self.shut => return false,
                Err(Halt::Blocked) => return !self.shut(),
            }
        };
        if self.stage == Stage::Draining {
            self.stage = Stage::Ending(over);
        }
        true
    }

    pub(super) fn need(&self) -> Need {
        match self.stage {
            Stage::Lingering => Need::Lingering,
            Stage::Draining | Stage::Delivered { answer: false } | Stage::Over => Need::Spent,
            Stage::Reading if !self.initiated && self.received == 0 => Need::Silent,
            Stage::Reading if !self.initiated => Need::Partial,
            _ => Need::Waited,
        }
    }

    /// Returns `true` if nothing is left but to see the peer's end.
    pub(super) fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining | Stage::Lingering)
    }

    /// Returns `true` if it was closed, and waits for the peer's end.
    pub(super) fn is_lingering(&self) -> bool {
        self.stage == Stage::Lingering
    }

    /// Returns `true` if it holds a descriptor.
    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Returns `true` if the poller reports its readiness.
    pub(super) fn is_watched(&self) -> bool {
        self.stream.as_ref().is_some_and(Registered::is_watched)
    }

    /// Returns `true` if we opened it.
    pub(super) fn is_initiated(&self) -> bool {
        self.initiated
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// Our own end of it; `None` if there is none, or the system does not say.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.as_ref()?.get().local_addr().ok()
    }

    /// Returns `true` if the peer is on this machine: on loopback, or at the very address that it
    /// connected to.
    pub(super) fn is_from_here(&self) -> bool {
        let ip = self.peer.ip();
        ip.to_canonical().is_loopback() || self.local_addr().is_some_and(|ours| ours.ip() == ip)
    }

    fn sent(&mut self) -> Step {
        if !self.initiated {
            self.stage = Stage::Ending(None);
            return Step::Sent(Next::Now);
        }
        if !self.answer_due {
            self.out = None;
            self.stage = Stage::Draining;
            return Step::Sent(Next::Later);
        }
        self.stage = Stage::Reading;
        // Nobody answers before they have read: a read now could only block.
        Step::Sent(if !self.is_watched() {
            Next::Answered
        } else if self.watch() {
            Next::Ready
        } else {
            Next::Now
        })
    }

    /// Has the poller report an answer. Returns `false` if the system does not let it, which is
    /// reported by the next step.
    pub(super) fn watch(&mut self) -> bool {
        self.wait_for(Interest::Readable) == Halt::Blocked
    }

    /// Writes what is left, all in one piece unless the system's buffer is full. The first write
    /// shows whether the handshake is over.
    fn write(&mut self) -> Result<(), Halt> {
        loop {
            let out = self.out.as_deref().unwrap_or(&[]);
            let rest = out.get(self.sent..).unwrap_or(&[]);
            if rest.is_empty() {
                return Ok(());
            }
            let Some(stream) = self.stream.as_ref() else {
                return Err(Halt::Broken(Gone::Reset));
            };
            if self.sent == 0 && rest.len() > SEGMENT {
                // Its end must not wait for an acknowledgement of its beginning.
                let _ = stream.get().set_nodelay(true);
            }
            match stream.get().write(rest) {
                Ok(0) => return Err(Halt::Broken(Gone::Reset)),
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
                    return Err(self.wait_for(Interest::Writable));
                }
                Err(error) if self.stage == Stage::Connecting => {
                    return Err(Halt::Broken(unreachable(&error)));
                }
                Err(_) => return Err(Halt::Broken(Gone::Reset)),
            }
        }
    }

    /// Reads what there is, once. `Ok(0)`: the peer has closed its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Halt> {
        let Some(stream) = self.stream.as_ref() else {
            return Err(Halt::Broken(Gone::Reset));
        };
        loop {
            match stream.get().read(buffer) {
                Ok(count) => {
                    self.received = self.received.saturating_add(count);
                    self.ended |= count == 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(self.wait_for(Interest::Readable));
                }
                Err(_) => {
                    self.ended = true;
                    return Err(Halt::Broken(Gone::Reset));
                }
            }
        }
    }

    fn wait_for(&mut self, interest: Interest) -> Halt {
        match self.stream.as_mut().map(|stream| stream.wait_for(interest)) {
            Some(Ok(())) => Halt::Blocked,
            _ => Halt::Broken(Gone::Reset),
        }
    }

    /// Where nobody listens, the system may pick that very port as our own, and connect us to
    /// ourselves. It shows when our own message comes back.
    fn is_echo(&self, piece: &[u8]) -> bool {
        if !self.initiated || self.received > piece.len() {
            return false;
        }
        let suspect = match self.out.as_deref() {
            Some(out) => {
                let shorter = out.len().min(piece.len());
                out.get(..shorter) == piece.get(..shorter)
            }
            // No answer was due, and none should have come.
            None => true,
        };
        // Connecting to no address in particular is connecting to this machine.
        let here = |ip| self.peer.ip() == ip || self.peer.ip().is_unspecified();
        suspect
            && self
                .local_addr()
                .is_some_and(|local| local.port() == self.peer.port() && here(local.ip()))
    }
}

/// What every network takes in one segment, and so whole or not at all: the 536 bytes that are the
/// least (RFC 9293), but for options.
const SEGMENT: usize = 500;

/// How much of what a peer goes on sending after the end is thrown away before it is cut off.
const DISCARD_MAX: usize = 256 * 1024;

/// How a handshake failed, for the core: broken off, or nobody there.
fn unreachable(error: &std::io::Error) -> Gone {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Gone::Reset
        }
        _ => Gone::Refused,
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::sync::Arc;

    use socket2::{Domain, Socket, Type};

    use super::super::source;
    use super::*;

    /// A socket that is connected to itself, as the system may connect one to a port where nobody
    /// listens.
    fn to_itself() -> (TcpStream, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("some port is free");
        let at = socket.local_addr().expect("it is bound");
        socket.connect(&at).expect("TCP allows it");
        socket.set_nonblocking(true).expect("it can");
        let at = at.as_socket().expect("IPv4");
        (socket.into(), at)
    }

    fn steps(answer_due: bool) -> Vec<Step> {
        let poller = Arc::new(polling::Poller::new().expect("a poller"));
        let (stream, at) = to_itself();
        let stream = Registered::new(&poller, stream, 0, source::Socket::Connection(0));
        let out = Rc::from(&b"message"[..]);
        let mut connection = Connection::initiated(stream, at, out, answer_due);
        let mut buffer = [0; 100];
        let first = connection.step(&mut buffer);
        let steps = core::iter::from_fn(|| connection.step(&mut buffer));
        first.into_iter().chain(steps).collect()
    }

    #[test]
    fn nobody_connects_to_itself() {
        for answer_due in [true, false] {
            assert_eq!(
                steps(answer_due),
                [
                    Step::Sent(if answer_due {
                        Next::Answered
                    } else {
                        Next::Later
                    }),
                    Step::Gone(Gone::Refused)
                ]
            );
        }
    }
}
