//! Who sent a message, if it is one of our own kind: it comes along or not at all.

use core::time::Duration;
use std::io::Write as _;
use std::time::Instant;

use bully::{Exchange, Incoming, Member, Net as _, Origin, Pid, Reply, Request, Roster};
use bully_host::names::{Names, port};
use bully_host::net::{Poll, Tcp, TcpConfig};
use bully_host::pickle::message::Keyed;
use bully_host::pickle::writer::{self, Forms};
use bully_tests::process::LIMIT;

use crate::client::connect;

const ORIGIN: Origin = Origin {
    pid: Pid {
        days: 300,
        id: 7_654_321,
    },
    large: true,
    leads: true,
};

struct Ends {
    poll: Poll,
    ends: [Tcp; 2],
}

/// What was received: an ELECTION's, COORDINATOR's, PROBE's or OK's list and its origin.
type Received = (usize, Option<Origin>);

impl Ends {
    fn new(keyed: Keyed) -> Self {
        let poll = Poll::new().expect("the system has one");
        let config = TcpConfig {
            forms: Forms {
                keyed,
                ..Forms::default()
            },
            keyed: Some(keyed),
            ..TcpConfig::default()
        };
        let ends =
            [0, 1].map(|owner| Tcp::bind(&poll, owner, config.clone()).expect("some port is free"));
        Self { poll, ends }
    }

    /// The next message or answer that either end receives.
    fn next(&mut self) -> (usize, Exchange, Received) {
        let until = Instant::now() + LIMIT;
        loop {
            for (at, end) in self.ends.iter_mut().enumerate() {
                while let Some((exchange, incoming)) = end.recv() {
                    match incoming {
                        Incoming::Request(
                            Request::Election(list)
                            | Request::Coordinator(list)
                            | Request::Probe(list),
                        )
                        | Incoming::Reply(Reply::Ok(list)) => {
                            return (at, exchange, (list.len(), list.origin()));
                        }
                        Incoming::Accepted | Incoming::Sent => {}
                        Incoming::Done => end.close(exchange),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert!(Instant::now() < until, "nothing comes");
            let [one, two] = &mut self.ends;
            let soon = self.poll.clock().now() + Duration::from_millis(10);
            let until = one.until(two.until(Some(soon)));
            self.poll
                .wait(until, |ready| match ready.owner {
                    0 => one.ready(ready),
                    _ => two.ready(ready),
                })
                .expect("the system lets us wait");
        }
    }
}

fn group(count: u16) -> Vec<Member> {
    let mut names = Names::new();
    let member = |n: u16| Member {
        pid: Pid {
            days: 1,
            id: 1_000_000 + u32::from(n),
        },
        addr: names.addr("127.0.0.1", 1 + n).expect("it needs no slot"),
    };
    (0..count).map(member).collect()
}

#[test]
fn it_comes_with_every_message_and_answer() {
    for keyed in [Keyed::Address, Keyed::Pid] {
        let mut ends = Ends::new(keyed);
        let members = group(20);
        let list = Roster::new(&members).expect("ascending");
        let to = ends.ends[1].addr();
        // Twice each, the second time in the bytes of the first.
        for origin in [Some(ORIGIN), None, Some(ORIGIN), Some(ORIGIN), None] {
            let list = list.with_origin(origin);
            for request in [
                Request::Election(list),
                Request::Probe(list),
                Request::Coordinator(list),
            ] {
                let opened = ends.ends[0].open(to, request).expect("there are slots");
                let (at, exchange, (_, received)) = ends.next();
                assert_eq!((at, received), (1, origin), "{request:?}");
                if matches!(request, Request::Coordinator(_)) {
                    ends.ends[0].close(opened);
                } else {
                    ends.ends[1].reply(exchange, Reply::Ok(list));
                    let (at, _, (_, received)) = ends.next();
                    assert_eq!((at, received), (0, origin), "OK to {request:?}");
                    ends.ends[0].close(opened);
                }
                ends.ends[1].close(exchange);
            }
        }
    }
}

#[test]
fn a_message_does_not_wait_for_it() {
    let members = group(5);
    let list = Roster::new(&members).expect("ascending");
    let bytes = |origin| {
        let request = Request::Election(list.with_origin(origin));
        let mut bytes = Vec::new();
        writer::request(&mut bytes, &request, &Forms::default(), &Names::new());
        bytes
    };
    let (with, without) = (bytes(Some(ORIGIN)), bytes(None));
    let mut ends = Ends::new(Keyed::Address);
    let listener = port(ends.ends[1].addr());
    // The same bytes again are recognised, and the other way of reading must not differ.
    for _ in 0..2 {
        for (first, expected) in [
            (&with[..], Some(ORIGIN)),
            (&with[..with.len() - 1], None),
            (&without, None),
            (&[&without[..], b"\x80\x04N."].concat(), None),
            (&[&without[..], &[b'x'; 3000]].concat(), None),
        ] {
            let mut peer = connect(listener).expect("it listens");
            peer.write_all(first).expect("it reads");
            let (_, exchange, received) = ends.next();
            assert_eq!(received, (5, expected));
            // What comes later is too late.
            peer.write_all(&with[without.len()..]).expect("it reads");
            ends.ends[1].close(exchange);
        }
    }
}
