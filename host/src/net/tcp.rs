//! The lab's network: pickled messages over TCP, one connection each.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;

use bully::{
    Addr, Exchange, Full, Gone, Incoming, Instant, Member, Net, Origin, Refusal, Reply, Request,
    Roster,
};
use polling::Poller;

use super::connection::{self, Connection, Next, Step};
use super::connections::Opened;
use super::encoder::Encoder;
use super::inbox::{Arrival, Context, Kind, List, Obtained, Scope};
use super::listener::{Accepted, Listener};
use super::poll::{Poll, Ready};
use super::shared::{Exchanged, Shared};
use super::source::{Registered, Socket};
use crate::names::{self, Names};
use crate::pickle::message::{self, Due, Keyed};
use crate::pickle::writer::Forms;

/// What a [`Tcp`] may be told before it listens.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Where to listen; port 0 takes any that is free. A loopback address keeps it from connecting
    /// to any other.
    pub bind: SocketAddr,
    /// The host to tell others instead of the one in `bind`.
    pub advertise: Option<String>,
    /// How many exchanges the core has slots for.
    pub exchanges: usize,
    /// Which forms of the messages to send.
    pub forms: Forms,
    /// How lists are keyed when sent; `None`: as the coordinator's first answer to JOIN that shows
    /// it, until then as the latest list that anybody sent, and before that as `forms` says.
    pub keyed: Option<Keyed>,
    /// Whether only members on this machine may join, and are known as `127.0.0.1` then: the
    /// coordinator's way.
    pub local_only: bool,
}

impl Default for TcpConfig {
    /// A free port of 127.0.0.1, 16 exchanges, word for word the assignment's messages.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            exchanges: 16,
            forms: Forms::default(),
            keyed: None,
            local_only: false,
        }
    }
}

/// Something that a person watching should know, and the core need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What a peer sent was not accepted.
    Rejected {
        /// Who sent it, as far as their address tells.
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

/// What a [`Tcp`] has done since it was made.
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
    /// The ends of a connection that was accepted, if the system tells.
    pub ends: Option<Ends>,
    /// How many bytes have been received on it so far.
    pub received: u64,
    /// The name of a message that is not served.
    pub name: Option<String>,
}

/// A [`Net`] over TCP.
///
/// Nothing here blocks; [`Poll::wait`] does. A flood of connections waits outside, in the system's
/// queue.
#[derive(Debug)]
pub struct Tcp {
    poller: Arc<Poller>,
    shared: Rc<RefCell<Shared>>,
    /// Its number among those who share `shared`.
    user: u64,
    owner: usize,
    config: TcpConfig,
    addr: Addr,
    names: Names,
    listener: Listener,
    /// Exchanges the core has not closed.
    open: usize,
    /// Slots to look at, each at most once.
    queue: VecDeque<usize>,
    encoder: Encoder,
    /// The list of what was reported last.
    list: Option<Rc<List>>,
    /// Who sent what was reported last, if it was a program of our own kind.
    origin: Option<Origin>,
    counters: TcpCounters,
    notes: VecDeque<Note>,
    /// Who has been reported as unreachable.
    unreachable: HashSet<Addr>,
    refusal: Option<String>,
}

/// What [`Net::recv`] is about to report; the list of members is apart.
#[derive(Clone, Copy, Debug)]
enum Report {
    Accepted,
    Sent,
    Join(Member),
    List(Kind),
    Unfit(Refusal),
    Refused,
    Done,
    Gone(Gone),
}

/// Returns `true` if this is the beginning of a request or an answer of HTTP, which is what a wrong
/// port most often has to do with.
fn is_http(beginning: &[u8]) -> bool {
    let words: [&[u8]; 6] = [
        b"GET /",
        b"HEAD /",
        b"POST /",
        b"PUT /",
        b"OPTIONS ",
        b"HTTP/",
    ];
    words.iter().any(|word| beginning.starts_with(word))
}

/// How many more than the core has slots for are accepted: the core decides whom to turn out.
const SPARE: usize = 4;

