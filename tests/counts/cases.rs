//! What is counted: each case on fixed input, warm, and with an outcome that shows that it was done.

use core::hint::black_box;

use bully::wire::{self, Decoder, Encoder, Frame, Received};
use bully::{Addr, Directory, Exchange, Incoming, Member, Net as _, Pid, Reply, Request, Roster};
use bully_host::names::Names;
use bully_host::net::{Poll, Ready, Tcp, TcpConfig};
use bully_host::pickle::message::{self, Keyed};
use bully_host::pickle::writer::{self, Forms};
use bully_host::pickle::{Limits, Reader};

use crate::stage::{EXCHANGES, Stage, Wire, list};

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Sets the stage for so many calls; then each does the work once, and returns what came of it.
    pub(crate) set: fn(calls: usize) -> Work,
    /// What each call must return.
    pub(crate) outcome: usize,
}

/// The work of a case.
pub(crate) type Work = Box<dyn FnMut() -> usize>;

/// As many members as the lists of the greater cases have.
const MANY: usize = 1_000;

/// As many as a chip's list has.
const FEW: usize = 32;

/// As many as a broadcast reaches.
const AUDIENCE: usize = 100;

/// As many as are asked at once: a quarter of the connections is kept for others.
const ASKED: usize = EXCHANGES - EXCHANGES / 4;

/// All of them. The names are those in `counts.txt`.
pub(crate) const CASES: [Case; 22] = [
    case("decode JOIN", |_| decode_join(), 1),
    case(
        "decode ELECTION of 1000 by address",
        |_| decode(Keyed::Address),
        MANY,
    ),
    case(
        "decode ELECTION of 1000 by pid",
        |_| decode(Keyed::Pid),
        MANY,
    ),
    case(
        "encode ELECTION of 1000 by address",
        |_| encode(Keyed::Address),
        1,
    ),
    case("encode ELECTION of 1000 by pid", |_| encode(Keyed::Pid), 1),
    case("merge a known list of 1000", |_| merge_known(false), MANY),
    case(
        "merge a known list of 1000, recorded",
        |_| merge_known(true),
        MANY,
    ),
    case("merge 500 unknown into 500", merge_unknown, MANY),
    case("poll 1000 members, idle", |_| idle(false), 0),
    case("poll 1000 members, idle, recorded", |_| idle(true), 0),
    case("poll 1000 members, PROBE answered", |_| probed(false), 1),
    case(
        "poll 1000 members, PROBE answered, recorded",
        |_| probed(true),
        1,
    ),
    case(
        "poll 1000 members, election joined",
        |_| elects(false),
        1 + ASKED,
    ),
    case(
        "poll 1000 members, election joined, recorded",
        |_| elects(true),
        1 + ASKED,
    ),
    case(
        "broadcast COORDINATOR to 100",
        |_| broadcast(false),
        AUDIENCE,
    ),
    case(
        "broadcast COORDINATOR to 100, recorded",
        |_| broadcast(true),
        AUDIENCE,
    ),
    case("coordinator of 1000, JOIN answered", |_| joined(), 1),
    case("chip, encode a list of 32", |_| chip_encode(), 1),
    case("chip, decode a list of 32", |_| chip_decode(), FEW),
    case("chip, encode PING", |_| chip_ping(), 1),
    case("tcp, PROBE and OK, 100 times", |_| tcp_probes(), PROBES),
    case(
        "tcp, the same ELECTION of 1000 and OK",
        |_| tcp_election(),
        MANY,
    ),
];

const fn case(name: &'static str, set: fn(usize) -> Work, outcome: usize) -> Case {
    Case { name, set, outcome }
}

/// So many members of a lab on one machine, ascending: by days, which many share, then by id. Their
/// addresses come in another order.
fn members(count: usize) -> &'static [Member] {
    let localhost = u64::from(u32::from_be_bytes([127, 0, 0, 1]));
    let mut members: Vec<_> = (0..count as u32)
        .map(|number| Member {
            pid: Pid {
                // 97 has no factor in common with 365: a year passes before days repeat.
                days: 1 + 97 * number % 365,
                id: 1_000_001 + number,
            },
            addr: Addr(localhost << 16 | u64::from(10_000 + number)),
        })
        .collect();
    members.sort_unstable();
    members.leak()
}

fn write(bytes: &mut Vec<u8>, request: &Request<'_>, keyed: Keyed) {
    let forms = Forms {
        keyed,
        ..Forms::default()
    };
    bytes.clear();
    writer::request(bytes, request, &forms, &Names::new());
}

/// The bytes of an ELECTION, and those of one with another member in the place of the last: read in
/// turns, so that nothing learned of the one helps with the other.
fn elections(keyed: Keyed) -> [Vec<u8>; 2] {
    let one = members(MANY);
    let mut two = one.to_vec();
    two[MANY - 1].pid.id += MANY as u32;
    [one, two.leak()].map(|members| {
        let mut bytes = Vec::new();
        write(&mut bytes, &Request::Election(list(members)), keyed);
        bytes
    })
}

