//! The lab's network: pickled messages over TCP, one connection each.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bully::{
    Addr, Exchange, Full, Incoming, Instant, Net, Origin, Refusal, Reply, Request, Roster,
};
use polling::Poller;

use super::begun::Begun;
use super::clock::Clock;
use super::conn::{self, Conn, Progress, Stage};
use super::door::Door;
use super::encoded::Encoded;
use super::known::{Known, Scope};
use super::poll::{Poll, Ready};
use super::receive::Told;
use super::shared::Shared;
use crate::names::{self, Names};
use crate::pickle::message::{self, Due, Keyed};
use crate::pickle::writer::Forms;

/// What a [`Tcp`] may be told before it listens.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Where to listen; port 0 takes any that is free.
    pub bind: SocketAddr,
    /// The host to tell others instead of the one in `bind`.
    pub advertise: Option<String>,
    /// How many exchanges the core has places for.
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
pub struct Note {
    /// Who caused it, as far as their address tells.
    pub peer: SocketAddr,
    /// What it was.
    pub why: String,
}

/// What a [`Tcp`] has saved itself and what not, since it was made.
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
/// Nothing here blocks; [`Poll::wait`] does. Beyond what the core has open, at most 64 connections
/// live on for their last bytes, and a flood of connections waits outside, in the system's queue.
#[derive(Debug)]
pub struct Tcp {
    pub(super) poller: Arc<Poller>,
    clock: Clock,
    owner: usize,
    pub(super) config: TcpConfig,
    addr: Addr,
    pub(super) names: Names,
    door: Door,
    /// Whether the door should be open.
    listening: bool,
    /// Somebody may be at the door.
    knocked: bool,
    /// No descriptors are left for the door or whoever is at it: try again then.
    starved_until: Option<Instant>,
    pub(super) slots: Vec<Slot>,
    /// Exchanges the core has not closed.
    open: usize,
    /// Slots to look at, each at most once.
    queue: VecDeque<usize>,
    /// Slots of connections the core has closed, the oldest first.
    lingering: VecDeque<usize>,
    /// Those of them that the poller does not know, and when they were closed: most peers end
    /// before it is worth telling it.
    unwatched: VecDeque<(usize, Instant)>,
    /// Slots without a connection.
    free: Vec<usize>,
    encoded: Encoded,
    pub(super) shared: Rc<RefCell<Shared>>,
    number: u64,
    /// The list of what was told last.
    pub(super) list: Option<Rc<Known>>,
    /// Who sent what was told last, if it was a program of our own kind.
    pub(super) origin: Option<Origin>,
    pub(super) counters: TcpCounters,
    notes: VecDeque<Note>,
    pub(super) refusal: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) conn: Option<Conn>,
    /// The beginning of a message that is not whole yet.
    pub(super) begun: Begun,
    queued: bool,
}

/// How many connections may live on after the core has closed them, so that their last bytes
/// arrive. Peers that never close are held here; the oldest gives way.
const LINGERING_MAX: usize = 64;

/// How many more than the core has places for are let in: the core decides whom to turn out.
const SPARE: usize = 4;

/// How many notes are held for somebody to fetch.
const NOTES_MAX: usize = 64;

/// How long to leave those at the door alone when descriptors have run out.
const STARVED_PAUSE: Duration = Duration::from_millis(100);

