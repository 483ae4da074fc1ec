//! A chip played by a thread: the core's node and link on the far end of a real stream.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant as Wall;

use bully::record::{Recorder, Ring};
use bully::wire::{Counts, message_max};
use bully::{Buffers, Config, Gateway, Instant, Line, Link, Member, Node, Pid};

/// As the smallest board has them.
const MEMBERS: usize = 32;
const EXCHANGES: usize = 8;
const BYTES: usize = message_max(MEMBERS);

/// Bytes for its recording: it wraps around after some seconds of an eventful life.
const BANKS: usize = 4_096;

/// How long a chip sleeps when it has nothing to do: as the tick of a real one.
const TICK: Duration = Duration::from_millis(1);

/// A chip that runs; it dies, between two bytes, when it is dropped.
#[derive(Debug)]
pub struct ChipThread {
    off: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

/// What a chip shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Whom it takes for the leader.
    pub leader: Option<Pid>,
    /// How many members it knows.
    pub members: usize,
    /// Who is at the other end of its line.
    pub gateway: Option<Gateway>,
    /// What came over the line.
    pub counts: Counts,
}

/// Where the gateway reaches a chip: the end that listens, as an emulator's does.
#[derive(Debug)]
pub enum Plug {
    /// At a TCP port.
    Tcp(TcpListener),
    /// At a socket of this machine.
    Unix(UnixListener, Option<Removed>),
    /// At a terminal of its own, which is as near as software comes to a serial device.
    Device(File),
}

/// A file that is removed with the value.
#[derive(Debug)]
pub struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl ChipThread {
    /// Switches on a chip that is `pid`, behind `plug`.
    pub fn start(plug: &Plug, pid: Pid) -> Self {
        let off = Arc::new(AtomicBool::new(false));
        let seen = Arc::default();
        let (stop, show, plug) = (Arc::clone(&off), Arc::clone(&seen), plug.again());
        let thread = thread::spawn(move || {
            let mut line = StreamLine { plug, stream: None };
            while !stop.load(Ordering::Relaxed) {
                live(&mut line, pid, &stop, &show);
            }
        });
        Self {
            off,
            seen,
            thread: Some(thread),
        }
    }

    /// What it shows.
    pub fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChipThread {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Plug {
    /// A plug at a free port.
    pub fn tcp() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("some port is free");
        listener.set_nonblocking(true).expect("it can be");
        Self::Tcp(listener)
    }

    /// A plug at a new socket in the directory for such things.
    pub fn unix(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("it can be made");
        listener.set_nonblocking(true).expect("it can be");
        Self::Unix(listener, Some(Removed(path)))
    }

    /// A plug at a new terminal.
    pub fn device() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("terminals are left");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        rustix::io::ioctl_fionbio(&master, true).expect("it can be");
        Self::Device(master.into())
    }

    /// What `--link` is to say.
    pub fn link(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                let at = listener.local_addr().expect("it is bound");
                format!("tcp:localhost:{}", at.port())
            }
            Self::Unix(listener, _) => {
                let at = listener.local_addr().expect("it is bound");
                let path = at.as_pathname().expect("it has a name");
                format!("unix:{}", path.display())
            }
            Self::Device(master) => {
                let path = rustix::pty::ptsname(master, Vec::new()).expect("it has a name");
                path.into_string().expect("a plain one")
            }
        }
    }

    /// The same plug once more.
    pub fn again(&self) -> Self {
        match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone().expect("descriptors are left")),
            Self::Unix(listener, _) => {
                Self::Unix(listener.try_clone().expect("descriptors are left"), None)
            }
            Self::Device(master) => Self::Device(master.try_clone().expect("descriptors are left")),
        }
    }

    fn accept(&self) -> Option<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                stream.set_nodelay(true).ok()?;
                Some(Box::new(stream))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(Box::new(stream))
            }
            Self::Device(master) => Some(Box::new(master.try_clone().ok()?)),
        }
    }
}

/// The chip's program, from its start until it is to be started anew.
fn live(line: &mut StreamLine, pid: Pid, off: &AtomicBool, seen: &Mutex<Seen>) {
    let since = Wall::now();
    let clock = || Instant::ZERO + since.elapsed();
    let mut buffers = Buffers::<MEMBERS, EXCHANGES, BYTES>::new();
    let mut link = Link::new(line, &mut buffers);
    let gateway = loop {
        if let Some(gateway) = link.gateway() {
            break gateway;
        }
        if off.load(Ordering::Relaxed) {
            return;
        }
        link.turn();
        thread::sleep(TICK);
    };
    let mut config = Config::new(Member {
        pid,
        addr: gateway.addr,
    });
    config.directory = Some(gateway.directory);
    let mut node = Node::<MEMBERS, EXCHANGES>::new(config);
    let mut banks = [0; BANKS];
    let mut recorder = Recorder::<_, MEMBERS>::new(Ring::new(&mut banks), 0);
    let mut handed_out = false;
    while !off.load(Ordering::Relaxed) {
        if handed_out {
            while node.poll(clock(), &mut link).is_some() {}
        } else {
            while recorder.poll(&mut node, clock(), &mut link).is_some() {}
        }
        if link.is_asked_for_recording() {
            if !handed_out {
                recorder.finish(&node);
            }
            // It is not written again while it is on its way, nor after.
            handed_out = true;
            link.hand_out(recorder.sink().banks());
        }
        let now = link.gateway();
        if now.is_some_and(|now| now.instance != gateway.instance) {
            return;
        }
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen {
            leader: node.leader(),
            members: node.roster().len(),
            gateway: now,
            counts: link.counts(),
        };
        thread::sleep(TICK);
    }
}

trait Stream: Read + Write + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}
impl Stream for File {}

/// The chip's UART: whoever has connected last, or nobody.
struct StreamLine {
    plug: Plug,
    stream: Option<Box<dyn Stream>>,
}

impl StreamLine {
    fn with(
        &mut self,
        pass: impl FnOnce(&mut dyn Stream) -> std::io::Result<usize>,
    ) -> Option<usize> {
        if self.stream.is_none() {
            self.stream = self.plug.accept();
        }
        match pass(self.stream.as_deref_mut()?) {
            Ok(0) => self.stream = None,
            Ok(count) => return Some(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(0),
            Err(_) => self.stream = None,
        }
        None
    }
}

impl Line for StreamLine {
    fn read(&mut self, into: &mut [u8]) -> usize {
        self.with(|stream| stream.read(into)).unwrap_or(0)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if from.is_empty() {
            return 0;
        }
        // A wire that leads nowhere takes what it is given.
        self.with(|stream| stream.write(from)).unwrap_or(from.len())
    }
}
