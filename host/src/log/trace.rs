//! Watches what the network of a member or of the coordinator does, and records each message.
//!
//! Of a message or answer of ours there is one record: that it was sent whole, or why it was not. Of
//! an answer that is due to us, and of each connection that others open, there is one as well: what
//! came, or why nothing did.

use std::collections::HashMap;

use bully::{
    Addr, Config, Exchange, Full, Gone, Incoming, Instant, Member, Net, Pid, Refusal, Reply,
    Request, Roster,
};

use super::message::{Conn, Direction, Kind, Message, Party, Problem};
use super::ports::Ports;
use crate::names::Names;
use crate::net::{Clock, Ends, Seen, Tcp};

/// What is remembered between the messages of one network.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Whose network it is; a chip says so when it joins.
    me: Option<Pid>,
    directory: Option<Addr>,
    /// The connections of this process, if all peers are in it, and in the same log.
    ports: Option<Ports>,
    time: Time,
    config: Config,
    /// The table that `known` was made of.
    revision: Option<u32>,
    /// Who is at which address; `None` if several are said to be.
    known: HashMap<Addr, Option<Pid>>,
    /// Who has answered from there, and said so.
    met: HashMap<Addr, Pid>,
    exchanges: HashMap<Exchange, Entry>,
    records: Vec<Message>,
}

/// What time it is.
#[derive(Debug)]
enum Time {
    Now(Clock),
    /// Of a run that is repeated: the time of the poll.
    Then(Instant),
}

/// An exchange.
#[derive(Debug)]
struct Entry {
    /// Where we connected to; `None` if they connected to us.
    to: Option<Addr>,
    conn: Option<Conn>,
    peer: Option<Pid>,
    since: Instant,
    stage: Stage,
    /// What it was opened with, once that is known.
    request: Option<Kind>,
}

#[derive(Debug)]
enum Stage {
    /// Ours: our message has not been sent whole.
    Sending(Content),
    /// Ours: the answer is due.
    Awaiting,
    /// Theirs: their message is due.
    Reading,
    /// Theirs: our answer has not been sent whole.
    Answering(Content),
    /// Nothing more is awaited.
    Over,
}

/// What is in a message.
#[derive(Clone, Debug, Default)]
struct Content {
    kind: Option<Kind>,
    leader: Option<Pid>,
    members: Option<usize>,
    bytes: u64,
}

impl Trace {
    /// Remembers nothing yet. `me` is whose network it is, `None` for the coordinator's; `directory`
    /// is the coordinator's address. `ports` are the connections of this process if all peers are in it,
    /// and in the same log.
    pub(crate) fn new(
        me: Option<Pid>,
        directory: Option<Addr>,
        ports: Option<Ports>,
        clock: Clock,
    ) -> Self {
        Self::of(me, directory, ports, Time::Now(clock))
    }

    /// The same for a run that is repeated: see [`set_time`](Self::set_time).
    pub(crate) fn repeated(me: Pid, directory: Option<Addr>) -> Self {
        Self::of(Some(me), directory, None, Time::Then(Instant::ZERO))
    }

    /// Of a run that is repeated: it is now `at`.
    pub(crate) fn set_time(&mut self, at: Instant) {
        self.time = Time::Then(at);
    }

    pub(super) fn now(&self) -> Instant {
        match self.time {
            Time::Now(clock) => clock.now(),
            Time::Then(at) => at,
        }
    }

    fn of(me: Option<Pid>, directory: Option<Addr>, ports: Option<Ports>, time: Time) -> Self {
        let anybody = Member {
            pid: Pid { days: 0, id: 0 },
            addr: Addr(0),
        };
        Self {
            me,
            directory,
            ports,
            time,
            // No command changes how long is waited.
            config: Config::new(anybody),
            revision: None,
            known: HashMap::new(),
            met: HashMap::new(),
            exchanges: HashMap::new(),
            records: Vec::new(),
        }
    }

    /// Takes note of who is where. Costs nothing unless the table has changed.
    pub(crate) fn learn(&mut self, roster: Roster<'_>) {
        if self.revision.is_some() && self.revision == roster.revision() {
            return;
        }
        self.revision = roster.revision();
        self.known.clear();
        for member in roster.members() {
            self.known
                .entry(member.addr)
                .and_modify(|pid| *pid = None)
                .or_insert(Some(member.pid));
        }
        let known = &self.known;
        self.met.retain(|addr, met| match known.get(addr) {
            // Somebody else has the address now.
            Some(Some(pid)) => pid == met,
            Some(None) => true,
            None => false,
        });
    }