impl Tcp {
    /// Listens, as owner number `owner` of `poll`.
    ///
    /// # Errors
    ///
    /// The system's, if `bind` is in use, not of this machine or not permitted, or no descriptors
    /// are left; [`io::ErrorKind::InvalidInput`] if `advertise` is no usable host.
    pub fn bind(poll: &Poll, owner: usize, config: TcpConfig) -> io::Result<Self> {
        let door = Door::open(poll.poller(), owner, DOOR, config.bind)?;
        let mut names = Names::new();
        let host = config
            .advertise
            .clone()
            .unwrap_or_else(|| door.at().ip().to_string());
        // Known for good: no sweep may forget what we call ourselves.
        names.know(&host, door.at().ip());
        let addr = names
            .addr(&host, door.at().port())
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            poller: Arc::clone(poll.poller()),
            clock: poll.clock(),
            owner,
            config,
            addr,
            names,
            door,
            listening: true,
            knocked: false,
            starved_until: None,
            slots: Vec::new(),
            open: 0,
            queue: VecDeque::new(),
            lingering: VecDeque::new(),
            unwatched: VecDeque::new(),
            free: Vec::new(),
            encoded: Encoded::default(),
            shared: Rc::clone(poll.shared()),
            number: poll.shared().borrow_mut().number(),
            list: None,
            origin: None,
            counters: TcpCounters::default(),
            notes: VecDeque::new(),
            refusal: None,
        })
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

    /// Takes note of readiness that [`Poll::wait`] told for this owner.
    pub fn ready(&mut self, ready: Ready) {
        match ready.slot.checked_sub(1) {
            None => self.knocked = true,
            Some(slot) => {
                if let Some(conn) = self.conn(slot) {
                    conn.ready = true;
                }
                self.enqueue(slot);
            }
        }
    }

    /// Whether there is something to tell at once: the next wait must not block.
    pub fn pending(&self) -> bool {
        !self.queue.is_empty()
            || self.knocked
                && self.admits()
                && self
                    .starved_until
                    .is_none_or(|until| until <= self.clock.now())
    }

    /// Until when to wait, if the core need not be polled before `poll_at`.
    pub fn until(&self, poll_at: Option<Instant>) -> Option<Instant> {
        if self.pending() {
            return Some(Instant::ZERO);
        }
        let starved = self.starved_until.filter(|_| self.knocked && self.admits());
        let look = self
            .unwatched
            .front()
            .map(|(_, closed)| *closed + LOOK_PAUSE);
        poll_at.into_iter().chain(starved).chain(look).min()
    }

    /// What was saved and what not.
    pub fn counters(&self) -> TcpCounters {
        TcpCounters {
            encoded: self.encoded.encoded,
            reused: self.encoded.reused,
            ..self.counters
        }
    }

    /// Whose names these are, and since when.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            number: self.number,
            sweeps: self.names.sweeps(),
        }
    }

    /// Forgets what is of no use any more once the table is `roster`: encodings of former ones,
    /// and hosts that nobody in it has.
    pub fn sweep(&mut self, roster: Roster<'_>) {
        self.encoded.forget_all_but(roster.revision());
        if self.names.hosts() > names::HOSTS_MAX / 2 {
            let ours = core::iter::once(self.addr);
            let theirs = roster.members().iter().map(|member| member.addr);
            self.names.sweep(ours.chain(theirs));
        }
    }

    /// What has happened that a person watching should know, the oldest first.
    pub fn notes(&mut self) -> impl Iterator<Item = Note> {
        self.notes.drain(..)
    }

    /// The coordinator's own words when it last turned us down.
    pub fn refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// The ends of the connection of an open exchange; `None` if there is none, or the system does
    /// not tell. Costs a system call.
    pub fn ends(&self, exchange: Exchange) -> Option<Ends> {
        let slot = self.slots.get(exchange.0 as usize)?;
        slot.conn.as_ref()?.ends()
    }

    /// How many bytes have been received on an open exchange.
    pub fn received(&self, exchange: Exchange) -> u64 {
        let slot = self.slots.get(exchange.0 as usize);
        let conn = slot.and_then(|slot| slot.conn.as_ref());
        conn.map_or(0, |conn| conn.received as u64)
    }

    /// As [`recv`](Net::recv), for a watcher.
    pub fn recv_seen(&mut self) -> Option<(Exchange, Incoming<'_>, Seen)> {
        self.list = None;
        self.origin = None;
        let (slot, told) = self.next_told()?;
        let conn = self.conn(slot);
        let seen = conn.map_or_else(Seen::default, |conn| Seen {
            ends: conn.ends().filter(|_| matches!(told, Told::Accepted)),
            received: conn.received as u64,
            name: conn
                .detail
                .clone()
                .filter(|_| matches!(told, Told::Unfit(Refusal::Unexpected))),
        });
        let exchange = Exchange(u32::try_from(slot).unwrap_or(u32::MAX));
        Some((exchange, self.incoming(told), seen))
    }

    /// Sends what is left to send on an exchange that is about to be closed, as far as the system
    /// takes it at once. Returns `true` if something was sent whole by this.
    pub fn finish_sending(&mut self, exchange: Exchange) -> bool {
        let conn = self.conn(exchange.0 as usize);
        conn.is_some_and(Conn::finish_sending)
    }

    /// Accepts all who wait to be accepted, and resets their connections, as closing the listener
    /// does. Returns whose they were.
    pub fn reject_backlog(&mut self) -> Vec<Ends> {
        let mut rejected = Vec::new();
        while let Ok((stream, peer)) = self.door.accept() {
            let conn = Conn::accepted(&self.poller, stream, peer, self.owner, 0);
            rejected.extend(conn.ends());
            conn.reset();
        }
        rejected
    }

    /// What is told, with the list that came with it.
    fn incoming(&self, told: Told) -> Incoming<'_> {
        let list = self.list.as_ref();
        let list = list.map_or(Roster::EMPTY, |known| known.roster());
        let list = list.with_origin(self.origin);
        match told {
            Told::Accepted => Incoming::Accepted,
            Told::Sent => Incoming::Sent,
            Told::Join(member) => Incoming::Request(Request::Join(member)),
            Told::Election => Incoming::Request(Request::Election(list)),
            Told::Coordinator => Incoming::Request(Request::Coordinator(list)),
            Told::Probe => Incoming::Request(Request::Probe(list)),
            Told::Unfit(refusal) => Incoming::Unfit(refusal),
            Told::Ok => Incoming::Reply(Reply::Ok(list)),
            Told::Members => Incoming::Reply(Reply::Members(list)),
            Told::Refused => Incoming::Reply(Reply::Refused(Refusal::Other)),
            Told::Done => Incoming::Done,
            Told::Gone(gone) => Incoming::Gone(gone),
        }
    }

    fn admits(&self) -> bool {
        self.open < self.config.exchanges + SPARE
    }

    pub(super) fn enqueue(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot)
            && entry.conn.is_some()
            && !entry.queued
        {
            entry.queued = true;
            self.queue.push_back(slot);
        }
    }

    pub(super) fn note(&mut self, peer: SocketAddr, why: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back(Note { peer, why });
        }
    }

    /// A free slot; the oldest connection that only lingers gives way if there is no other.
    fn free_slot(&mut self) -> usize {
        if self.free.is_empty()
            && self.lingering.len() >= LINGERING_MAX
            && let Some(oldest) = self.lingering.front().copied()
        {
            self.release(oldest);
        }
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        })
    }

    /// Ends a connection for good.
    pub(super) fn release(&mut self, slot: usize) {
        self.forget_message(slot);
        let Some(entry) = self.slots.get_mut(slot) else {
            return;
        };
        let stage = entry.conn.take().map(|conn| conn.stage);
        self.free.extend(stage.map(|_| slot));
        if stage == Some(Stage::Lingering) {
            if self.lingering.front() == Some(&slot) {
                self.lingering.pop_front();
            } else {
                self.lingering.retain(|other| *other != slot);
            }
        }
    }

    /// Gives back what a message took that will not become whole.
    fn forget_message(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot)
            && let Begun::Read(reader) = core::mem::take(&mut entry.begun)
        {
            let received = entry.conn.as_ref().map_or(0, |conn| conn.received);
            self.shared.borrow_mut().readers.give(*reader, received);
        }
    }

    fn next_told(&mut self) -> Option<(usize, Told)> {
        // Those inside come before those at the door.
        while let Some(slot) = self.queue.pop_front() {
            if let Some(entry) = self.slots.get_mut(slot) {
                entry.queued = false;
            }
            if let Some(told) = self.step(slot) {
                return Some((slot, told));
            }
        }
        let accepted = self.accept();
        if accepted.is_none() && !self.unwatched.is_empty() {
            self.look_after(PEERS_PAUSE);
        }
        accepted.map(|slot| (slot, Told::Accepted))
    }

    /// Releases those who have ended of the connections closed so long ago, and lets the poller
    /// watch the others.
    fn look_after(&mut self, pause: Duration) {
        let now = self.clock.now();
        while let Some((slot, closed)) = self.unwatched.front().copied()
            && closed + pause <= now
        {
            self.unwatched.pop_front();
            let lingers = self
                .conn(slot)
                .is_some_and(|conn| conn.stage == Stage::Lingering && !conn.waited());
            if lingers && self.discard(slot) {
                self.release(slot);
            }
        }
    }

    fn accept(&mut self) -> Option<usize> {
        while self.knocked && self.admits() {
            if self
                .starved_until
                .is_some_and(|until| until > self.clock.now())
            {
                return None;
            }
            self.starved_until = None;
            if self.listening && self.door.is_closed() && self.door.set_open(true).is_err() {
                self.starved_until = Some(self.clock.now() + STARVED_PAUSE);
                return None;
            }
            match self.door.accept() {
                Ok((stream, peer)) => {
                    let slot = self.free_slot();
                    let conn = Conn::accepted(&self.poller, stream, peer, self.owner, slot + 1);
                    self.place(slot, conn);
                    // Its message has come along with it, more often than not.
                    self.enqueue(slot);
                    return Some(slot);
                }
                Err(error) if conn::is_want_of_room(&error) => {
                    self.look_after(Duration::ZERO);
                    self.starved_until = Some(self.clock.now() + STARVED_PAUSE);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.knocked = self.door.watch().is_err();
                    return None;
                }
                // A connection that broke off before it was accepted; there may be others.
                Err(_) => {}
            }
        }
        None
    }

    fn place(&mut self, slot: usize, conn: Conn) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.conn = Some(conn);
            entry.queued = false;
        }
        self.open += 1;
    }
}

