//! A line to a chip: a serial device, or what stands in for one.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;

use bully::{Instant, Line};
use polling::{AsSource, Poller};

use super::poll::{Poll, Ready};
use super::socket;
use super::source::{Interest, Registered, Socket};

/// Where a line leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineTo {
    /// A serial device, with 8 data bits, no parity, one stop bit and no flow control.
    #[cfg(unix)]
    Device {
        /// Its file.
        path: PathBuf,
        /// Bits a second.
        baud: u32,
    },
    /// Somebody who listens on a TCP port, such as an emulator or a terminal server.
    Tcp(SocketAddr),
    /// Somebody who listens on a socket of this machine.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl fmt::Display for LineTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(unix)]
            Self::Device { path, baud } => write!(f, "{}:{baud}", path.display()),
            Self::Tcp(at) => write!(f, "tcp:{at}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// Bytes pass.
    Open,
    /// They do not; it is tried again until they do.
    Lost(String),
}

/// A [`Line`] that is opened when it can be, and again when it breaks. One that is not there takes
/// nothing and brings nothing, as one with a dead chip on it.
#[derive(Debug)]
pub struct Serial {
    poller: Arc<Poller>,
    owner: usize,
    to: LineTo,
    state: State,
    /// The line took less than it was offered.
    full: bool,
    /// Why there is no line, as far as that has not been reported.
    news: Option<LineEvent>,
    told: Option<LineEvent>,
    again_at: Instant,
}

#[derive(Debug)]
enum State {
    Absent,
    /// It is open once this is writable.
    Connecting(Box<dyn Stream>),
    Open(Box<dyn Stream>),
}

/// How soon a line is tried again that is not there.
const AGAIN: Duration = Duration::from_millis(250);

impl Serial {
    /// A line to `to` as owner number `owner` of `poll`, to be opened by the first
    /// [`turn`](Self::turn).
    pub fn new(poll: &Poll, owner: usize, to: LineTo) -> Self {
        Self {
            poller: Arc::clone(poll.poller()),
            owner,
            to,
            state: State::Absent,
            full: false,
            news: None,
            told: None,
            again_at: Instant::ZERO,
        }
    }

    /// Opens the line if it is not there and it is time to; Returns what is to be reported of it, if anything.
    pub fn turn(&mut self, now: Instant) -> Option<LineEvent> {
        if matches!(self.state, State::Absent) && now >= self.again_at {
            self.again_at = now + AGAIN;
            match self.open() {
                Ok(state) => self.enter(state),
                Err(error) => self.lose(&error),
            }
        }
        let news = self
            .news
            .take()
            .filter(|news| self.told.as_ref() != Some(news));
        if news.is_some() {
            self.told.clone_from(&news);
        }
        news
    }

    /// When the next [`turn`](Self::turn) has something to do; `None` while the line is there.
    pub fn until(&self) -> Option<Instant> {
        match self.state {
            _ if self.news.is_some() => Some(Instant::ZERO),
            State::Absent => Some(self.again_at),
            State::Connecting(_) | State::Open(_) => None,
        }
    }

    /// Takes note of readiness that [`Poll::wait`] reported for this owner.
    pub fn ready(&mut self, _: Ready) {
        let State::Connecting(stream) = &mut self.state else {
            return;
        };
        match stream.is_connected() {
            Ok(true) => {
                if let State::Connecting(stream) =
                    core::mem::replace(&mut self.state, State::Absent)
                {
                    self.enter(State::Open(stream));
                }
            }
            // The next readiness shows it.
            Ok(false) => {}
            Err(error) => self.lose(&error),
        }
    }

    fn open(&self) -> io::Result<State> {
        Ok(match &self.to {
            #[cfg(unix)]
            LineTo::Device { path, baud } => State::Open(self.stream(device(path, *baud)?)),
            LineTo::Tcp(at) => {
                let stream = socket::connect(*at)?;
                // A frame must not wait for an acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                let mut stream = self.stream(stream);
                stream.wait_for(Interest::Writable)?;
                State::Connecting(stream)
            }
            #[cfg(unix)]
            LineTo::Unix(path) => State::Open(self.stream(socket::connect_unix(path)?)),
        })
    }