/// How many connections of each `Tcp` may wait for their peer's end after the core has closed them.
const LINGERING_MAX: usize = 64;

/// How many notes are held for somebody to fetch.
const NOTES_MAX: usize = 64;

/// How many unreachable members are told apart.
const UNREACHABLE_MAX: usize = 1_024;

impl Tcp {
    /// Listens, as owner number `owner` of `poll`.
    ///
    /// # Errors
    ///
    /// The system's, if `bind` is in use, not of this machine or not permitted, or no descriptors
    /// are left; [`io::ErrorKind::InvalidInput`] if `advertise` is no usable host.
    pub fn bind(poll: &Poll, owner: usize, config: TcpConfig) -> io::Result<Self> {
        let listener = Listener::open(poll.poller(), owner, config.bind)?;
        let mut names = Names::new();
        let (ip, port) = (listener.at().ip(), listener.at().port());
        let host = config.advertise.clone().unwrap_or_else(|| ip.to_string());
        // Known for good: no sweep may forget what we call ourselves.
        names.know(&host, ip);
        let addr = names.addr(&host, port).ok_or(io::ErrorKind::InvalidInput)?;
        let shared = Rc::clone(poll.shared());
        let user = shared.borrow_mut().user();
        let tcp = Self {
            poller: Arc::clone(poll.poller()),
            shared,
            user,
            owner,
            config,
            addr,
            names,
            listener,
            open: 0,
            queue: VecDeque::new(),
            encoder: Encoder::default(),
            list: None,
            origin: None,
            counters: TcpCounters::default(),
            notes: VecDeque::new(),
            unreachable: HashSet::new(),
            refusal: None,
        };
        let wanted = tcp.connections_max();
        tcp.shared.borrow_mut().connections.add_owner(wanted);
        Ok(tcp)
    }

    /// Where others are told to connect.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// The hosts heard of.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The hosts heard of, to add what is known beforehand.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// The time to poll the core with: when [`Poll::wait`] looked at the sockets last.
    ///
    /// Whatever came before that is reported by [`recv`](Net::recv), so that no deadline passes
    /// unseen between an answer's arrival and its being read, however late the process is.
    pub fn now(&self) -> Instant {
        self.shared.borrow().now
    }

    /// Takes note of readiness that [`Poll::wait`] reported for this owner.
    pub fn ready(&mut self, ready: Ready) {
        match ready.socket {
            Socket::Listener => self.listener.note_ready(),
            Socket::Connection(slot) => {
                let shared = Rc::clone(&self.shared);
                self.enqueue(slot, &mut shared.borrow_mut());
            }
        }
    }

    /// Returns `true` if there is something to report at once: the next wait must not block.
    pub fn pending(&self) -> bool {
        !self.queue.is_empty() || self.admits() && self.listener.is_ready(self.now())
    }

    /// Until when to wait, if the core need not be polled before `poll_at`.
    pub fn until(&self, poll_at: Option<Instant>) -> Option<Instant> {
        if self.pending() {
            return Some(Instant::ZERO);
        }
        let retry = self.listener.paused_until().filter(|_| self.admits());
        poll_at.into_iter().chain(retry).min()
    }

    /// What it has done.
    pub fn counters(&self) -> TcpCounters {
        TcpCounters {
            encoded: self.encoder.encoded(),
            reused: self.encoder.reused(),
            evicted: self.shared.borrow().connections.evicted(),
            ..self.counters
        }
    }

    /// The ends of the connection of an open exchange; `None` if there is none, or the system does
    /// not tell. Costs a system call.
    pub fn ends(&self, exchange: Exchange) -> Option<Ends> {
        let shared = self.shared.borrow();
        ends(&shared.connections.get(exchange.0 as usize)?.connection)
    }

    /// How many bytes have been received on an open exchange.
    pub fn received(&self, exchange: Exchange) -> u64 {
        let shared = self.shared.borrow();
        let entry = shared.connections.get(exchange.0 as usize);
        entry.map_or(0, |entry| entry.connection.received() as u64)
    }

