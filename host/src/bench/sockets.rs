//! Connections of `Tcp`, beside std's blocking sockets on the same loopback.
//!
//! Both ends are in one thread each time, and so on one core: the system lets a connection begin
//! before it is accepted. An exchange is a PROBE and its OK on a connection of their own, the same
//! bytes on both sides. With n of them at once `Tcp` is handed that many and waits for all; the
//! blocking loop has one at a time, for it can have no more.

use core::hint::black_box;
use core::net::SocketAddr;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use bully::{Exchange, Incoming, Instant as CoreInstant, Net, Origin, Pid, Reply, Request, Roster};

use super::wire::{Plain, election, serde_plain};
use crate::names::Names;
use crate::net::{Poll, Tcp, TcpConfig};
use crate::pickle::writer::{self, Forms};
use bully_bench::heap;
use bully_bench::measure::{Contender, steady_duel};
use bully_bench::{Bench, Job, Section, Trouble, cost, members, rate};

/// How many exchanges are under way at once.
const AT_ONCE: [usize; 3] = [1, 16, 64];

/// How many connections to hold. Each takes two descriptors here, one for each end.
const HELD: [usize; 2] = [100, 1_000];

/// How many members a leader announces itself to, who are also those in the list.
const BROADCAST: [usize; 2] = [100, 1_000];

const BARE: &str = "blocking TcpStream";

pub(super) fn jobs(quick: bool) -> Vec<Job> {
    let few = if quick { 1 } else { 2 };
    let exchanges = AT_ONCE.into_iter().map(|at_once| {
        let what = format!("{at_once} exchanges at once");
        Job::new(Section::Sockets, what, move |bench| {
            exchanges(bench, at_once)
        })
    });
    let held = HELD.into_iter().take(few).map(|count| {
        let what = format!("{count} connections held");
        Job::new(Section::Sockets, what, move |bench| held(bench, count))
    });
    let memory = HELD.into_iter().take(few).map(|count| {
        let what = format!("memory of {count} connections");
        Job::counting_heap(Section::Sockets, what, move |bench| {
            held_memory(bench, count)
        })
    });
    let broadcasts = BROADCAST.into_iter().take(few).map(|count| {
        let what = format!("a broadcast to {count} members");
        Job::new(Section::Sockets, what, move |bench| broadcast(bench, count))
    });
    exchanges
        .chain(held)
        .chain(memory)
        .chain(broadcasts)
        .collect()
}

fn exchanges(bench: &mut Bench, at_once: usize) -> Result<(), Trouble> {
    let mut pair = Pair::new(at_once)?;
    let ours: Contender<'_> = Box::new(|times| {
        let started = Instant::now();
        pair.exchange(times, at_once)?;
        Ok(started.elapsed())
    });
    // Connections are closed some tens of milliseconds after their exchange.
    let [ours, other] = steady_duel(bench.quick, [ours, bare()?])?;
    let per_second = |nanos: f64| 1e9 / nanos;
    bench.add(
        (Section::Sockets, "exchanges", at_once),
        per_second(ours),
        (BARE, per_second(other)),
        rate("exchanges/s"),
    );
    Ok(())
}

/// Two `Tcp`s that exchange messages.
struct Pair {
    poll: Poll,
    client: Tcp,
    server: Tcp,
}

impl Pair {
    fn new(at_once: usize) -> Result<Self, Trouble> {
        let poll = Poll::new()?;
        let config = || TcpConfig {
            exchanges: at_once,
            ..TcpConfig::default()
        };
        Ok(Self {
            client: Tcp::bind(&poll, 0, config())?,
            server: Tcp::bind(&poll, 1, config())?,
            poll,
        })
    }

    fn exchange(&mut self, times: u64, at_once: usize) -> Result<(), Trouble> {
        let (mut started, mut done) = (0, 0);
        while done < times {
            while started < times && started - done < at_once as u64 {
                let probe = Request::Probe(OURS);
                if self.client.open(self.server.addr(), probe).is_err() {
                    // Until the system has room again.
                    break;
                }
                started += 1;
            }
            done += self.turn()?;
        }
        Ok(())
    }

