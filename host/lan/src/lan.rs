//! The network: sockets in a pool, one for each exchange.

use core::net::Ipv4Addr;

use bully::{Full, Gone, Member, Origin, Refusal, Reply, Request};
use bully_pickle::message::{self, Answer, Due, Heard, Keyed, Listed};
use bully_pickle::writer::{Forms, OkForm, ProbeForm};
use bully_pickle::{Ipv4, Table as _, writer};
use smoltcp::iface::{Interface, PollIngressSingleResult, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::arp;
use crate::backlog::Backlog;
use crate::connection::{Connection, Stage};
use crate::encodings::{Encodings, Key, Kind};
use crate::memory::{Memory, Shared, Sockets};

/// How many sockets listen while there are so many: one takes the next connection while the other is
/// being connected to.
pub const LISTENERS: usize = 2;

/// How many frames are taken in by one [`Lan::turn`]: a flood must not keep a node from its deadlines.
const FRAMES_MAX: usize = 32;

/// The ports that connections are made from, by RFC 6335.
const EPHEMERAL: u16 = 49_152;

/// How long a connection may make no progress: longer than any deadline of the core's.
const SOCKET_WITHIN: Duration = Duration::from_secs(10);

/// What a [`Lan`] is told before it listens.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The port to listen at.
    pub port: u16,
    /// Which forms of the messages to send. What is not chosen follows the coordinator's lists.
    pub forms: Forms,
    /// How lists are keyed when sent; `None`: as the coordinator's first answer to JOIN that shows it,
    /// until then as the latest list received, and before that as `forms` says.
    pub keyed: Option<Keyed>,
    /// The machine that 127.0.0.0/8 stands for in what peers say: the host of an emulator. `None`:
    /// nobody is there, and connections to it are refused.
    pub loopback: Option<Ipv4Addr>,
    /// The port that the first connection is made from, at least 49,152. It must differ at each start:
    /// a peer may still remember the last connection from the same one, and would not answer for a
    /// second.
    pub first_port: u16,
}

/// A [`Net`](bully::Net) over smoltcp's TCP sockets.
///
/// Call [`turn`](Self::turn) when the device has received or [`poll_at`](Self::poll_at) has come, then
/// poll the node until it returns `None`, then [`flush`](Self::flush).
pub struct Lan<'a, D> {
    interface: Interface,
    device: D,
    sockets: SocketSet<'a>,
    pub(crate) connections: &'a mut [Connection],
    pub(crate) shared: Shared<'a>,
    pub(crate) origin: Option<Origin>,
    config: Config,
    next_port: u16,
    listening: bool,
    /// The connection that is looked at next.
    next: usize,
    now: Instant,
    lingered: u32,
    held: u32,
    pending: bool,
    /// The connection whose message the reader holds.
    read: Option<usize>,
}

/// What [`Net::recv`](bully::Net::recv) is about to report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
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

/// Using it.
impl<'a, D: Backlog> Lan<'a, D> {
    /// A network on `interface` and `device`, which listens from the first turn on. Addresses and
    /// routes of the interface are the caller's, and may [change](Self::interface_mut).
    pub fn new<const SOCKETS: usize, const RECEIVE: usize, const SEND: usize>(
        interface: Interface,
        device: D,
        config: Config,
        memory: &'a mut Memory<SOCKETS, RECEIVE, SEND>,
        sockets: &'a mut Sockets<'a, SOCKETS>,
    ) -> Self {
        let Sockets {
            storage,
            connections,
        } = sockets;
        let mut sockets = SocketSet::new(&mut storage[..]);
        let buffers = memory.receive.iter_mut().zip(memory.send.iter_mut());
        for (connection, (receive, send)) in connections.iter_mut().zip(buffers) {
            let receive = SocketBuffer::new(&mut receive[..]);
            let mut socket = Socket::new(receive, SocketBuffer::new(&mut send[..]));
            // A message is a segment or two: neither its end nor its answer is to wait.
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            *connection = Connection::IDLE;
            connection.handle = Some(sockets.add(socket));
        }
        Self {
            interface,
            device,
            sockets,
            connections,
            shared: Shared {
                encodings: Encodings::new(&mut memory.encodings),
                reader: &mut memory.reader,
                members: &mut memory.members,
            },
            origin: None,
            next_port: config.first_port.max(EPHEMERAL),
            config,
            listening: true,
            next: 0,
            now: Instant::ZERO,
            lingered: 0,
            held: 0,
            pending: false,
            read: None,
        }
    }