fn decode(keyed: Keyed) -> Work {
    let mut messages = elections(keyed);
    let mut reader = Reader::new(Limits::default());
    let mut names = Names::new();
    let mut members = Vec::new();
    Box::new(move || {
        messages.swap(0, 1);
        reader.clear();
        let whole = reader.push(&messages[0]).is_ok();
        let received = message::request(&reader, &mut names, &mut members);
        let roster = Roster::sorted(&mut members);
        let understood = whole && matches!(received, message::Received::Election(_));
        if understood { roster.len() } else { 0 }
    })
}

fn decode_join() -> Work {
    let me = members(1)[0];
    let mut bytes = Vec::new();
    write(&mut bytes, &Request::Join(me), Keyed::Address);
    let mut reader = Reader::new(Limits::default());
    let mut names = Names::new();
    let mut members = Vec::new();
    Box::new(move || {
        reader.clear();
        let whole = reader.push(&bytes).is_ok();
        let received = message::request(&reader, &mut names, &mut members);
        usize::from(whole && received == message::Received::Join(me))
    })
}

fn encode(keyed: Keyed) -> Work {
    let request = Request::Election(list(members(MANY)));
    let [written, _] = elections(keyed);
    let mut bytes = Vec::new();
    Box::new(move || {
        write(&mut bytes, &request, keyed);
        usize::from(bytes.len() == written.len())
    })
}

/// One in the middle receives COORDINATOR with the list of all, whom it knows.
fn merge_known(recorded: bool) -> Work {
    let all = members(MANY);
    let mut stage = Stage::<1_024>::settled(all, all[MANY / 2]).recorded(recorded);
    Box::new(move || {
        stage.receive(Request::Coordinator(list(all)));
        stage.pass();
        stage.node.roster().len()
    })
}

/// One that knows every other member receives COORDINATOR with the list of those between them, who are
/// lesser than its leader.
fn merge_unknown(calls: usize) -> Work {
    let all = members(MANY);
    let known: Vec<_> = all.iter().copied().skip(1).step_by(2).collect();
    let unknown: Vec<_> = all.iter().copied().step_by(2).collect();
    let (known, unknown): (&[_], &[_]) = (known.leak(), unknown.leak());
    let me = known[MANY / 4];
    let mut stages: Vec<_> = (0..calls)
        .map(|_| Stage::<1_024>::trusting(known, me))
        .collect();
    let mut at = 0;
    Box::new(move || {
        let stage = &mut stages[at];
        at += 1;
        stage.receive(Request::Coordinator(list(unknown)));
        stage.node.roster().len()
    })
}

fn idle(recorded: bool) -> Work {
    let all = members(MANY);
    let mut stage = Stage::<1_024>::settled(all, all[MANY / 2]).recorded(recorded);
    Box::new(move || {
        let event = black_box(&mut stage).poll();
        let at = stage.node.poll_at();
        usize::from(event.is_some() || at.is_some_and(|at| at <= stage.now))
    })
}

fn probed(recorded: bool) -> Work {
    let all = members(MANY);
    let mut leader = Stage::<1_024>::settled(all, all[MANY - 1]).recorded(recorded);
    Box::new(move || {
        leader.net.answered = 0;
        leader.receive(Request::Probe(Roster::EMPTY));
        leader.net.answered
    })
}

/// One in the middle receives ELECTION, answers it, asks as many of those above it as it has
/// connections for, is answered, and receives COORDINATOR.
fn elects(recorded: bool) -> Work {
    let all = members(MANY);
    let mut stage = Stage::<1_024>::settled(all, all[MANY / 2]).recorded(recorded);
    Box::new(move || {
        (stage.net.answered, stage.net.opened) = (0, 0);
        stage.receive(Request::Election(list(all)));
        stage.receive(Request::Coordinator(list(all)));
        stage.pass();
        stage.net.answered + stage.net.opened
    })
}

/// The greatest receives ELECTION, wins at once, and announces itself to everyone.
fn broadcast(recorded: bool) -> Work {
    let all = members(AUDIENCE + 1);
    let mut leader = Stage::<128>::settled(all, all[AUDIENCE]).recorded(recorded);
    Box::new(move || {
        leader.net.opened = 0;
        leader.receive(Request::Election(list(all)));
        let announced = leader.net.opened;
        leader.pass();
        announced
    })
}

/// One that joined long ago joins again.
fn joined() -> Work {
    let all = members(MANY);
    let mut directory = Box::new(Directory::<1_024, EXCHANGES>::new());
    let mut net = Wire::default();
    let mut join = move |member| {
        net.answered = 0;
        net.push(Request::Join(member));
        while !net.is_quiet() {
            directory.poll(bully::Instant::ZERO, &mut net);
        }
        net.answered
    };
    for member in all {
        join(*member);
    }
    Box::new(move || join(all[MANY / 2]))
}

