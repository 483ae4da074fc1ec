//! Bugs of the kind found in real elections, planted around the shipped core: the simulator finds
//! each of them within a thousand seeds.

use core::cell::Cell;
use core::time::Duration;

use bully::{
    Addr, Config, Counters, Event, Exchange, FeignMode, Full, Incoming, Instant, Member, Net,
    Phase, Pid, Reply, Request, Roster, State,
};
use bully_sim::{AnyNode, Scenario, Unchecked, node, run, run_built};

use crate::shrink::{shrunk, verdict};
use crate::text::{unmeasured, write};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Who waits for a victor waits for good.
    ForgottenDeadline,
    /// A COORDINATOR naming somebody lesser than the leader is believed, without asking the leader.
    StaleCoordinator,
    /// ELECTION goes to everyone greater but the least of them.
    OffByOne,
    /// It asks to be woken 20 ms too late.
    PollAtTooLate,
    /// The last of the pending COORDINATORs is never sent.
    LostPending,
    /// It says that it leads, whoever does.
    NamesItself,
}

/// Each bug, and the invariants that show it.
const BUGS: [(Bug, &[&str]); 5] = [
    (
        Bug::ForgottenDeadline,
        &["at rest everyone names the greatest member up"],
    ),
    (
        Bug::StaleCoordinator,
        &["nobody leaves a leader that answers for a lesser one"],
    ),
    (
        Bug::OffByOne,
        &["nobody takes the lead over a greater member that answers"],
    ),
    (
        Bug::PollAtTooLate,
        &["poll_at is never later than the earliest deadline"],
    ),
    (
        Bug::LostPending,
        &[
            "at rest everyone names the greatest member up",
            "nobody takes the lead over a greater member that answers",
        ],
    ),
];

/// The shipped node with a bug.
struct Planted {
    bug: Bug,
    node: Box<dyn AnyNode>,
    me: Member,
    victor_within: Duration,
    /// When it began to wait for a victor.
    waiting_since: Option<Instant>,
    /// The leader is not to be asked.
    believes: Cell<bool>,
}

/// The network as a node with a bug uses it.
struct Misused<'a> {
    bug: Bug,
    net: &'a mut dyn Net,
    me: Member,
    leader: Option<Pid>,
    believes: &'a Cell<bool>,
}

/// Nobody listens there.
const NOBODY: Addr = Addr(0x7f00_0001_0000 | 65_000);

impl Net for Misused<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let astray = match (self.bug, request) {
            (Bug::OffByOne, Request::Election(roster)) => {
                let mut greater = roster.members().iter().filter(|it| it.pid > self.me.pid);
                greater.next().map(|least| least.addr) == Some(to)
            }
            (Bug::LostPending, Request::Coordinator(roster)) => {
                roster.members().first().map(|least| least.addr) == Some(to)
            }
            (Bug::StaleCoordinator, Request::Probe(_)) => self.believes.replace(false),
            _ => false,
        };
        self.net.open(if astray { NOBODY } else { to }, request)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let input = self.net.recv()?;
        if let (_, Incoming::Request(Request::Coordinator(roster))) = input {
            let lesser = roster.greatest() < self.leader && self.leader != Some(self.me.pid);
            self.believes.set(lesser);
        }
        Some(input)
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.net.set_listening(on);
    }
}

impl Planted {
    /// When it would stop waiting for a victor, had it not forgotten.
    fn forgotten(&self) -> Option<Instant> {
        Some(self.waiting_since? + self.victor_within)
    }
}

impl AnyNode for Planted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        let before = |forgotten: Instant| Instant::from_micros(forgotten.as_micros() - 1);
        let now = self.forgotten().map_or(now, |it| now.min(before(it)));
        let mut net = Misused {
            bug: self.bug,
            net,
            me: self.me,
            leader: self.node.leader(),
            believes: &self.believes,
        };
        let event = self.node.poll(now, &mut net);
        let waits = self.bug == Bug::ForgottenDeadline && self.node.phase() == Phase::Waiting;
        self.waiting_since = waits.then(|| self.waiting_since.unwrap_or(now));
        event
    }

    fn resign(&mut self) {
        self.node.resign();
    }

    fn poll_at(&self) -> Option<Instant> {
        let at = self.node.poll_at();
        match (self.bug, self.forgotten()) {
            (_, Some(forgotten)) if at >= Some(forgotten) => {
                Some(forgotten + Duration::from_secs(1_000))
            }
            (Bug::PollAtTooLate, _) => at.map(|at| at + Duration::from_millis(20)),
            _ => at,
        }
    }

    fn leader(&self) -> Option<Pid> {
        match self.bug {
            Bug::NamesItself => Some(self.me.pid),
            _ => self.node.leader(),
        }
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

fn planted(
    bug: Bug,
    scenario: &Scenario,
    capacity: usize,
    config: Config,
) -> Option<Box<dyn AnyNode>> {
    Some(Box::new(Planted {
        bug,
        me: config.me,
        victor_within: config.victor_within,
        node: node(scenario, capacity, config)?,
        waiting_since: None,
        believes: Cell::new(false),
    }))
}

#[test]
fn every_planted_bug_is_found_within_a_thousand_seeds() {
    for (bug, invariants) in BUGS {
        let build = |scenario: &Scenario, capacity: usize, config: Config| {
            planted(bug, scenario, capacity, config)
        };
        let found = (0..1_000).find_map(|seed| {
            let scenario = Scenario::random_of(5, seed);
            let breach = run_built(&scenario, &unmeasured, None, &build).err()?;
            invariants
                .contains(&breach.invariant)
                .then_some((scenario, breach))
        });
        let (scenario, breach) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: {breach}");
        // It is the bug that breaks it.
        assert_eq!(run(&scenario, &unmeasured, None).err(), None, "{bug:?}");
        let (small, _) = shrunk(&scenario, &build).expect("it breaks again");
        println!("{}", write(&small));
        assert_eq!(run(&small, &unmeasured, None).err(), None, "{bug:?}");
    }
}

/// Its faults never end, so at its planned end it may be amid an election.
#[test]
fn a_group_that_feigns_failures_and_never_agrees_fails_when_settling_has_had_its_time() {
    // So many that there is always more than one.
    let scenario = Scenario {
        members: 16,
        feign: Some(FeignMode::Close),
        duration: Duration::from_secs(60),
        seed: 1,
        ..Scenario::default()
    };
    assert!(verdict(&scenario, &node).is_ok_and(|outcome| outcome.agreed));
    let build = |scenario: &Scenario, capacity: usize, config: Config| {
        planted(Bug::NamesItself, scenario, capacity, config)
    };
    let outcome = run_built(&scenario, &unmeasured, None, &build).expect("it was never at rest");
    assert!(!outcome.agreed);
    assert!(outcome.unchecked.contains(&Unchecked::PlannedEnd));
    let waited = outcome.simulated - scenario.duration;
    let second = Duration::from_secs(1);
    assert!(waited > scenario.settles_within() - second && waited <= scenario.settles_within());
    let breach = verdict(&scenario, &build).expect_err("they do not agree");
    assert_eq!(
        breach.invariant,
        "at the end everyone names the greatest member up"
    );
}
