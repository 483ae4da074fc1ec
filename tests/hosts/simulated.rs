//! What the simulator says of a fault: how long it takes until certain members name a new leader.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use bully::{Config, Counters, Event, Instant, Net, Phase, Pid, Roster, State};
use bully_sim::{AnyNode, Scenario, node, run_built};

/// Who named whom, and when.
type Record = Rc<RefCell<Vec<(Instant, Pid, Pid)>>>;

/// A shipped node, and a record of whom it names.
struct Recorded {
    node: Box<dyn AnyNode>,
    me: Pid,
    record: Record,
}

/// How long it takes from `since` until each of `members` has named `leader`, the quickest run
/// first, over seeds 1 to `seeds`.
///
/// # Panics
///
/// If a run breaks an invariant, or they never do.
pub(crate) fn times(
    scenario: &Scenario,
    seeds: u64,
    since: Duration,
    members: &[u32],
    leader: u32,
) -> Vec<Duration> {
    let mut times: Vec<_> = (1..=seeds)
        .map(|seed| {
            let scenario = Scenario {
                seed,
                ..scenario.clone()
            };
            time(&scenario, Instant::ZERO + since, members, leader)
        })
        .collect();
    times.sort();
    times
}

fn time(scenario: &Scenario, since: Instant, members: &[u32], leader: u32) -> Duration {
    let record = Record::default();
    let build = |scenario: &Scenario, capacity: usize, config: Config| {
        let me = config.me.pid;
        let node = node(scenario, capacity, config)?;
        let record = Rc::clone(&record);
        let recorded: Box<dyn AnyNode> = Box::new(Recorded { node, me, record });
        Some(recorded)
    };
    let outcome = run_built(scenario, &|_, _| 0, None, &build);
    outcome.unwrap_or_else(|breach| panic!("seed {}: {breach:?}", scenario.seed));
    let record = record.borrow();
    let named_at = |member: &u32| {
        let number = |pid: Pid| pid.id - 1_000_000;
        let named = record.iter().find(|(at, who, whom)| {
            *at >= since && number(*who) == *member && number(*whom) == leader
        });
        named.map(|(at, ..)| at.since(since))
    };
    let times: Option<Vec<_>> = members.iter().map(named_at).collect();
    let last = times.and_then(|times| times.into_iter().max());
    last.unwrap_or_else(|| panic!("seed {}: {leader} is not named", scenario.seed))
}

impl AnyNode for Recorded {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        let event = self.node.poll(now, net);
        if let Some(Event::Leader { leader, .. }) = event {
            self.record.borrow_mut().push((now, self.me, leader));
        }
        event
    }

    fn resign(&mut self) {
        self.node.resign();
    }

    fn poll_at(&self) -> Option<Instant> {
        self.node.poll_at()
    }

    fn leader(&self) -> Option<Pid> {
        self.node.leader()
    }

    fn phase(&self) -> Phase {
        self.node.phase()
    }

    fn state(&self) -> State {
        self.node.state()
    }

    fn roster(&self) -> Roster<'_> {
        self.node.roster()
    }

    fn counters(&self) -> Counters {
        self.node.counters()
    }
}
