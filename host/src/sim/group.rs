//! The group: all machines, what is on its way between them, and time.

use core::time::Duration;
use std::collections::HashMap;

use bully::{Addr, Config, Directory, Feign, Gone, Instant, Member, Pid};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::agenda::Agenda;
use super::agreement::Agreement;
use super::checks::{self, Breach};
use super::machine::{exchanges, node};
use super::network::{Conn, Side, Weather};
use super::port::{Letter, News, Port};
use super::report::Outcome;
use super::scenario::{Crash, JOINS_AT, START_GAP, Scenario, Start, Who};
use crate::machine::Machine;

/// How many bytes a message takes on a wire, by its kind's name and its list of members; of a JOIN
/// the one who joins.
pub type Measure<'a> = &'a dyn Fn(&str, &[Member]) -> usize;

/// Who is told of everything that happens: the time, the member's number (0: the coordinator), and
/// what happened to it.
pub type Trace<'a> = &'a mut dyn FnMut(Instant, usize, &str);

/// Makes a member: the shipped one, or one with a fault planted in it.
pub type Build<'a> = &'a dyn Fn(&Scenario, Config) -> Option<Box<dyn Machine>>;

/// What is to come.
#[derive(Debug)]
pub(super) enum Plan {
    Start(usize),
    Crash(Crash),
    /// A machine's own deadline.
    Wake(usize),
    /// Somewhere before that deadline: there must be nothing to do.
    Glance(usize),
    /// A connection with its message arrives; the message may have been lost on the way.
    Arrive(u64, Option<Letter>),
    /// News of a connection arrive at one end.
    Tell(u64, Side, News),
    /// A partition begins or ends.
    Part,
    /// All has been quiet for so long that all must agree.
    Judge,
}

/// A place in the group, and who is there: 0 is the coordinator, the members follow from the least.
pub(super) struct Seat {
    pub(super) who: Occupant,
    pub(super) port: Port,
    pub(super) listening: bool,
    /// The connection of each slot.
    pub(super) calls: HashMap<u32, u64>,
    wake: Option<Instant>,
    pub(super) up: bool,
    pub(super) leader: Option<Pid>,
    /// Since when it is up, or down.
    pub(super) up_since: Instant,
    /// The state it was last seen in, for the trace.
    pub(super) state: &'static str,
}

pub(super) enum Occupant {
    Nobody,
    Coordinator(Box<Directory<4096, DIRECTORY_EXCHANGES>>),
    Member(Box<dyn Machine>),
}

pub(super) struct Group<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) now: Instant,
    pub(super) agenda: Agenda<Plan>,
    pub(super) rng: StdRng,
    /// Chance that nothing in the group depends on: when to glance at it.
    glances: StdRng,
    pub(super) weather: Weather,
    pub(super) seats: Vec<Seat>,
    pub(super) conns: HashMap<u64, Conn>,
    pub(super) conns_made: u64,
    pub(super) agreement: Agreement,
    pub(super) outcome: Outcome,
    pub(super) measure: Measure<'a>,
    pub(super) trace: Option<Trace<'a>>,
    pub(super) breach: Option<Breach>,
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
    let mut group = Group::new(scenario, measure, trace, build);
    let end = Instant::ZERO + scenario.duration;
    while let Some(at) = group.agenda.next_at()
        && (at <= end || (at <= end + GRACE && group.is_caught_out()))
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

/// The identity of the member of this number: ascending, with several sharing their days.
pub(super) fn pid(number: usize) -> Pid {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Pid {
        days: number / 12 + 1,
        id: 1_000_000 + number,
    }
}

/// Where the occupant of a seat listens: 127.0.0.1, and a port of its own.
pub(super) fn addr(seat: usize) -> Addr {
    Addr(0x7f00_0001_0000 | (20_000 + seat as u64))
}

/// The seat at an address; nobody sits at one that belongs to no seat.
pub(super) fn seat_at(addr: Addr) -> usize {
    ((addr.0 & 0xFFFF) as usize).saturating_sub(20_000)
}

/// How much longer than planned a run lasts whose members go on playing dead, if its end falls on
/// an election: as long as in `bully lab`, and for the same reason.
const GRACE: Duration = Duration::from_secs(5);

/// Exchanges of the coordinator.
const DIRECTORY_EXCHANGES: usize = 22;

