//! The group: all machines, what is on its way between them, and time.

use core::time::Duration;
use std::collections::HashMap;

use bully::{Addr, Config, Directory, Event, Feign, Gone, Instant, Member, Phase, Pid};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::agenda::Agenda;
use super::checks::{self, Breach};
use super::machine::{EXCHANGES, Machine, node};
use super::network::{Conn, End, Side, Weather};
use super::port::{Deed, Letter, News, Port};
use super::report::Outcome;
use super::scenario::{Crash, JOINS_AT, START_GAP, Scenario, Start, Who};

/// How many bytes a message takes on a wire: its kind's name and its list of members.
pub type Measure<'a> = &'a dyn Fn(&str, &[Member]) -> usize;

/// Who is told of everything that happens: the time, the member's number (0: the coordinator), and
/// what happened to it.
pub type Trace<'a> = &'a mut dyn FnMut(Instant, usize, &str);

/// What is to come.
#[derive(Debug)]
enum Plan {
    Start(usize),
    Crash(Crash),
    /// A machine's own deadline.
    Wake(usize),
    /// A connection with its message arrives.
    Arrive(u64, Letter),
    /// News of a connection arrive at one end.
    Tell(u64, Side, News),
}

/// A place in the group, and who is there: 0 is the coordinator, the members follow from the least.
struct Seat {
    who: Occupant,
    port: Port,
    listening: bool,
    /// The connection of each slot.
    calls: HashMap<u32, u64>,
    wake: Option<Instant>,
    starts: u64,
    up: bool,
    leader: Option<Pid>,
}

enum Occupant {
    Nobody,
    Coordinator(Box<Directory<4096, EXCHANGES>>),
    Member(Box<dyn Machine>),
}