    /// Returns a network that does what `tcp` does, and records it here.
    pub(crate) fn watch<'a>(&'a mut self, tcp: &'a mut Tcp) -> Traced<'a> {
        Traced { tcp, trace: self }
    }

    /// Takes what was recorded, the oldest first.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        core::mem::take(&mut self.records)
    }

    /// Before everything ends: sends what can be sent at once.
    pub(crate) fn finish_sending(&mut self, tcp: &mut Tcp) {
        for exchange in self.open() {
            self.watch(tcp).finish_sending(exchange);
        }
    }

    /// Records what becomes of everything that is not over, for nobody waits for it any more.
    pub(crate) fn finish(&mut self, tcp: &mut Tcp) {
        self.reject_backlog(tcp);
        for exchange in self.open() {
            let received = tcp.received(exchange);
            if let Some(mut entry) = self.exchanges.remove(&exchange) {
                self.end(&mut entry, Problem::Stopped, received);
            }
        }
    }

    fn open(&self) -> Vec<Exchange> {
        let mut open: Vec<_> = self.exchanges.keys().copied().collect();
        open.sort_unstable();
        open
    }

    /// Ends the connections that wait to be accepted, as closing the listener does.
    fn reject_backlog(&mut self, tcp: &mut Tcp) {
        for ends in tcp.reject_backlog() {
            let mut entry = self.accepted(Some(ends));
            self.end(&mut entry, Problem::Stopped, 0);
        }
    }

    /// Takes note of an exchange that was opened: `bytes` are under way since then.
    pub(crate) fn opened(
        &mut self,
        exchange: Exchange,
        to: Addr,
        request: &Request<'_>,
        conn: Option<Conn>,
        bytes: u64,
        since: Instant,
    ) {
        if let Request::Join(member) = request {
            self.me = Some(member.pid);
        }
        let content = Content::of_request(request, bytes);
        let entry = Entry {
            to: Some(to),
            conn,
            peer: self.who(to),
            since,
            request: content.kind.clone(),
            stage: Stage::Sending(content),
        };
        self.exchanges.insert(exchange, entry);
    }

    /// Takes note of an answer: `bytes` are under way.
    pub(crate) fn replied(&mut self, on: Exchange, reply: &Reply<'_>, bytes: u64) {
        if let Some(entry) = self.exchanges.get_mut(&on) {
            entry.stage = Stage::Answering(Content::of_reply(reply, bytes));
        }
    }

    /// Takes note that an answer cannot be sent any more.
    fn unsent(&mut self, on: Exchange) {
        if let Some(mut entry) = self.exchanges.remove(&on) {
            self.end(&mut entry, Problem::Closed, 0);
            self.exchanges.insert(on, entry);
        }
    }

    /// Takes note that the core has closed an exchange, on which so many bytes were received.
    pub(crate) fn closed(&mut self, exchange: Exchange, received: u64) {
        if let Some(mut entry) = self.exchanges.remove(&exchange) {
            let why = self.why_closed(&entry, self.now());
            self.end(&mut entry, why, received);
        }
    }

    fn conn(&self, ends: Option<Ends>) -> Option<Conn> {
        let number = |ends| self.ports.as_ref().and_then(|ports| ports.open(ends));
        ends.map(|ends| Conn::Tcp(ends, number(ends)))
    }

    fn accepted(&self, ends: Option<Ends>) -> Entry {
        let number = |ends| self.ports.as_ref().and_then(|ports| ports.accept(ends));
        Entry {
            to: None,
            conn: ends.map(|ends| Conn::Tcp(ends, number(ends))),
            peer: None,
            since: self.now(),
            stage: Stage::Reading,
            request: None,
        }
    }

    /// Who is at `addr`, if that is certain: two processes may be listed at one address.
    fn who(&self, addr: Addr) -> Option<Pid> {
        let met = self.met.get(&addr).copied();
        met.or_else(|| self.known.get(&addr).copied().flatten())
    }

    /// Takes note of who sent `list`, if it says so.
    fn meet(&mut self, entry: &mut Entry, list: Option<Roster<'_>>) {
        let Some(origin) = list.and_then(|list| list.origin()) else {
            return;
        };
        entry.peer = Some(origin.pid);
        let at = entry.to.or_else(|| {
            let mut listed = list?.members().iter();
            let sender = listed.find(|member| member.pid == origin.pid)?;
            Some(sender.addr)
        });
        if let Some(at) = at.filter(|at| self.known.contains_key(at)) {
            self.met.insert(at, origin.pid);
        }
    }

    fn record(
        &mut self,
        entry: &Entry,
        dir: Direction,
        at: Instant,
        content: Content,
        error: Option<Problem>,
    ) {
        let party = match entry.to {
            None => Party::Caller,
            to if to == self.directory => Party::Coordinator,
            // Its owner knows the spelling of a host; here the number has to do.
            Some(to) => Party::Member(Names::new().show(to).to_string()),
        };
        self.records.push(Message {
            at,
            node: self.me,
            dir,
            kind: content.kind,
            // Whoever is refused has no connection.
            conn: entry.conn.filter(|_| error != Some(Problem::Refused)),
            peer: entry.peer,
            leader: content.leader,
            members: content.members,
            bytes: content.bytes,
            error,
            request: entry.request.clone(),
            party,
            alone: self.ports.is_none(),
            waited: at.since(entry.since),
        });
    }

    /// Records what does not happen on an exchange that ends for the reason `why`.
    fn end(&mut self, entry: &mut Entry, why: Problem, received: u64) {
        let at = self.now();
        match core::mem::replace(&mut entry.stage, Stage::Over) {
            Stage::Sending(content) | Stage::Answering(content) => {
                self.record(entry, Direction::Send, at, content, Some(why));
            }
            Stage::Awaiting => {
                let content = Content {
                    kind: Some(match entry.request {
                        Some(Kind::Join) => Kind::Members,
                        _ => Kind::Ok,
                    }),
                    bytes: received,
                    ..Content::default()
                };
                self.record(entry, Direction::Recv, at, content, Some(why));
            }
            Stage::Reading => {
                let content = Content {
                    bytes: received,
                    ..Content::default()
                };
                self.record(entry, Direction::Recv, at, content, Some(why));
            }
            Stage::Over => {}
        }
    }

    /// Records that a message was sent whole; its last piece, after `at`.
    fn sent(&mut self, entry: &mut Entry, at: Instant) {
        let answered = entry.request != Some(Kind::Coordinator);
        match core::mem::replace(&mut entry.stage, Stage::Over) {
            Stage::Sending(content) => {
                self.record(entry, Direction::Send, at, content, None);
                if answered {
                    entry.stage = Stage::Awaiting;
                }
            }
            Stage::Answering(content) => self.record(entry, Direction::Send, at, content, None),
            before => entry.stage = before,
        }
    }

    /// Records that a message came whole.
    fn received(&mut self, entry: &mut Entry, content: Content, error: Option<Problem>) {
        if entry.to.is_none() {
            entry.request = content.kind.clone();
        }
        entry.stage = Stage::Over;
        let at = self.now();
        self.record(entry, Direction::Recv, at, content, error);
    }

    /// Takes note of what the network reports. Whatever it did for it, it did after `before`.
    pub(crate) fn note(
        &mut self,
        exchange: Exchange,
        incoming: &Incoming<'_>,
        seen: Seen,
        before: Instant,
    ) {
        if let Incoming::Accepted = incoming {
            let entry = self.accepted(seen.ends);
            self.exchanges.insert(exchange, entry);
            return;
        }
        let Some(mut entry) = self.exchanges.remove(&exchange) else {
            return;
        };
        let bytes = seen.received;
        match incoming {
            Incoming::Accepted => {}
            Incoming::Sent => self.sent(&mut entry, before),
            Incoming::Request(request) => {
                let list = match request {
                    Request::Join(member) => {
                        entry.peer = Some(member.pid);
                        None
                    }
                    Request::Election(list) | Request::Coordinator(list) | Request::Probe(list) => {
                        Some(*list)
                    }
                };
                self.meet(&mut entry, list);
                self.received(&mut entry, Content::of_request(request, bytes), None);
            }
            Incoming::Unfit(refusal) => {
                let content = Content {
                    kind: match refusal {
                        Refusal::Pid | Refusal::Port | Refusal::NotLocal => Some(Kind::Join),
                        _ => seen.name.map(Kind::Other),
                    },
                    bytes,
                    ..Content::default()
                };
                let error = match refusal {
                    Refusal::NotAMessage => Problem::Malformed,
                    _ => Problem::Rejected,
                };
                self.received(&mut entry, content, Some(error));
            }
            Incoming::Reply(reply) => {
                let list = match reply {
                    Reply::Ok(list) => Some(*list),
                    Reply::Members(_) | Reply::Refused(_) => None,
                };
                self.meet(&mut entry, list);
                self.received(&mut entry, Content::of_reply(reply, bytes), None);
            }
            Incoming::Done => self.end(&mut entry, Problem::Closed, bytes),
            Incoming::Gone(gone) => {
                let why = match gone {
                    Gone::Refused => Problem::Refused,
                    Gone::Reset => Problem::Reset,
                    Gone::Malformed => Problem::Malformed,
                };
                self.end(&mut entry, why, bytes);
            }
        }
        self.exchanges.insert(exchange, entry);
    }

    /// Why the core ends an exchange in this state by itself.
    fn why_closed(&self, entry: &Entry, at: Instant) -> Problem {
        let limit = match (&entry.stage, &entry.request) {
            (Stage::Reading, _) => self.config.message_within,
            (_, Some(Kind::Join)) => self.config.join_within,
            (_, Some(Kind::Probe)) => self.config.probe_within,
            _ => self.config.ok_within,
        };
        if at.since(entry.since) < limit {
            Problem::GivenUp
        } else {
            Problem::TimedOut
        }
    }
}

