//! The lab's network: pickled messages over TCP, one connection each.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;

use bully::{
    Addr, Exchange, Full, Incoming, Instant, Member, Net, Origin, Refusal, Reply, Request, Roster,
};
use polling::Poller;

use super::config::TcpConfig;
use super::connection::{Connection, Next, Step};
use super::connections::{Entry, Opened};
use super::encoder::Encoder;
use super::endpoints::Endpoints;
use super::exchange::{Exchanged, Outcome, Report, Subject};
use super::inbox::{Kind, List, Obtained, Scope};
use super::listener::{Accepted, Listener};
use super::poll::{Poll, Ready};
use super::shared::Shared;
use super::socket;
use super::source::{Registered, Socket};
use super::watch::{Ends, Note, Notes, Seen, TcpCounters};
use crate::names::Names;
use crate::pickle::message::{self, Due};

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
    /// How many exchanges the core has slots for.
    exchanges: usize,
    addr: Addr,
    endpoints: Endpoints,
    listener: Listener,
    /// Exchanges the core has not closed.
    open: usize,
    /// How many of these the core has opened.
    initiated: usize,
    /// Slots to look at, each at most once.
    queue: VecDeque<usize>,
    encoder: Encoder,
    /// The list of what was reported last.
    list: Option<Rc<List>>,
    /// Who sent what was reported last, if it was a program of our own kind.
    origin: Option<Origin>,
    counters: TcpCounters,
    notes: Notes,
    /// What a coordinator sent last instead of a list of members.
    refusal: Option<String>,
}

/// How many more than the core has slots for are accepted: the core decides whom to turn out.
const SPARE: usize = 4;

/// How many connections of each `Tcp` may wait for their peer's end after the core has closed them.
const LINGERING_MAX: usize = 64;

impl Tcp {
    /// Listens, as owner number `owner` of `poll`.
    ///
    /// # Errors
    ///
    /// The system's, if `bind` is in use, not of this machine or not permitted, or no descriptors
    /// are left; [`io::ErrorKind::InvalidInput`] if `advertise` is no usable host.
    pub fn bind(poll: &Poll, owner: usize, config: TcpConfig) -> io::Result<Self> {
        let listener = Listener::open(poll.poller(), owner, config.bind)?;
        let (ip, port) = (listener.at().ip(), listener.at().port());
        let mut endpoints = Endpoints::new(ip, config.local_only);
        let host = config.advertise.unwrap_or_else(|| ip.to_string());
        // Known for good: no sweep may forget what we call ourselves.
        endpoints.names_mut().know(&host, ip);
        let addr = endpoints.names_mut().addr(&host, port);
        let shared = Rc::clone(poll.shared());
        let user = shared.borrow_mut().user();
        let tcp = Self {
            poller: Arc::clone(poll.poller()),
            shared,
            user,
            owner,
            exchanges: config.exchanges,
            addr: addr.ok_or(io::ErrorKind::InvalidInput)?,
            endpoints,
            listener,
            open: 0,
            initiated: 0,
            queue: VecDeque::new(),
            encoder: Encoder::new(config.forms, config.keyed),
            list: None,
            origin: None,
            counters: TcpCounters::default(),
            notes: Notes::default(),
            refusal: None,
        };
        let wanted = tcp.connections_max();
        let mut shared = tcp.shared.borrow_mut();
        shared.connections_mut().add_owner(wanted);
        drop(shared);
        Ok(tcp)
    }

    /// Where others are to connect.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// The known hosts.
    pub fn names(&self) -> &Names {
        self.endpoints.names()
    }

    /// The known hosts, to add what is known beforehand.
    pub fn names_mut(&mut self) -> &mut Names {
        self.endpoints.names_mut()
    }

