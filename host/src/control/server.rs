//! The answering end of a control socket: a thread that waits for clients, and a mailbox between it
//! and the program's loop. The loop never waits for the thread, nor the thread's clients for each other.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::snapshot::{Listed, Snapshot, View};
use super::socket::{Listener, SocketFile, Stream};
use crate::log::Tap;
use crate::net::Waker;

/// The control socket of this program. Dropped, a Unix socket is removed.
#[derive(Debug)]
pub(crate) struct Control {
    mailbox: Mailbox,
    tap: Tap,
    socket: Option<SocketFile>,
}

/// What the thread and the loop hand each other.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A snapshot is wanted.
    wanted: AtomicBool,
    /// One with the table.
    listed: AtomicBool,
    /// The program is to end as at Ctrl-C.
    resign: AtomicBool,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    /// Wakes the thread.
    bell: UnixStream,
}

/// How many clients there are at most.
const CLIENTS_MAX: usize = 32;

/// How long a question may be, in bytes.
const LINE_MAX: usize = 4096;

/// How many questions of a client wait for their answers; more are left in the socket.
const QUESTIONS_MAX: usize = 16;

/// How much a client may leave unread, in bytes.
const UNREAD_MAX: usize = 1 << 20;

/// A snapshot that is not older is good for another question.
const FRESH: Duration = Duration::from_millis(20);

/// How long the loop may take for a snapshot before a client gets the answer that it hangs.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(2);

/// How long nobody is accepted after the system would not.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

impl Control {
    /// Listens at `address`, and answers from a thread. `waker` ends the wait of the program's loop,
    /// which is to call [`turn`](Self::turn) then; `tap` is its log's.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse` if another program listens there.
    pub(crate) fn open(address: &Address, tap: Tap, waker: Waker) -> io::Result<Self> {
        let listener = Listener::bind(address)?;
        let socket = match address {
            Address::Tcp(_) => None,
            Address::Unix(path) => Some(SocketFile::at(path)?),
        };
        let (bell, ears) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ears.set_nonblocking(true)?;
        let mailbox = Mailbox(Arc::new(Shared {
            wanted: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            resign: AtomicBool::new(false),
            latest: Mutex::new(None),
            bell,
        }));
        let mut server = Server {
            listener,
            ears,
            mailbox: mailbox.clone(),
            tap: tap.clone(),
            waker,
            clients: Vec::new(),
            asked: None,
            accept_from: Instant::now(),
        };
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || server.run())?;
        Ok(Self {
            mailbox,
            tap,
            socket,
        })
    }

    /// To be called once in each turn of the program's loop. Calls `snapshot` if somebody has asked;
    /// it gets whether the table is wanted.
    pub(crate) fn turn(&self, snapshot: impl FnOnce(bool) -> Snapshot) {
        let shared = &self.mailbox.0;
        if shared.wanted.swap(false, Ordering::SeqCst) {
            let latest = snapshot(shared.listed.swap(false, Ordering::SeqCst));
            let mut place = shared.latest.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some((Instant::now(), Arc::new(latest)));
            drop(place);
            self.mailbox.ring();
        } else if self.tap.is_watched() {
            self.mailbox.ring();
        }
    }

    /// Returns `true` once somebody has asked the program to end.
    pub(crate) fn resigns(&self) -> bool {
        self.mailbox.0.resign.load(Ordering::SeqCst)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            socket.remove();
        }
    }
}

impl Mailbox {
    fn ring(&self) {
        // A full pipe wakes the other thread all the same.
        let _ = (&self.0.bell).write(&[1]);
    }