/// A frame with a list that the other end has not, and the list: by turns two, which differ in
/// revision.
fn chip_frames() -> [Frame<'static>; 2] {
    let members = members(FEW);
    [1, 2].map(|revision| {
        let roster = Roster::new(members)
            .expect("they ascend")
            .with_revision(revision);
        let to = members[0].addr;
        Frame::Open(Exchange(3), to, Request::Election(roster))
    })
}

const SESSION: u8 = 7;

fn chip_encode() -> Work {
    let mut frames = chip_frames();
    let mut encoder = Encoder::new();
    encoder.begin(SESSION);
    let mut bytes = [0; wire::message_max(FEW)];
    Box::new(move || {
        frames.swap(0, 1);
        let length = encoder.encode(&frames[0], &mut bytes).unwrap_or(0);
        // The list too: a byte for each member at least.
        usize::from(length > FEW)
    })
}

fn chip_ping() -> Work {
    let mut encoder = Encoder::new();
    encoder.begin(SESSION);
    let mut bytes = [0; wire::FRAME_SHORT_MAX];
    Box::new(move || {
        let length = encoder.encode(black_box(&Frame::Ping), &mut bytes);
        usize::from(length.is_ok())
    })
}

fn chip_decode() -> Work {
    let frames = chip_frames();
    let mut encoder = Encoder::new();
    let mut bytes = [0; wire::message_max(FEW)];
    let nobody = members(1)[0];
    let buffers = (vec![0; wire::message_max(FEW)], vec![nobody; 2 * FEW]);
    let mut decoder = Decoder::new(buffers.0.leak(), buffers.1.leak());
    encoder.begin(SESSION);
    let length = encoder.encode(&frames[0], &mut bytes).unwrap_or(0);
    Box::new(move || {
        // The same bytes each time are the first of a session each time.
        decoder.begin(SESSION);
        let mut members = 0;
        for byte in &bytes[..length] {
            if decoder.push(*byte) == Some(Received::Frame)
                && let Some(Frame::Open(_, _, Request::Election(roster))) = decoder.frame()
            {
                members = roster.len();
            }
        }
        members
    })
}

/// Two `Tcp`s in one thread.
struct Pair {
    poll: Poll,
    client: Tcp,
    server: Tcp,
}

impl Pair {
    fn new() -> Self {
        let poll = Poll::new().expect("a poller");
        let tcp = |owner| Tcp::bind(&poll, owner, TcpConfig::default()).expect("a socket");
        let (client, server) = (tcp(0), tcp(1));
        Self {
            poll,
            client,
            server,
        }
    }

    /// The client sends this and is answered OK; how many members the server receives.
    fn exchange(&mut self, request: Request<'_>) -> usize {
        let to = self.server.addr();
        self.client.open(to, request).expect("there is room");
        let (mut received, mut answered) = (0, false);
        let (mut client_over, mut server_over) = (false, false);
        while !(client_over && server_over) {
            while let Some((exchange, incoming)) = self.client.recv() {
                match incoming {
                    Incoming::Reply(Reply::Ok(_)) => answered = true,
                    Incoming::Done | Incoming::Gone(_) => {}
                    _ => continue,
                }
                self.client.close(exchange);
                client_over = true;
            }
            while let Some((exchange, incoming)) = self.server.recv() {
                match incoming {
                    Incoming::Request(Request::Election(roster)) => received = roster.len(),
                    Incoming::Request(_) => received = 1,
                    Incoming::Done | Incoming::Gone(_) => {
                        self.server.close(exchange);
                        server_over = true;
                        continue;
                    }
                    _ => continue,
                }
                self.server.reply(exchange, Reply::Ok(Roster::EMPTY));
            }
            if client_over && server_over {
                break;
            }
            let until = [self.client.until(None), self.server.until(None)];
            let (client, server) = (&mut self.client, &mut self.server);
            let announced = |ready: Ready| match ready.owner {
                0 => client.ready(ready),
                _ => server.ready(ready),
            };
            let waited = self.poll.wait(until.into_iter().flatten().min(), announced);
            waited.expect("the poller waits");
        }
        if answered { received } else { 0 }
    }
}

/// So many that the kernel's timing counts for less than 1 %: one alone differs by a quarter from run to
/// run (measured).
const PROBES: usize = 100;

fn tcp_probes() -> Work {
    let mut pair = Pair::new();
    Box::new(move || {
        (0..PROBES)
            .map(|_| pair.exchange(Request::Probe(Roster::EMPTY)))
            .sum()
    })
}

/// Neither encoded nor decoded again, since it is the same each time.
fn tcp_election() -> Work {
    let all = members(MANY);
    let mut pair = Pair::new();
    Box::new(move || pair.exchange(Request::Election(list(all).with_revision(1))))
}