    /// The time to poll the core with: when [`Poll::wait`] looked at the sockets last.
    ///
    /// Whatever came before that is reported by [`recv`](Net::recv), so that no deadline passes
    /// unseen between an answer's arrival and its being read, however late the process is.
    pub fn now(&self) -> Instant {
        self.shared.borrow().now()
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
            evicted: self.shared.borrow().connections().evicted(),
            ..self.counters
        }
    }

    /// The ends of the connection of an open exchange; `None` if there is none, or the system does
    /// not say. Costs a system call.
    pub fn ends(&self, exchange: Exchange) -> Option<Ends> {
        let shared = self.shared.borrow();
        let entry = shared.connections().get(exchange.0 as usize)?;
        Ends::of(&entry.connection)
    }

    /// How many bytes have been received on an open exchange.
    pub fn received(&self, exchange: Exchange) -> u64 {
        let shared = self.shared.borrow();
        let entry = shared.connections().get(exchange.0 as usize);
        entry.map_or(0, |entry| entry.connection.received() as u64)
    }

    /// As [`recv`](Net::recv), for a watcher.
    pub fn recv_seen(&mut self) -> Option<(Exchange, Incoming<'_>, Seen)> {
        let (slot, report) = self.next_report()?;
        let seen = match self.shared.borrow().connections().get(slot) {
            None => Seen::default(),
            Some(entry) => Seen {
                ends: match report {
                    Report::Accepted => Ends::of(&entry.connection),
                    _ => None,
                },
                received: entry.connection.received() as u64,
                name: match report {
                    Report::Unfit(Refusal::Unexpected) => entry.state.detail().map(str::to_owned),
                    _ => None,
                },
            },
        };
        Some((exchange(slot), self.incoming(report), seen))
    }

    /// Sends what is left to send on an exchange that is about to be closed, as far as the system
    /// takes it at once. Returns `true` if something was sent whole by this.
    pub fn finish_sending(&mut self, exchange: Exchange) -> bool {
        let mut shared = self.shared.borrow_mut();
        let entry = shared.connections_mut().get_mut(exchange.0 as usize);
        entry.is_some_and(|entry| entry.connection.finish_sending())
    }

    /// Accepts all who wait to be accepted, and resets their connections, as closing the listener
    /// does. Returns whose they were.
    pub fn reject_backlog(&mut self) -> Vec<Ends> {
        let now = self.now();
        let mut rejected = Vec::new();
        while let Accepted::Connection(stream, peer) = self.listener.accept(now) {
            let connection = Connection::accepted(self.registered(stream, 0), peer);
            rejected.extend(Ends::of(&connection));
            connection.reset();
        }
        rejected
    }

    /// Forgets what is of no use any more once the table is `roster`: encodings of former ones,
    /// and hosts that nobody in it has.
    pub fn sweep(&mut self, roster: Roster<'_>) {
        self.encoder.forget_all_but(roster.revision());
        let ours = core::iter::once(self.addr);
        let theirs = roster.members().iter().map(|member| member.addr);
        self.endpoints.sweep(ours.chain(theirs));
    }

    /// Takes the oldest note of what a person watching should know.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop()
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
        Self::descriptors_max(self.exchanges) - 1
    }

    /// Returns `true` if the core may have another exchange.
    fn admits(&self) -> bool {
        self.open < self.exchanges + SPARE
    }

    fn enqueue(&mut self, slot: usize, shared: &mut Shared) {
        if let Some(entry) = shared.entry(slot, self.user)
            && entry.state.enter_queue()
        {
            self.queue.push_back(slot);
        }
    }

    fn registered(&self, stream: TcpStream, slot: usize) -> Registered<TcpStream> {
        Registered::new(&self.poller, stream, self.owner, Socket::Connection(slot))
    }

    /// Puts a connection into the next slot, and into the queue.
    fn insert(&mut self, connection: Connection, due: Option<Due>, shared: &mut Shared) -> usize {
        self.open += 1;
        self.initiated += usize::from(connection.is_initiated());
        let exchanged = Exchanged::new(self.user, due);
        let now = shared.now();
        let connections = shared.connections_mut();
        let slot = connections.insert(self.owner, connection, exchanged, now);
        self.enqueue(slot, shared);
        slot
    }

    /// Where to connect for `to`; if there is no such place, it is noted once, and the connection is
    /// to be refused.
    fn endpoint(&mut self, to: Addr) -> Result<SocketAddr, SocketAddr> {
        self.endpoints.find(to).map_err(|unreachable| {
            self.counters.unreachable += 1;
            if let Some(note) = unreachable.note {
                self.notes.push(note);
            }
            unreachable.instead
        })
    }

    /// Connects to `peer`; connections that are needed less give way.
    fn connect(&self, peer: SocketAddr, shared: &mut Shared) -> Result<Option<TcpStream>, Full> {
        let (first, now) = (self.initiated == 0, shared.now());
        let connections = shared.connections_mut();
        if !connections.admits_initiated(first, now) {
            return Err(Full);
        }
        let mut connected = socket::connect(peer);
        if connected.as_ref().is_err_and(socket::is_exhausted)
            && connections.make_room(Opened::ByAnybody, now)
        {
            connected = socket::connect(peer);
        }
        match connected {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if socket::is_exhausted(&error) => Err(Full),
            Err(_) => Ok(None),
        }
    }

    fn next_report(&mut self) -> Option<(usize, Report)> {
        self.list = None;
        self.origin = None;
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        // Whoever has given way is gone before others are accepted, or the core would turn out more.
        while let Some(slot) = shared.connections_mut().next_notice_for(self.owner) {
            self.enqueue(slot, shared);
        }
        // Those who are connected come before those who wait for it.
        while let Some(slot) = self.queue.pop_front() {
            if let Some(report) = self.step(slot, shared) {
                return Some((slot, report));
            }
        }
        let slot = self.accept(shared)?;
        Some((slot, Report::Accepted))
    }

    /// Takes the next connection from the backlog, if it may have another.
    fn accept(&mut self, shared: &mut Shared) -> Option<usize> {
        let now = shared.now();
        while self.listener.is_ready(now) {
            if !self.admits() {
                // Some of these may be over without anybody knowing.
                shared.tidy(now, Duration::ZERO);
                break;
            }
            if !shared.connections_mut().admits_accepted(now) {
                self.listener.pause(now);
                break;
            }
            match self.listener.accept(now) {
                Accepted::Connection(stream, peer) => {
                    let slot = shared.connections().next_slot();
                    let connection = Connection::accepted(self.registered(stream, slot), peer);
                    // Its message has come along with it, more often than not.
                    return Some(self.insert(connection, None, shared));
                }
                Accepted::Nobody => break,
                Accepted::Exhausted
                    if shared.connections_mut().make_room(Opened::ByAnybody, now) => {}
                Accepted::Exhausted => self.listener.pause(now),
                Accepted::Failed(error) => {
                    let why = format!("cannot accept connections: {error}");
                    self.notes.push(Note::Listener { why });
                }
            }
        }
        None
    }

    /// Goes on with one connection up to the next thing to report.
    fn step(&mut self, slot: usize, shared: &mut Shared) -> Option<Report> {
        match shared.step(slot, self.user)? {
            Step::Sent(next) => {
                match next {
                    Next::Now => self.enqueue(slot, shared),
                    Next::Later => {
                        let now = shared.now();
                        shared.connections_mut().look_later(slot, now);
                    }
                    Next::Answered if !shared.await_answer(slot) => self.enqueue(slot, shared),
                    Next::Answered | Next::Ready => {}
                }
                Some(Report::Sent)
            }
            Step::Piece(count) => self.receive(slot, count, shared),
            Step::ClosedEarly => {
                let entry = shared.entry(slot, self.user)?;
                let received = entry.connection.received();
                let outcome = entry.state.closed_early(received);
                self.conclude(slot, outcome, shared)
            }
            Step::Done => Some(Report::Done),
            Step::Gone(gone) => Some(Report::Gone(gone)),
        }
    }

    /// So many bytes of a message or an answer have been read.
    fn receive(&mut self, slot: usize, count: usize, shared: &mut Shared) -> Option<Report> {
        let scope = Scope {
            user: self.user,
            sweeps: self.names().sweeps(),
        };
        let names = self.endpoints.names_mut();
        let (arrival, origin) = shared.take(slot, count, names, scope)?;
        self.origin = origin;
        let entry = shared.entry(slot, self.user)?;
        let Some(outcome) = entry.state.arrived(arrival) else {
            // There is more, or there will be; others have their turn first.
            self.enqueue(slot, shared);
            return None;
        };
        let outcome = match outcome.report {
            Report::Join(member) => self.admit(member, entry),
            _ => outcome,
        };
        self.conclude(slot, outcome, shared)
    }

    /// Somebody wants to join.
    fn admit(&mut self, member: Member, entry: &mut Entry<Exchanged>) -> Outcome {
        match self.endpoints.admit(member, &entry.connection) {
            Ok(member) => Outcome::new(Report::Join(member)),
            Err((refusal, None)) => Outcome::new(Report::Unfit(refusal)),
            Err((refusal, Some(words))) => entry.state.unfit(refusal, words.to_owned()),
        }
    }

    /// A whole message or answer, or the end of one, is about to be reported: what it says, and what
    /// is next on its connection.
    fn conclude(&mut self, slot: usize, outcome: Outcome, shared: &mut Shared) -> Option<Report> {
        let Outcome {
            report,
            list,
            keyed,
            rejected,
            words,
        } = outcome;
        let entry = shared.entry(slot, self.user)?;
        let due = entry.state.due();
        let peer = entry.connection.peer();
        if self.origin.is_some() {
            entry.connection.note_kin();
        }
        match (report, due) {
            (Report::Done | Report::Gone(_), _) => entry.connection.over(),
            (_, Some(_)) => {
                entry.connection.answered();
                self.enqueue(slot, shared);
            }
            (report, None) => {
                let answer = !matches!(report, Report::List(Kind::Coordinator));
                entry.connection.delivered(answer);
            }
        }
        if let Report::List(_) = report {
            self.encoder.learn_keys(due, keyed);
        }
        if let Some((list, obtained)) = list {
            match obtained {
                Obtained::Decoded => self.counters.decoded += 1,
                Obtained::Recognised => self.counters.recognised += 1,
            }
            self.list = Some(list);
        }
        if let Some(why) = rejected {
            self.notes.push(Note::Rejected { peer, why });
        }
        if words.is_some() {
            self.refusal = words;
        }
        Some(report)
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
            Ok(peer) => match self.connect(peer, shared)? {
                None => Connection::refused(peer),
                Some(stream) => {
                    let names = self.endpoints.names();
                    let out = self.encoder.request(&request, names, shared.pool_mut());
                    self.counters.bytes += out.len() as u64;
                    let stream = self.registered(stream, shared.connections().next_slot());
                    Connection::initiated(stream, peer, out, due.is_some())
                }
            },
        };
        Ok(exchange(self.insert(connection, due, shared)))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (slot, report) = self.next_report()?;
        Some((exchange(slot), self.incoming(report)))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        let slot = on.0 as usize;
        let Some(entry) = shared.entry(slot, self.user) else {
            return;
        };
        if !entry.connection.takes_answer() {
            return;
        }
        let subject = entry.state.take_subject();
        let names = self.endpoints.names();
        let out = self
            .encoder
            .reply(&reply, subject.text(), names, shared.pool_mut());
        self.counters.bytes += out.len() as u64;
        let Some(entry) = shared.entry(slot, self.user) else {
            return;
        };
        entry.connection.answer(out);
        let peer = entry.connection.peer();
        self.enqueue(slot, shared);
        // What has a detail was noted when it came; this is turned down by the core.
        if let (Reply::Refused(refusal), Subject::Name(name)) = (reply, subject) {
            let name = name.as_ref().map(|name| name as &dyn core::fmt::Display);
            let why = message::refusal_text(refusal, name).to_string();
            self.notes.push(Note::Rejected { peer, why });
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let mut shared = self.shared.borrow_mut();
        if let Some(initiated) = shared.close(exchange.0 as usize, self.user) {
            self.open -= 1;
            self.initiated -= usize::from(initiated);
        }
    }

    fn set_listening(&mut self, on: bool) {
        if let Err(error) = self.listener.set_open(on) {
            let verb = if on { "listen again" } else { "keep the port" };
            let why = format!("cannot {verb}: {error}");
            self.notes.push(Note::Listener { why });
        }
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        let connections = shared.connections_mut();
        connections.remove_all(|exchanged| exchanged.is_of(self.user));
        connections.remove_owner(self.connections_max());
    }
}

/// The number of the exchange on the connection in `slot`.
fn exchange(slot: usize) -> Exchange {
    // There are far fewer slots than that.
    Exchange(u32::try_from(slot).unwrap_or(u32::MAX))
}
