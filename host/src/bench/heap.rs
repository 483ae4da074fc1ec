//! What a node and its sockets take from the heap, beside what serde-pickle takes for the same bytes.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use bully::{Config, Incoming, Instant, Member, Net as _, Node, Pid};

use super::sockets::probe_and_ok;
use super::wire::{COUNTS, election};
use crate::names::Names;
use crate::net::{LIMITS, Poll, Tcp, TcpConfig};
use crate::pickle::message::{self, Received};
use crate::pickle::{Limits, Reader};
use bully_bench::heap;
use bully_bench::{Bench, Job, Section, Trouble, cost, members};

const SERDE_PICKLE: &str = "serde-pickle";

/// How many connections at once.
const AT_ONCE: [usize; 3] = [1, 4, 16];

/// How many exchanges there are before those that are counted.
const WARM_UP: usize = 200;
const COUNTED: usize = 200;

pub(super) fn jobs() -> Vec<Job> {
    let exchanges = AT_ONCE.into_iter().map(|at_once| {
        let what = format!("{at_once} exchanges at once");
        Job::counting_heap(Section::Heap, what, move |bench| exchanges(bench, at_once))
    });
    let floods = AT_ONCE.into_iter().map(|count| {
        let what = format!("a flood of {count} connections");
        Job::counting_heap(Section::Heap, what, move |bench| flood(bench, count))
    });
    let lists = COUNTS.into_iter().map(|count| {
        let what = format!("a list of {count} members");
        Job::counting_heap(Section::Heap, what, move |bench| list(bench, count))
    });
    exchanges.chain(floods).chain(lists).collect()
}

/// A leader that is probed.
struct Leader {
    poll: Poll,
    node: Box<Node<64, 64>>,
    tcp: Tcp,
    at: SocketAddr,
}

impl Leader {
    fn new() -> Result<Self, Trouble> {
        let poll = Poll::new()?;
        let config = TcpConfig {
            exchanges: 64,
            ..TcpConfig::default()
        };
        let tcp = Tcp::bind(&poll, 0, config)?;
        let me = Member {
            pid: Pid { days: 1, id: 1 },
            addr: tcp.addr(),
        };
        Ok(Self {
            at: address(&tcp)?,
            node: Box::new(Node::new(Config::new(me))),
            poll,
            tcp,
        })
    }

