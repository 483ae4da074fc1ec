//! A group as one value: its nodes, what is under way between them, and what may still go wrong.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::sync::Arc;

use bully::{Config, Gone, Instant, Node, Phase, Pid};
use bully_tests::owned::Kind;
use bully_tests::people;

use crate::port::{
    COORDINATOR, EXCHANGES, End, FORGED, Flight, Input, List, MEMBERS, Place, Port, SILENT, at,
    begin,
};
use crate::print::{ORIGIN, Print};
use crate::rules::{Budget, Flaw, Grain, Rules, Step};

/// A node that is up.
#[derive(Clone, Debug, Hash)]
struct Slot<const CAPACITY: usize> {
    node: Node<CAPACITY, EXCHANGES>,
    ends: Vec<End>,
}

/// A group at one moment, whose members have tables of this capacity. Copies share the nodes that
/// have not changed.
#[derive(Clone, Debug)]
pub(crate) struct World<const CAPACITY: usize> {
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    now: Instant,
    slots: [Option<Arc<Slot<CAPACITY>>>; MEMBERS],
    prints: [u64; MEMBERS],
    /// In order, so that it does not matter in which they were sent.
    flights: Vec<Flight>,
    /// Who has joined, a bit for each place.
    joined: u8,
    /// Who was polled last.
    polled: Option<Place>,
}

/// The assignment's figures, less what would only multiply the states: nothing is left to chance,
/// and connections on which nothing is awaited any more are closed at once. In a group that outgrows
/// its tables only the pause between two JOINs keeps who is listed and gone from being asked for ever.
fn config(place: Place, outgrown: bool) -> Config {
    let mut config = people::config(u32::from(place) + 1);
    config.probe_gap = (PROBE_GAP, PROBE_GAP);
    config.join_again = (Duration::ZERO, Duration::ZERO);
    if !outgrown {
        config.join_gap = Duration::ZERO;
    }
    // Every fourth PROBE: a quiet group is soon back to where it was.
    config.look_gap = 4 * PROBE_GAP;
    config.received_linger = Duration::ZERO;
    config.answer_linger = Duration::ZERO;
    config.sent_linger = Duration::ZERO;
    config
}

/// The time between two PROBEs: the mean of the assignment's.
const PROBE_GAP: Duration = Duration::from_millis(1_750);

/// More than follow from anything that happens to a group of five at one moment.
const FLIGHTS_MAX: usize = 1_000;

/// More than enough for a group in which nothing goes wrong.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

impl<const CAPACITY: usize> World<CAPACITY> {
    /// A group of whom nobody has started yet.
    pub(crate) fn asleep(rules: Rules, budget: Budget) -> Self {
        Self {
            rules,
            budget,
            now: Instant::from_micros(ORIGIN),
            slots: [const { None }; MEMBERS],
            prints: [0; MEMBERS],
            flights: Vec::new(),
            joined: 0,
            polled: None,
        }
    }

    /// A group that has joined from the greatest down, one `apart` from the other, and settled in
    /// the quietest way.
    ///
    /// Followers that joined at one moment probe at one moment ever after.
    pub(crate) fn settled(rules: Rules, budget: Budget, apart: Duration) -> Self {
        let mut world = Self::asleep(rules, Budget::default());
        world.rules.flaw = Flaw::None;
        for place in (0..rules.members).rev() {
            world.budget.starts = 1;
            world.apply(Step::Start(place));
            world
                .quieten(SETTLES_WITHIN, Duration::ZERO)
                .expect("a group without faults settles");
            world.move_clock(world.now + apart);
        }
        world.rules = rules;
        world.budget = budget;
        world
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut print = Print::at(self.now);
        (self.prints, &self.flights, self.budget, self.joined).hash(&mut print);
        print.finish()
    }

    /// Everything that may happen next.
    pub(crate) fn steps(&self, into: &mut Vec<Step>) {
        into.clear();
        let mut last = None;
        for &flight in &self.flights {
            if last.replace(flight) == Some(flight) || !self.may_arrive(flight) {
                continue;
            }
            into.push(Step::Deliver(flight));
            if self.budget.losses > 0 && !matches!(flight, Flight::Over { .. }) {
                into.push(Step::Lose(flight));
                if !matches!(flight, Flight::Call { back: None, .. }) {
                    into.push(Step::Break(flight));
                }
            }
        }
        if let Some(next) = self.next_deadline()
            && (next <= self.now || self.flights.is_empty() || self.budget.late > 0)
        {
            let due = self
                .up()
                .filter(|place| self.deadline(*place) == Some(next));
            into.extend(due.map(Step::Wake));
        }
        for place in 0..self.rules.members {
            if self.slots[usize::from(place)].is_some() {
                if self.budget.crashes > 0 {
                    into.push(Step::Crash(place));
                }
            } else if self.budget.starts > 0 {
                into.push(Step::Start(place));
            }
        }
        if self.budget.forgeries > 0 {
            let kinds = [Kind::Election, Kind::Coordinator];
            let one = FORGED.iter().map(|forged| List::of(&[*forged]));
            for list in one.chain([List::of(&FORGED)]) {
                let forge = |to| kinds.map(|kind| Step::Forge { to, kind, list });
                into.extend(self.up().flat_map(forge));
            }
        }
    }

