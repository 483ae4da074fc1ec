//! What a node is told, and when, written down as it happens.

use heapless::{Vec, VecView};

use super::digest::Digest;
use super::format::{GONE, MAGIC, MARK_EACH, NOBODY, REFUSALS, VERSION};
use super::image::{Recordable, image_checksum};
use super::sink::Sink;
use super::stream::Stream;
use super::{list, op};
use crate::event::Event;
use crate::net::{Exchange, Full, Incoming, Net, Reply, Request};
use crate::node::SET_BACK;
use crate::roster::{Addr, Member, Roster};
use crate::time::Instant;

/// Records the run of one node into `S`, so that it can be repeated: see [the format](super).
///
/// `LIST` is the longest list of which differences are written; a longer one is written in full
/// each time. Best the capacity of the node. Nothing is allocated.
///
/// ```
/// # use bully::*;
/// use bully::record::{Recorder, Ring};
/// # struct MyNet;
/// # impl Net for MyNet {
/// #     fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> { Err(Full) }
/// #     fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> { None }
/// #     fn reply(&mut self, _: Exchange, _: Reply<'_>) {}
/// #     fn close(&mut self, _: Exchange) {}
/// #     fn set_listening(&mut self, _: bool) {}
/// # }
/// # let mut net = MyNet;
/// # let me = Member { pid: Pid { days: 120, id: 1_234_567 }, addr: Addr(1) };
/// let mut node = Node::<32, 8>::new(Config::new(me));
/// let mut memory = [0; 8_192];
/// let mut recorder = Recorder::<_, 32>::new(Ring::new(&mut memory), 0);
/// // In place of `node.poll(now, &mut net)`:
/// while let Some(event) = recorder.poll(&mut node, Instant::ZERO, &mut net) {
///     println!("{event:?}");
/// }
/// recorder.finish(&node);
/// let [older, younger] = recorder.sink().banks();
/// assert!(older.is_empty() && younger.starts_with(b"BYR"));
/// ```
#[derive(Debug)]
pub struct Recorder<S, const LIST: usize> {
    log: Log<S>,
    /// The list that was written last; empty if that was longer.
    known: Vec<Member, LIST>,
}

/// All of a recorder but the list.
#[derive(Debug)]
struct Log<S> {
    out: Stream<S>,
    /// Unix time at the node's origin, in microseconds.
    origin: u64,
    /// How many banks have begun.
    banks: u32,
    /// The last one that has begun goes on.
    open: bool,
    /// There is no bank to go on in.
    ended: bool,
    /// Records in all banks.
    records: u32,
    /// The time of the last recorded poll, and of the last poll.
    recorded_at: Instant,
    polled_at: Instant,
    /// A poll has begun of which nothing is written.
    unwritten: bool,
    /// This poll is written whatever happens in it; and the next one.
    counts: bool,
    next_counts: bool,
    /// The node has done something in this poll that is in the digest only.
    acted: bool,
    /// `recv` has returned `None` since the last record of this poll.
    nothing_received: bool,
    /// The last poll was at an earlier time than the one before.
    was_back: bool,
    /// Until then a poll without input changes nothing. `None`: to be asked.
    idle_until: Option<Instant>,
    digest: Digest,
    /// Polls recorded since the last mark.
    unmarked: u8,
}

impl<S: Sink, const LIST: usize> Recorder<S, LIST> {
    /// A recorder that begins with the first [`poll`](Self::poll), whatever the node has done before.
    ///
    /// `origin` is the Unix time at [`Instant::ZERO`] in microseconds; 0 if there is no clock for
    /// it.
    pub const fn new(sink: S, origin: u64) -> Self {
        Self {
            log: Log {
                out: Stream::new(sink),
                origin,
                banks: 0,
                open: false,
                ended: false,
                records: 0,
                recorded_at: Instant::ZERO,
                polled_at: Instant::ZERO,
                unwritten: false,
                counts: false,
                next_counts: false,
                acted: false,
                nothing_received: false,
                was_back: false,
                idle_until: None,
                digest: Digest::new(),
                unmarked: 0,
            },
            known: Vec::new(),
        }
    }

