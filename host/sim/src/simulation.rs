//! The group: all machines, what is on its way between them, and time.

use core::time::Duration;
use std::collections::HashMap;

use bully::{Config, Directory, Feign, Gone, Instant, Member, Pid};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::agreement::Agreement;
use crate::checks::{self, Breach};
use crate::identity::{addr, pid};
use crate::network::{Conn, FaultModel, Side};
use crate::node::AnyNode;
use crate::node::{exchanges, node};
use crate::port::{Input, Message, Port};
use crate::queue::EventQueue;
use crate::report::Outcome;
use crate::scenario::{Crash, JOINS_AT, START_GAP, Scenario, Start, Who};

/// How many bytes a message takes on a wire, by its kind's name and its list of members; of a JOIN
/// the one who joins.
pub type Measure<'a> = &'a dyn Fn(&str, &[Member]) -> usize;

/// Who is told of everything that happens: the time, the member's number (0: the coordinator), and
/// what happened to it.
pub type Trace<'a> = &'a mut dyn FnMut(Instant, usize, &str);

/// Makes a member: the shipped one, or one with a fault planted in it.
pub type Build<'a> = &'a dyn Fn(&Scenario, Config) -> Option<Box<dyn AnyNode>>;

/// What is to come.
#[derive(Debug)]
pub(crate) enum SimEvent {
    Start(usize),
    Crash(Crash),
    /// A machine's own deadline.
    Wake(usize),
    /// Somewhere before that deadline: there must be nothing to do.
    SpotCheck(usize),
    /// A connection with its message arrives; the message may have been lost on the way.
    Arrive(u64, Option<Message>),
    /// Input of a connection arrive at one end.
    Tell(u64, Side, Input),
    /// A partition begins or ends.
    PartitionChanges,
    /// All has been quiet for so long that all must agree.
    CheckAgreement,
}

/// A place in the group, and who is there: 0 is the coordinator, the members follow from the least.
pub(crate) struct ProcessSlot {
    pub(crate) who: Process,
    pub(crate) port: Port,
    pub(crate) listening: bool,
    /// The connection of each slot.
    pub(crate) calls: HashMap<u32, u64>,
    wake: Option<Instant>,
    pub(crate) up: bool,
    pub(crate) leader: Option<Pid>,
    /// Since when it is up, or down.
    pub(crate) up_since: Instant,
    /// The state it was last seen in, for the trace.
    pub(crate) state: &'static str,
}

pub(crate) enum Process {
    Nobody,
    Coordinator(Box<Directory<4096, DIRECTORY_EXCHANGES>>),
    Member(Box<dyn AnyNode>),
}

pub(crate) struct Simulation<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Instant,
    pub(crate) queue: EventQueue<SimEvent>,
    pub(crate) rng: StdRng,
    /// Chance that nothing in the group depends on: when to spot_check at it.
    spot_checks: StdRng,
    pub(crate) fault_model: FaultModel,
    pub(crate) seats: Vec<ProcessSlot>,
    pub(crate) conns: HashMap<u64, Conn>,
    pub(crate) conns_made: u64,
    pub(crate) agreement: Agreement,
    pub(crate) outcome: Outcome,
    pub(crate) measure: Measure<'a>,
    pub(crate) trace: Option<Trace<'a>>,
    pub(crate) breach: Option<Breach>,
    build: Build<'a>,
}

/// Runs `scenario` to its end.
///
/// # Errors
///
/// The first [`Breach`] of what must always hold; the run ends there.
pub fn run<'a>(
    scenario: &'a Scenario,
    measure: Measure<'a>,
    trace: Option<Trace<'a>>,
) -> Result<Outcome, Breach> {
    run_built(scenario, measure, trace, &node)
}

/// Runs `scenario` with members that `build` makes: the checks can be shown to bite.
///
/// # Errors
///
/// As for [`run`].
pub fn run_built<'a>(
    scenario: &'a Scenario,
    measure: Measure<'a>,
    trace: Option<Trace<'a>>,
    build: Build<'a>,
) -> Result<Outcome, Breach> {
    let mut group = Simulation::new(scenario, measure, trace, build);
    let end = Instant::ZERO + scenario.duration;
    while let Some(at) = group.queue.next_at()
        && (at <= end || (at <= end + GRACE && group.ends_unsettled()))
    {
        group.step();
        if let Some(breach) = group.breach.take() {
            return Err(breach);
        }
        if group.outcome.messages_sum() > scenario.messages_max {
            group.outcome.cut = true;
            break;
        }
    }
    Ok(group.finish())
}

