//! The input of a node, and when it came, written down as it happens.

use heapless::{Vec, VecView};

use super::digest::Digest;
use super::format::{MAGIC, MARK_EACH, NOBODY, VERSION};
use super::image::{Recordable, image_digest};
use super::op;
use super::sink::Sink;
use super::stream::Stream;
use crate::event::Event;
use crate::net::{Exchange, Full, Incoming, Net, Reply, Request};
use crate::node::SET_BACK;
use crate::roster::{Addr, Member, Roster};
use crate::table::count_below;
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
    /// How many banks have been started.
    banks: u32,
    /// The last one that was started goes on.
    open: bool,
    /// There is no bank to go on in.
    ended: bool,
    /// Records in all banks.
    records: u32,
    /// The time of the last recorded poll, and of the last poll.
    recorded_at: Instant,
    polled_at: Instant,
    /// Of the poll under way nothing is written.
    unwritten: bool,
    /// `recv` has returned `None` since the last record of this poll.
    nothing_received: bool,
    /// The latest time that the node was given.
    latest: Instant,
    /// Until then a poll without input changes nothing but that.
    idle_until: Instant,
    digest: Digest,
    /// Polls recorded since the last mark.
    unmarked: u8,
    /// As many of the records are before the last checksum.
    summed: u32,
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
                nothing_received: false,
                latest: Instant::ZERO,
                idle_until: Instant::ZERO,
                digest: Digest::new(),
                unmarked: 0,
                summed: 0,
            },
            known: Vec::new(),
        }
    }

    /// Polls the node, and records its input.
    pub fn poll(
        &mut self,
        node: &mut dyn Recordable,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<Event> {
        if self.log.out.must_end {
            self.next_bank(node, now);
            if !self.log.open {
                return node.poll(now, net);
            }
        }
        self.log.begin(now);
        let mut recording = Recording {
            net,
            log: &mut self.log,
            known: self.known.as_mut_view(),
        };
        let event = node.poll(now, &mut recording);
        self.log.end_poll(node, event.as_ref());
        event
    }

    /// Has the node leave the group, see [`Node::resign`](crate::Node::resign), and records it.
    pub fn resign(&mut self, node: &mut dyn Recordable) {
        let log = &mut self.log;
        if log.open {
            log.write_skipped();
            log.record(op::RESIGNED);
            log.idle_until = Instant::ZERO;
        }
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

    /// Ends the bank under way, if there is one, and begins the next.
    #[inline(never)]
    fn next_bank(&mut self, node: &dyn Recordable, now: Instant) {
        self.log.end(node, op::CONTINUED);
        if !self.log.ended {
            self.known.clear();
            self.log.start(node, now);
        }
    }

    /// Adds a checksum to what is recorded, which otherwise has one after each 64 polls: only as far
    /// as one can it be read.
    pub fn flush(&mut self) {
        if self.log.open && self.log.summed != self.log.records {
            self.log.sum();
        }
    }

    /// Ends this bank: writes the time of the last poll and the digest of the node's image, so that a
    /// replay can see whether it has come to the same. Another poll goes on in the next bank.
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
        if self.banks == 0 {
            self.polled_at = now;
        } else if !self.out.sink.next_bank() {
            self.ended = true;
            return;
        }
        self.open = true;
        self.recorded_at = self.polled_at;
        self.unwritten = false;
        (self.latest, self.idle_until) = node.idle();
        self.digest = Digest::new();
        self.unmarked = 0;
        let out = &mut self.out;
        out.begin();
        out.bytes(&MAGIC);
        out.byte(VERSION);
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        out.byte(version.len() as u8);
        out.bytes(version);
        let (members, exchanges) = node.capacities();
        for number in [
            members as u64,
            exchanges as u64,
            self.banks.into(),
            self.records.into(),
            self.origin,
            self.recorded_at.as_micros(),
        ] {
            out.number(number);
        }
        node.image(&mut |byte| out.byte(byte));
        out.sum();
        self.banks = self.banks.wrapping_add(1);
        // A bank that cannot take the image is none.
        self.ended = out.broken;
    }

    /// Ends the bank under way.
    fn end(&mut self, node: &dyn Recordable, why: u8) {
        if !self.open {
            return;
        }
        self.open = false;
        self.out.must_end = true;
        self.write_skipped();
        self.mark();
        self.record(op::END);
        self.out.byte(why);
        if why == op::FINISHED {
            self.out.digest(image_digest(node));
        }
        self.sum();
    }

    /// The digest of all outputs.
    fn mark(&mut self) {
        self.unmarked = 0;
        self.record(op::MARK);
        self.out.digest(self.digest);
        self.sum();
    }

    /// A checksum.
    fn sum(&mut self) {
        self.record(op::SUM);
        self.summed = self.records;
        self.out.sum();
    }

    /// Records the last poll, if it was not recorded since it changed nothing but the time.
    fn write_skipped(&mut self) {
        if self.polled_at != self.recorded_at {
            self.unwritten = true;
            self.record(op::NOTHING);
            self.digest.polled();
        }
    }

    /// A poll begins.
    fn begin(&mut self, now: Instant) {
        let now = match self.latest {
            // To the node the clock stands still.
            latest if now < latest && now + SET_BACK >= latest => latest,
            _ => now,
        };
        if now < self.polled_at {
            self.write_skipped();
        }
        self.polled_at = now;
        self.unwritten = true;
        self.nothing_received = false;
    }

    /// A poll is over.
    fn end_poll(&mut self, node: &dyn Recordable, event: Option<&Event>) {
        let now = self.polled_at;
        let idle = self.latest <= now && now < self.idle_until;
        if idle && self.unwritten && event.is_none() {
            self.unwritten = false;
            self.latest = now;
            return;
        }
        self.write();
        (self.latest, self.idle_until) = node.idle();
        if let Some(event) = event {
            self.digest.event(event);
            // The next poll goes on where this one stopped.
            self.idle_until = Instant::ZERO;
        }
        self.digest.polled();
        self.unmarked += 1;
        if self.unmarked >= MARK_EACH {
            self.mark();
        }
        if self.out.sink.is_nearly_full() {
            self.out.must_end = true;
        }
    }

    /// Records that there is a poll, unless something was recorded of it.
    fn write(&mut self) {
        if self.unwritten {
            self.record(op::NOTHING);
        }
    }

    /// Begins a record.
    fn record(&mut self, op: u8) {
        self.nothing_received = false;
        self.records = self.records.wrapping_add(1);
        if self.unwritten {
            self.record_poll(op);
        } else {
            self.out.byte(op);
        }
    }

    /// Begins the first record of a poll.
    // `#[inline(never)]`: most records are not the first.
    #[inline(never)]
    fn record_poll(&mut self, op: u8) {
        self.unwritten = false;
        if self.polled_at < self.recorded_at {
            self.out.byte(op::BACK);
            let by = self.recorded_at.as_micros() - self.polled_at.as_micros();
            self.out.number(by);
            self.records = self.records.wrapping_add(1);
            self.recorded_at = self.polled_at;
        }
        self.out.byte(op | op::POLL);
        let since = self.polled_at.as_micros() - self.recorded_at.as_micros();
        self.out.number(since);
        self.recorded_at = self.polled_at;
    }

    /// Records something received.
    fn received(
        &mut self,
        exchange: Exchange,
        incoming: &Incoming<'_>,
        known: &mut VecView<Member>,
    ) {
        if self.nothing_received {
            self.record(op::NONE);
        }
        let mut list = Roster::EMPTY;
        let mut flags = 0;
        let op = match incoming {
            Incoming::Accepted => op::ACCEPTED,
            Incoming::Sent => op::SENT,
            Incoming::Done => op::DONE,
            Incoming::Gone(gone) => op::GONE + *gone as u8,
            Incoming::Request(request) => match request {
                Request::Join(member) => {
                    list = Roster::of_one(member);
                    op::JOIN
                }
                Request::Election(members) => {
                    list = *members;
                    op::ELECTION
                }
                Request::Coordinator(members) => {
                    list = *members;
                    op::COORDINATOR
                }
                Request::Probe(members) => {
                    list = *members;
                    op::PROBE
                }
            },
            Incoming::Reply(Reply::Ok(members)) => {
                list = *members;
                op::OK
            }
            Incoming::Reply(Reply::Members(members)) => {
                list = *members;
                op::MEMBERS
            }
            Incoming::Reply(Reply::Refused(why)) => {
                flags = *why as u8;
                op::REFUSED
            }
            Incoming::Unfit(why) => {
                flags = *why as u8;
                op::UNFIT
            }
        };
        if !list.is_empty() {
            flags = op::HAS_LIST;
            self.list(list.members(), known);
        }
        self.record(op);
        self.out.number(exchange.0.into());
        if op < op::JOIN {
            return;
        }
        let Some(origin) = list.origin() else {
            return self.out.byte(flags);
        };
        flags |= op::HAS_ORIGIN;
        if origin.large {
            flags |= op::LARGE;
        }
        if origin.leads {
            flags |= op::LEADS;
        }
        let place = count_below(known, origin.pid.first());
        if known.get(place).map(|member| member.pid) == Some(origin.pid) {
            self.out.byte(flags);
            self.out.number(place as u64);
        } else {
            self.out.byte(flags | op::WHOLE_PID);
            self.out.number(origin.pid.days.into());
            self.out.number(origin.pid.id.into());
        }
    }

    /// Records a list unless it is the one that was recorded last, `known`, which becomes this one.
    fn list(&mut self, members: &[Member], known: &mut VecView<Member>) {
        let same = |(a, b): &(&Member, &Member)| a == b;
        let before = known.iter().zip(members).take_while(same).count();
        let old = known.get(before..).unwrap_or(&[]);
        let new = members.get(before..).unwrap_or(&[]);
        if old.is_empty() && new.is_empty() {
            return;
        }
        let both = old.iter().rev().zip(new.iter().rev());
        let after = both.take_while(same).count();
        let added = new.get(..new.len() - after).unwrap_or(&[]);
        self.record(op::LIST);
        self.out.number(before as u64);
        self.out.number(after as u64);
        self.out.number(added.len() as u64);
        let mut last = known.get(before.wrapping_sub(1)).copied().unwrap_or(NOBODY);
        for member in added {
            self.out.member(last, *member);
            last = *member;
        }
        known.clear();
        // One that is too long is written in full each time.
        let _ = known.extend_from_slice(members);
    }
}

/// A network whose news are recorded.
struct Recording<'a, S> {
    net: &'a mut dyn Net,
    log: &'a mut Log<S>,
    known: &'a mut VecView<Member>,
}

impl<S: Sink> Net for Recording<'_, S> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let opened = self.net.open(to, request);
        let log = &mut *self.log;
        log.digest.open(to, request);
        match opened {
            Ok(exchange) => {
                log.record(op::OPENED);
                log.out.number(exchange.0.into());
            }
            Err(Full) => log.record(op::FULL),
        }
        log.out.byte(log.digest.check());
        opened
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let received = self.net.recv();
        match &received {
            Some((exchange, incoming)) => self.log.received(*exchange, incoming, self.known),
            None => self.log.nothing_received = true,
        }
        received
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.log.write();
        self.log.digest.reply(on, reply);
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        self.log.write();
        self.log.digest.close(exchange);
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.log.write();
        self.log.digest.set_listening(on);
        self.net.set_listening(on);
    }
}