impl Content {
    fn of_request(request: &Request<'_>, bytes: u64) -> Self {
        let (kind, leader, members) = match request {
            Request::Join(_) => (Kind::Join, None, None),
            Request::Election(list) => (Kind::Election, None, Some(list.len())),
            Request::Coordinator(list) => (Kind::Coordinator, list.greatest(), Some(list.len())),
            Request::Probe(_) => (Kind::Probe, None, None),
        };
        Self {
            kind: Some(kind),
            leader,
            members,
            bytes,
        }
    }

    fn of_reply(reply: &Reply<'_>, bytes: u64) -> Self {
        let (kind, members) = match reply {
            Reply::Ok(_) => (Kind::Ok, None),
            Reply::Members(list) => (Kind::Members, Some(list.len())),
            Reply::Refused(_) => (Kind::Refused, None),
        };
        Self {
            kind: Some(kind),
            leader: None,
            members,
            bytes,
        }
    }
}

/// A [`Tcp`] that is watched: what passes goes on unchanged.
#[derive(Debug)]
pub(crate) struct Traced<'a> {
    tcp: &'a mut Tcp,
    trace: &'a mut Trace,
}

impl Traced<'_> {
    /// Sends what is left to send on `exchange`, if that is possible at once.
    fn finish_sending(&mut self, exchange: Exchange) {
        let at = self.trace.now();
        let Some(mut entry) = self.trace.exchanges.remove(&exchange) else {
            return;
        };
        let sending = matches!(entry.stage, Stage::Sending(_) | Stage::Answering(_));
        if sending && self.tcp.finish_sending(exchange) {
            self.trace.sent(&mut entry, at);
        }
        self.trace.exchanges.insert(exchange, entry);
    }
}

impl Net for Traced<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let (since, before) = (self.trace.now(), self.tcp.counters().bytes);
        let exchange = self.tcp.open(to, request)?;
        let bytes = self.tcp.counters().bytes - before;
        let conn = self.trace.conn(self.tcp.ends(exchange));
        self.trace
            .opened(exchange, to, &request, conn, bytes, since);
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let before = self.trace.now();
        let (exchange, incoming, seen) = self.tcp.recv_seen()?;
        self.trace.note(exchange, &incoming, seen, before);
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let before = self.tcp.counters().bytes;
        self.tcp.reply(on, reply);
        let bytes = self.tcp.counters().bytes - before;
        self.trace.replied(on, &reply, bytes);
        if bytes == 0 {
            // The connection is gone, and nothing will be sent.
            self.trace.unsent(on);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        self.finish_sending(exchange);
        let received = self.tcp.received(exchange);
        self.tcp.close(exchange);
        self.trace.closed(exchange, received);
    }

    fn set_listening(&mut self, on: bool) {
        if !on {
            self.trace.reject_backlog(self.tcp);
        }
        self.tcp.set_listening(on);
    }
}