/// How much longer than planned a run lasts whose members go on playing dead, if its end falls on
/// an election: as long as in `bully lab`, and for the same reason.
const GRACE: Duration = Duration::from_secs(5);

/// Exchanges of the coordinator.
const DIRECTORY_EXCHANGES: usize = 22;

impl<'a> Simulation<'a> {
    fn new(
        scenario: &'a Scenario,
        measure: Measure<'a>,
        trace: Option<Trace<'a>>,
        build: Build<'a>,
    ) -> Self {
        let seats = (0..=scenario.members)
            .map(|_| ProcessSlot {
                who: Process::Nobody,
                port: Port::new(0),
                listening: false,
                calls: HashMap::new(),
                wake: None,
                up: false,
                leader: None,
                up_since: Instant::ZERO,
                state: "",
            })
            .collect();
        let mut group = Self {
            scenario,
            now: Instant::ZERO,
            queue: EventQueue::new(),
            rng: StdRng::seed_from_u64(scenario.seed),
            spot_checks: StdRng::seed_from_u64(!scenario.seed),
            fault_model: FaultModel::new(scenario),
            seats,
            conns: HashMap::new(),
            conns_made: 0,
            agreement: Agreement::new(scenario),
            outcome: Outcome::new(scenario.seed),
            measure,
            trace,
            breach: None,
            build,
        };
        group.plan_starts();
        for crash in &scenario.crashes {
            let at = Instant::ZERO + crash.at;
            group.queue.plan(at, SimEvent::Crash(*crash));
        }
        for partition in &scenario.partitions {
            for at in [partition.from, partition.to] {
                group
                    .queue
                    .plan(Instant::ZERO + at, SimEvent::PartitionChanges);
            }
        }
        group
    }