    /// `at_once` exchanges, all under way together.
    fn exchange(
        &mut self,
        clients: &mut Vec<TcpStream>,
        bytes: &(Vec<u8>, Vec<u8>),
    ) -> Result<(), Trouble> {
        let (probe, ok) = bytes;
        let answered = self.node.counters().sent.ok;
        for _ in 0..clients.capacity() {
            let mut client = TcpStream::connect(self.at)?;
            client.write_all(probe)?;
            clients.push(client);
        }
        while self.node.counters().sent.ok - answered < clients.len() as u64 {
            self.turn()?;
        }
        // The last answer has been given; now it is sent as well.
        self.turn()?;
        for mut client in clients.drain(..) {
            let mut buffer = [0; 64];
            let mut got = 0;
            while got < ok.len() {
                match client.read(&mut buffer[got..ok.len()])? {
                    0 => return Err(Trouble("no OK came".to_owned())),
                    count => got += count,
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Trouble> {
        let now = self.poll.clock().now();
        while self.node.poll(now, &mut self.tcp).is_some() {}
        // Never longer than a moment, whatever is awaited: the caller may be done.
        let moment = now + Duration::from_millis(1);
        let until = self.tcp.until(self.node.poll_at()).unwrap_or(moment);
        let tcp = &mut self.tcp;
        self.poll
            .wait(Some(until.min(moment)), |ready| tcp.ready(ready))?;
        Ok(())
    }
}

fn address(tcp: &Tcp) -> Result<SocketAddr, Trouble> {
    let at = tcp.names().endpoint(tcp.addr());
    at.ok_or_else(|| Trouble("no address to connect to".to_owned()))
}

fn exchanges(bench: &mut Bench, at_once: usize) -> Result<(), Trouble> {
    let mut leader = Leader::new()?;
    let bytes = probe_and_ok();
    let mut clients = Vec::with_capacity(at_once);
    for _ in 0..WARM_UP {
        leader.exchange(&mut clients, &bytes)?;
    }
    let mut outcome = Ok(());
    let ours = heap::measure(|| {
        outcome = (0..COUNTED).try_for_each(|_| leader.exchange(&mut clients, &bytes));
    })?;
    outcome?;
    let ours = ours.allocations as f64 / (COUNTED * at_once) as f64;
    let mut understood = false;
    let other = heap::measure(|| {
        let probe = serde_pickle::from_slice::<(String, ())>(&bytes.0, Default::default());
        let ok = serde_pickle::to_vec(&"OK", Default::default());
        understood = probe.is_ok() && ok.is_ok();
    })?;
    if !understood {
        return Err(Trouble("serde-pickle does not read a PROBE".to_owned()));
    }
    bench.add(
        (Section::Heap, "allocations of an exchange", at_once),
        ours,
        (SERDE_PICKLE, other.allocations as f64),
        cost("allocations"),
    );
    Ok(())
}

/// What it takes to read one list, from nothing.
fn list(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let message = election(&members(count));
    let mut message_read = None;
    let ours = heap::measure(|| {
        let mut reader = Reader::new(Limits::default());
        let whole = reader.push(&message);
        let (mut names, mut members) = (Names::new(), Vec::new());
        let request = message::request(&reader, &mut names, &mut members);
        message_read = whole.is_ok().then_some((request, members.len()));
    })?;
    if !matches!(message_read, Some((Received::Election(_), listed)) if listed == count) {
        return Err(Trouble("our own message is not understood".to_owned()));
    }
    let mut understood = Ok(());
    let other = heap::measure(|| {
        understood = serde_pickle::value_from_slice(&message, Default::default()).map(drop);
    })?;
    understood.map_err(|error| Trouble(format!("serde-pickle does not read it: {error}")))?;
    let each = |peak: u64| peak as f64 / count as f64;
    bench.add(
        (Section::Heap, "peak of reading a list", count),
        each(ours.peak),
        (SERDE_PICKLE, each(other.peak)),
        cost("bytes/member"),
    );
    Ok(())
}

/// A message of the greatest size that is accepted, up to the last byte but two: as many values as it
/// may have, and then long texts, no two the same.
fn greatest() -> Vec<u8> {
    const MARK: u8 = b'(';
    const NONE: u8 = b'N';
    const BINUNICODE: u8 = b'X';
    let mut message = vec![0x80, 2, MARK];
    let texts = LIMITS.bytes / (LIMITS.text + 5);
    message.resize(LIMITS.values - texts, NONE);
    while message.len() + 5 + LIMITS.text + 2 <= LIMITS.bytes {
        message.push(BINUNICODE);
        message.extend((LIMITS.text as u32).to_le_bytes());
        let end = message.len() + LIMITS.text;
        message.extend(end.to_string().bytes());
        message.resize(end, b'.');
    }
    message
}

/// Everybody sends the greatest message there can be, all but its end.
fn flood(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let mut message = greatest();
    let mut poll = Poll::new()?;
    let config = TcpConfig {
        exchanges: count,
        ..TcpConfig::default()
    };
    let mut tcp = Tcp::bind(&poll, 0, config)?;
    let at = address(&tcp)?;
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let client = TcpStream::connect(at)?;
        client.set_nonblocking(true)?;
        clients.push((client, message.as_slice()));
    }
    let mut outcome = Ok(());
    let ours = heap::measure(|| outcome = pour(&mut poll, &mut tcp, &mut clients))?;
    outcome?;
    drop((clients, tcp));

    // TUPLE and STOP.
    message.extend(b"t.");
    let mut understood = Ok(());
    let other = heap::measure(|| {
        understood = serde_pickle::value_from_slice(&message, Default::default()).map(drop);
    })?;
    understood.map_err(|error| Trouble(format!("serde-pickle does not read it: {error}")))?;
    bench.add(
        (Section::Heap, "peak of a flood", count),
        ours.peak as f64 / count as f64,
        (SERDE_PICKLE, other.peak as f64),
        cost("bytes/connection"),
    );
    Ok(())
}

/// Pours all of the clients' bytes into `tcp`.
fn pour(poll: &mut Poll, tcp: &mut Tcp, clients: &mut [(TcpStream, &[u8])]) -> Result<(), Trouble> {
    loop {
        let mut poured = false;
        for (client, rest) in &mut *clients {
            match client.write(rest) {
                Ok(count) => {
                    poured |= count > 0;
                    *rest = &rest[count..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        while let Some((_, incoming)) = tcp.recv() {
            if incoming != Incoming::Accepted {
                return Err(Trouble(format!("a message was refused: {incoming:?}")));
            }
        }
        let soon = poll.clock().now() + Duration::from_millis(20);
        let until = if tcp.pending() { Instant::ZERO } else { soon };
        let mut has_input = tcp.pending();
        poll.wait(Some(until), |ready| {
            has_input = true;
            tcp.ready(ready);
        })?;
        // Nothing comes any more though all has been given.
        if !has_input && !poured && clients.iter().all(|(_, rest)| rest.is_empty()) {
            return Ok(());
        }
    }
}
