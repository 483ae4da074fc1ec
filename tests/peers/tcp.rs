//! The rules of connections, over real ones.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::thread;
use std::time::Instant;

use bully::{Exchange, Gone, Incoming, Net, Reply, Request, Roster};
use bully_host::net::{Note, Poll, Tcp, TcpConfig};
use bully_host::pickle::writer::Forms;
use bully_tests::process::{LIMIT, Process, free_port};

use crate::client::{self, connect, probe};
use crate::party::{Party, pid};

/// A [`Tcp`] and the place where it waits, driven by the test itself.
struct Line {
    poll: Poll,
    tcp: Tcp,
}

/// What a [`Line`] received, without the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    Accepted,
    Sent,
    Request,
    Reply,
    Done,
    Gone(Gone),
}

impl Line {
    fn open() -> Self {
        let poll = Poll::new().expect("the system has one");
        let config = TcpConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            exchanges: 64,
            forms: Forms::default(),
            keyed: None,
            local_only: false,
        };
        let tcp = Tcp::bind(&poll, 0, config).expect("some port is free");
        Self { poll, tcp }
    }

    fn port(&self) -> u16 {
        bully_host::names::port(self.tcp.addr())
    }

    fn reported(&mut self) -> Option<(Exchange, Reported)> {
        let (exchange, incoming) = self.tcp.recv()?;
        let reported = match incoming {
            Incoming::Accepted => Reported::Accepted,
            Incoming::Sent => Reported::Sent,
            Incoming::Request(_) | Incoming::Unfit(_) => Reported::Request,
            Incoming::Reply(_) => Reported::Reply,
            Incoming::Done => Reported::Done,
            Incoming::Gone(gone) => Reported::Gone(gone),
        };
        Some((exchange, reported))
    }

    /// Waits for readiness, for a short while.
    fn wait(&mut self) {
        let soon = self.poll.clock().now() + Duration::from_millis(10);
        let until = self.tcp.until(Some(soon));
        let tcp = &mut self.tcp;
        self.poll
            .wait(until, |ready| tcp.ready(ready))
            .expect("the system lets us wait");
    }

    /// The next that is reported.
    fn next(&mut self) -> (Exchange, Reported) {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(reported) = self.reported() {
                return reported;
            }
            assert!(Instant::now() < until, "nothing is reported");
            self.wait();
        }
    }

    /// Goes on for a while, and expects no report.
    fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            assert_eq!(self.reported(), None);
            self.wait();
        }
    }
}

/// What the system says of a port that is bound by somebody without regard for others.
fn bind_alone(port: u16) -> std::io::Result<()> {
    // std shares ports with connections of the past, which is not the question here: whoever is
    // bound and does not listen would look like one.
    rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .and_then(|socket| rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    .map_err(std::io::Error::from)
}

/// An answer is whole as soon as there is any of it.
#[test]
fn answers_come_in_one_piece() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    for number in 0..40 {
        // A list long enough that nobody would write it at once by chance.
        let address = ("127.0.0.1", 20_000 + i64::from(number));
        client::ask(party.gcd_port, &client::join(pid(1 + number), address)).expect("it answers");
    }
    let node = party.node(300, &["--ok", "members"]).joined();
    for _ in 0..50 {
        let mut stream = connect(node.port()).expect("it listens");
        stream.write_all(&probe()).expect("it reads");
        let mut answer = [0; 65_536];
        let count = stream.read(&mut answer).expect("it answers");
        assert!(count > 40 * 10, "{count} bytes");
        let answer = client::unpickled(&answer[..count]);
        assert!(matches!(answer, serde_pickle::Value::Tuple(_)), "{answer}");
    }
}

/// We shut our half and let the peer finish: it sees the end, and may still write.
#[test]
fn closing_does_not_reset_the_peer() {
    let mut line = Line::open();
    let mut peer = connect(line.port()).expect("it listens");
    let message = client::coordinator(pid(1), 1);
    peer.write_all(&message).expect("there is room");
    let (exchange, reported) = line.next();
    assert_eq!(reported, Reported::Accepted);
    assert_eq!(line.next(), (exchange, Reported::Request));
    line.tcp.close(exchange);

    let mut reading = peer.try_clone().expect("the system can");
    let reader = thread::spawn(move || {
        let mut rest = Vec::new();
        reading.read_to_end(&mut rest).map(|_| rest)
    });
    while !reader.is_finished() {
        line.rest(Duration::from_millis(10));
    }
    let rest = reader.join().expect("it does not panic");
    assert!(rest.expect("an end, not a reset").is_empty());
    for _ in 0..5 {
        peer.write_all(&message).expect("nobody has reset it");
        line.rest(Duration::from_millis(20));
    }
    let error = peer.take_error().expect("it can be asked");
    assert!(error.is_none(), "{error:?}");
}

