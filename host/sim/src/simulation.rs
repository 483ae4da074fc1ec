//! The group: its processes, what is on its way between them, and virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::{Addr, Config, Instant, Member};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::agreement::Agreement;
use crate::breach::Breach;
use crate::checks::{self, Subject};
use crate::identity::{addr, next_day, pid};
use crate::message::{Input, Message};
use crate::network::{ConnId, Conns, FaultModel, Side};
use crate::node::{AnyNode, DIRECTORY_EXCHANGES, directory, exchanges, node};
use crate::outcome::{Contact, Outcome, Record, Unchecked};
use crate::port::Port;
use crate::process::{Process, ProcessSlot, config, slots, slow};
use crate::queue::EventQueue;
use crate::scenario::{BackAs, Crash, Failure, JOINS_AT, Pause, START_GAP, Scenario, Start};
use crate::trace::{Observer, TraceEvent};

/// How many bytes a message takes on a wire, by its kind's name and its list of members; of a JOIN
/// the one who joins.
pub type Measure<'a> = &'a dyn Fn(&str, &[Member]) -> usize;

/// Makes a member with a table of this capacity: the shipped one, or one with a fault planted in it.
pub type Build<'a> = &'a dyn Fn(&Scenario, usize, Config) -> Option<Box<dyn AnyNode>>;

/// What is to come.
#[derive(Debug)]
pub(crate) enum SimEvent {
    Start(usize),
    /// A crashed member starts again.
    Return(usize, BackAs),
    Crash(Crash),
    Pause(Pause),
    Continue(usize),
    /// A node's own deadline.
    Wake(usize),
    /// A time before that deadline: there must be nothing to do.
    EarlyPoll(usize),
    /// A connection with its message arrives; the message may have been lost on the way.
    Arrive(ConnId, Option<Message>),
    /// Something about a connection arrives at one end.
    Deliver(ConnId, Side, Input),
    /// A partition or a cut begins or ends; `true`: it ends.
    Links(bool),
    /// The attack of this number sends its lists.
    Attack(usize),
    /// All has been quiet for so long that all must agree, if nothing else happened since.
    CheckAgreement,
}

pub(crate) struct Simulation<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Instant,
    pub(crate) queue: EventQueue<SimEvent>,
    pub(crate) rng: StdRng,
    /// Chance that the network does not depend on: who gets what, and when to poll early.
    draws: StdRng,
    pub(crate) fault_model: FaultModel,
    pub(crate) slots: Vec<ProcessSlot>,
    pub(crate) conns: Conns,
    pub(crate) conns_made: u64,
    pub(crate) agreement: Agreement,
    pub(crate) record: Record,
    /// The bytes of the coordinator's list that was measured last, and its version.
    pub(crate) measured: Option<(u32, u64)>,
    /// Connections to addresses at which no member ever was.
    pub(crate) strays: BTreeMap<Addr, u64>,
    pub(crate) measure: Measure<'a>,
    pub(crate) observer: Option<Observer<'a>>,
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
    observer: Option<Observer<'a>>,
) -> Result<Outcome, Breach> {
    run_built(scenario, measure, observer, &node)
}

/// Runs `scenario` with members that `build` makes: the checks can be shown to bite.
///
/// # Errors
///
/// As for [`run`].
pub fn run_built<'a>(
    scenario: &'a Scenario,
    measure: Measure<'a>,
    observer: Option<Observer<'a>>,
    build: Build<'a>,
) -> Result<Outcome, Breach> {
    let mut simulation = Simulation::new(scenario, measure, observer, build);
    let end = Instant::ZERO + scenario.duration;
    let end_at_latest = end + scenario.settles_within();
    while let Some(at) = simulation.queue.next_at()
        && (at <= end || (at <= end_at_latest && simulation.ends_unsettled()))
    {
        if at > end {
            simulation.record.leave_out(Unchecked::PlannedEnd);
        }
        simulation.step();
        if let Some(breach) = simulation.breach.take() {
            return Err(breach);
        }
        if simulation.record.outcome.messages_sum() > scenario.messages_max {
            simulation.record.outcome.cut = true;
            break;
        }
    }
    Ok(simulation.finish())
}