impl<'a> Group<'a> {
    fn new(
        scenario: &'a Scenario,
        measure: Measure<'a>,
        trace: Option<Trace<'a>>,
        build: Build<'a>,
    ) -> Self {
        let seats = (0..=scenario.members)
            .map(|_| Seat {
                who: Occupant::Nobody,
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
            agenda: Agenda::new(),
            rng: StdRng::seed_from_u64(scenario.seed),
            glances: StdRng::seed_from_u64(!scenario.seed),
            weather: Weather::new(scenario),
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
            group.agenda.plan(at, Plan::Crash(*crash));
        }
        for partition in &scenario.partitions {
            for at in [partition.from, partition.to] {
                group.agenda.plan(Instant::ZERO + at, Plan::Part);
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
        self.agenda.plan(Instant::ZERO, Plan::Start(0));
        for (place, number) in (0_u32..).zip(order) {
            self.agenda
                .plan(Instant::ZERO + gap * place, Plan::Start(number));
        }
        if let Some(late) = late {
            self.agenda
                .plan(Instant::ZERO + JOINS_AT, Plan::Start(late));
        }
        for (number, at) in &self.scenario.late {
            self.agenda.plan(Instant::ZERO + *at, Plan::Start(*number));
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let Some((at, plan)) = self.agenda.pop() else {
            return;
        };
        self.now = at;
        match plan {
            Plan::Start(seat) => self.start(seat),
            Plan::Crash(crash) => self.crash(crash),
            Plan::Wake(seat) => {
                if self
                    .seats
                    .get(seat)
                    .is_some_and(|seat| seat.wake == Some(at))
                {
                    self.turn(seat);
                }
            }
            Plan::Glance(seat) => self.glance(seat),
            Plan::Part => {
                self.disturb(at);
                self.agreement.interfere(at, true);
                self.say_parts();
            }
            Plan::Judge => self.judge(),
            Plan::Arrive(conn, letter) => self.arrive(conn, letter),
            Plan::Tell(conn, side, news) => {
                if let Some(seat) = self.tell(conn, side, news) {
                    self.turn(seat);
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let there = |seat: &Seat| !matches!(seat.who, Occupant::Nobody);
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
            seat.who = Occupant::Coordinator(Box::new(Directory::new()));
        } else {
            seat.port = Port::new(exchanges(self.scenario));
            seat.who =
                (self.build)(self.scenario, config).map_or(Occupant::Nobody, Occupant::Member);
            self.say(number, "starts");
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
        seat.who = Occupant::Nobody;
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
                    self.close(conn, side, News::Gone(Gone::Reset));
                }
            }
        }
        self.agreement.crashed_at = Some(self.now);
        self.disturb(self.now);
        self.say(number, "crashes");
        self.look(number);
        if let Some(until) = crash.until {
            let until = (Instant::ZERO + until).max(self.now);
            self.agenda.plan(until, Plan::Start(number));
        }
    }

    /// Lets a machine do all it has to do, and the network what the machine wants.
    pub(super) fn turn(&mut self, number: usize) {
        loop {
            let now = self.now;
            let Some(seat) = self.seats.get_mut(number) else {
                return;
            };
            self.outcome.polls += 1;
            let mut told = Vec::new();
            match &mut seat.who {
                Occupant::Nobody => return,
                Occupant::Coordinator(directory) => {
                    while directory.poll(now, &mut seat.port).is_some() {}
                }
                Occupant::Member(machine) => {
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
            let deeds = core::mem::take(&mut seat.port.outbox);
            for event in told {
                self.say_event(number, event);
            }
            self.say_state(number);
            for deed in deeds {
                self.perform(number, deed);
            }
            if !self
                .seats
                .get(number)
                .is_some_and(|seat| seat.port.has_news())
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
            Occupant::Nobody => None,
            Occupant::Coordinator(directory) => directory.poll_at(),
            Occupant::Member(machine) => machine.poll_at(),
        };
        if wake != seat.wake {
            seat.wake = wake;
            if let Some(at) = wake {
                self.agenda.plan(at.max(self.now), Plan::Wake(number));
                let span = at.since(self.now);
                if number > 0 && self.glances.random_ratio(1, 16) && span > Duration::ZERO {
                    let early = span.mul_f64(self.glances.random_range(0.5..1.0));
                    self.agenda.plan(self.now + early, Plan::Glance(number));
                }
            }
        }
    }

    /// Polls a machine between its deadlines, where it must have nothing to do.
    fn glance(&mut self, number: usize) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if let Occupant::Member(machine) = &mut seat.who
            && seat.wake.is_none_or(|wake| wake > now)
            && !seat.port.has_news()
            && let Err(breach) =
                checks::glance(machine.as_mut(), &mut seat.port, now, self.scenario, number)
        {
            self.breach = Some(breach);
        }
    }
}
