//! What an exchange costs once everything has been seen before.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::Write as _;

use allocation_counter::measure;
use bully::{Incoming, Member, Net, Pid, Reply, Request, Roster};
use bully_host::names::{self, HOSTS_MAX, Names};
use bully_host::net::{Poll, Tcp, TcpConfig};
use bully_host::pickle::writer::{self, Forms, ProbeForm};

use crate::client::connect;

/// Two ends in one thread.
struct Pair {
    poll: Poll,
    asking: Tcp,
    asked: Tcp,
}

impl Pair {
    fn new(forms: Forms) -> Self {
        let poll = Poll::new().expect("the system has one");
        let bind = |owner| {
            let config = TcpConfig {
                bind: SocketAddr::from(([127, 0, 0, 1], 0)),
                forms,
                ..TcpConfig::default()
            };
            Tcp::bind(&poll, owner, config).expect("some port is free")
        };
        Self {
            asking: bind(0),
            asked: bind(1),
            poll,
        }
    }

    /// One message and its answer, from connecting to closing; `expected` is the list that comes.
    fn exchange(&mut self, request: Request<'_>, expected: &[Member]) {
        let to = self.asked.addr();
        let opened = self.asking.open(to, request).expect("there is room");
        let (mut ended, mut closed) = (false, false);
        while !(ended && closed) {
            while let Some((exchange, incoming)) = self.asked.recv() {
                match incoming {
                    Incoming::Request(
                        Request::Probe(list) | Request::Election(list) | Request::Coordinator(list),
                    ) => {
                        assert_eq!(list.members(), expected);
                        self.asked.reply(exchange, Reply::Ok(Roster::EMPTY));
                    }
                    Incoming::Done => {
                        self.asked.close(exchange);
                        closed = true;
                    }
                    Incoming::Accepted | Incoming::Sent => {}
                    other => panic!("{other:?}"),
                }
            }
            while let Some((exchange, incoming)) = self.asking.recv() {
                assert_eq!(exchange, opened);
                match incoming {
                    Incoming::Done => {
                        self.asking.close(exchange);
                        ended = true;
                    }
                    Incoming::Sent | Incoming::Reply(Reply::Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            if !(ended && closed) {
                let until = self.asking.until(self.asked.until(None));
                let (asking, asked) = (&mut self.asking, &mut self.asked);
                self.poll
                    .wait(until, |ready| match ready.owner {
                        0 => asking.ready(ready),
                        _ => asked.ready(ready),
                    })
                    .expect("the system lets us wait");
            }
        }
    }
}

impl Pair {
    /// Has `asked` wait for the ends of as many peers as it ever does, so that nothing grows later
    /// because peers happen to be slow.
    fn fill(&mut self) {
        let election = election(&[], &Names::new());
        let mut peers = Vec::new();
        for _ in 0..LINGERING {
            let mut peer = connect(names::port(self.asked.addr())).expect("it listens");
            peer.write_all(&election).expect("there is room");
            self.receive(&[]);
            peers.push(peer);
        }
    }

    /// What `asked` receives when a message comes in pieces, or of whoever has connected already.
    fn receive(&mut self, pieces: &[&[u8]]) -> Vec<Member> {
        let port = names::port(self.asked.addr());
        let mut stream = (!pieces.is_empty()).then(|| connect(port).expect("it listens"));
        let mut left = pieces.iter();
        loop {
            while let Some((exchange, incoming)) = self.asked.recv() {
                if let Incoming::Request(Request::Election(list)) = incoming {
                    let members = list.members().to_vec();
                    self.asked.close(exchange);
                    return members;
                }
                assert_eq!(incoming, Incoming::Accepted);
            }
            // Only once it has read all that came before.
            if let (Some(stream), Some(piece)) = (&mut stream, left.next()) {
                stream.write_all(piece).expect("it reads");
            }
            let soon = self.poll.clock().now() + Duration::from_millis(20);
            let asked = &mut self.asked;
            self.poll
                .wait(asked.until(Some(soon)), |ready| {
                    if ready.owner == 1 {
                        asked.ready(ready);
                    }
                })
                .expect("the system lets us wait");
        }
    }
}

/// An ELECTION as it goes over the wire.
fn election(people: &[Member], names: &Names) -> Vec<u8> {
    let mut bytes = Vec::new();
    let roster = Roster::new(people).expect("ascending");
    writer::request(
        &mut bytes,
        &Request::Election(roster),
        &Forms::default(),
        names,
    );
    bytes
}

fn people(count: u32) -> Vec<Member> {
    let member = |number: u32| Member {
        pid: Pid {
            days: 1 + number % 365,
            id: 1_000_000 + number,
        },
        addr: bully::Addr(u64::from(0x7F00_0001u32) << 16 | u64::from(1 + number)),
    };
    let mut people: Vec<_> = (0..count).map(member).collect();
    people.sort();
    people
}

const WARM_UP: usize = 200;

/// How many runs may pass until one allocates nothing.
const RUNS_MAX: usize = 10;

/// More than there are places for connections that wait for their peer's end.
const LINGERING: usize = 70;

#[test]
fn a_probe_allocates_nothing_on_either_side() {
    let mut pair = Pair::new(Forms::default());
    pair.fill();
    // A queue may be longer than it ever was, if the machine was slower until now; that ends.
    let allocated = (0..RUNS_MAX).map(|_| {
        let allocated = measure(|| {
            for _ in 0..1_000 {
                pair.exchange(Request::Probe(Roster::EMPTY), &[]);
            }
        });
        allocated.count_total
    });
    let allocated: Vec<_> = allocated.take_while(|count| *count > 0).collect();
    assert!(
        allocated.len() < RUNS_MAX,
        "in 1,000 exchanges each: {allocated:?}"
    );
}

/// With its list too, which is encoded once and decoded once.
#[test]
fn a_list_is_encoded_once_and_decoded_once() {
    let people = people(200);
    let roster = Roster::new(&people).expect("ascending").with_revision(7);
    let mut pair = Pair::new(Forms {
        probe: Some(ProbeForm::Members),
        ..Forms::default()
    });
    pair.fill();
    for _ in 0..WARM_UP {
        pair.exchange(Request::Probe(roster), &people);
    }
    let allocated = measure(|| {
        for _ in 0..100 {
            pair.exchange(Request::Probe(roster), &people);
        }
    });
    // A table of the process may still grow once; no exchange allocates by itself.
    assert!(allocated.count_total <= 2, "{allocated:?} in 100 exchanges");
    let (asking, asked) = (pair.asking.counters(), pair.asked.counters());
    assert_eq!((asking.encoded, asking.reused), (1, WARM_UP as u64 + 99));
    assert_eq!((asked.decoded, asked.recognised), (1, WARM_UP as u64 + 99));
    assert_eq!(asked.encoded, 1, "one OK");
}

/// Another revision, another length and another form are other bytes.
#[test]
fn what_is_shared_is_what_is_the_same() {
    let people = people(20);
    let mut pair = Pair::new(Forms::default());
    let lists = [&people[..10], &people[..], &people[..10]];
    for (revision, list) in [(1, lists[0]), (1, lists[1]), (2, lists[2])] {
        let roster = Roster::new(list)
            .expect("ascending")
            .with_revision(revision);
        pair.exchange(Request::Election(roster), list);
        pair.exchange(Request::Election(roster), list);
    }
    assert_eq!(pair.asking.counters().encoded, 3);
    // The third list is the first one's bytes: known, though encoded anew.
    assert_eq!(pair.asked.counters().decoded, 2);
    assert_eq!(pair.asked.counters().recognised, 4);
    // The same list in another message is another message.
    let roster = Roster::new(&people).expect("ascending").with_revision(3);
    pair.exchange(Request::Coordinator(roster), &people);
    assert_eq!(pair.asking.counters().encoded, 4);
    assert_eq!(pair.asked.counters().decoded, 3);
}

/// However it is cut, and whatever follows it.
#[test]
fn a_known_list_is_known_in_pieces() {
    let (people, names) = (people(20), Names::new());
    let bytes = election(&people, &names);
    let mut pair = Pair::new(Forms::default());
    assert_eq!(pair.receive(&[&bytes]), people);
    for at in [1, 2, bytes.len() / 2, bytes.len() - 1] {
        let (one, two) = bytes.split_at(at);
        assert_eq!(pair.receive(&[one, two]), people, "cut at {at}");
    }
    assert_eq!(pair.receive(&[&bytes, b"and more"]), people);
    assert_eq!(pair.asked.counters().decoded, 1);
    assert_eq!(pair.asked.counters().recognised, 5);
    // It begins like a known one for some time.
    let mut other = people.clone();
    other[19].pid.id += 1;
    let bytes = election(&other, &names);
    for at in [bytes.len() / 2, bytes.len() - 4] {
        let (one, two) = bytes.split_at(at);
        assert_eq!(pair.receive(&[one, two]), other, "cut at {at}");
    }
    assert_eq!(pair.asked.counters().decoded, 3);
}

/// A host that was forgotten has another number when it comes again; to another `Tcp` it always
/// had.
#[test]
fn a_list_of_names_is_known_until_they_are_forgotten() {
    let mut theirs = Names::new();
    let addr = theirs.addr("alpha", 4_000).expect("there is room");
    let pid = Pid {
        days: 1,
        id: 1_000_000,
    };
    let bytes = election(&[Member { pid, addr }], &theirs);
    let mut pair = Pair::new(Forms::default());
    let host = |pair: &mut Pair| {
        let received = pair.receive(&[&bytes]);
        let addr = received.first().expect("one member").addr;
        pair.asked.names().host(addr).into_owned()
    };
    assert_eq!(host(&mut pair), "alpha");
    assert_eq!(host(&mut pair), "alpha");
    assert_eq!(pair.asked.counters().decoded, 1);
    for number in 0..HOSTS_MAX {
        pair.asked.names_mut().addr(&format!("host-{number}"), 1);
    }
    pair.asked.sweep(Roster::EMPTY);
    pair.asked.names_mut().addr("beta", 1).expect("swept");
    assert_eq!(host(&mut pair), "alpha");
    assert_eq!(pair.asked.counters().decoded, 2);
    // Another one in the same thread has other names.
    pair.asked = Tcp::bind(&pair.poll, 1, TcpConfig::default()).expect("some port is free");
    pair.asked
        .names_mut()
        .addr("gamma", 1)
        .expect("there is room");
    assert_eq!(host(&mut pair), "alpha");
    assert_eq!(pair.asked.counters().decoded, 1);
}