    /// As [`recv`](Net::recv), for a watcher.
    pub fn recv_seen(&mut self) -> Option<(Exchange, Incoming<'_>, Seen)> {
        let (slot, report) = self.next_report()?;
        let seen = match self.shared.borrow().connections.get(slot) {
            None => Seen::default(),
            Some(entry) => Seen {
                ends: ends(&entry.connection).filter(|_| matches!(report, Report::Accepted)),
                received: entry.connection.received() as u64,
                name: match report {
                    Report::Unfit(Refusal::Unexpected) => entry.state.detail.clone(),
                    _ => None,
                },
            },
        };
        Some((exchange(slot), self.incoming(report), seen))
    }

    /// Sends what is left to send on an exchange that is about to be closed, as far as the system
    /// takes it at once. Returns `true` if something was sent whole by this.
    pub fn finish_sending(&mut self, exchange: Exchange) -> bool {
        let connections = &mut self.shared.borrow_mut().connections;
        let entry = connections.get_mut(exchange.0 as usize);
        entry.is_some_and(|entry| entry.connection.finish_sending())
    }

    /// Accepts all who wait to be accepted, and resets their connections, as closing the listener
    /// does. Returns whose they were.
    pub fn reject_backlog(&mut self) -> Vec<Ends> {
        let now = self.now();
        let mut rejected = Vec::new();
        while let Accepted::Connection(stream, peer) = self.listener.accept(now) {
            let connection = Connection::accepted(self.registered(stream, 0), peer);
            rejected.extend(ends(&connection));
            connection.reset();
        }
        rejected
    }

    /// Forgets what is of no use any more once the table is `roster`: encodings of former ones,
    /// and hosts that nobody in it has.
    pub fn sweep(&mut self, roster: Roster<'_>) {
        self.encoder.forget_all_but(roster.revision());
        if self.names.hosts() > names::HOSTS_MAX / 2 {
            let ours = core::iter::once(self.addr);
            let theirs = roster.members().iter().map(|member| member.addr);
            self.names.sweep(ours.chain(theirs));
            // Their numbers may mean other hosts from now on.
            self.unreachable.clear();
        }
    }

    /// Takes the oldest note of what a person watching should know.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// The coordinator's own words when it last refused a JOIN, or what it sent instead of an answer:
    /// printable, at most 500 characters.
    pub fn refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// How many descriptors a `Tcp` for so many exchanges has at most.
    pub const fn descriptors_max(exchanges: usize) -> usize {
        1 + exchanges + SPARE + LINGERING_MAX
    }

    /// How many connections it has at most.
    fn connections_max(&self) -> usize {
        Self::descriptors_max(self.config.exchanges) - 1
    }

    /// Returns `true` if the core may have another exchange.
    fn admits(&self) -> bool {
        self.open < self.config.exchanges + SPARE
    }

    fn scope(&self) -> Scope {
        Scope {
            user: self.user,
            sweeps: self.names.sweeps(),
        }
    }

    fn enqueue(&mut self, slot: usize, shared: &mut Shared) {
        if let Some(entry) = shared.connections.get_mut(slot)
            && entry.state.user == self.user
            && !entry.state.queued
        {
            entry.state.queued = true;
            self.queue.push_back(slot);
        }
    }

