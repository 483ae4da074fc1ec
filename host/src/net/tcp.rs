//! The lab's network: pickled messages over TCP, one connection each.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bully::{
    Addr, Exchange, Full, Gone, Incoming, Instant, Member, Net, Refusal, Reply, Request, Roster,
};
use polling::Poller;

use super::clock::Clock;
use super::conn::{self, Conn, Progress, Stage};
use super::door::Door;
use super::encoded::Encoded;
use super::poll::{Interest, Poll, Ready};
use crate::names::{self, Names};
use crate::pickle::message::{self, Answer, Due, Heard, Keyed, Listed};
use crate::pickle::writer::Forms;
use crate::pickle::{Limits, Reader};

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
    /// How lists are keyed when sent; `None`: as the coordinator's answer to JOIN was, and until
    /// then as `forms` says.
    pub keyed: Option<Keyed>,
    /// Whether only members on this machine may join, and are known as `127.0.0.1` then: the
    /// coordinator's way.
    pub local_only: bool,
}

/// Something that a person watching should know, and the core need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who caused it, as far as their address tells.
    pub peer: SocketAddr,
    /// What it was.
    pub why: String,
}

/// A [`Net`] over TCP.
///
/// Nothing here blocks; [`Poll::wait`] does. Beyond what the core has open, at most 64 connections
/// live on for their last bytes, and a flood of connections waits outside, in the system's queue.
#[derive(Debug)]
pub struct Tcp {
    poller: Arc<Poller>,
    clock: Clock,
    owner: usize,
    config: TcpConfig,
    addr: Addr,
    names: Names,
    door: Door,
    /// Whether the door should be open.
    listening: bool,
    /// Somebody may be at the door.
    knocked: bool,
    /// No descriptors are left for the door or whoever is at it: try again then.
    starved_until: Option<Instant>,
    slots: Vec<Slot>,
    /// Exchanges the core has not closed.
    open: usize,
    /// Slots to look at, each at most once.
    queue: VecDeque<usize>,
    /// Slots of connections the core has closed, the oldest first.
    lingering: VecDeque<usize>,
    encoded: Encoded,
    members: Vec<Member>,
    buffer: Box<[u8]>,
    notes: VecDeque<Note>,
    refusal: Option<String>,
}

#[derive(Debug, Default)]
struct Slot {
    conn: Option<Conn>,
    reader: Reader,
    queued: bool,
}

/// What [`Net::recv`] is about to tell.
enum Told {
    Accepted,
    Sent,
    Join(Member),
    Election,
    Coordinator,
    Probe,
    Unfit(Refusal),
    Ok,
    Members,
    Refused,
    Done,
    Gone(Gone),
}

/// How many connections may live on after the core has closed them, so that their last bytes
/// arrive. Peers that never close are held here; the oldest gives way.
const LINGERING_MAX: usize = 64;

/// How many more than the core has places for are let in: the core decides whom to turn out.
const SPARE: usize = 4;

/// How much is read at once: well above the messages of a lab, small enough for a node at rest.
const BUFFER: usize = 16 * 1024;

/// How much of what a peer goes on sending after the end is thrown away before it is cut off.
const DISCARD_MAX: usize = 256 * 1024;

/// From this message size on its memory is given back instead of being kept for the next one.
const KEEP_MAX: usize = 16 * 1024;

/// How many notes are held for somebody to fetch.
const NOTES_MAX: usize = 64;