    /// What is reported of one end comes in order: its end comes last.
    fn may_arrive(&self, flight: Flight) -> bool {
        !matches!(flight, Flight::Over { .. })
            || !self
                .flights
                .iter()
                .any(|other| other.to() == flight.to() && *other != flight)
    }

    fn up(&self) -> impl Iterator<Item = Place> {
        (0..self.rules.members).filter(|place| self.slots[usize::from(*place)].is_some())
    }

    fn slot(&self, place: Place) -> Option<&Slot<CAPACITY>> {
        self.slots.get(usize::from(place))?.as_deref()
    }

    fn deadline(&self, place: Place) -> Option<Instant> {
        let node = &self.slot(place)?.node;
        match (self.rules.flaw, node.phase()) {
            (Flaw::Timerless, Phase::Waiting) => None,
            _ => node.poll_at(),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.up().filter_map(|place| self.deadline(place)).min()
    }

    /// Lets `step` happen, under every law.
    ///
    /// # Panics
    ///
    /// If a law is broken.
    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Start(place) => {
                self.budget.starts -= 1;
                let outgrown = usize::from(self.rules.members) > CAPACITY;
                let node = Node::new(config(place, outgrown));
                let ends = Vec::new();
                self.slots[usize::from(place)] = Some(Arc::new(Slot { node, ends }));
                self.poll(place, &[]);
            }
            Step::Crash(place) => {
                self.budget.crashes -= 1;
                self.crash(place);
            }
            Step::Wake(place) => {
                let due = self
                    .deadline(place)
                    .expect("only who has a deadline is woken");
                if due > self.now {
                    self.budget.late -= u8::from(!self.flights.is_empty());
                    self.move_clock(due);
                }
                self.poll(place, &[]);
            }
            Step::Deliver(flight) => {
                self.take(flight);
                self.arrive(flight);
            }
            Step::Lose(flight) => {
                self.budget.losses -= 1;
                self.take(flight);
            }
            Step::Break(flight) => {
                self.budget.losses -= 1;
                self.take(flight);
                self.break_off(flight);
            }
            Step::Forge { to, kind, list } => {
                self.budget.forgeries -= 1;
                self.call(COORDINATOR, None, to, kind, list);
            }
        }
    }

    fn move_clock(&mut self, to: Instant) {
        self.now = to;
        for place in 0..self.rules.members {
            self.take_print(place);
        }
    }

    fn take_print(&mut self, place: Place) {
        self.prints[usize::from(place)] = self.slot(place).map_or(0, |slot| {
            let mut print = Print::at(self.now);
            slot.hash(&mut print);
            print.finish()
        });
    }

    fn take(&mut self, flight: Flight) {
        let at = self.flights.iter().position(|other| *other == flight);
        self.flights.remove(at.expect("it is under way"));
    }

    fn send(&mut self, flight: Flight) {
        let at = self.flights.partition_point(|other| *other < flight);
        self.flights.insert(at, flight);
    }

    fn arrive(&mut self, flight: Flight) {
        match flight {
            Flight::Call {
                from,
                back,
                to,
                kind,
                list,
            } => {
                let to = match self.rules.flaw {
                    Flaw::Astray if kind == Kind::Coordinator => u8::from(from == 0),
                    _ => to,
                };
                self.call(from, back, to, kind, list);
            }
            Flight::Request { to, kind, list } => {
                self.poll(to.0, &[(to.1, Input::Request(kind, list))]);
            }
            Flight::Answer { to, members, list } => {
                self.poll(to.0, &[(to.1, Input::Answer { members, list })]);
            }
            Flight::Over { to, reset } => {
                self.end(to).peer = None;
                let input = if reset {
                    Input::Gone(Gone::Reset)
                } else {
                    Input::Done
                };
                self.poll(to.0, &[(to.1, input)]);
            }
        }
    }

    fn call(&mut self, from: Place, back: Option<u8>, to: Place, kind: Kind, list: List) {
        if to == COORDINATOR {
            self.joined |= 1 << from;
            if let Some(back) = back {
                self.send(Flight::Answer {
                    to: (from, back),
                    members: true,
                    list: List {
                        members: self.joined,
                        origin: None,
                    },
                });
                self.poll(from, &[(back, Input::Sent)]);
            }
            return;
        }
        let slot = self.slots.get_mut(usize::from(to));
        let Some(slot) = slot.and_then(|slot| slot.as_mut()) else {
            if let Some(back) = back {
                let input = if to == SILENT {
                    Input::Sent
                } else {
                    Input::Gone(Gone::Refused)
                };
                self.poll(from, &[(back, input)]);
            }
            return;
        };
        let number = begin(&mut Arc::make_mut(slot).ends, false);
        let tip = (to, number);
        self.end(tip).peer = back.map(|back| (from, back));
        if self.rules.grain == Grain::Parts {
            self.send(Flight::Request {
                to: tip,
                kind,
                list,
            });
            match back {
                Some(back) => self.end((from, back)).peer = Some(tip),
                None => self.send(Flight::Over {
                    to: tip,
                    reset: false,
                }),
            }
            self.poll(to, &[(number, Input::Accepted)]);
            if let Some(back) = back {
                self.poll(from, &[(back, Input::Sent)]);
            }
            return;
        }
        if self.rules.flaw == Flaw::Unanswered && kind == Kind::Election {
            self.end(tip).peer = None;
        }
        let input = [
            (number, Input::Accepted),
            (number, Input::Request(kind, list)),
            (number, Input::Done),
        ];
        // Whoever answers learns of the end when it has.
        let count = if self.end(tip).peer.is_some() { 2 } else { 3 };
        self.poll(to, &input[..count]);
        // Reported last, for it may close its end.
        if let Some(back) = back {
            self.poll(from, &[(back, Input::Sent)]);
        }
    }

    fn end(&mut self, (place, number): (Place, u8)) -> &mut End {
        let slot = self.slots[usize::from(place)]
            .as_mut()
            .expect("somebody is there");
        let ends = &mut Arc::make_mut(slot).ends;
        let end = ends.iter_mut().find(|end| end.number == number);
        end.expect("the connection stands")
    }

    /// Reports its input to a node, in order, and polls it until there is nothing more to do.
    fn poll(&mut self, place: Place, input: &[(u8, Input)]) {
        let answer_ends = self.rules.grain == Grain::Whole;
        let slot = self.slots[usize::from(place)]
            .as_mut()
            .expect("somebody is there");
        let Slot { node, ends } = Arc::make_mut(slot);
        let mut port = Port::new(place, ends, &mut self.flights, answer_ends);
        for (number, input) in input {
            port.report(*number, *input);
        }
        let mut events = 0;
        while node.poll(self.now, &mut port).is_some() || !port.inbox.is_empty() {
            events += 1;
            assert!(events < 100, "a poll without end");
        }
        let orphaned = core::mem::take(&mut port.orphaned);
        let later = node.poll_at().is_none_or(|at| at > self.now);
        assert!(later, "it wants to be polled with nothing to do");
        let unsettled = !matches!(node.phase(), Phase::Leading | Phase::Following(_));
        let stuck = unsettled && node.poll_at().is_none();
        assert!(!stuck, "{:?} has no deadline", node.phase());
        self.take_print(place);
        self.polled = Some(place);
        for (place, number) in orphaned {
            self.orphan(place, number, false);
        }
    }

    /// Polls once more whoever was polled last: that changes nothing, even at a time that has passed.
    pub(crate) fn poll_again(&mut self) {
        let up = |place: &Place| self.slot(*place).is_some();
        let Some(place) = self.polled.filter(up) else {
            return;
        };
        let before = (self.prints[usize::from(place)], self.flights.len());
        let slot = self.slots[usize::from(place)]
            .as_mut()
            .expect("somebody is there");
        let Slot { node, ends } = Arc::make_mut(slot);
        let mut port = Port::new(place, ends, &mut self.flights, true);
        let earlier = self.now.as_micros().saturating_sub(500_000);
        let event = node.poll(Instant::from_micros(earlier), &mut port);
        assert_eq!(event, None, "polled again, it reports more");
        self.take_print(place);
        let after = (self.prints[usize::from(place)], self.flights.len());
        assert_eq!(before, after, "polled again, it changes");
    }

    /// The other end of `number` at `place` is closed.
    fn orphan(&mut self, place: Place, number: u8, reset: bool) {
        let Some(slot) = self.slots[usize::from(place)].as_mut() else {
            return;
        };
        let ends = &mut Arc::make_mut(slot).ends;
        let Some(end) = ends.iter_mut().find(|end| end.number == number) else {
            return;
        };
        end.peer = None;
        let to = (place, number);
        let answered =
            |flight: &Flight| matches!(flight, Flight::Answer { to: of, .. } if *of == to);
        let over = end.over || self.flights.iter().any(answered);
        self.take_print(place);
        if !over {
            self.send(Flight::Over { to, reset });
        }
    }

    fn crash(&mut self, place: Place) {
        let slot = self.slots[usize::from(place)]
            .take()
            .expect("somebody is there");
        self.prints[usize::from(place)] = 0;
        self.flights
            .retain(|flight| flight.to().is_none_or(|to| to.0 != place));
        for flight in &mut self.flights {
            if let Flight::Call { from, back, .. } = flight
                && *from == place
            {
                *back = None;
            }
        }
        self.flights.sort_unstable();
        for (place, number) in slot.ends.iter().filter_map(|end| end.peer) {
            self.orphan(place, number, true);
        }
    }

    fn break_off(&mut self, flight: Flight) {
        let (near, far) = match flight {
            Flight::Call { from, back, .. } => (back.map(|back| (from, back)), None),
            Flight::Request { to, .. } | Flight::Answer { to, .. } => (Some(to), self.end(to).peer),
            Flight::Over { .. } => (None, None),
        };
        for (place, number) in [near, far].into_iter().flatten() {
            let to = (place, number);
            self.flights.retain(|flight| flight.to() != Some(to));
            self.orphan(place, number, true);
        }
    }
}

