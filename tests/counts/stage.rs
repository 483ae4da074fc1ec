//! A node, a clock that stands still unless it is moved, and a network of its own that costs
//! next to nothing.

use core::time::Duration;
use std::collections::VecDeque;

use bully::record::{Recorder, Ring};
use bully::{
    Addr, Config, Event, Exchange, Full, Incoming, Instant, Member, Net, Node, Reply, Request,
    Roster,
};

/// How many exchanges nodes and coordinators have here.
pub(crate) const EXCHANGES: usize = 16;

/// Longer than any deadline of an election.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// Longer than any case takes.
const NEVER: Duration = Duration::from_secs(3_600);

/// Bytes for a recording: more than any case fills, since what a bank begins with is not counted.
const BANKS: usize = 8 << 20;

/// Everyone at the other end is healthy: takes each message, and answers where an answer is due.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inputs: VecDeque<(Exchange, Incoming<'static>)>,
    next: u32,
    /// What the coordinator answers to JOIN.
    listed: Option<Roster<'static>>,
    /// How many exchanges were opened.
    pub(crate) opened: usize,
    /// How many requests were answered.
    pub(crate) answered: usize,
}

impl Wire {
    /// Somebody connects and sends `request`.
    pub(crate) fn push(&mut self, request: Request<'static>) {
        let exchange = self.fresh();
        self.inputs.push_back((exchange, Incoming::Accepted));
        self.inputs
            .push_back((exchange, Incoming::Request(request)));
    }

    /// Returns `true` if nothing is left to report.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inputs.is_empty()
    }

    fn fresh(&mut self) -> Exchange {
        self.next += 1;
        Exchange(self.next)
    }
}

impl Net for Wire {
    fn open(&mut self, _: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.fresh();
        self.opened += 1;
        let last = match request {
            Request::Coordinator(_) => Incoming::Done,
            Request::Join(_) => {
                Incoming::Reply(Reply::Members(self.listed.unwrap_or(Roster::EMPTY)))
            }
            _ => Incoming::Reply(Reply::Ok(Roster::EMPTY)),
        };
        self.inputs.push_back((exchange, Incoming::Sent));
        self.inputs.push_back((exchange, last));
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.inputs.pop_front()
    }

    fn reply(&mut self, on: Exchange, _: Reply<'_>) {
        self.answered += 1;
        self.inputs.push_back((on, Incoming::Sent));
        self.inputs.push_back((on, Incoming::Done));
    }

    fn close(&mut self, exchange: Exchange) {
        self.inputs.retain(|(other, _)| *other != exchange);
    }

    fn set_listening(&mut self, _: bool) {}
}

/// A node on a [`Wire`], and the time.
#[derive(Debug)]
pub(crate) struct Stage<const MEMBERS: usize> {
    pub(crate) node: Box<Node<MEMBERS, EXCHANGES>>,
    pub(crate) net: Wire,
    pub(crate) now: Instant,
    /// Of a node whose run is recorded.
    recorder: Option<Recorder<Ring<'static>, MEMBERS>>,
}

impl<const MEMBERS: usize> Stage<MEMBERS> {
    /// A node that follows the greatest of `known`, or leads them if that is `me`. It knows them from
    /// the coordinator, does not ask it again, and probes nobody: nothing happens but what is pushed.
    pub(crate) fn settled(known: &'static [Member], me: Member) -> Self {
        let config = Config {
            directory: Some(Addr(u64::MAX)),
            join_gap: NEVER,
            look_gap: NEVER,
            ..Config::new(me)
        };
        Self::of(config, known)
    }

    /// The same, of one that takes whoever is named for a member, however many are.
    pub(crate) fn trusting(known: &'static [Member], me: Member) -> Self {
        let config = Config {
            strict: true,
            ..Config::new(me)
        };
        Self::of(config, known)
    }

    fn of(config: Config, known: &'static [Member]) -> Self {
        let config = Config {
            probing: false,
            ..config
        };
        let mut stage = Self {
            node: Box::new(Node::new(config)),
            net: Wire {
                listed: Some(list(known)),
                ..Wire::default()
            },
            now: Instant::ZERO,
            recorder: None,
        };
        stage.turn();
        stage.receive(Request::Coordinator(list(known)));
        stage.pass();
        stage.pass();
        let greatest = known.iter().max().expect("somebody is known");
        assert_eq!(stage.node.leader(), Some(greatest.pid), "not settled");
        stage
    }

    /// The same, with its run recorded in memory from here on if `recorded`.
    pub(crate) fn recorded(mut self, recorded: bool) -> Self {
        let ring = || Ring::new(vec![0; BANKS].leak());
        self.recorder = recorded.then(|| Recorder::new(ring(), 0));
        self
    }

    /// Polls the node once.
    pub(crate) fn poll(&mut self) -> Option<Event> {
        match &mut self.recorder {
            Some(recorder) => recorder.poll(&mut *self.node, self.now, &mut self.net),
            None => self.node.poll(self.now, &mut self.net),
        }
    }

    /// Hears this, and does all that comes of it at once.
    pub(crate) fn receive(&mut self, request: Request<'static>) {
        self.net.push(request);
        self.turn();
    }

    /// Lets so much time pass that nothing is left to wait for.
    pub(crate) fn pass(&mut self) {
        self.now = self.now + AFTERWARDS;
        self.turn();
    }

    fn turn(&mut self) {
        loop {
            while self.poll().is_some() {}
            if self.net.is_quiet() {
                break;
            }
        }
    }
}

/// These as a list, as they come from a network.
pub(crate) fn list(members: &'static [Member]) -> Roster<'static> {
    Roster::new(members).expect("they ascend")
}