/// How long to leave those at the door alone when descriptors have run out.
const STARVED_PAUSE: core::time::Duration = core::time::Duration::from_millis(100);

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
            encoded: Encoded::default(),
            members: Vec::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
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
            Some(slot) => self.enqueue(slot),
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
        poll_at.into_iter().chain(starved).min()
    }

    /// Forgets hosts that nobody in `roster` has.
    pub fn sweep(&mut self, roster: Roster<'_>) {
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

    fn admits(&self) -> bool {
        self.open < self.config.exchanges + SPARE
    }

    fn enqueue(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot)
            && entry.conn.is_some()
            && !entry.queued
        {
            entry.queued = true;
            self.queue.push_back(slot);
        }
    }

    fn note(&mut self, peer: SocketAddr, why: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back(Note { peer, why });
        }
    }

    /// A free slot; the oldest connection that only lingers gives way if there is no other.
    fn free_slot(&mut self) -> usize {
        if let Some(free) = self.slots.iter().position(|slot| slot.conn.is_none()) {
            return free;
        }
        if self.lingering.len() >= LINGERING_MAX
            && let Some(oldest) = self.lingering.front().copied()
        {
            self.release(oldest);
            return oldest;
        }
        self.slots.push(Slot {
            reader: Reader::new(Limits::default()),
            ..Slot::default()
        });
        self.slots.len() - 1
    }

    /// Ends a connection for good.
    fn release(&mut self, slot: usize) {
        self.lingering.retain(|other| *other != slot);
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.conn = None;
            entry.reader.clear();
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
        self.accept().map(|slot| (slot, Told::Accepted))
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
                    // A stream that cannot be registered is dropped: its peer tries again.
                    let conn =
                        Conn::accepted(&self.poller, stream, peer, self.owner, slot + 1).ok()?;
                    self.place(slot, conn);
                    // Its message has come along with it, more often than not.
                    self.enqueue(slot);
                    return Some(slot);
                }
                Err(error) if conn::is_want_of_room(&error) => {
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

    /// Goes on with one connection up to the next thing to tell.
    fn step(&mut self, slot: usize) -> Option<Told> {
        loop {
            let conn = self.slots.get_mut(slot)?.conn.as_mut()?;
            let progress = match conn.stage {
                Stage::Accepted => {
                    conn.stage = Stage::Reading;
                    continue;
                }
                Stage::Connecting => conn.connected(),
                Stage::Sending => conn.send(),
                Stage::Reading => return self.read(slot),
                Stage::Draining | Stage::Lingering => return self.discard(slot),
                Stage::Ending(gone) => {
                    conn.stage = Stage::Over;
                    return Some(gone.map_or(Told::Done, Told::Gone));
                }
                Stage::Told | Stage::Over => return None,
            };
            match (progress, conn.stage) {
                (Progress::Done, Stage::Connecting) => conn.stage = Stage::Sending,
                (Progress::Done, _) => {
                    conn.stage = match (conn.theirs, conn.due) {
                        (true, _) => Stage::Ending(None),
                        (false, Some(_)) => Stage::Reading,
                        (false, None) => Stage::Draining,
                    };
                    self.enqueue(slot);
                    return Some(Told::Sent);
                }
                (Progress::Blocked, _) => return None,
                (Progress::Broken(gone), _) => conn.stage = Stage::Ending(Some(gone)),
            }
        }
    }

    /// Reads on, one piece at a time so that no connection keeps the others waiting.
    fn read(&mut self, slot: usize) -> Option<Told> {
        let entry = self.slots.get_mut(slot)?;
        let conn = entry.conn.as_mut()?;
        match conn.read(&mut self.buffer) {
            Ok(0) => Some(self.closed_early(slot)),
            Ok(count) => match entry.reader.push(self.buffer.get(..count).unwrap_or(&[])) {
                Ok(Some(_)) => Some(self.understand(slot)),
                Ok(None) => {
                    // There is more, or there will be.
                    self.enqueue(slot);
                    None
                }
                Err(refused) => Some(self.not_a_message(slot, &refused.to_string())),
            },
            Err(Progress::Broken(gone)) => {
                conn.stage = Stage::Over;
                Some(Told::Gone(gone))
            }
            Err(_) => None,
        }
    }

    /// The peer closed its end before its message was whole.
    fn closed_early(&mut self, slot: usize) -> Told {
        let received = self.conn(slot).map_or(0, |conn| conn.received);
        if received == 0 {
            // It chose to say nothing.
            return self.over(slot, Told::Done);
        }
        let why = format!("it ends after {received} bytes, in the middle of a message");
        self.not_a_message(slot, &why)
    }

    /// What came is no message, for the reason `why`.
    fn not_a_message(&mut self, slot: usize, why: &str) -> Told {
        let Some(entry) = self.slots.get_mut(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        let Some(conn) = entry.conn.as_mut() else {
            return Told::Gone(Gone::Malformed);
        };
        let beginning = entry.reader.beginning();
        if conn.due == Some(Due::Members) {
            // A coordinator that cannot read us says so without pickling it.
            self.refusal = Some(message::raw_text(beginning));
            return self.over(slot, Told::Refused);
        }
        let shown = message::bytes_repr(beginning);
        let (peer, theirs) = (conn.peer, conn.theirs);
        conn.detail = Some(shown.clone());
        self.note(peer, format!("not a lab message: {why}: {shown}"));
        if theirs {
            self.told(slot, Told::Unfit(Refusal::NotAMessage))
        } else {
            self.over(slot, Told::Gone(Gone::Malformed))
        }
    }

    /// The message is whole: what it says.
    fn understand(&mut self, slot: usize) -> Told {
        let Some(entry) = self.slots.get_mut(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        let Some(conn) = entry.conn.as_mut() else {
            return Told::Gone(Gone::Malformed);
        };
        let (peer, due) = (conn.peer, conn.due);
        let (names, members) = (&mut self.names, &mut self.members);
        let mut unfit = None;
        let told = match due {
            None => match message::request(&entry.reader, names, members) {
                Heard::Join(member) if !self.config.local_only => Told::Join(member),
                Heard::Join(member) => match local(names, member) {
                    Some(member) => Told::Join(member),
                    None => Told::Unfit(Refusal::NotLocal),
                },
                Heard::Election(_) => Told::Election,
                Heard::Coordinator(_) => Told::Coordinator,
                Heard::Probe(_) => Told::Probe,
                Heard::Unfit { refusal, detail } => {
                    unfit = Some(message::refusal_text(refusal, Some(&detail)));
                    conn.detail = Some(detail);
                    Told::Unfit(refusal)
                }
            },
            Some(due) => match message::answer(&entry.reader, due, names, members) {
                Answer::Ok(_) => Told::Ok,
                Answer::Members(Listed { keyed, .. }) => {
                    if let (None, Some(keyed)) = (self.config.keyed, keyed) {
                        self.config.forms.keyed = keyed;
                    }
                    Told::Members
                }
                Answer::Text(text) => {
                    self.refusal = Some(message::raw_text(text.as_bytes()));
                    Told::Refused
                }
                Answer::Unfit(shown) => {
                    unfit = Some(format!("not an answer: {shown}"));
                    Told::Gone(Gone::Malformed)
                }
            },
        };
        if conn.received > KEEP_MAX {
            entry.reader = Reader::new(Limits::default());
        } else {
            entry.reader.clear();
        }
        if let Some(why) = unfit {
            self.note(peer, why);
        }
        match due {
            None => self.told(slot, told),
            Some(_) => self.over(slot, told),
        }
    }

    fn conn(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_mut()
    }

    /// Tells a message of theirs; the next word is the core's.
    fn told(&mut self, slot: usize, told: Told) -> Told {
        if let Some(conn) = self.conn(slot) {
            conn.stage = Stage::Told;
        }
        told
    }

    /// Tells the last there is to tell, or all but an end that goes without saying.
    fn over(&mut self, slot: usize, told: Told) -> Told {
        let last = matches!(told, Told::Done | Told::Gone(_));
        if let Some(conn) = self.conn(slot) {
            conn.stage = if last {
                Stage::Over
            } else {
                Stage::Ending(None)
            };
        }
        if !last {
            self.enqueue(slot);
        }
        told
    }

    /// Throws away what comes after the end; the peer's own end is all that matters.
    fn discard(&mut self, slot: usize) -> Option<Told> {
        let conn = self.slots.get_mut(slot)?.conn.as_mut()?;
        let lingering = conn.stage == Stage::Lingering;
        let over = loop {
            match conn.read(&mut self.buffer) {
                Ok(0) | Err(Progress::Broken(_) | Progress::Done) => break true,
                Ok(_) if conn.received > DISCARD_MAX => break lingering,
                Ok(_) => {}
                Err(Progress::Blocked) => break false,
            }
        };
        if !over {
            return None;
        }
        if lingering {
            self.release(slot);
            return None;
        }
        Some(self.over(slot, Told::Done))
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
                let out = self
                    .encoded
                    .request(&request, &self.config.forms, &self.names);
                let due = match request {
                    Request::Join(_) => Some(Due::Members),
                    Request::Election(_) | Request::Probe(_) => Some(Due::Ok),
                    Request::Coordinator(_) | Request::Unfit(_) => None,
                };
                Conn::open(&self.poller, peer, out, due, self.owner, slot + 1).map_err(|_| Full)?
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
        if self
            .conn(slot)
            .is_some_and(|conn| conn.stage != Stage::Connecting)
        {
            self.enqueue(slot);
        }
        // There are far fewer slots than that.
        Ok(Exchange(u32::try_from(slot).unwrap_or(u32::MAX)))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (slot, told) = self.next_told()?;
        let members = &mut self.members;
        let incoming = match told {
            Told::Accepted => Incoming::Accepted,
            Told::Sent => Incoming::Sent,
            Told::Join(member) => Incoming::Request(Request::Join(member)),
            Told::Election => Incoming::Request(Request::Election(Roster::sorted(members, 0))),
            Told::Coordinator => {
                Incoming::Request(Request::Coordinator(Roster::sorted(members, 0)))
            }
            Told::Probe => Incoming::Request(Request::Probe(Roster::sorted(members, 0))),
            Told::Unfit(refusal) => Incoming::Request(Request::Unfit(refusal)),
            Told::Ok => Incoming::Reply(Reply::Ok(Roster::sorted(members, 0))),
            Told::Members => Incoming::Reply(Reply::Members(Roster::sorted(members, 0))),
            Told::Refused => Incoming::Reply(Reply::Refused(Refusal::Other)),
            Told::Done => Incoming::Done,
            Told::Gone(gone) => Incoming::Gone(gone),
        };
        Some((Exchange(u32::try_from(slot).unwrap_or(u32::MAX)), incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let slot = on.0 as usize;
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return;
        };
        if conn.stage == Stage::Told {
            let detail = conn.detail.take();
            let out =
                self.encoded
                    .reply(&reply, &self.config.forms, &self.names, detail.as_deref());
            conn.answer(out);
            self.enqueue(slot);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let slot = exchange.0 as usize;
        let Some(conn) = self.conn(slot) else { return };
        if conn.stage == Stage::Lingering {
            return;
        }
        let lingers = conn.shut() && conn.wait_for(Interest::Read) == Progress::Blocked;
        self.open -= 1;
        if !lingers {
            self.release(slot);
            return;
        }
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.reader.clear();
        }
        self.lingering.push_back(slot);
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

/// A newcomer on this machine as the coordinator knows it, by the address that all programs read.
fn local(names: &mut Names, member: Member) -> Option<Member> {
    let addr = names
        .is_local(member.addr)
        .then(|| names.addr("127.0.0.1", names::port(member.addr)))
        .flatten()?;
    Some(Member { addr, ..member })
}

/// The slot number of the door; connections follow it.
const DOOR: usize = 0;