    fn stream<S>(&self, source: S) -> Box<dyn Stream>
    where
        S: AsSource + Connect + fmt::Debug + 'static,
        for<'a> &'a S: Read + Write,
    {
        let socket = Socket::Listener;
        Box::new(Registered::new(&self.poller, source, self.owner, socket))
    }

    fn enter(&mut self, mut state: State) {
        if let State::Open(stream) = &mut state {
            if let Err(error) = stream.wait_for(Interest::Readable) {
                return self.lose(&error);
            }
            self.full = false;
            self.news = Some(LineEvent::Open);
        }
        self.state = state;
    }

    fn lose(&mut self, error: &io::Error) {
        self.state = State::Absent;
        self.news = Some(LineEvent::Lost(error.to_string()));
    }

    /// Asks for readiness when there is more to do.
    fn watch(&mut self) {
        let interest = if self.full {
            Interest::Both
        } else {
            Interest::Readable
        };
        if let State::Open(stream) = &mut self.state
            && let Err(error) = stream.wait_for(interest)
        {
            self.lose(&error);
        }
    }
}

impl Line for Serial {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let State::Open(stream) = &self.state else {
            return 0;
        };
        match stream.get(into) {
            Ok(0) => self.lose(&io::Error::other("the other end has closed it")),
            Ok(count) => return count,
            Err(error) if is_later(&error) => self.watch(),
            Err(error) => self.lose(&error),
        }
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let State::Open(stream) = &self.state else {
            return 0;
        };
        let taken = match stream.put(from) {
            Ok(taken) => taken,
            Err(error) if is_later(&error) => 0,
            Err(error) => {
                self.lose(&error);
                return 0;
            }
        };
        self.full = taken < from.len();
        if self.full {
            self.watch();
        }
        taken
    }
}

/// Something open that bytes pass through, in the poller.
trait Stream: fmt::Debug {
    fn get(&self, into: &mut [u8]) -> io::Result<usize>;
    fn put(&self, from: &[u8]) -> io::Result<usize>;
    fn wait_for(&mut self, interest: Interest) -> io::Result<()>;
    fn is_connected(&self) -> io::Result<bool>;
}

impl<S: AsSource + Connect + fmt::Debug> Stream for Registered<S>
where
    for<'a> &'a S: Read + Write,
{
    fn get(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut source = self.get();
        source.read(into)
    }

    fn put(&self, from: &[u8]) -> io::Result<usize> {
        let mut source = self.get();
        source.write(from)
    }

    fn wait_for(&mut self, interest: Interest) -> io::Result<()> {
        self.wait_for(interest)
    }

    fn is_connected(&self) -> io::Result<bool> {
        self.get().is_connected()
    }
}

/// Something that may take time to connect.
trait Connect {
    /// Returns `true` once it is connected.
    fn is_connected(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Connect for TcpStream {
    fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match self.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(unix)]
impl Connect for UnixStream {}

#[cfg(unix)]
impl Connect for std::fs::File {}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Opens a serial device, and leaves every byte alone from then on.
#[cfg(unix)]
fn device(path: &std::path::Path, baud: u32) -> io::Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags};
    use rustix::termios::{ControlModes, OptionalActions};

    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open(path, flags, Mode::empty())?;
    let mut modes = rustix::termios::tcgetattr(&device)?;
    modes.make_raw();
    modes.set_speed(baud)?;
    modes
        .control_modes
        .remove(ControlModes::CRTSCTS | ControlModes::CSTOPB);
    // Without a modem there is nobody who would hang up.
    modes
        .control_modes
        .insert(ControlModes::CREAD | ControlModes::CLOCAL);
    rustix::termios::tcsetattr(&device, OptionalActions::Flush, &modes)?;
    Ok(device.into())
}