/// The same after an answer, with more in the pipe than was ever read.
#[test]
fn answers_survive_what_was_not_read() {
    let mut line = Line::open();
    let mut peer = connect(line.port()).expect("it listens");
    let messages = [probe(), vec![b'x'; 100_000]].concat();
    peer.write_all(&messages).expect("there is room");
    let (exchange, _) = line.next();
    assert_eq!(line.next(), (exchange, Reported::Request));
    line.tcp.reply(exchange, Reply::Ok(Roster::EMPTY));
    assert_eq!(line.next(), (exchange, Reported::Sent));
    while let Some((_, reported)) = line.reported() {
        assert_eq!(reported, Reported::Done);
    }
    line.tcp.close(exchange);
    let reader = thread::spawn(move || {
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).map(|_| answer)
    });
    while !reader.is_finished() {
        line.rest(Duration::from_millis(10));
    }
    let answer = reader.join().expect("it does not panic");
    let answer = answer.expect("an end, not a reset that takes the answer with it");
    client::assert_ok(&answer);
}

/// Closed, the listener refuses and keeps its port; open again, it accepts at the same one.
#[test]
fn listener_keeps_its_port() {
    let mut line = Line::open();
    let port = line.port();
    for _ in 0..3 {
        line.tcp.set_listening(false);
        let refused = connect(port).expect_err("the listener is closed");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let taken = bind_alone(port).expect_err("the port is kept");
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        line.rest(Duration::from_millis(20));

        line.tcp.set_listening(true);
        let mut peer = connect(port).expect("the listener is open");
        peer.write_all(&probe()).expect("there is room");
        let (exchange, reported) = line.next();
        assert_eq!(reported, Reported::Accepted);
        assert_eq!(line.next(), (exchange, Reported::Request));
        line.tcp.close(exchange);
    }
    assert_eq!(line.tcp.note(), None);
}

/// Who had connected before the listener was closed is still served.
#[test]
fn connections_outlive_the_listener() {
    let mut line = Line::open();
    let mut peer = connect(line.port()).expect("it listens");
    let (exchange, reported) = line.next();
    assert_eq!(reported, Reported::Accepted);
    line.tcp.set_listening(false);
    peer.write_all(&probe()).expect("there is room");
    assert_eq!(line.next(), (exchange, Reported::Request));
    line.tcp.reply(exchange, Reply::Ok(Roster::EMPTY));
    assert_eq!(line.next(), (exchange, Reported::Sent));
    let mut answer = [0; 100];
    let count = peer.read(&mut answer).expect("it answers");
    client::assert_ok(&answer[..count]);
}

/// A member that listens on loopback could be reached by nobody elsewhere, and does not follow
/// addresses that unknown members name.
#[test]
fn a_loopback_listener_connects_to_loopback_only() {
    let mut line = Line::open();
    let mut opened = |host: &str, port| {
        let addr = line.tcp.names_mut().addr(host, port).expect("a name");
        let probe = Request::Probe(Roster::EMPTY);
        let exchange = line.tcp.open(addr, probe).expect("there is room");
        let reported = line.next();
        line.tcp.close(exchange);
        assert_eq!(reported.0, exchange);
        (addr, reported.1)
    };
    for _ in 0..3 {
        for host in ["10.0.0.1", "192.0.2.7", "::2"] {
            assert_eq!(opened(host, 5).1, Reported::Gone(Gone::Refused), "{host}");
        }
    }
    let (here, _) = opened("127.0.0.2", free_port());
    let notes: Vec<_> = core::iter::from_fn(|| line.tcp.note()).collect();
    assert_eq!(notes.len(), 3, "once for each: {notes:?}");
    for note in notes {
        assert!(
            matches!(&note, Note::Unreachable { to, why } if *to != here && why.contains("--bind")),
            "{note:?}"
        );
    }
    assert_eq!(line.tcp.counters().unreachable, 9);
}

/// More connections than slots: the others wait in the backlog, and are accepted as slots get free.
#[test]
fn a_thousand_connections_at_once() {
    const CONNECTIONS: usize = 1_000;
    // The system's own queue holds as many again.
    const DESCRIPTORS_MAX: usize = 64 + 4 + 64 + 12;
    allow_descriptors(u64::try_from(CONNECTIONS).unwrap_or(0) + 1_000);
    let party = Party::theirs(&[]);
    let node = party.node(300, &[]).joined();
    let peer = party.peer(200, &[]);
    party.agree(&[&node, &peer], 300);
    let crowd: Vec<_> = (0..CONNECTIONS)
        .map(|_| connect(node.port()).expect("it listens"))
        .collect();
    node.assert_answers();
    let open = descriptors(&node.process);
    assert!(open <= DESCRIPTORS_MAX, "{open} descriptors");
    peer.assert_alive();
    // Whoever of them speaks up is answered, unless it has given way meanwhile.
    let mut answered = 0;
    for mut stream in crowd {
        let mut answer = Vec::new();
        let asked = stream.write_all(&probe());
        if asked.and_then(|()| stream.read_to_end(&mut answer)).is_ok() && !answer.is_empty() {
            client::assert_ok(&answer);
            answered += 1;
        }
    }
    assert!(answered >= 1, "nobody was answered");
    node.assert_answers();
    party.agree(&[&node, &peer], 300);
}

/// Raises the limit of this process, which is on the other end of every connection.
pub(crate) fn allow_descriptors(wanted: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        setrlimit(Resource::Nofile, limit).expect("up to the maximum it may be raised");
    }
}

pub(crate) fn descriptors(process: &Process) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id()));
    open.map_or(0, Iterator::count)
}