impl<'a> Simulation<'a> {
    fn new(
        scenario: &'a Scenario,
        measure: Measure<'a>,
        observer: Option<Observer<'a>>,
        build: Build<'a>,
    ) -> Self {
        let mut draws = StdRng::seed_from_u64(!scenario.seed);
        let mut simulation = Self {
            scenario,
            now: Instant::ZERO,
            queue: EventQueue::new(),
            rng: StdRng::seed_from_u64(scenario.seed),
            fault_model: FaultModel::new(scenario, slow(scenario, &mut draws)),
            slots: slots(scenario, &mut draws),
            draws,
            conns: Conns::default(),
            conns_made: 0,
            agreement: Agreement::new(scenario, false, &[]),
            record: Record::new(scenario.seed),
            measured: None,
            strays: BTreeMap::new(),
            measure,
            observer,
            breach: None,
            build,
        };
        let promised = simulation.promises();
        let judged: Vec<bool> = simulation.slots.iter().map(|slot| !slot.plain).collect();
        simulation.agreement = Agreement::new(scenario, promised, &judged);
        simulation.plan_starts();
        simulation.plan_faults();
        simulation
    }

    /// Returns `true` if agreement is promised before the end, and notes why not.
    fn promises(&mut self) -> bool {
        let scenario = self.scenario;
        let ok_within = Config::new(Member {
            pid: pid(1),
            addr: addr(1, 0),
        })
        .ok_within;
        let slow = self.fault_model.ceiling().saturating_mul(4) > ok_within;
        let reasons = [
            (scenario.strict, Unchecked::Strict),
            (slow, Unchecked::SlowNetwork),
            (scenario.prober.is_some(), Unchecked::OneProber),
        ];
        let mut promised = true;
        for (applies, reason) in reasons {
            if applies {
                promised = false;
                self.record.leave_out(reason);
            }
        }
        if self.slots.iter().any(|slot| slot.plain) {
            self.record.leave_out(Unchecked::PlainMembers);
        }
        promised
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
        self.queue.push(Instant::ZERO, SimEvent::Start(0));
        for (place, number) in (0_u32..).zip(order) {
            self.queue
                .push(Instant::ZERO + gap * place, SimEvent::Start(number));
        }
        if let Some(late) = late {
            self.queue
                .push(Instant::ZERO + JOINS_AT, SimEvent::Start(late));
        }
        for (number, at) in &self.scenario.late {
            self.queue
                .push(Instant::ZERO + *at, SimEvent::Start(*number));
        }
    }

