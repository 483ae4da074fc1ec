//! A core with a bug, given the input of a sound one: the record is named.

use bully::record::{Inspect, Inspected, Recordable};
use bully::{Addr, Event, Exchange, Full, Incoming, Instant, Net, Reply, Request, Roster};
use bully_record::{AnyRecordable, Problem, Recording, Replay, reads_of, restored};
use bully_sim::{AnyNode, Crash, Scenario, Who};
use core::time::Duration;

use crate::groups::recordings;

/// What is wrong with a core.
#[derive(Clone, Copy, Debug)]
enum Bug {
    /// The third message goes to another address.
    Astray,
    /// The third message is never sent.
    Unsent,
    /// The second answer is not given.
    Unanswered,
    /// An exchange is closed one poll too late, once.
    ClosedLate,
    /// One more PROBE at the end of some poll.
    OneTooMany,
    /// The second PROBE is taken for the end of its exchange.
    Deaf,
}

const BUGS: [Bug; 6] = [
    Bug::Astray,
    Bug::Unsent,
    Bug::Unanswered,
    Bug::ClosedLate,
    Bug::OneTooMany,
    Bug::Deaf,
];

/// The shipped node with a bug.
struct Planted {
    node: Box<dyn AnyRecordable>,
    seen: Seen,
}

/// What a bug counts.
struct Seen {
    bug: Bug,
    opened: u32,
    answered: u32,
    closed: u32,
    probed: u32,
    late: Option<Exchange>,
}

/// The network as a node with a bug uses it.
struct Misused<'a> {
    net: &'a mut dyn Net,
    seen: &'a mut Seen,
}

impl Net for Misused<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        self.seen.opened += 1;
        match self.seen.bug {
            Bug::Astray if self.seen.opened == 3 => self.net.open(Addr(to.0 + 1), request),
            Bug::Unsent if self.seen.opened == 3 => Err(Full),
            _ => self.net.open(to, request),
        }
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (exchange, incoming) = self.net.recv()?;
        if let (Bug::Deaf, Incoming::Request(Request::Probe(_))) = (self.seen.bug, incoming) {
            self.seen.probed += 1;
            if self.seen.probed == 2 {
                return Some((exchange, Incoming::Done));
            }
        }
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.seen.answered += 1;
        if !matches!(self.seen.bug, Bug::Unanswered) || self.seen.answered != 2 {
            self.net.reply(on, reply);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        self.seen.closed += 1;
        if matches!(self.seen.bug, Bug::ClosedLate) && self.seen.closed == 3 {
            self.seen.late = Some(exchange);
        } else {
            self.net.close(exchange);
        }
    }

    fn set_listening(&mut self, on: bool) {
        self.net.set_listening(on);
    }
}

impl Planted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        if let Some(late) = self.seen.late.take() {
            net.close(late);
        }
        let seen = &mut self.seen;
        let event = AnyNode::poll(&mut *self.node, now, &mut Misused { net, seen });
        if matches!(self.seen.bug, Bug::OneTooMany) && self.seen.opened == 4 {
            self.seen.opened += 1;
            let _ = net.open(Addr(7), Request::Probe(Roster::EMPTY));
        }
        event
    }
}

impl AnyNode for Planted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.poll(now, net)
    }
    fn resign(&mut self) {
        AnyNode::resign(&mut *self.node);
    }
    reads_of!(node);
}

impl Recordable for Planted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.poll(now, net)
    }
    fn idle(&self) -> (Instant, Instant) {
        self.node.idle()
    }
    fn resign(&mut self) {
        AnyNode::resign(&mut *self.node);
    }
    fn capacities(&self) -> (usize, usize) {
        self.node.capacities()
    }
    fn image(&self, put: &mut dyn FnMut(u8)) {
        self.node.image(put);
    }
}

impl Inspect for Planted {
    fn inspect(&self, see: &mut dyn FnMut(Inspected)) {
        self.node.inspect(see);
    }
}

impl AnyRecordable for Planted {}

/// How the member of `bytes` is repeated by a core with this bug, or by the shipped one.
fn repeated(bytes: &[u8], bug: Option<Bug>) -> Result<(), Problem> {
    let recording = Recording::read(bytes).expect("it is one");
    let header = recording.banks[0].header.clone();
    let mut replay = Replay::new(recording)?;
    if let Some(bug) = bug {
        let node = restored(header.members, header.exchanges, &header.image);
        let seen = Seen {
            bug,
            opened: 0,
            answered: 0,
            closed: 0,
            probed: 0,
            late: None,
        };
        let node = node.expect("there is one of that size");
        replay = replay.with_node(Box::new(Planted { node, seen }));
    }
    while replay.step(&mut ())?.is_some() {}
    Ok(())
}

#[test]
fn a_core_with_a_bug_does_something_else_and_the_record_is_named() {
    let scenario = Scenario {
        members: 5,
        crashes: vec![Crash::new(Who::Leader, Duration::from_secs(3))],
        duration: Duration::from_secs(20),
        seed: 5,
        ..Scenario::default()
    };
    // The one that leads after the crash: it is asked, probed, and announces.
    let bytes = recordings(&scenario).swap_remove(3);
    assert_eq!(repeated(&bytes, None), Ok(()));
    for bug in BUGS {
        let Err(Problem::Diverged(found)) = repeated(&bytes, Some(bug)) else {
            panic!("{bug:?} is not found");
        };
        println!("{bug:?}: {found}");
        let at = found.at.as_micros();
        assert!(found.record > 1 && at < 20_000_000, "{bug:?}: {found}");
        let text = found.to_string();
        let named = format!("record {} at ", found.record);
        assert!(
            text.starts_with(&named) && text.contains("the recording says"),
            "{text}"
        );
        match bug {
            // These are found where they happen.
            Bug::Astray | Bug::Unsent => assert!(text.contains("the node opens"), "{text}"),
            Bug::OneTooMany => assert!(text.contains("opens PROBE to address 7"), "{text}"),
            // And these by what the digest says of them, a few records later.
            Bug::Unanswered | Bug::ClosedLate | Bug::Deaf => {
                assert!(text.contains("since record"), "{text}");
            }
        }
    }
}