    /// Does what there is to do, waits for more, and returns how many exchanges are over.
    fn turn(&mut self) -> Result<u64, Trouble> {
        let mut done = 0;
        loop {
            let ended = match self.client.recv() {
                Some((exchange, Incoming::Reply(Reply::Ok(_)))) => exchange,
                Some((_, Incoming::Sent)) => continue,
                Some((_, other)) => return Err(Trouble(format!("an exchange ended: {other:?}"))),
                None => break,
            };
            self.client.close(ended);
            done += 1;
        }
        loop {
            match self.server.recv() {
                Some((exchange, Incoming::Request(_))) => {
                    self.server.reply(exchange, Reply::Ok(OURS));
                }
                Some((exchange, Incoming::Done | Incoming::Gone(_))) => self.server.close(exchange),
                Some(_) => {}
                None => break,
            }
        }
        if done > 0 {
            // There are others to begin.
            return Ok(done);
        }
        let ends = [self.client.until(None), self.server.until(None)];
        let until = ends.into_iter().flatten().min();
        let (client, server) = (&mut self.client, &mut self.server);
        self.poll.wait(until, |ready| match ready.owner {
            0 => client.ready(ready),
            _ => server.ready(ready),
        })?;
        Ok(0)
    }
}

/// What a member's PROBE and OK carry beside the assignment's: which program sends it.
const OURS: Roster<'static> = Roster::EMPTY.with_origin(Some(Origin {
    pid: Pid {
        days: 100,
        id: 1_234_567,
    },
    large: false,
    leads: true,
}));

/// A PROBE and its OK, as they go over the wire to programs of any kind.
pub(super) fn probe_and_ok() -> (Vec<u8>, Vec<u8>) {
    messages(Roster::EMPTY)
}

fn messages(list: Roster<'_>) -> (Vec<u8>, Vec<u8>) {
    let (forms, names) = (Forms::default(), Names::new());
    let (mut probe, mut ok) = (Vec::new(), Vec::new());
    writer::request(&mut probe, &Request::Probe(list), &forms, &names);
    writer::reply(&mut ok, &Reply::Ok(list), &forms, &names, None);
    (probe, ok)
}

/// The same exchanges with blocking sockets, one after the other.
pub(super) fn bare() -> Result<Contender<'static>, Trouble> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let at = listener.local_addr()?;
    let (probe, ok) = messages(OURS);
    Ok(Box::new(move |times| {
        let started = Instant::now();
        for _ in 0..times {
            bare_exchange(&listener, at, &probe, &ok)?;
        }
        Ok(started.elapsed())
    }))
}

fn bare_exchange(
    listener: &TcpListener,
    at: SocketAddr,
    probe: &[u8],
    ok: &[u8],
) -> io::Result<()> {
    let mut buffer = [0; 1_024];
    let mut client = TcpStream::connect(at)?;
    client.set_nodelay(true)?;
    client.write_all(probe)?;
    let (mut server, _) = listener.accept()?;
    server.set_nodelay(true)?;
    server.read_exact(&mut buffer[..probe.len()])?;
    server.write_all(ok)?;
    client.read_exact(&mut buffer[..ok.len()])?;
    black_box(&buffer);
    Ok(())
}

/// As many silent connections as are opened.
fn held(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let ours = Holder::new(count)?.hold(count)?;
    let other = BareHolder::new(count)?.hold(count)?;
    bench.add(
        (Section::Sockets, "connections held", count),
        ours as f64,
        (BARE, other as f64),
        rate("connections"),
    );
    Ok(())
}

/// What each of them takes from the heap.
fn held_memory(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let (mut ours, mut other) = (Holder::new(count)?, BareHolder::new(count)?);
    let (mut held, mut bare_held) = (Ok(0), Ok(0));
    let ours = heap::measure(|| held = ours.hold(count))?;
    let other = heap::measure(|| bare_held = other.hold(count))?;
    if (held?, bare_held?) != (count, count) {
        return Err(Trouble("not all connections were held".to_owned()));
    }
    let each = |kept: i64| kept as f64 / count as f64;
    bench.add(
        (Section::Sockets, "memory of a connection", count),
        each(ours.kept),
        ("BufReader<TcpStream>", each(other.kept)),
        cost("bytes"),
    );
    Ok(())
}

/// A `Tcp` and who connects to it.
struct Holder {
    poll: Poll,
    server: Tcp,
    at: SocketAddr,
    clients: Vec<TcpStream>,
}

impl Holder {
    fn new(count: usize) -> Result<Self, Trouble> {
        let poll = Poll::new()?;
        let config = TcpConfig {
            exchanges: count,
            ..TcpConfig::default()
        };
        let server = Tcp::bind(&poll, 0, config)?;
        let at = server.names().endpoint(server.addr());
        Ok(Self {
            at: at.ok_or_else(|| Trouble("no address to connect to".to_owned()))?,
            clients: Vec::with_capacity(count),
            poll,
            server,
        })
    }

