//! Many members in one process: what they may begin, and what the system has for them.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use bully::{Addr, Exchange, Full, Incoming, Net as _, Reply, Request, Roster};
use bully_host::names;
use bully_host::net::{Poll, Tcp, TcpConfig};
use bully_tests::process::LIMIT;

use crate::client::{pickled, probe};
use crate::tcp::allow_descriptors;

fn member(poll: &Poll, owner: usize) -> Tcp {
    let config = TcpConfig {
        exchanges: 2_000,
        ..TcpConfig::default()
    };
    Tcp::bind(poll, owner, config).expect("some port is free")
}

/// Begins a PROBE to `to`.
fn begin(tcp: &mut Tcp, to: Addr) -> Result<Exchange, Full> {
    tcp.open(to, Request::Probe(Roster::EMPTY))
}

/// With 5,000 messages under way at once, a thousand members on a busy machine never agreed: none of
/// them was answered in time.
#[test]
fn members_that_share_a_processor_have_few_messages_under_way() {
    let mut poll = Poll::new().expect("the system has one");
    poll.share_processor();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let port = silent.local_addr().expect("it is bound").port();
    let (mut busy, mut other) = (member(&poll, 0), member(&poll, 1));
    let to = busy.names_mut().addr("127.0.0.1", port);
    let to = to.expect("it is an address");
    assert_eq!(other.names_mut().addr("127.0.0.1", port), Some(to));
    let started: Vec<_> = core::iter::from_fn(|| begin(&mut busy, to).ok()).collect();
    assert!(started.len() < 200, "{} at once", started.len());
    // Whoever has none is not kept out by that, and may have one.
    let first = begin(&mut other, to).expect("it has no other");
    assert_eq!(begin(&mut other, to), Err(Full));
    other.close(first);
    assert_eq!(begin(&mut busy, to), Err(Full));
    // What is over leaves its place to another.
    for exchange in &started[..10] {
        busy.close(*exchange);
    }
    let again = core::iter::from_fn(|| begin(&mut busy, to).ok());
    assert_eq!(again.count(), 10);
    // Whoever is silent for long does not count any more.
    let until = Instant::now() + LIMIT;
    while begin(&mut busy, to).is_err() {
        assert!(
            Instant::now() < until,
            "it is kept from ever beginning another"
        );
        let soon = poll.clock().now() + Duration::from_millis(50);
        poll.wait(Some(soon), |ready| match ready.owner {
            0 => busy.ready(ready),
            _ => other.ready(ready),
        })
        .expect("the system lets us wait");
    }
}

/// A wait reported 1,024 sockets at most, and then the time went on as if all had been.
#[test]
fn a_wait_reports_every_socket_that_is_ready() {
    const CONNECTIONS: usize = 1_100;
    allow_descriptors(2_400);
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if allowed.is_some_and(|allowed| allowed < 2_400) {
        eprintln!("left out: it takes 2,400 open files, and the system allows {allowed:?}");
        return;
    }
    let mut poll = Poll::new().expect("the system has one");
    let mut tcp = member(&poll, 0);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, names::port(tcp.addr())));
    let mut streams = Vec::new();
    let mut accepted = 0;
    let until = Instant::now() + LIMIT;
    while accepted < CONNECTIONS {
        assert!(Instant::now() < until, "{accepted} accepted");
        if streams.len() < CONNECTIONS {
            streams.push(TcpStream::connect(at).expect("the system accepts for it"));
        }
        let now = poll.clock().now();
        poll.wait(Some(now), |ready| tcp.ready(ready))
            .expect("the system lets us wait");
        while tcp.recv().is_some() {
            accepted += 1;
        }
    }
    let message = probe();
    for stream in &mut streams {
        stream.write_all(&message).expect("it is connected");
    }
    let mut ready = 0;
    let now = poll.clock().now();
    poll.wait(Some(now), |_| ready += 1)
        .expect("the system lets us wait");
    assert_eq!(ready, CONNECTIONS);
}

/// Once connections have come one at a time, one is accepted and the poller is asked for more.
#[test]
fn a_crowd_is_accepted_after_connections_that_came_alone() {
    let mut poll = Poll::new().expect("the system has one");
    let mut tcp = member(&poll, 0);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, names::port(tcp.addr())));
    let mut streams = Vec::new();
    let mut accepted = 0;
    for together in [1, 1, 1, 20, 1, 1, 2, 30] {
        for _ in 0..together {
            streams.push(TcpStream::connect(at).expect("the system accepts for it"));
        }
        let until = Instant::now() + LIMIT;
        while accepted < streams.len() {
            assert!(Instant::now() < until, "{accepted} of {}", streams.len());
            let soon = poll.clock().now() + Duration::from_millis(50);
            poll.wait(tcp.until(Some(soon)), |ready| tcp.ready(ready))
                .expect("the system lets us wait");
            while tcp.recv().is_some() {
                accepted += 1;
            }
        }
    }
}

/// A process may be stopped between a message and the next wait. An answer that has come meanwhile is
/// read before it counts as late, though the poller has not been asked to report it.
#[test]
fn an_answer_that_came_while_the_process_was_held_up_is_reported_as_the_time_goes_on() {
    const HELD_UP: Duration = Duration::from_millis(300);
    let mut poll = Poll::new().expect("the system has one");
    let (mut asking, _other) = (member(&poll, 0), member(&poll, 1));
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let port = peer.local_addr().expect("it is bound").port();
    let to = asking.names_mut().addr("127.0.0.1", port);
    begin(&mut asking, to.expect("it is an address")).expect("it has no other");
    // The handshake is over at once, or it takes some waits.
    let until = Instant::now() + LIMIT;
    while !matches!(asking.recv(), Some((_, Incoming::Sent))) {
        assert!(Instant::now() < until, "it is never sent");
        let soon = poll.clock().now() + Duration::from_millis(10);
        poll.wait(asking.until(Some(soon)), |ready| asking.ready(ready))
            .expect("the system lets us wait");
    }
    let answering = thread::spawn(move || {
        let (mut stream, _) = peer.accept().expect("somebody has connected");
        let mut message = [0; 1_024];
        let received = stream.read(&mut message).expect("a message comes");
        assert!(received > 0);
        stream.write_all(&pickled(&"OK")).expect("it is connected");
    });
    answering.join().expect("it answers");
    let before = asking.now();
    thread::sleep(HELD_UP);
    let now = poll.clock().now();
    poll.wait(Some(now), |ready| asking.ready(ready))
        .expect("the system lets us wait");
    assert!(asking.now().since(before) >= HELD_UP, "the time goes on");
    let reported = asking.recv().map(|(_, incoming)| incoming);
    assert!(
        matches!(reported, Some(Incoming::Reply(Reply::Ok(_)))),
        "{reported:?}"
    );
}