    fn add_note(&mut self, note: Note) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back(note);
        }
    }

    /// Where to connect for `addr`; if that cannot be, it is noted once.
    fn endpoint(&mut self, to: Addr) -> Result<SocketAddr, SocketAddr> {
        let (whom, why) = match self.names.endpoint(to) {
            None => {
                let host = names::with_port(to, 0);
                (
                    host,
                    "hosts are not looked up while running: members have to give localhost or an \
                     IP address",
                )
            }
            Some(peer) if self.listener.at().ip().is_loopback() && !is_here(peer) => (
                to,
                "this listens on a loopback address, which other machines cannot reach: to take \
                 part in a group of several machines, give --bind an address they can",
            ),
            Some(peer) => return Ok(peer),
        };
        self.counters.unreachable += 1;
        if self.unreachable.len() < UNREACHABLE_MAX && self.unreachable.insert(whom) {
            let why = why.to_owned();
            self.add_note(Note::Unreachable { to: whom, why });
        }
        Err(SocketAddr::from(([0, 0, 0, 0], names::port(to))))
    }

    /// Connects to `peer`; connections that are needed less give way.
    fn connect(peer: SocketAddr, shared: &mut Shared) -> Result<Option<TcpStream>, Full> {
        if !shared.connections.admits_initiated(shared.now) {
            return Err(Full);
        }
        let mut connected = connection::connect(peer);
        if connected.as_ref().is_err_and(connection::is_exhausted)
            && shared.connections.make_room(Opened::ByAnybody, shared.now)
        {
            connected = connection::connect(peer);
        }
        match connected {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if connection::is_exhausted(&error) => Err(Full),
            Err(_) => Ok(None),
        }
    }

    fn next_report(&mut self) -> Option<(usize, Report)> {
        self.list = None;
        self.origin = None;
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        // Whoever has given way is gone before others are accepted, or the core would turn out more.
        while let Some(slot) = shared.connections.next_notice_for(self.owner) {
            self.enqueue(slot, shared);
        }
        // Those who are connected come before those who wait for it.
        while let Some(slot) = self.queue.pop_front() {
            if let Some(report) = self.step(slot, shared) {
                return Some((slot, report));
            }
        }
        while self.listener.is_ready(shared.now) {
            if !self.admits() {
                // Some of these may be over without anybody knowing.
                let Shared {
                    connections,
                    buffer,
                    ..
                } = shared;
                connections.tidy(shared.now, Duration::ZERO, buffer);
                break;
            }
            if !shared.connections.admits_accepted(shared.now) {
                self.listener.pause(shared.now);
                break;
            }
            match self.listener.accept(shared.now) {
                Accepted::Connection(stream, peer) => {
                    let slot = shared.connections.next_slot();
                    let stream = self.registered(stream, slot);
                    let connection = Connection::accepted(stream, peer);
                    self.insert(connection, None, shared);
                    // Its message has come along with it, more often than not.
                    self.enqueue(slot, shared);
                    return Some((slot, Report::Accepted));
                }
                Accepted::Nobody => break,
                Accepted::Exhausted
                    if shared.connections.make_room(Opened::ByAnybody, shared.now) => {}
                Accepted::Exhausted => self.listener.pause(shared.now),
                Accepted::Failed(error) => {
                    let why = format!("cannot accept connections: {error}");
                    self.add_note(Note::Listener { why });
                }
            }
        }
        None
    }

    /// What is reported, with the list that came with it.
    fn incoming(&self, report: Report) -> Incoming<'_> {
        let list = self.list.as_ref();
        let list = list.map_or(Roster::EMPTY, |list| list.roster());
        let list = list.with_origin(self.origin);
        match report {
            Report::Accepted => Incoming::Accepted,
            Report::Sent => Incoming::Sent,
            Report::Join(member) => Incoming::Request(Request::Join(member)),
            Report::List(kind) => match kind {
                Kind::Election => Incoming::Request(Request::Election(list)),
                Kind::Coordinator => Incoming::Request(Request::Coordinator(list)),
                Kind::Probe => Incoming::Request(Request::Probe(list)),
                Kind::Ok => Incoming::Reply(Reply::Ok(list)),
                Kind::Members => Incoming::Reply(Reply::Members(list)),
            },
            Report::Unfit(refusal) => Incoming::Unfit(refusal),
            Report::Refused => Incoming::Reply(Reply::Refused(Refusal::Other)),
            Report::Done => Incoming::Done,
            Report::Gone(gone) => Incoming::Gone(gone),
        }
    }

    fn registered(&self, stream: TcpStream, slot: usize) -> Registered<TcpStream> {
        Registered::new(&self.poller, stream, self.owner, Socket::Connection(slot))
    }

    fn insert(&mut self, connection: Connection, due: Option<Due>, shared: &mut Shared) -> usize {
        self.open += 1;
        let exchanged = Exchanged::new(self.user, due);
        shared.connections.insert(self.owner, connection, exchanged)
    }

    /// Goes on with one connection up to the next thing to report.
    fn step(&mut self, slot: usize, shared: &mut Shared) -> Option<Report> {
        let entry = shared.connections.get_mut(slot)?;
        if entry.state.user != self.user {
            return None;
        }
        entry.state.queued = false;
        match entry.connection.step(&mut shared.buffer)? {
            Step::Sent(next) => {
                match next {
                    Next::Now => self.enqueue(slot, shared),
                    Next::Later => shared.connections.look_later(slot, shared.now),
                    Next::Ready => {}
                }
                Some(Report::Sent)
            }
            Step::Piece(count) => self.receive(slot, count, shared),
            Step::ClosedEarly => Some(self.closed_early(slot, shared)),
            Step::Done => Some(Report::Done),
            Step::Gone(gone) => Some(Report::Gone(gone)),
        }
    }

    /// So many bytes of a message or an answer are in the buffer.
    fn receive(&mut self, slot: usize, count: usize, shared: &mut Shared) -> Option<Report> {
        let scope = self.scope();
        let entry = shared.connections.get_mut(slot)?;
        let piece = shared.buffer.get(..count).unwrap_or(&[]);
        let due = entry.state.due;
        let context = Context {
            due,
            received: entry.connection.received(),
            names: &mut self.names,
            scope,
        };
        let partial = &mut entry.state.partial;
        let (arrival, origin) = shared.inbox.take(partial, piece, context);
        self.origin = origin;
        let report = match arrival {
            Arrival::Partial => {
                // There is more, or there will be; others have their turn first.
                self.enqueue(slot, shared);
                return None;
            }
            Arrival::List(list, obtained) => {
                match obtained {
                    Obtained::Decoded => self.counters.decoded += 1,
                    Obtained::Recognised => self.counters.recognised += 1,
                }
                self.learn_keys(due, list.keyed());
                let kind = list.kind();
                self.list = Some(list);
                Report::List(kind)
            }
            Arrival::Plain(kind, keyed) => {
                self.learn_keys(due, keyed);
                Report::List(kind)
            }
            Arrival::Join(member) => match self.join(member, &entry.connection) {
                Ok(member) => Report::Join(member),
                Err(Refusal::Other) => {
                    let peer = entry.connection.peer();
                    entry.state.detail = Some(ELSEWHERE.to_owned());
                    let why = ELSEWHERE.to_owned();
                    self.add_note(Note::Rejected { peer, why });
                    Report::Unfit(Refusal::Other)
                }
                Err(refusal) => Report::Unfit(refusal),
            },
            Arrival::Unfit { refusal, detail } => {
                let why = message::refusal_text(refusal, Some(&detail)).to_string();
                let peer = entry.connection.peer();
                entry.state.detail = Some(detail);
                self.add_note(Note::Rejected { peer, why });
                Report::Unfit(refusal)
            }
            Arrival::Refused(text) => {
                self.refusal = Some(message::raw_text(text.as_bytes()).to_string());
                Report::Refused
            }
            Arrival::NotAnAnswer(shown) => {
                let peer = entry.connection.peer();
                let why = format!("not an answer: {shown}");
                if due == Some(Due::Members) {
                    self.refusal = Some(shown);
                }
                self.add_note(Note::Rejected { peer, why });
                Report::Gone(Gone::Malformed)
            }
            Arrival::NotAMessage(why, beginning) => {
                self.not_a_message(slot, &beginning, &why, shared)
            }
        };
        self.deliver(slot, report, shared);
        Some(report)
    }

    /// The peer closed its end before its message was whole.
    fn closed_early(&mut self, slot: usize, shared: &mut Shared) -> Report {
        let Some(entry) = shared.connections.get_mut(slot) else {
            return Report::Done;
        };
        let received = entry.connection.received();
        let report = if received == 0 {
            // It chose to say nothing.
            Report::Done
        } else {
            let partial = core::mem::take(&mut entry.state.partial);
            let why = format!("it ends after {received} bytes, in the middle of a message");
            self.not_a_message(slot, partial.beginning(), &why, shared)
        };
        self.deliver(slot, report, shared);
        report
    }

    /// What came, and begins with `beginning`, is no message, for the reason `why`.
    fn not_a_message(
        &mut self,
        slot: usize,
        beginning: &[u8],
        why: &str,
        shared: &mut Shared,
    ) -> Report {
        let Some(entry) = shared.connections.get_mut(slot) else {
            return Report::Gone(Gone::Malformed);
        };
        let why = if is_http(beginning) {
            "it speaks HTTP: a browser or a web server".to_owned()
        } else {
            why.to_owned()
        };
        if entry.state.due == Some(Due::Members) {
            self.refusal = Some(message::raw_text(beginning).to_string());
            if !is_http(beginning) {
                // A coordinator that cannot read us says so without pickling it.
                return Report::Refused;
            }
        }
        let shown = message::bytes_repr(beginning).to_string();
        let peer = entry.connection.peer();
        let why = format!("not a lab message: {why}: {shown}");
        entry.state.detail = Some(shown);
        let theirs = entry.state.due.is_none();
        self.add_note(Note::Rejected { peer, why });
        if theirs {
            Report::Unfit(Refusal::NotAMessage)
        } else {
            Report::Gone(Gone::Malformed)
        }
    }

    /// A whole message or answer is about to be reported: what is next on its connection.
    fn deliver(&mut self, slot: usize, report: Report, shared: &mut Shared) {
        let Some(entry) = shared.connections.get_mut(slot) else {
            return;
        };
        let connection = &mut entry.connection;
        match (report, entry.state.due) {
            (Report::Done | Report::Gone(_), _) => connection.over(),
            (_, Some(_)) => {
                connection.answered();
                self.enqueue(slot, shared);
            }
            (Report::List(kind), None) => {
                entry.state.name = match kind {
                    Kind::Election => Some("ELECTION"),
                    Kind::Coordinator => Some("COORDINATOR"),
                    Kind::Probe => Some("PROBE"),
                    Kind::Ok | Kind::Members => None,
                };
                connection.delivered(kind != Kind::Coordinator);
            }
            (_, None) => connection.delivered(true),
        }
    }

    /// Who wants to join, by the coordinator's rules.
    fn join(&mut self, member: Member, connection: &Connection) -> Result<Member, Refusal> {
        let names = &mut self.names;
        if self.config.local_only {
            // By the address that all programs read.
            let here = names
                .is_local(member.addr)
                .then(|| names.addr("127.0.0.1", names::port(member.addr)))
                .flatten();
            let here = here.ok_or(Refusal::NotLocal)?;
            return Ok(Member {
                addr: here,
                ..member
            });
        }
        // A loopback address of another machine's, or no address in particular.
        let is_elsewhere = names.endpoint(member.addr).is_some_and(|at| {
            let ip = at.ip().to_canonical();
            ip.is_unspecified() || ip.is_loopback() && !connection.is_from_here()
        });
        if is_elsewhere {
            return Err(Refusal::Other);
        }
        Ok(member)
    }

    /// A list came that was keyed in some way, as an answer to what was `due`.
    fn learn_keys(&mut self, due: Option<Due>, keyed: Option<Keyed>) {
        if due == Some(Due::Members) {
            if self.config.keyed.is_none() {
                self.config.keyed = keyed;
            }
            self.config.forms.keyed = self.config.keyed.unwrap_or(self.config.forms.keyed);
        } else if let (None, Some(keyed)) = (self.config.keyed, keyed) {
            // Until the coordinator has shown its way, that of the last list received: the first
            // member of a group may be told of nobody.
            self.config.forms.keyed = keyed;
        }
    }
}