    fn plan_starts(&mut self) {
        let count = self.scenario.members;
        let mut order: Vec<usize> = (1..=count).collect();
        order.retain(|number| self.scenario.late.iter().all(|(late, _)| late != number));
        let late = match self.scenario.start {
            Start::Together | Start::Ascending => None,
            Start::Descending => {
                order.reverse();
                None
            }
            Start::Shuffled => {
                order.shuffle(&mut self.rng);
                None
            }
            Start::LowestJoins => (!order.is_empty()).then(|| order.remove(0)),
            Start::HighestJoins => order.pop(),
        };
        let gap = match self.scenario.start {
            Start::Ascending | Start::Descending | Start::Shuffled => START_GAP,
            _ => Duration::ZERO,
        };
        self.queue.plan(Instant::ZERO, SimEvent::Start(0));
        for (place, number) in (0_u32..).zip(order) {
            self.queue
                .plan(Instant::ZERO + gap * place, SimEvent::Start(number));
        }
        if let Some(late) = late {
            self.queue
                .plan(Instant::ZERO + JOINS_AT, SimEvent::Start(late));
        }
        for (number, at) in &self.scenario.late {
            self.queue
                .plan(Instant::ZERO + *at, SimEvent::Start(*number));
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let Some((at, plan)) = self.queue.pop() else {
            return;
        };
        self.now = at;
        match plan {
            SimEvent::Start(seat) => self.start(seat),
            SimEvent::Crash(crash) => self.crash(crash),
            SimEvent::Wake(seat) => {
                if self
                    .seats
                    .get(seat)
                    .is_some_and(|seat| seat.wake == Some(at))
                {
                    self.turn(seat);
                }
            }
            SimEvent::SpotCheck(seat) => self.spot_check(seat),
            SimEvent::PartitionChanges => {
                self.disturb(at);
                self.agreement.interfere(at, true);
                self.trace_reach();
            }
            SimEvent::CheckAgreement => self.check_agreement(),
            SimEvent::Arrive(conn, message) => self.arrive(conn, message),
            SimEvent::Tell(conn, side, input) => {
                if let Some(seat) = self.tell(conn, side, input) {
                    self.turn(seat);
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let there = |seat: &ProcessSlot| !matches!(seat.who, Process::Nobody);
        if self.seats.get(number).is_none_or(there) {
            return;
        }
        self.disturb(self.now);
        let seed = self.rng.random();
        let config = self.config(number, seed);
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        seat.listening = true;
        if number == 0 {
            seat.port = Port::new(DIRECTORY_EXCHANGES);
            seat.who = Process::Coordinator(Box::new(Directory::new()));
        } else {
            seat.port = Port::new(exchanges(self.scenario));
            seat.who = (self.build)(self.scenario, config).map_or(Process::Nobody, Process::Member);
            self.trace_line(number, "starts");
        }
        if self.joins_late(number) {
            // What the others did before is not part of what is measured.
            self.outcome.restart_count();
            self.agreement.restart();
        }
        self.turn(number);
    }

    fn config(&self, number: usize, seed: u64) -> Config {
        let scenario = self.scenario;
        let me = Member {
            pid: pid(number),
            addr: addr(number),
        };
        Config {
            directory: Some(addr(0)),
            seed,
            feign: scenario.feign.map(|mode| {
                let feign = Feign::new(mode);
                let longest = scenario.feign_gap.unwrap_or(feign.after.1);
                Feign {
                    after: (feign.after.0, longest),
                    ..feign
                }
            }),
            strict: scenario.strict,
            probing: scenario.prober.is_none_or(|prober| prober == number),
            ..Config::new(me)
        }
    }

    fn joins_late(&self, number: usize) -> bool {
        match self.scenario.start {
            Start::LowestJoins => number == 1,
            Start::HighestJoins => number == self.scenario.members,
            _ => false,
        }
    }

    fn crash(&mut self, crash: Crash) {
        let number = match crash.who {
            Who::Leader => self.agreement.greatest_up,
            Who::Number(number) => number,
        };
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        seat.who = Process::Nobody;
        seat.listening = false;
        seat.wake = None;
        let calls: Vec<(u32, u64)> = seat.calls.drain().collect();
        let mut calls: Vec<u64> = calls.into_iter().map(|(_, conn)| conn).collect();
        calls.sort_unstable();
        for conn in calls {
            for side in [Side::Opener, Side::Target] {
                let ends_here = self
                    .conns
                    .get(&conn)
                    .and_then(|conn| conn.end(side))
                    .is_some_and(|end| end.seat == number);
                if ends_here {
                    self.close(conn, side, Input::Gone(Gone::Reset));
                }
            }
        }
        self.agreement.crashed_at = Some(self.now);
        self.disturb(self.now);
        self.trace_line(number, "crashes");
        self.look(number);
        if let Some(until) = crash.until {
            let until = (Instant::ZERO + until).max(self.now);
            self.queue.plan(until, SimEvent::Start(number));
        }
    }

    /// Lets a machine do all it has to do, and the network what the machine wants.
    pub(crate) fn turn(&mut self, number: usize) {
        loop {
            let now = self.now;
            let Some(seat) = self.seats.get_mut(number) else {
                return;
            };
            self.outcome.polls += 1;
            let mut told = Vec::new();
            match &mut seat.who {
                Process::Nobody => return,
                Process::Coordinator(directory) => {
                    while directory.poll(now, &mut seat.port).is_some() {}
                }
                Process::Member(machine) => {
                    while let Some(event) = machine.poll(now, &mut seat.port) {
                        told.push(event);
                    }
                    let checked =
                        checks::step(machine.as_mut(), &mut seat.port, now, self.scenario, number);
                    if let Err(breach) = checked {
                        self.breach = self.breach.take().or(Some(breach));
                    }
                }
            }
            let actions = core::mem::take(&mut seat.port.outbox);
            for event in told {
                self.trace_event(number, event);
            }
            self.trace_state(number);
            for action in actions {
                self.perform(number, action);
            }
            if !self
                .seats
                .get(number)
                .is_some_and(|seat| seat.port.has_input())
            {
                break;
            }
        }
        self.plan_wake(number);
        self.look(number);
    }

    fn plan_wake(&mut self, number: usize) {
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        let wake = match &seat.who {
            Process::Nobody => None,
            Process::Coordinator(directory) => directory.poll_at(),
            Process::Member(machine) => machine.poll_at(),
        };
        if wake != seat.wake {
            seat.wake = wake;
            if let Some(at) = wake {
                self.queue.plan(at.max(self.now), SimEvent::Wake(number));
                let span = at.since(self.now);
                if number > 0 && self.spot_checks.random_ratio(1, 16) && span > Duration::ZERO {
                    let early = span.mul_f64(self.spot_checks.random_range(0.5..1.0));
                    self.queue
                        .plan(self.now + early, SimEvent::SpotCheck(number));
                }
            }
        }
    }

    /// Polls a machine between its deadlines, where it must have nothing to do.
    fn spot_check(&mut self, number: usize) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if let Process::Member(machine) = &mut seat.who
            && seat.wake.is_none_or(|wake| wake > now)
            && !seat.port.has_input()
            && let Err(breach) =
                checks::spot_check(machine.as_mut(), &mut seat.port, now, self.scenario, number)
        {
            self.breach = Some(breach);
        }
    }
}