    /// Takes in and gives out what there is.
    pub fn turn(&mut self, now: Instant) {
        self.now = now;
        self.refill_listeners();
        for _ in 0..FRAMES_MAX {
            let (interface, device) = (&mut self.interface, &mut self.device);
            match interface.poll_ingress_single(now, device, &mut self.sockets) {
                PollIngressSingleResult::None => break,
                PollIngressSingleResult::PacketProcessed => {}
                // A connection may have taken a listener: the next frame may want another.
                PollIngressSingleResult::SocketStateChanged => self.refill_listeners(),
            }
        }
        self.give_out();
    }

    /// Gives out what there is, and takes in nothing: that would be news which nobody fetches.
    pub fn flush(&mut self, now: Instant) {
        self.now = now;
        self.refill_listeners();
        self.give_out();
    }

    /// When to take the next [`turn`](Self::turn), should nothing be received before.
    pub fn poll_at(&mut self) -> Option<Instant> {
        self.interface.poll_at(self.now, &self.sockets)
    }

    /// Returns `true` if the core has yet to fetch something: the next wait must not block.
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// How many times the device was told to hold connections back, since all sockets were in use.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// The interface, to change its addresses and routes.
    pub fn interface_mut(&mut self) -> &mut Interface {
        &mut self.interface
    }

    /// The device.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }
}

/// Sockets.
impl<'a, D: Backlog> Lan<'a, D> {
    fn give_out(&mut self) {
        let (interface, device) = (&mut self.interface, &mut self.device);
        interface.poll_egress(self.now, device, &mut self.sockets);
    }

    pub(crate) fn stage(&self, at: usize) -> Stage {
        self.connections
            .get(at)
            .map_or(Stage::Idle, |connection| connection.stage)
    }

    fn set_stage(&mut self, at: usize, stage: Stage) {
        if let Some(connection) = self.connections.get_mut(at) {
            connection.stage = stage;
        }
    }

    fn socket(&mut self, at: usize) -> Option<&mut Socket<'a>> {
        let handle = self.connections.get(at)?.handle?;
        Some(self.sockets.get_mut(handle))
    }

    fn state(&self, at: usize) -> State {
        let handle = self
            .connections
            .get(at)
            .and_then(|connection| connection.handle);
        handle.map_or(State::Closed, |handle| {
            self.sockets.get::<Socket<'_>>(handle).state()
        })
    }

    /// Lets sockets listen, up to the number that shall; if there is none, the device holds whoever
    /// connects.
    pub(crate) fn refill_listeners(&mut self) {
        let mut listen = 0;
        for at in 0..self.connections.len() {
            let state = self.state(at);
            let is_closed = matches!(state, State::Closed | State::TimeWait);
            match self.stage(at) {
                Stage::Lingering if is_closed => self.set_stage(at, Stage::Idle),
                // It was reset before the core heard of it.
                Stage::Listening if is_closed && !self.has_received(at) => {
                    self.set_stage(at, Stage::Idle);
                }
                Stage::Listening if state == State::Listen => listen += 1,
                _ => {}
            }
        }
        let port = self.config.port;
        while self.listening && listen < LISTENERS && self.has_capacity() {
            let Some(at) = self.free() else { break };
            let is_open = self
                .socket(at)
                .is_some_and(|socket| socket.listen(port).is_ok());
            if !is_open {
                break;
            }
            self.set_stage(at, Stage::Listening);
            listen += 1;
        }
        let hold = self.listening && listen == 0;
        self.held = self.held.wrapping_add(u32::from(hold));
        self.device.hold(hold.then_some(port));
    }

    fn has_received(&mut self, at: usize) -> bool {
        self.socket(at).is_some_and(|socket| socket.can_recv())
    }

    /// Returns `true` while the core may have another exchange: those it has, and those it is about to
    /// be told of, leave two sockets to listen.
    pub(crate) fn has_capacity(&self) -> bool {
        let in_use = (0..self.connections.len()).filter(|at| match self.stage(*at) {
            Stage::Idle | Stage::Lingering => false,
            Stage::Listening => self.state(*at) != State::Listen,
            _ => true,
        });
        in_use.count() + LISTENERS < self.connections.len()
    }

    /// A connection whose socket can be opened; the one that has lingered longest gives way.
    fn free(&mut self) -> Option<usize> {
        let all = || self.connections.iter().enumerate();
        if let Some((at, _)) = all().find(|(_, one)| one.stage == Stage::Idle) {
            return Some(at);
        }
        let lingering = all().filter(|(_, one)| one.stage == Stage::Lingering);
        let (at, _) = lingering.min_by_key(|(_, one)| one.since)?;
        self.abort(at);
        Some(at)
    }

    /// Resets a connection. The peer is told at once: the socket's next use would forget to.
    pub(crate) fn abort(&mut self, at: usize) {
        self.release(at);
        self.set_stage(at, Stage::Idle);
        if let Some(socket) = self.socket(at) {
            socket.abort();
        }
        self.give_out();
    }

    /// Shuts our half; the rest is worth waiting for until the socket is needed.
    pub(crate) fn shut(&mut self, at: usize) {
        self.release(at);
        self.lingered = self.lingered.wrapping_add(1);
        let since = self.lingered;
        if let Some(connection) = self.connections.get_mut(at) {
            connection.stage = Stage::Lingering;
            connection.since = since;
        }
        if let Some(socket) = self.socket(at) {
            socket.close();
        }
    }

    /// Gives back what was to be sent.
    pub(crate) fn release(&mut self, at: usize) {
        let connection = self.connections.get_mut(at);
        if let Some(out) = connection.and_then(|connection| connection.out.take()) {
            self.shared.encodings.release(out);
        }
        if self.read == Some(at) {
            self.read = None;
        }
    }

    pub(crate) fn set_listener(&mut self, on: bool) {
        self.listening = on;
        for at in 0..self.connections.len() {
            let waits = matches!(self.state(at), State::Listen | State::SynReceived);
            if !on && waits && self.stage(at) == Stage::Listening {
                self.abort(at);
            }
        }
        self.refill_listeners();
    }
}