    /// Polls the node, and records what it is told.
    pub fn poll(
        &mut self,
        node: &mut dyn Recordable,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<Event> {
        self.begin(node, now);
        let mut watched = Watched {
            net,
            log: &mut self.log,
            known: self.known.as_mut_view(),
        };
        let event = node.poll(now, &mut watched);
        self.log.polled(event.as_ref());
        event
    }

    /// Has the node leave the group, see [`Node::resign`](crate::Node::resign), and records it.
    pub fn resign(&mut self, node: &mut dyn Recordable) {
        self.begin(node, self.log.polled_at);
        self.log.unwritten = false;
        self.log.write_idle_poll();
        self.log.next_counts = true;
        self.log.record(op::RESIGNED);
        node.resign();
    }

    /// Adds `note` to the recording, for whoever writes a log of it: a replay passes it over. It
    /// belongs to the record before it. Without a recording under way nothing happens.
    pub fn note(&mut self, note: &[u8]) {
        if self.log.open {
            self.log.record(op::NOTE);
            self.log.out.number(note.len() as u64);
            self.log.out.bytes(note);
        }
    }

    fn begin(&mut self, node: &dyn Recordable, now: Instant) {
        let log = &mut self.log;
        if log.open && (log.out.broken || log.out.sink.is_nearly_full()) {
            log.end(node, op::CONTINUED);
        }
        if !log.open && !log.ended {
            log.start(node, now);
            self.known.clear();
        }
        self.log.begin(node, now);
    }

    /// Hands what is recorded to the sink, which otherwise gets a block at a time.
    pub fn flush(&mut self) {
        self.log.out.flush();
    }

    /// Ends this bank: writes the time of the last poll and the checksum of the node, so that a
    /// replay can tell whether it has come to the same. Another poll goes on in the next bank.
    pub fn finish(&mut self, node: &dyn Recordable) {
        self.log.end(node, op::FINISHED);
    }

    /// Returns `true` unless the sink can take no more.
    pub const fn is_on(&self) -> bool {
        !self.log.ended
    }

    /// The number of the bank under way, and the time of the poll that was recorded last: what a
    /// [`note`](Self::note) can refer to. `None` if there is no bank.
    pub const fn position(&self) -> Option<(u32, Instant)> {
        match self.log.open {
            true => Some((self.log.banks.wrapping_sub(1), self.log.recorded_at)),
            false => None,
        }
    }

    /// Where the recording goes.
    pub const fn sink(&self) -> &S {
        &self.log.out.sink
    }

    /// Where the recording goes.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.log.out.sink
    }

    /// Gives the sink back. What has not been flushed is lost.
    pub fn into_sink(self) -> S {
        self.log.out.sink
    }
}

impl<S: Sink> Log<S> {
    /// Begins a bank: its header and the image of the node.
    fn start(&mut self, node: &dyn Recordable, now: Instant) {
        if self.banks > 0 && !self.out.sink.next_bank() {
            self.ended = true;
            return;
        }
        if self.banks == 0 {
            self.polled_at = now;
        }
        self.open = true;
        self.recorded_at = self.polled_at;
        self.counts = false;
        self.idle_until = None;
        self.digest = Digest::new();
        self.unmarked = 0;
        let [a, b, c] = MAGIC;
        let out = &mut self.out;
        out.begin(&[a, b, c, VERSION]);
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        out.number(version.len() as u64);
        out.bytes(version);
        let (members, exchanges) = node.capacities();
        out.number(members as u64);
        out.number(exchanges as u64);
        out.number(self.banks.into());
        out.number(self.records.into());
        out.number(self.origin);
        out.number(self.recorded_at.as_micros());
        let mut length = 0;
        node.image(&mut |_| length += 1);
        out.number(length);
        node.image(&mut |byte| out.byte(byte));
        self.banks = self.banks.wrapping_add(1);
        // A bank that cannot take the image is none.
        self.ended = self.out.broken;
    }

    /// Ends the bank under way.
    fn end(&mut self, node: &dyn Recordable, why: u8) {
        if !self.open {
            return;
        }
        self.write_idle_poll();
        self.record(op::END);
        self.out.byte(why);
        self.out.bytes(&self.digest.value().to_le_bytes());
        self.out.bytes(&image_checksum(node).to_le_bytes());
        self.out.flush();
        self.open = false;
    }

    /// The last poll was not written, as nothing came of it; but the time of the node is that of it.
    fn write_idle_poll(&mut self) {
        if self.polled_at != self.recorded_at {
            self.unwritten = true;
            self.record(op::NOTHING);
            self.digest.polled();
        }
    }

    /// A poll begins.
    fn begin(&mut self, node: &dyn Recordable, now: Instant) {
        if !self.open {
            return;
        }
        self.acted = false;
        self.nothing_received = false;
        // A node takes a clock that goes back by no more than that for one that stands still.
        let stands = now < self.polled_at && now + SET_BACK >= self.polled_at && !self.was_back;
        let now = if stands { self.polled_at } else { now };
        let back = now < self.polled_at;
        self.was_back = back;
        let idle_until = self
            .idle_until
            .unwrap_or_else(|| node.poll_at().unwrap_or(Instant::NEVER));
        self.idle_until = Some(idle_until);
        self.counts = back || core::mem::take(&mut self.next_counts) || now >= idle_until;
        if back {
            self.write_idle_poll();
            let by = self.polled_at.as_micros() - now.as_micros();
            self.record(op::BACK);
            self.out.number(by);
            self.recorded_at = now;
            self.next_counts = true;
        }
        self.polled_at = now;
        self.unwritten = !back;
    }

    /// A poll is over.
    fn polled(&mut self, event: Option<&Event>) {
        if !self.open {
            return;
        }
        if let Some(event) = event {
            self.digest.event(event);
            self.next_counts = true;
        }
        let idle = self.unwritten && !self.acted && event.is_none() && !self.counts;
        if idle {
            self.unwritten = false;
            return;
        }
        if self.unwritten {
            self.record(op::NOTHING);
        }
        self.idle_until = None;
        self.digest.polled();
        if self.unmarked >= MARK_EACH {
            self.unmarked = 0;
            self.record(op::MARK);
            self.out.bytes(&self.digest.value().to_le_bytes());
        }
    }

