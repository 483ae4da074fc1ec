//! A network in memory whose inputs are given beforehand.

use core::time::Duration;
use std::collections::VecDeque;

use bully::{
    Addr, Config, Event, Exchange, Full, Incoming, Instant, Member, Net, Node, Reply, Request,
    Roster,
};

use bully_sim::AnyNode;

/// How many exchanges the nodes here have.
pub(crate) const EXCHANGES: usize = 16;

/// Each ELECTION that is sent over it is answered, as by a healthy member; all else that happens
/// is [pushed](Self::push).
#[derive(Debug, Default)]
pub(crate) struct Script<'a> {
    inputs: VecDeque<(Exchange, Incoming<'a>)>,
    next: u32,
    /// What the coordinator answers to JOIN; silence if it is `None`.
    listed: Option<Roster<'a>>,
}

impl<'a> Script<'a> {
    /// Somebody connects and sends `request`.
    pub(crate) fn push(&mut self, request: Request<'a>) {
        let exchange = self.fresh();
        self.inputs.push_back((exchange, Incoming::Accepted));
        self.inputs
            .push_back((exchange, Incoming::Request(request)));
    }

    fn fresh(&mut self) -> Exchange {
        self.next = self.next.wrapping_add(1);
        Exchange(self.next)
    }
}

impl Net for Script<'_> {
    fn open(&mut self, _: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.fresh();
        self.inputs.push_back((exchange, Incoming::Sent));
        if let Request::Election(_) = request {
            let ok = Incoming::Reply(Reply::Ok(Roster::EMPTY));
            self.inputs.push_back((exchange, ok));
        }
        if let (Request::Join(_), Some(listed)) = (request, self.listed) {
            let members = Incoming::Reply(Reply::Members(listed));
            self.inputs.push_back((exchange, members));
        }
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.inputs.pop_front()
    }

    fn reply(&mut self, on: Exchange, _: Reply<'_>) {
        self.inputs.push_back((on, Incoming::Sent));
        self.inputs.push_back((on, Incoming::Done));
    }

    fn close(&mut self, exchange: Exchange) {
        self.inputs.retain(|(other, _)| *other != exchange);
    }

    fn set_listening(&mut self, _: bool) {}
}

/// A node on a [`Script`], and its clock.
pub(crate) struct Scripted<'a> {
    pub(crate) node: Box<dyn AnyNode>,
    pub(crate) net: Script<'a>,
    pub(crate) now: Instant,
}

impl<'a> Scripted<'a> {
    /// A node of the least compiled capacity that has room for `count` members. It probes nobody:
    /// nothing happens but what is pushed.
    fn new(count: usize, me: Member, config: Config) -> Self {
        let config = Config {
            me,
            probing: false,
            ..config
        };
        Self {
            node: node(count, config),
            net: Script::default(),
            now: Instant::ZERO,
        }
    }

    /// A node that takes whoever is named for a member, however many are.
    pub(crate) fn trusting(count: usize, me: Member) -> Self {
        let config = Config {
            strict: true,
            ..Config::new(me)
        };
        Self::new(count, me, config)
    }

    /// A node that follows the greatest of `members` and knows all of them from the coordinator,
    /// which it does not ask again.
    pub(crate) fn following(members: &'a [Member], me: Member) -> Self {
        let config = Config {
            directory: Some(Addr(u64::MAX)),
            join_gap: NEVER,
            look_gap: NEVER,
            ..Config::new(me)
        };
        let mut scripted = Self::new(members.len(), me, config);
        let all = Roster::new(members).unwrap_or(Roster::EMPTY);
        scripted.net.listed = Some(all);
        scripted.turn();
        scripted.net.push(Request::Coordinator(all));
        scripted.turn();
        scripted
    }

    /// Polls until there is nothing more to do.
    pub(crate) fn turn(&mut self) {
        while let Some(event) = self.node.poll(self.now, &mut self.net) {
            core::hint::black_box::<Event>(event);
        }
    }

    /// Lets so much time pass, and what is due with it happen.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.turn();
    }
}

/// Longer than any measurement.
const NEVER: Duration = Duration::from_secs(3_600);

fn node(count: usize, config: Config) -> Box<dyn AnyNode> {
    match count {
        0..=16 => Box::new(Node::<16, EXCHANGES>::new(config)),
        17..=64 => Box::new(Node::<64, EXCHANGES>::new(config)),
        65..=256 => Box::new(Node::<256, EXCHANGES>::new(config)),
        257..=1_024 => Box::new(Node::<1_024, EXCHANGES>::new(config)),
        1_025..=4_096 => Box::new(Node::<4_096, EXCHANGES>::new(config)),
        4_097..=16_384 => Box::new(Node::<16_384, EXCHANGES>::new(config)),
        _ => Box::new(Node::<65_536, EXCHANGES>::new(config)),
    }
}