/// Sending.
impl<D: Backlog> Lan<'_, D> {
    pub(crate) fn connect(
        &mut self,
        ip: Ipv4Addr,
        port: u16,
        request: &Request<'_>,
    ) -> Result<usize, Full> {
        if !self.has_capacity() {
            return Err(Full);
        }
        let forms = self.config.forms;
        let (key, due) = match *request {
            Request::Join(_) => (None, Some(Due::Members)),
            Request::Election(list) => (Key::of(Kind::Election, list, true, forms), Some(Due::Ok)),
            Request::Coordinator(list) => (Key::of(Kind::Coordinator, list, true, forms), None),
            Request::Probe(list) => {
                let with_members = forms.probe_form() == ProbeForm::Members;
                (
                    Key::of(Kind::Probe, list, with_members, forms),
                    Some(Due::Ok),
                )
            }
        };
        let write = |out: &mut bully_pickle::Buffer<'_>| {
            writer::request(out, request, &forms, &Ipv4);
        };
        let out = self.shared.encodings.take(key, write).ok_or(Full)?;
        let Some(at) = self.free() else {
            self.shared.encodings.release(out);
            return Err(Full);
        };
        let ip = match self.config.loopback {
            stands_for if ip.is_loopback() => stands_for,
            _ => Some(ip),
        };
        self.next_port = self.next_port.checked_add(1).unwrap_or(EPHEMERAL);
        let local = self.next_port;
        let handle = self
            .connections
            .get(at)
            .and_then(|connection| connection.handle);
        let is_open = match (ip, handle) {
            (Some(ip), Some(handle)) => {
                arp::ask(&self.interface, &mut self.device, self.now, ip);
                let socket = self.sockets.get_mut::<Socket<'_>>(handle);
                socket.set_timeout(Some(SOCKET_WITHIN));
                let to = (IpAddress::Ipv4(ip), port);
                socket.connect(self.interface.context(), to, local).is_ok()
            }
            _ => false,
        };
        let stage = if is_open {
            Stage::Connecting
        } else {
            Stage::Ending(Some(Gone::Refused))
        };
        if let Some(connection) = self.connections.get_mut(at) {
            connection.begin(stage, due, false);
            connection.out = Some(out);
        }
        self.pending |= !is_open;
        Ok(at)
    }

    pub(crate) fn answer(&mut self, at: usize, reply: &Reply<'_>) {
        let forms = self.config.forms;
        let key = match *reply {
            Reply::Ok(list) => {
                let with_members = forms.ok_form() == OkForm::Members;
                Key::of(Kind::Ok, list, with_members, forms)
            }
            // A member gives no list of its own; what it refuses is told each in its own words.
            Reply::Members(_) | Reply::Refused(_) => None,
        };
        let Shared {
            encodings, reader, ..
        } = &mut self.shared;
        let is_held = self.read == Some(at);
        let out = encodings.take(key, |out| match *reply {
            Reply::Refused(refusal) if is_held => {
                let detail = message::detail(reader, refusal);
                writer::reply(out, reply, &forms, &Ipv4, Some(&detail));
            }
            _ => writer::reply(out, reply, &forms, &Ipv4, None),
        });
        if let Some(connection) = self.connections.get_mut(at) {
            connection.out = out;
            connection.sent = 0;
            connection.stage = match out {
                Some(_) => Stage::Sending,
                None => Stage::Ending(Some(Gone::Reset)),
            };
            self.pending = true;
        }
    }

    /// Hands the socket what it takes of a message. `None`: there is more.
    fn send(&mut self, at: usize) -> Option<Result<(), ()>> {
        let connection = self.connections.get_mut(at)?;
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle?);
        let whole = connection
            .out
            .map_or(&[][..], |out| self.shared.encodings.bytes(out));
        let rest = whole.get(connection.sent..).unwrap_or(&[]);
        match socket.send_slice(rest) {
            Ok(taken) => connection.sent += taken,
            Err(_) => return Some(Err(())),
        }
        (connection.sent >= whole.len()).then_some(Ok(()))
    }
}