    fn plan_faults(&mut self) {
        let scenario = self.scenario;
        let at = |at: Duration| Instant::ZERO + at;
        for crash in &scenario.crashes {
            self.queue.push(at(crash.at), SimEvent::Crash(*crash));
        }
        for partition in &scenario.partitions {
            self.queue.push(at(partition.from), SimEvent::Links(false));
            self.queue.push(at(partition.to), SimEvent::Links(true));
        }
        for cut in &scenario.cuts {
            self.queue.push(at(cut.since), SimEvent::Links(false));
            self.queue.push(at(cut.to), SimEvent::Links(true));
        }
        for pause in &scenario.pauses {
            self.queue.push(at(pause.from), SimEvent::Pause(*pause));
        }
        for (number, attack) in scenario.attacks.iter().enumerate() {
            self.queue.push(at(attack.from), SimEvent::Attack(number));
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let Some((at, event)) = self.queue.pop() else {
            return;
        };
        self.now = at;
        match event {
            SimEvent::Start(number) => self.start(number),
            SimEvent::Return(number, back_as) => self.come_back(number, back_as),
            SimEvent::Crash(crash) => self.crash(crash),
            SimEvent::Pause(pause) => self.pause(pause),
            SimEvent::Continue(number) => self.go_on(number),
            SimEvent::Wake(number) => {
                let slot = self.slots.get(number);
                if slot.is_some_and(|slot| slot.wake == Some(at)) {
                    self.turn(number);
                }
            }
            SimEvent::EarlyPoll(number) => self.poll_early(number),
            SimEvent::Links(ends) => self.links_change(ends),
            SimEvent::CheckAgreement => self.check_agreement_or_later(),
            SimEvent::Arrive(conn, message) => self.arrive(conn, message),
            SimEvent::Deliver(conn, side, input) => {
                if let Some(number) = self.deliver(conn, side, input) {
                    self.turn(number);
                }
            }
            SimEvent::Attack(number) => self.attack(number),
        }
    }

    fn start(&mut self, number: usize) {
        let there = |slot: &ProcessSlot| !matches!(slot.process, Process::Nobody);
        if self.slots.get(number).is_none_or(there) {
            return;
        }
        self.fault(self.now);
        let seed = self.rng.random();
        let scenario = self.scenario;
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.listening = true;
        slot.vanished = false;
        if number == 0 {
            self.measured = None;
            slot.port = Port::new(DIRECTORY_EXCHANGES, false);
            slot.process = Process::Coordinator(directory(scenario.members));
        } else {
            // A program that never learned to answer PROBE is not one of ours.
            let other_kind = slot.plain || scenario.mute.contains(&number);
            slot.port = Port::new(exchanges(scenario, slot.capacity), other_kind);
            let config = config(scenario, number, slot, seed);
            slot.process = (self.build)(scenario, slot.capacity, config)
                .map_or(Process::Nobody, Process::Member);
        }
        // That there is a coordinator is the least that a group has.
        if number > 0 || self.now > Instant::ZERO {
            let pid = self.slots.get(number).map(|slot| slot.pid);
            let pid = pid.filter(|_| number > 0);
            self.tell(number, || TraceEvent::Starts(pid));
        }
        let late = |(late, _): &(usize, Duration)| *late == number;
        if self.joins_late(number) || scenario.late.iter().any(late) {
            self.record.planned_fault(Some(Contact::With(number)));
        }
        if self.joins_late(number) {
            // What the others did before is not part of what is measured.
            self.record.restart_count();
            self.agreement.restart();
        }
        self.turn(number);
    }

    fn joins_late(&self, number: usize) -> bool {
        match self.scenario.start {
            Start::LowestJoins => number == 1,
            Start::HighestJoins => number == self.scenario.members,
            _ => false,
        }
    }

    fn come_back(&mut self, number: usize, back_as: BackAs) {
        let gone = |slot: &&mut ProcessSlot| matches!(slot.process, Process::Nobody);
        let Some(slot) = self.slots.get_mut(number).filter(gone) else {
            return;
        };
        match back_as {
            BackAs::Before => {}
            BackAs::NextDay => slot.pid = next_day(slot.pid),
            BackAs::Moved => slot.moves = slot.moves.wrapping_add(1),
        }
        self.record.planned_fault(Some(Contact::With(number)));
        self.start(number);
    }

    fn crash(&mut self, crash: Crash) {
        for number in self.whom(crash.who) {
            self.end(number, crash.how);
            if let Some(until) = crash.until {
                let until = (Instant::ZERO + until).max(self.now);
                self.queue
                    .push(until, SimEvent::Return(number, crash.back_as));
            }
        }
    }

    fn end(&mut self, number: usize, how: Failure) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.process = Process::Nobody;
        slot.listening = false;
        slot.wake = None;
        slot.paused = false;
        slot.vanished = how == Failure::Vanishes;
        self.break_all(number, how);
        self.record.crash(self.now);
        self.fault(self.now);
        self.tell(number, || match how {
            Failure::Ends => TraceEvent::Crashes,
            Failure::Vanishes => TraceEvent::Vanishes,
        });
        self.observe(number);
    }

    fn pause(&mut self, pause: Pause) {
        for number in self.whom(pause.who) {
            let Some(slot) = self.slots.get_mut(number) else {
                continue;
            };
            if matches!(slot.process, Process::Nobody) || slot.paused {
                continue;
            }
            slot.paused = true;
            self.record.crash(self.now);
            self.fault(self.now);
            self.tell(number, || TraceEvent::Stops);
            self.observe(number);
            let until = Instant::ZERO + pause.to;
            self.queue.push(until, SimEvent::Continue(number));
        }
    }