    /// Opens `count` connections, and returns how many were accepted.
    fn hold(&mut self, count: usize) -> Result<usize, Trouble> {
        let mut accepted = 0;
        let trouble = |accepted: usize, error: io::Error| {
            Trouble(format!("no more than {accepted} connections: {error}"))
        };
        for _ in 0..count {
            let client = TcpStream::connect(self.at).map_err(|error| trouble(accepted, error))?;
            self.clients.push(client);
            // So that the system's queue is never full.
            let server = &mut self.server;
            self.poll
                .wait(Some(CoreInstant::ZERO), |ready| server.ready(ready))
                .map_err(|error| trouble(accepted, error))?;
            while let Some((_, incoming)) = self.server.recv() {
                accepted += usize::from(incoming == Incoming::Accepted);
            }
        }
        Ok(accepted)
    }
}

/// A blocking listener and who connects to it.
struct BareHolder {
    listener: TcpListener,
    clients: Vec<TcpStream>,
    readers: Vec<BufReader<TcpStream>>,
}

impl BareHolder {
    fn new(count: usize) -> Result<Self, Trouble> {
        Ok(Self {
            listener: TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?,
            clients: Vec::with_capacity(count),
            readers: Vec::new(),
        })
    }

    /// Opens `count` connections, and returns how many were accepted.
    fn hold(&mut self, count: usize) -> Result<usize, Trouble> {
        let at = self.listener.local_addr()?;
        for _ in 0..count {
            self.clients.push(TcpStream::connect(at)?);
            let (stream, _) = self.listener.accept()?;
            self.readers.push(BufReader::new(stream));
        }
        Ok(self.readers.len())
    }
}

/// A leader announces itself to so many members: bare sockets, which count what they receive.
fn broadcast(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let all = members(count);
    let roster = Roster::new(&all).unwrap_or(Roster::EMPTY).with_revision(1);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let mut poll = Poll::new()?;
    let mut leader = Tcp::bind(&poll, 0, TcpConfig::default())?;
    let port = listener.local_addr()?.port();
    let to = leader.names_mut().addr("127.0.0.1", port);
    let to = to.ok_or_else(|| Trouble("no address to connect to".to_owned()))?;
    let encoded_before = leader.counters().encoded;
    let mut received = 0;
    let mut bytes = Vec::new();
    for _ in 0..count {
        let opened = leader.open(to, Request::Coordinator(roster));
        let exchange = opened.map_err(|full| Trouble(full.to_string()))?;
        sent(&mut poll, &mut leader, exchange)?;
        leader.close(exchange);
        let (mut member, _) = listener.accept()?;
        bytes.clear();
        received += member.read_to_end(&mut bytes)?;
    }
    let figure = |name| (Section::Sockets, name, count);
    let encodings = (leader.counters().encoded - encoded_before) as f64;
    bench.add(
        figure("encodings of a broadcast"),
        encodings,
        ("one for each member", count as f64),
        cost("encodings"),
    );
    // A COORDINATOR differs from it in the name alone, by three bytes.
    let message = election(&all);
    let (other_name, other) = match bench.python.as_mut() {
        Some(python) => {
            python.messages(&[&message])?;
            ("CPython's pickle", python.size()?)
        }
        None => {
            let plain: Plain = serde_pickle::from_slice(&message, Default::default())
                .map_err(|error| Trouble(error.to_string()))?;
            ("serde-pickle", serde_plain(&plain).len() as u64)
        }
    };
    bench.add(
        figure("bytes of a broadcast"),
        received as f64,
        (other_name, ((other + 3) * count as u64) as f64),
        cost("bytes"),
    );
    Ok(())
}

/// Waits until the message of `exchange` has been sent.
fn sent(poll: &mut Poll, tcp: &mut Tcp, exchange: Exchange) -> Result<(), Trouble> {
    loop {
        match tcp.recv() {
            Some((at, Incoming::Sent)) if at == exchange => return Ok(()),
            Some((at, incoming)) if at == exchange => {
                return Err(Trouble(format!("not sent: {incoming:?}")));
            }
            Some(_) => {}
            None => poll.wait(tcp.until(None), |ready| tcp.ready(ready))?,
        }
    }
}