/// Receiving.
impl<D: Backlog> Lan<'_, D> {
    /// The next report, of any connection.
    pub(crate) fn next_report(&mut self) -> Option<(usize, Report)> {
        let count = self.connections.len();
        for _ in 0..count {
            let at = self.next;
            self.next = (at + 1) % count;
            if let Some(report) = self.step(at) {
                self.pending = true;
                return Some((at, report));
            }
        }
        self.pending = false;
        None
    }

    /// Goes on with one connection up to the next thing to report.
    pub(crate) fn step(&mut self, at: usize) -> Option<Report> {
        loop {
            let state = self.state(at);
            let next = match self.stage(at) {
                Stage::Idle | Stage::Reported | Stage::Over => return None,
                Stage::Listening => match state {
                    State::Listen | State::SynReceived => return None,
                    State::Closed | State::TimeWait if !self.has_received(at) => {
                        self.set_stage(at, Stage::Idle);
                        return None;
                    }
                    _ => {
                        if let Some(socket) = self.socket(at) {
                            socket.set_timeout(Some(SOCKET_WITHIN));
                        }
                        self.connections
                            .get_mut(at)?
                            .begin(Stage::Reading, None, true);
                        return Some(Report::Accepted);
                    }
                },
                Stage::Connecting => match state {
                    State::SynSent => return None,
                    State::Closed => Stage::Ending(Some(Gone::Refused)),
                    _ => Stage::Sending,
                },
                Stage::Sending => match self.send(at)? {
                    Ok(()) => {
                        self.release(at);
                        let connection = self.connections.get_mut(at)?;
                        connection.stage = match (connection.theirs, connection.due) {
                            (true, _) => Stage::Ending(None),
                            (false, Some(_)) => Stage::Reading,
                            (false, None) => Stage::Draining,
                        };
                        return Some(Report::Sent);
                    }
                    Err(()) => Stage::Ending(Some(Gone::Reset)),
                },
                Stage::Reading => return self.read(at),
                Stage::Draining => {
                    self.discard(at);
                    if self.socket(at)?.may_recv() {
                        return None;
                    }
                    Stage::Ending(None)
                }
                Stage::Ending(gone) => {
                    self.release(at);
                    self.set_stage(at, Stage::Over);
                    return Some(gone.map_or(Report::Done, Report::Gone));
                }
                Stage::Lingering => {
                    self.discard(at);
                    if !self.socket(at)?.is_open() {
                        self.set_stage(at, Stage::Idle);
                    }
                    return None;
                }
            };
            self.set_stage(at, next);
        }
    }

    /// Throws away what has come.
    fn discard(&mut self, at: usize) {
        if let Some(socket) = self.socket(at) {
            while socket
                .recv(|bytes| (bytes.len(), bytes.len()))
                .is_ok_and(|len| len > 0)
            {}
        }
    }

    /// Reads what has come, from its beginning: nothing is taken out of the socket before it is whole.
    fn read(&mut self, at: usize) -> Option<Report> {
        let connection = self.connections.get_mut(at)?;
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle?);
        let has_ended = !socket.may_recv() || socket.recv_queue() > 0 && !is_open(socket.state());
        let (queued, capacity) = (socket.recv_queue(), socket.recv_capacity());
        if queued == connection.seen && !has_ended {
            return None;
        }
        connection.seen = queued;
        if queued == 0 {
            let report = match socket.state() {
                State::Closed => Report::Gone(Gone::Reset),
                _ => Report::Done,
            };
            return Some(self.end(at, report));
        }
        let (due, theirs) = (connection.due, connection.theirs);
        let Shared {
            reader, members, ..
        } = &mut self.shared;
        reader.clear();
        let bytes = socket.peek(queued).unwrap_or(&[]);
        let pushed = reader.push(bytes);
        // Longer than the buffer it is no message for us.
        if pushed == Ok(None) && !has_ended && queued < capacity {
            return None;
        }
        let (report, listed) = understand(due, reader, members);
        // Only after a list: what is not served is still to be shown to whoever sent it.
        self.origin = match (pushed, listed) {
            (Ok(Some(end)), Some(_)) => bytes
                .get(end..)
                .and_then(|after| message::origin(after, reader)),
            _ => None,
        };
        self.read = Some(at);
        if let Some(Listed {
            keyed: Some(keyed), ..
        }) = listed
        {
            self.keyed_as(due, keyed);
        }
        self.discard(at);
        if theirs {
            self.set_stage(at, Stage::Reported);
            Some(report)
        } else {
            Some(self.end(at, report))
        }
    }

    /// A list came that was keyed in this way, as an answer to what was `due`.
    fn keyed_as(&mut self, due: Option<Due>, keyed: Keyed) {
        if due == Some(Due::Members) && self.config.keyed.is_none() {
            self.config.keyed = Some(keyed);
        }
        self.config.forms.keyed = self.config.keyed.unwrap_or(keyed);
    }

    fn end(&mut self, at: usize, report: Report) -> Report {
        let is_last = matches!(report, Report::Done | Report::Gone(_));
        self.set_stage(
            at,
            if is_last {
                Stage::Over
            } else {
                Stage::Ending(None)
            },
        );
        report
    }
}