impl Net for Tcp {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if !self.admits() {
            return Err(Full);
        }
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        let due = match request {
            Request::Join(_) => Some(Due::Members),
            Request::Election(_) | Request::Probe(_) => Some(Due::Ok),
            Request::Coordinator(_) => None,
        };
        let connection = match self.endpoint(to) {
            Err(peer) => Connection::refused(peer),
            Ok(peer) => match Self::connect(peer, shared)? {
                None => Connection::refused(peer),
                Some(stream) => {
                    let (forms, names, pool) = (&self.config.forms, &self.names, &mut shared.pool);
                    let out = self.encoder.request(&request, forms, names, pool);
                    self.counters.bytes += out.len() as u64;
                    let stream = self.registered(stream, shared.connections.next_slot());
                    Connection::initiated(stream, peer, out, due.is_some())
                }
            },
        };
        let slot = self.insert(connection, due, shared);
        self.enqueue(slot, shared);
        Ok(exchange(slot))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (slot, report) = self.next_report()?;
        Some((exchange(slot), self.incoming(report)))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        let slot = on.0 as usize;
        let Some(entry) = shared.connections.get_mut(slot) else {
            return;
        };
        if entry.state.user != self.user || !entry.connection.takes_answer() {
            return;
        }
        let (detail, name) = (entry.state.detail.take(), entry.state.name);
        // What has a detail was noted when it came; this is turned down by the core.
        let unnoted = match reply {
            Reply::Refused(refusal) if detail.is_none() => Some(refusal),
            _ => None,
        };
        let (forms, names, pool) = (&self.config.forms, &self.names, &mut shared.pool);
        let detail = detail.as_deref().or(name);
        let out = self.encoder.reply(&reply, detail, forms, names, pool);
        self.counters.bytes += out.len() as u64;
        entry.connection.answer(out);
        let peer = entry.connection.peer();
        self.enqueue(slot, shared);
        if let Some(refusal) = unnoted {
            let name = name.as_ref().map(|name| name as &dyn core::fmt::Display);
            let why = message::refusal_text(refusal, name).to_string();
            self.add_note(Note::Rejected { peer, why });
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let shared = &mut *self.shared.borrow_mut();
        let slot = exchange.0 as usize;
        let Some(entry) = shared.connections.get_mut(slot) else {
            return;
        };
        if entry.state.user != self.user {
            return;
        }
        self.open -= 1;
        let received = entry.connection.received();
        shared.inbox.forget(&mut entry.state.partial, received);
        shared.connections.close(slot, shared.now);
    }