    fn latest(&self) -> Option<(Instant, Arc<Snapshot>)> {
        let latest = self.0.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Server {
    listener: Listener,
    ears: UnixStream,
    mailbox: Mailbox,
    tap: Tap,
    waker: Waker,
    clients: Vec<Client>,
    /// Since when a snapshot is awaited.
    asked: Option<Instant>,
    accept_from: Instant,
}

struct Client {
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    questions: VecDeque<(Ask, Instant)>,
    watches: bool,
    /// When something came from it last.
    heard: Instant,
    /// What it is sent is its last.
    ends: bool,
    gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ask {
    Status,
    Members,
    Monitor,
    Resign,
}

#[derive(Deserialize)]
struct Question {
    ask: Ask,
}

#[derive(Serialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
enum Answer<'a> {
    Status {
        t: f64,
        time: f64,
        age_s: f64,
        views: &'a [View],
        #[serde(skip_serializing_if = "Option::is_none")]
        listed: Option<&'a Vec<Listed>>,
    },
    Error {
        why: &'a str,
    },
}

impl Server {
    fn run(&mut self) {
        loop {
            if let Err(error) = self.wait() {
                debug_assert!(false, "poll: {error}");
                // It fails for want of memory only.
                thread::sleep(ACCEPT_AGAIN);
            }
            let mut rings = [0; 256];
            while matches!(self.ears.read(&mut rings), Ok(1..)) {}
            self.accept();
            for client in &mut self.clients {
                client.read();
            }
            self.answer();
            self.broadcast();
            for client in &mut self.clients {
                if client.write_unread() {
                    // What it has asked besides has its turn now.
                    self.mailbox.ring();
                }
            }
            self.clients.retain(|client| !client.gone);
            let watchers = self.clients.iter().filter(|client| client.watches).count();
            self.tap.set_watchers(watchers);
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let mut fds = vec![PollFd::new(&self.ears, PollFlags::IN)];
        let mut until = self.asked.map(|asked| asked + SNAPSHOT_WITHIN);
        if self.accept_from <= now {
            fds.push(PollFd::from_borrowed_fd(
                self.listener.as_fd(),
                PollFlags::IN,
            ));
        } else {
            until = Some(until.map_or(self.accept_from, |until| until.min(self.accept_from)));
        }
        for client in &self.clients {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, client.is_read());
            flags.set(PollFlags::OUT, !client.output.is_empty());
            // Of one for which nothing is awaited, not even its end is reported.
            if !flags.is_empty() {
                fds.push(PollFd::from_borrowed_fd(client.stream.as_fd(), flags));
            }
        }
        let wait =
            until.map(|until| until.saturating_duration_since(now) + Duration::from_millis(1));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        match poll(&mut fds, wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn accept(&mut self) {
        if Instant::now() < self.accept_from {
            return;
        }
        loop {
            match self.listener.accept() {
                Ok(stream) => {
                    if self.clients.len() >= CLIENTS_MAX {
                        self.give_way();
                    }
                    self.clients.push(Client::new(stream));
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.accept_from = Instant::now() + ACCEPT_AGAIN;
                        return;
                    }
                },
            }
        }
    }

    /// Closes the client that has been silent longest; one that watches has reason to be.
    fn give_way(&mut self) {
        let silent = self.clients.iter().enumerate();
        let silent = silent.min_by_key(|(_, client)| (client.watches, client.heard));
        if let Some((place, _)) = silent {
            self.clients.swap_remove(place);
        }
    }

    /// Answers the questions for which there is a snapshot, and asks for one if there are others.
    fn answer(&mut self) {
        let now = Instant::now();
        let latest = self.mailbox.latest();
        let mut wants = (false, false);
        for client in &mut self.clients {
            // One answer at a time: whoever asks for more than it reads waits for it itself.
            while client.output.is_empty()
                && let Some((ask, since)) = client.questions.front().copied()
            {
                let is_good = |(at, snapshot): &(Instant, Arc<Snapshot>)| {
                    (*at >= since || now.saturating_duration_since(*at) <= FRESH)
                        && (ask != Ask::Members || snapshot.listed.is_some())
                };
                if let Some((at, snapshot)) = latest.as_ref().filter(|latest| is_good(latest)) {
                    let age = now.saturating_duration_since(*at);
                    client.say(&Answer::Status {
                        t: snapshot.t,
                        time: snapshot.time,
                        age_s: (age.as_micros() as f64) / 1e6,
                        views: &snapshot.views,
                        listed: snapshot.listed.as_ref().filter(|_| ask == Ask::Members),
                    });
                    client.watches |= ask == Ask::Monitor;
                    if ask == Ask::Resign {
                        // The answer first: soon nobody is here to give it.
                        client.write();
                        self.mailbox.0.resign.store(true, Ordering::SeqCst);
                        self.waker.wake();
                    }
                } else if now.saturating_duration_since(since) >= SNAPSHOT_WITHIN {
                    client.say(&Answer::Error {
                        why: "the program has not come to it within 2 s: it hangs, or is stopped",
                    });
                } else {
                    wants.0 = true;
                    wants.1 |= ask == Ask::Members;
                    break;
                }
                client.questions.pop_front();
                client.write();
            }
        }
        if wants.0 {
            self.asked.get_or_insert(now);
            if wants.1 {
                self.mailbox.0.listed.store(true, Ordering::SeqCst);
            }
            self.mailbox.0.wanted.store(true, Ordering::SeqCst);
            self.waker.wake();
        } else {
            self.asked = None;
        }
    }

    /// Hands what the log has to those who watch.
    fn broadcast(&mut self) {
        if !self.tap.is_watched() {
            return;
        }
        let (mut lines, lost) = self.tap.take();
        if lost > 0 {
            let why = format!("{lost} lines were lost: nobody fetched them in time");
            let answer = Answer::Error { why: &why };
            lines.push_front(serde_json::to_string(&answer).unwrap_or_default());
        }
        for client in self.clients.iter_mut().filter(|client| client.watches) {
            for line in &lines {
                client.put(line);
            }
        }
    }
}

impl Client {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            questions: VecDeque::new(),
            watches: false,
            heard: Instant::now(),
            ends: false,
            gone: false,
        }
    }

    fn is_read(&self) -> bool {
        !self.ends && self.questions.len() < QUESTIONS_MAX
    }

    /// Reads what has come, a piece at a time so that nobody else waits for long.
    fn read(&mut self) {
        if !self.is_read() {
            return;
        }
        let mut piece = [0; LINE_MAX];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                // It asks nothing more; what it has asked is answered.
                self.ends = true;
                self.gone = self.is_over();
            }
            Ok(read) => {
                self.heard = Instant::now();
                self.input.extend(piece.get(..read).unwrap_or_default());
                self.take_lines();
            }
            Err(error) => {
                let again = [ErrorKind::WouldBlock, ErrorKind::Interrupted];
                self.gone = !again.contains(&error.kind());
            }
        }
    }

    fn take_lines(&mut self) {
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Question>(&line) {
                Ok(question) => self.questions.push_back((question.ask, Instant::now())),
                Err(_) => {
                    // Nor is what follows: a browser can be made to send a request that has a
                    // question in its body.
                    self.input.clear();
                    self.ends = true;
                    self.say(&Answer::Error {
                        why: "that is no question: write {\"ask\":\"status\"}, members, monitor or resign",
                    });
                }
            }
        }
        if self.input.len() >= LINE_MAX {
            self.input.clear();
            self.ends = true;
            self.say(&Answer::Error {
                why: "a question has 4096 bytes at most",
            });
        }
    }

    fn say(&mut self, answer: &Answer<'_>) {
        // Numbers and text always have a JSON form.
        let line = serde_json::to_string(answer).unwrap_or_default();
        self.put(&line);
    }

    fn put(&mut self, line: &str) {
        self.output.extend(line.as_bytes());
        self.output.push(b'\n');
        if self.output.len() > UNREAD_MAX {
            self.write();
            // Whoever does not read is not waited for.
            self.gone |= self.output.len() > UNREAD_MAX;
        }
    }

    /// Writes what is left to write. Returns `true` if something was, and now nothing is.
    fn write_unread(&mut self) -> bool {
        let was_unread = !self.output.is_empty();
        self.write();
        was_unread && self.output.is_empty() && !self.questions.is_empty()
    }

    /// Returns `true` if it asks nothing more, and has all that it asked for. One that watches has
    /// not, until it can no longer be written to.
    fn is_over(&self) -> bool {
        self.ends && self.output.is_empty() && self.questions.is_empty() && !self.watches
    }

    /// Writes what can be written at once.
    fn write(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.gone |= error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
        self.gone |= self.is_over();
    }
}