    fn go_on(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number).filter(|slot| slot.paused) else {
            return;
        };
        slot.paused = false;
        self.record.planned_fault(Some(Contact::With(number)));
        self.fault(self.now);
        self.tell(number, || TraceEvent::Continues);
        self.accept_backlog(number);
        self.turn(number);
    }

    fn links_change(&mut self, ends: bool) {
        let contact = ends.then_some(Contact::Across(self.now));
        self.record.planned_fault(contact);
        self.fault(self.now);
        self.agreement.interfere(self.now, true);
        if self.observer.is_some() {
            let links = self.fault_model.links_text(self.now, self.scenario.members);
            self.tell(0, || TraceEvent::Links(links));
        }
    }

    /// Lets a process do all it has to do, and the network what the process wants.
    pub(crate) fn turn(&mut self, number: usize) {
        loop {
            let now = self.now;
            let subject = self.subject(number);
            let Some(slot) = self.slots.get_mut(number).filter(|slot| !slot.paused) else {
                return;
            };
            self.record.outcome.polls += 1;
            let mut events = Vec::new();
            match &mut slot.process {
                Process::Nobody | Process::Attacker => return,
                Process::Coordinator(directory) => {
                    while directory.poll(now, &mut slot.port).is_some() {}
                }
                Process::Member(node) => {
                    while let Some(event) = node.poll(now, &mut slot.port) {
                        events.push(event);
                    }
                    let checked = checks::step(node.as_mut(), &mut slot.port, &subject);
                    if let Err(breach) = checked {
                        self.breach = self.breach.take().or(Some(breach));
                    }
                }
            }
            slot.port.release();
            let actions = core::mem::take(&mut slot.port.outbox);
            for event in events {
                self.tell(number, || TraceEvent::Node(event));
            }
            self.tell_state(number);
            for action in actions {
                self.perform(number, action);
            }
            let slot = self.slots.get(number);
            if !slot.is_some_and(|slot| slot.port.has_input()) {
                break;
            }
        }
        self.plan_wake(number);
        self.observe(number);
    }

    fn subject(&self, number: usize) -> Subject {
        let slot = self.slots.get(number);
        let capacity = slot.map_or(0, |slot| slot.capacity);
        Subject {
            number,
            me: Member {
                pid: slot.map_or(pid(number), |slot| slot.pid),
                addr: addr(number, slot.map_or(0, |slot| slot.moves)),
            },
            capacity,
            exchanges: exchanges(self.scenario, capacity),
            now: self.now,
            seed: self.scenario.seed,
        }
    }

    fn plan_wake(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let wake = match &slot.process {
            Process::Nobody | Process::Attacker => None,
            Process::Coordinator(directory) => directory.poll_at(),
            Process::Member(node) => node.poll_at(),
        };
        if wake != slot.wake {
            slot.wake = wake;
            if let Some(at) = wake {
                self.queue.push(at.max(self.now), SimEvent::Wake(number));
                let span = at.since(self.now);
                if number > 0 && self.draws.random_ratio(1, 16) && span > Duration::ZERO {
                    let early = span.mul_f64(self.draws.random_range(0.5..1.0));
                    self.queue
                        .push(self.now + early, SimEvent::EarlyPoll(number));
                }
            }
        }
    }

    /// Polls a node between its deadlines, where it must have nothing to do.
    fn poll_early(&mut self, number: usize) {
        let subject = self.subject(number);
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        if let Process::Member(node) = &mut slot.process
            && !slot.paused
            && slot.wake.is_none_or(|wake| wake > self.now)
            && !slot.port.has_input()
            && let Err(breach) = checks::early_poll(node.as_mut(), &mut slot.port, &subject)
        {
            self.breach = Some(breach);
        }
    }

    /// Keeps as many of these as `count` says, drawn at random, in ascending order.
    pub(crate) fn draw(&mut self, these: &mut Vec<usize>, count: usize) {
        these.shuffle(&mut self.draws);
        these.truncate(count);
        these.sort_unstable();
    }

    /// Calls the observer, if there is one.
    pub(crate) fn tell(&mut self, number: usize, event: impl FnOnce() -> TraceEvent) {
        if let Some(observer) = &mut self.observer {
            observer(self.now, number, &event());
        }
    }

    /// Reports a member's own state, by the lab's names, when it has changed.
    fn tell_state(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        if self.observer.is_some()
            && let Process::Member(node) = &slot.process
        {
            let state = node.state().name();
            if core::mem::replace(&mut slot.state, state) != state {
                self.tell(number, || TraceEvent::State(state));
            }
        }
    }

    /// What the run came to.
    fn finish(mut self) -> Outcome {
        if self.agreement.within.is_some() && !self.record.was_at_rest {
            self.record.leave_out(Unchecked::NeverAtRest);
        }
        let since = self.agreement.since();
        let began = match self.scenario.start {
            Start::LowestJoins | Start::HighestJoins => JOINS_AT,
            _ => Duration::ZERO,
        };
        let outcome = &mut self.record.outcome;
        outcome.agreed = since.is_some() && !outcome.cut;
        let greatest = self.agreement.greatest().map(|(pid, _)| pid);
        outcome.leader = greatest.filter(|_| outcome.agreed);
        let settled = since.map(|at| at.since(Instant::ZERO));
        outcome.settled = settled.map(|settled| settled.saturating_sub(began));
        outcome.disagreed = self.agreement.disagreed(self.now);
        outcome.simulated = match outcome.cut {
            true => self.now.since(Instant::ZERO),
            false => self.scenario.duration.max(self.now.since(Instant::ZERO)),
        };
        outcome.attack.connections = self.strays.values().sum();
        outcome.attack.connections_to_one = self.strays.values().max().copied().unwrap_or(0);
        self.record.finish(since, self.agreement.last_fault)
    }
}