fn is_open(state: State) -> bool {
    matches!(
        state,
        State::Established | State::FinWait1 | State::FinWait2
    )
}

/// What a message says; and of a list, what is to be said besides its members.
fn understand<const LIST: usize>(
    due: Option<Due>,
    reader: &bully_pickle::Reader<bully_pickle::Fixed<LIST>>,
    members: &mut bully_pickle::Array<Member, 1, LIST>,
) -> (Report, Option<Listed>) {
    members.truncate(0);
    match due {
        None => match message::request(reader, &mut Ipv4, members) {
            Heard::Join(member) => (Report::Join(member), None),
            Heard::Election(listed) => (Report::Election, Some(listed)),
            Heard::Coordinator(listed) => (Report::Coordinator, Some(listed)),
            Heard::Probe(listed) => (Report::Probe, Some(listed)),
            Heard::Unfit(refusal) => (Report::Unfit(refusal), None),
        },
        Some(due) => match message::answer(reader, due, &mut Ipv4, members) {
            Answer::Ok(listed) => (Report::Ok, Some(listed)),
            Answer::Members(listed) => (Report::Members, Some(listed)),
            Answer::Text(_) => (Report::Refused, None),
            // A coordinator that cannot read us says so without pickling it.
            Answer::Unfit if due == Due::Members => (Report::Refused, None),
            Answer::Unfit => (Report::Gone(Gone::Malformed), None),
        },
    }
}