impl Net for Tcp {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if !self.admits() {
            return Err(Full);
        }
        let slot = self.free_slot();
        let conn = match self.names.endpoint(to) {
            Some(peer) => {
                let shared = &mut *self.shared.borrow_mut();
                let forms = &self.config.forms;
                let out = self.encoded.request(&request, forms, &self.names, shared);
                self.counters.bytes += out.len() as u64;
                let due = match request {
                    Request::Join(_) => Some(Due::Members),
                    Request::Election(_) | Request::Probe(_) => Some(Due::Ok),
                    Request::Coordinator(_) => None,
                };
                match Conn::open(&self.poller, peer, out, due, self.owner, slot + 1) {
                    Ok(conn) => conn,
                    Err(_) => {
                        self.free.push(slot);
                        return Err(Full);
                    }
                }
            }
            None => {
                let peer = SocketAddr::from(([0, 0, 0, 0], names::port(to)));
                let host = self.names.show(to).to_string();
                self.note(
                    peer,
                    format!(
                        "{host} is not looked up while running: only localhost and IP addresses are"
                    ),
                );
                Conn::refused(peer)
            }
        };
        self.place(slot, conn);
        self.enqueue(slot);
        // There are far fewer slots than that.
        Ok(Exchange(u32::try_from(slot).unwrap_or(u32::MAX)))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.list = None;
        self.origin = None;
        let (slot, told) = self.next_told()?;
        let exchange = Exchange(u32::try_from(slot).unwrap_or(u32::MAX));
        Some((exchange, self.incoming(told)))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let slot = on.0 as usize;
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return;
        };
        if conn.stage == Stage::Told {
            let detail = conn.detail.take();
            let (peer, heard) = (conn.peer, Some(conn.heard).filter(|name| !name.is_empty()));
            // What has a detail was noted when it came; this is turned down by the core.
            let unnoted = match reply {
                Reply::Refused(refusal) if detail.is_none() => Some(refusal),
                _ => None,
            };
            let detail = detail.as_deref().or(heard);
            let out = self.encoded.reply(
                &reply,
                &self.config.forms,
                &self.names,
                detail,
                &mut self.shared.borrow_mut(),
            );
            self.counters.bytes += out.len() as u64;
            conn.answer(out);
            self.enqueue(slot);
            if let Some(refusal) = unnoted {
                self.note(peer, message::refusal_text(refusal, heard));
            }
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let slot = exchange.0 as usize;
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return;
        };
        if conn.stage == Stage::Lingering {
            return;
        }
        // Whoever was waited for may have ended already; then there is nothing to wait for.
        let unread = conn.waited()
            && !matches!(conn.stage, Stage::Connecting | Stage::Sending)
            && conn.read(&mut self.shared.borrow_mut().buffer) != Err(Progress::Blocked);
        let (lingers, waited) = (conn.shut(), conn.waited());
        self.open -= 1;
        if !lingers {
            self.release(slot);
            return;
        }
        self.forget_message(slot);
        self.lingering.push_back(slot);
        if !waited {
            if self.unwatched.len() >= LINGERING_MAX {
                self.look_after(Duration::ZERO);
            }
            self.unwatched.push_back((slot, self.clock.now()));
        }
        if let Some(conn) = self.conn(slot) {
            conn.ready = unread;
            self.enqueue(slot);
        }
        if self.lingering.len() > LINGERING_MAX
            && let Some(oldest) = self.lingering.front().copied()
        {
            self.release(oldest);
        }
    }

    fn set_listening(&mut self, on: bool) {
        if let Err(error) = self.door.set_open(on) {
            let verb = if on { "listen again" } else { "keep the port" };
            let at = self.door.at();
            self.note(at, format!("cannot {verb}: {error}"));
        }
        self.listening = on;
        // A door that could not be opened is tried again.
        self.knocked = on;
    }
}

/// What time peers on this machine are given to end before they are looked after.
const PEERS_PAUSE: Duration = Duration::from_millis(1);

/// After what time they are, even if nothing else happens.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// The slot number of the door; connections follow it.
const DOOR: usize = 0;