    /// Begins a record.
    fn record(&mut self, op: u8) {
        self.records = self.records.wrapping_add(1);
        self.nothing_received = false;
        if self.unwritten {
            self.unwritten = false;
            self.out.byte(op | op::POLL);
            let since = self.polled_at.as_micros() - self.recorded_at.as_micros();
            self.out.number(since);
            self.recorded_at = self.polled_at;
            self.unmarked = self.unmarked.saturating_add(1);
        } else {
            self.out.byte(op);
        }
    }

    /// Begins a record of something received.
    fn received(&mut self, op: u8, exchange: Exchange) {
        if self.nothing_received {
            self.record(op::NONE);
        }
        self.record(op);
        self.out.number(exchange.0.into());
    }

    /// What was received is a message that can have a list.
    fn message(
        &mut self,
        op: u8,
        exchange: Exchange,
        list: Roster<'_>,
        known: &mut VecView<Member>,
    ) {
        if self.nothing_received {
            self.record(op::NONE);
        }
        if !list.is_empty() {
            list::write(self, known, list);
        }
        self.record(op);
        self.out.number(exchange.0.into());
        let flags = if list.is_empty() { 0 } else { op::HAS_LIST };
        let Some(origin) = list.origin() else {
            return self.out.byte(flags);
        };
        let flags = flags
            | op::HAS_ORIGIN
            | if origin.large { op::LARGE } else { 0 }
            | if origin.leads { op::LEADS } else { 0 };
        let place = known.partition_point(|member| member.pid < origin.pid);
        if known.get(place).map(|member| member.pid) == Some(origin.pid) {
            self.out.byte(flags);
            self.out.number(place as u64);
        } else {
            self.out.byte(flags | op::WHOLE_PID);
            self.out.number(origin.pid.days.into());
            self.out.number(origin.pid.id.into());
        }
    }

    fn incoming(
        &mut self,
        exchange: Exchange,
        incoming: Incoming<'_>,
        known: &mut VecView<Member>,
    ) {
        let mut message = |op, list| self.message(op, exchange, list, known);
        match incoming {
            Incoming::Accepted => self.received(op::ACCEPTED, exchange),
            Incoming::Sent => self.received(op::SENT, exchange),
            Incoming::Done => self.received(op::DONE, exchange),
            Incoming::Gone(gone) => self.received(op::GONE + place(&GONE, gone), exchange),
            Incoming::Request(Request::Join(member)) => {
                self.received(op::JOIN, exchange);
                self.out.member(NOBODY, member);
            }
            Incoming::Request(Request::Election(list)) => message(op::ELECTION, list),
            Incoming::Request(Request::Coordinator(list)) => message(op::COORDINATOR, list),
            Incoming::Request(Request::Probe(list)) => message(op::PROBE, list),
            Incoming::Reply(Reply::Ok(list)) => message(op::OK, list),
            Incoming::Reply(Reply::Members(list)) => message(op::MEMBERS, list),
            Incoming::Reply(Reply::Refused(why)) => {
                self.received(op::REFUSED, exchange);
                self.out.byte(place(&REFUSALS, why));
            }
            Incoming::Unfit(why) => {
                self.received(op::UNFIT, exchange);
                self.out.byte(place(&REFUSALS, why));
            }
        }
    }
}

impl<S: Sink> list::Out for Log<S> {
    fn record(&mut self, op: u8) {
        Self::record(self, op);
    }

    fn number(&mut self, number: u64) {
        self.out.number(number);
    }

    fn member(&mut self, last: Member, member: Member) {
        self.out.member(last, member);
    }
}

/// A network that is watched.
struct Watched<'a, S> {
    net: &'a mut dyn Net,
    log: &'a mut Log<S>,
    known: &'a mut VecView<Member>,
}

impl<S: Sink> Net for Watched<'_, S> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let opened = self.net.open(to, request);
        let log = &mut *self.log;
        if log.open {
            log.digest.open(to, request);
            log.record(if opened.is_ok() { op::OPENED } else { op::FULL });
            if let Ok(exchange) = opened {
                log.out.number(exchange.0.into());
            }
            log.out.byte(log.digest.check());
        }
        opened
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let log = &mut *self.log;
        let Some((exchange, incoming)) = self.net.recv() else {
            log.nothing_received = true;
            return None;
        };
        if log.open {
            log.incoming(exchange, incoming, self.known);
        }
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.log.acted = true;
        self.log.digest.reply(on, reply);
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        self.log.acted = true;
        self.log.digest.close(exchange);
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.log.acted = true;
        self.log.digest.set_listening(on);
        self.net.set_listening(on);
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> u8 {
    let at = all.iter().position(|other| *other == one);
    // Every one is there, and they are few.
    at.map_or(u8::MAX, |at| at as u8)
}