struct Group<'a> {
    scenario: &'a Scenario,
    now: Instant,
    agenda: Agenda<Plan>,
    rng: StdRng,
    weather: Weather,
    seats: Vec<Seat>,
    conns: HashMap<u64, Conn>,
    conns_made: u64,
    /// Members that are up and name the greatest that is.
    right: usize,
    up: usize,
    greatest_up: usize,
    agreed_since: Option<Instant>,
    crashed_at: Option<Instant>,
    outcome: Outcome,
    measure: Measure<'a>,
    trace: Option<Trace<'a>>,
    breach: Option<Breach>,
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
    let mut group = Group::new(scenario, measure, trace);
    let end = Instant::ZERO + scenario.duration;
    while group.agenda.next_at().is_some_and(|at| at <= end) {
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
fn addr(seat: usize) -> Addr {
    Addr(0x7f00_0001_0000 | (20_000 + seat as u64))
}

impl<'a> Group<'a> {
    fn new(scenario: &'a Scenario, measure: Measure<'a>, trace: Option<Trace<'a>>) -> Self {
        let seats = (0..=scenario.members)
            .map(|_| Seat {
                who: Occupant::Nobody,
                port: Port::new(EXCHANGES),
                listening: false,
                calls: HashMap::new(),
                wake: None,
                starts: 0,
                up: false,
                leader: None,
            })
            .collect();
        let mut group = Self {
            scenario,
            now: Instant::ZERO,
            agenda: Agenda::new(),
            rng: StdRng::seed_from_u64(scenario.seed),
            weather: Weather {
                delay: scenario.delay,
                loss: scenario.loss,
                partitions: scenario.partitions.clone(),
            },
            seats,
            conns: HashMap::new(),
            conns_made: 0,
            right: 0,
            up: 0,
            greatest_up: 0,
            agreed_since: None,
            crashed_at: None,
            outcome: Outcome::new(scenario.seed),
            measure,
            trace,
            breach: None,
        };
        group.plan_starts();
        for crash in &scenario.crashes {
            let at = Instant::ZERO + crash.at;
            group.agenda.plan(at, Plan::Crash(*crash));
        }
        group
    }

    fn plan_starts(&mut self) {
        let count = self.scenario.members;
        let mut order: Vec<usize> = (1..=count).collect();
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
            Start::LowestJoins => Some(order.remove(0)),
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
            Plan::Arrive(conn, letter) => self.arrive(conn, letter),
            Plan::Tell(conn, side, news) => {
                if let Some(seat) = self.tell(conn, side, news) {
                    self.turn(seat);
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        seat.starts += 1;
        seat.listening = true;
        seat.port = Port::new(EXCHANGES);
        if number == 0 {
            seat.who = Occupant::Coordinator(Box::new(Directory::new()));
        } else {
            let me = Member {
                pid: pid(number),
                addr: addr(number),
            };
            let config = Config {
                directory: Some(addr(0)),
                seed: self.rng.random(),
                feign: self.scenario.feign.map(Feign::new),
                strict: self.scenario.strict,
                ..Config::new(me)
            };
            seat.who =
                node(self.scenario.capacity, config).map_or(Occupant::Nobody, Occupant::Member);
            self.say(number, "starts");
        }
        if self.joins_late(number) {
            // What the others did before is not part of what is measured.
            self.outcome.restart_count();
            self.agreed_since = None;
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

    fn crash(&mut self, crash: Crash) {
        let number = match crash.who {
            Who::Leader => self.greatest_up,
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
        self.crashed_at = Some(self.now);
        self.say(number, "crashes");
        self.look(number);
        if let Some(until) = crash.until {
            let until = (Instant::ZERO + until).max(self.now);
            self.agenda.plan(until, Plan::Start(number));
        }
    }

    /// Lets a machine do all it has to do, and the network what the machine wants.
    fn turn(&mut self, number: usize) {
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
                    if let Err(breach) =
                        checks::step(machine.as_mut(), &mut seat.port, now, self.scenario, number)
                    {
                        self.breach = self.breach.take().or(Some(breach));
                    }
                }
            }
            let deeds = core::mem::take(&mut seat.port.outbox);
            for event in told {
                self.say_event(number, event);
            }
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
            }
        }
    }

    fn perform(&mut self, number: usize, deed: Deed) {
        match deed {
            Deed::Open { slot, to, letter } => {
                self.count(&letter);
                self.outcome.exchanges += 1;
                self.say_letter(number, &letter, to);
                let to = (to.0 & 0xFFFF) as usize - 20_000;
                let conn = self.conns_made;
                self.conns_made += 1;
                self.conns.insert(
                    conn,
                    Conn {
                        opener: Some(End { seat: number, slot }),
                        target: None,
                        from: number,
                        to,
                        latest: [Instant::ZERO; 2],
                    },
                );
                if let Some(seat) = self.seats.get_mut(number) {
                    seat.calls.insert(slot, conn);
                }
                // Across a partition nothing arrives, and nothing comes back.
                if !self.weather.parts(self.now, number, to) {
                    let at = self.now + self.weather.delay(&mut self.rng);
                    self.agenda.plan(at, Plan::Arrive(conn, letter));
                }
            }
            Deed::Reply { slot, letter } => {
                self.count(&letter);
                let Some(seat) = self.seats.get_mut(number) else {
                    return;
                };
                seat.port.tell(slot, News::Sent);
                seat.port.tell(slot, News::Done);
                let Some(conn) = seat.calls.get(&slot).copied() else {
                    return;
                };
                let lost = self.weather.loses(&mut self.rng);
                if lost || self.parts(conn) {
                    return;
                }
                self.send(conn, Side::Opener, News::Reply(letter));
            }
            Deed::Close { slot } => {
                let Some(seat) = self.seats.get_mut(number) else {
                    return;
                };
                let Some(conn) = seat.calls.remove(&slot) else {
                    return;
                };
                let side = match self.conns.get(&conn).and_then(|conn| conn.opener) {
                    Some(End { seat, slot: theirs }) if seat == number && theirs == slot => {
                        Side::Opener
                    }
                    _ => Side::Target,
                };
                self.close(conn, side, News::Done);
            }
            Deed::Listen(on) => {
                if let Some(seat) = self.seats.get_mut(number) {
                    seat.listening = on;
                }
            }
        }
    }

    fn parts(&self, conn: u64) -> bool {
        self.conns
            .get(&conn)
            .is_some_and(|conn| self.weather.parts(self.now, conn.from, conn.to))
    }

    /// Sends news to one end; nothing on a connection overtakes anything before it.
    fn send(&mut self, number: u64, side: Side, news: News) {
        let at = self.now + self.weather.delay(&mut self.rng);
        if let Some(conn) = self.conns.get_mut(&number) {
            let latest = conn.latest(side);
            *latest = at.max(*latest);
            self.agenda.plan(*latest, Plan::Tell(number, side, news));
        }
    }

    /// Closes one end; the other end is told, if it is still there.
    fn close(&mut self, number: u64, side: Side, news: News) {
        let parted = self.parts(number);
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        conn.close(side);
        if conn.end(side.other()).is_some() {
            if !parted {
                self.send(number, side.other(), news);
            }
        } else {
            self.conns.remove(&number);
        }
    }

    /// A connection arrives with its message, if there is somebody to take it.
    fn arrive(&mut self, number: u64, letter: Letter) {
        let Some(conn) = self.conns.get(&number).copied() else {
            return;
        };
        if self.weather.parts(self.now, conn.from, conn.to) {
            return;
        }
        let Some(seat) = self.seats.get_mut(conn.to) else {
            return;
        };
        if !seat.listening {
            self.send(number, Side::Opener, News::Gone(Gone::Refused));
            return;
        }
        let Some(slot) = seat.port.accept() else {
            // It waits outside until somebody leaves.
            let at = self.now + Duration::from_millis(1);
            self.agenda.plan(at, Plan::Arrive(number, letter));
            return;
        };
        seat.calls.insert(slot, number);
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.target = Some(End {
                seat: conn.to,
                slot,
            });
        }
        if !self.weather.loses(&mut self.rng)
            && let Some(seat) = self.seats.get_mut(conn.to)
        {
            seat.port.tell(slot, News::Request(letter));
        }
        // The opener knows at once that it has arrived: the way back only costs events.
        let opener = self.tell(number, Side::Opener, News::Sent);
        self.turn(conn.to);
        if let Some(opener) = opener {
            self.turn(opener);
        }
    }

    /// Puts news into the port at one end; whose that is.
    fn tell(&mut self, conn: u64, side: Side, news: News) -> Option<usize> {
        let end = self.conns.get(&conn)?.end(side)?;
        let seat = self.seats.get_mut(end.seat)?;
        seat.port.tell(end.slot, news);
        Some(end.seat)
    }

    /// Brings what is known of a member up to date, and with it whether all agree.
    fn look(&mut self, number: usize) {
        let top = pid(self.greatest_up);
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if number == 0 {
            return;
        }
        let (up, leader) = match &seat.who {
            Occupant::Member(machine) => {
                self.outcome.fullest_table = self.outcome.fullest_table.max(machine.roster().len());
                (machine.phase() != Phase::Failed, machine.leader())
            }
            _ => (false, None),
        };
        if (up, leader) == (seat.up, seat.leader) {
            return;
        }
        let was_up = core::mem::replace(&mut seat.up, up);
        let had = core::mem::replace(&mut seat.leader, leader);
        if was_up != up {
            let numbers = 1..self.seats.len();
            let is_up = |number: &usize| self.seats.get(*number).is_some_and(|seat| seat.up);
            self.greatest_up = numbers.clone().rev().find(is_up).unwrap_or(0);
            let top = pid(self.greatest_up);
            self.up = numbers.clone().filter(is_up).count();
            self.right = numbers
                .filter(is_up)
                .filter(|number| {
                    self.seats
                        .get(*number)
                        .is_some_and(|seat| seat.leader == Some(top))
                })
                .count();
        } else if up {
            self.right -= usize::from(had == Some(top));
            self.right += usize::from(leader == Some(top));
        }
        let agreed = self.up > 0 && self.right == self.up;
        match (agreed, self.agreed_since) {
            (true, None) => self.agreed_since = Some(self.now),
            (false, Some(_)) => self.agreed_since = None,
            _ => {}
        }
    }

    fn count(&mut self, letter: &Letter) {
        let messages = &mut self.outcome.messages;
        let nobody: &[Member] = &[];
        let (count, name, list) = match letter {
            Letter::Join(_) => (&mut messages.join, "JOIN", nobody),
            Letter::Election(list) => (&mut messages.election, "ELECTION", &list[..]),
            Letter::Coordinator(list) => (&mut messages.coordinator, "COORDINATOR", &list[..]),
            Letter::Probe => (&mut messages.probe, "PROBE", nobody),
            Letter::Ok => (&mut messages.ok, "OK", nobody),
            Letter::Members(list) => {
                self.outcome.wire_bytes += (self.measure)("MEMBERS", list) as u64;
                return;
            }
            Letter::Refused(_) => return,
        };
        *count += 1;
        self.outcome.wire_bytes += (self.measure)(name, list) as u64;
    }

    fn say(&mut self, number: usize, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace(self.now, number, what);
        }
    }

    fn say_event(&mut self, number: usize, event: Event) {
        if self.trace.is_none() {
            return;
        }
        let name = |pid: Pid| pid.id - 1_000_000;
        let what = match event {
            Event::Joined { members } => format!("joined: {members} known"),
            Event::JoinFailed { failure, .. } => format!("cannot join: {failure:?}"),
            Event::Election { cause } => format!("elects: {}", cause.name()),
            Event::Leader { leader } => format!("leader is {}", name(leader)),
            Event::LeaderLost { leader, how } => format!("lost {}: {how:?}", name(leader)),
            Event::Failed { length } => format!("plays dead for {} ms", length.as_millis()),
            Event::Recovered => "is back".to_owned(),
            Event::RosterFull { left_out } => format!("has no room for {left_out}"),
        };
        self.say(number, &what);
    }

    fn say_letter(&mut self, number: usize, letter: &Letter, to: Addr) {
        if self.trace.is_none() {
            return;
        }
        let to = (to.0 & 0xFFFF) - 20_000;
        let what = match letter {
            Letter::Join(_) => "JOIN to the coordinator".to_owned(),
            Letter::Election(list) => format!("ELECTION to {to}, {} members", list.len()),
            Letter::Coordinator(list) => format!("COORDINATOR to {to}, {} members", list.len()),
            Letter::Probe => format!("PROBE to {to}"),
            Letter::Ok | Letter::Members(_) | Letter::Refused(_) => return,
        };
        self.say(number, &what);
    }

    fn finish(self) -> Outcome {
        let since = self.agreed_since.map(|at| at.since(Instant::ZERO));
        let began = match self.scenario.start {
            Start::LowestJoins | Start::HighestJoins => JOINS_AT,
            _ => Duration::ZERO,
        };
        let mut outcome = self.outcome;
        outcome.agreed = since.is_some() && !outcome.cut;
        outcome.leader = outcome.agreed.then(|| pid(self.greatest_up));
        outcome.settled = since.map(|since| since.saturating_sub(began));
        outcome.crash_to_leader = self
            .crashed_at
            .zip(self.agreed_since)
            .map(|(crash, agreed)| agreed.since(crash));
        outcome
    }
}