/// What is asked of a group.
impl<const CAPACITY: usize> World<CAPACITY> {
    /// Whether nothing is under way.
    pub(crate) fn at_rest(&self) -> bool {
        self.flights.is_empty()
    }

    /// Whether everybody who is up names the greatest who is up.
    pub(crate) fn agreed(&self) -> bool {
        let greatest = self.up().last().map(|place| at(place).pid);
        self.leaders().all(|leader| leader == greatest)
    }

    /// Whether everybody who is up names a leader, and not all the same.
    pub(crate) fn split(&self) -> bool {
        !self.agreed() && self.leaders().all(|leader| leader.is_some())
    }

    fn leaders(&self) -> impl Iterator<Item = Option<Pid>> {
        self.up()
            .filter_map(|place| self.slot(place))
            .map(|slot| slot.node.leader())
    }

    /// From now on nothing goes wrong and every message takes no time: how long it takes the group to
    /// agree and do so for `lasting`, or why it has not `within` that.
    pub(crate) fn quieten(
        &mut self,
        within: Duration,
        lasting: Duration,
    ) -> Result<Duration, String> {
        let begin = self.now;
        self.budget = Budget::default();
        let mut agreed = None;
        loop {
            let mut flights = 0;
            while let Some(flight) = self.flights.iter().copied().find(|f| self.may_arrive(*f)) {
                self.apply(Step::Deliver(flight));
                flights += 1;
                assert!(
                    flights < FLIGHTS_MAX,
                    "messages without end at one moment, the last of them {flight}"
                );
            }
            let span = self.now.since(begin);
            agreed = if self.agreed() {
                agreed.or(Some(span))
            } else {
                None
            };
            let next = self.next_deadline();
            match (agreed, next) {
                (Some(since), _) if span >= since + lasting => return Ok(since),
                (Some(since), None) => return Ok(since),
                (None, None) => {
                    return Err("nobody has a deadline, and they do not agree".into());
                }
                (None, Some(next)) if next.since(begin) > within => {
                    return Err(format!("no agreement within {within:?} that lasts"));
                }
                _ => {}
            }
            let next = next.unwrap_or(self.now);
            self.move_clock(next.max(self.now));
            for place in 0..self.rules.members {
                if self.deadline(place).is_some_and(|at| at <= self.now) {
                    self.apply(Step::Wake(place));
                }
            }
        }
    }

    /// Milliseconds since the beginning.
    pub(crate) fn millis(&self) -> u64 {
        (self.now.as_micros() - ORIGIN) / 1_000
    }

    /// Where everybody stands, in a few words.
    pub(crate) fn stands(&self) -> String {
        let stand = |place| match self.slot(place).map(|slot| slot.node.phase()) {
            None => "down".into(),
            Some(Phase::Following(pid)) => format!("follows {}", pid.days),
            Some(Phase::Leading) => "leads".into(),
            Some(phase) => format!("{phase:?}").to_lowercase(),
        };
        let stands =
            (0..self.rules.members).map(|place| format!("{}: {}", place + 1, stand(place)));
        stands.collect::<Vec<_>>().join(", ")
    }
}