    fn set_listening(&mut self, on: bool) {
        if let Err(error) = self.listener.set_open(on) {
            let verb = if on { "listen again" } else { "keep the port" };
            let why = format!("cannot {verb}: {error}");
            self.add_note(Note::Listener { why });
        }
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        let connections = &mut self.shared.borrow_mut().connections;
        connections.remove_all(|exchanged| exchanged.user == self.user);
        connections.remove_owner(self.connections_max());
    }
}

/// The two ends of `connection`, if it has come to be and the system tells.
fn ends(connection: &Connection) -> Option<Ends> {
    let (local, peer) = (connection.local_addr()?, connection.peer());
    let (initiator, listener) = if connection.is_initiated() {
        (local, peer)
    } else {
        (peer, local)
    };
    (initiator.port() != 0).then_some(Ends {
        initiator,
        listener,
    })
}

/// The number of the exchange on the connection in `slot`.
fn exchange(slot: usize) -> Exchange {
    // There are far fewer slots than that.
    Exchange(u32::try_from(slot).unwrap_or(u32::MAX))
}

/// What a member is told whose listen address nobody else can reach.
const ELSEWHERE: &str = "Unreachable listen address: it means another machine to every other \
                         member; listen at an address of your network";

/// Returns `true` if connecting to `peer` is connecting to this machine by its loopback interface.
fn is_here(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}
