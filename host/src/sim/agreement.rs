//! Whether all agree, and whether they must by now.
//!
//! Everything that goes wrong or changes who is there is a *disturbance*: a start, a crash, a
//! feigned failure and its end, a lost or late message, the beginning and the end of a partition.
//! [`settles_within`] after the latest one a group is at rest: everyone that is up names the
//! greatest member it can reach, and goes on doing so until the next disturbance.

use core::time::Duration;

use bully::{Config, Instant, Phase, Pid};

use super::checks::Breach;
use super::group::{Group, Occupant, Plan, addr, pid};
use super::report::Outcome;
use super::scenario::{JOINS_AT, Scenario, Start};
use super::tell::name;

/// Who is up and names the greatest that is, kept up to date.
#[derive(Debug)]
pub(super) struct Agreement {
    /// Members that are up and name the greatest that is.
    right: usize,
    up: usize,
    pub(super) greatest_up: usize,
    since: Option<Instant>,
    pub(super) crashed_at: Option<Instant>,
    disturbed_at: Instant,
    /// When the latest message that is lost or late was, or will be, due, or a partition changed.
    interfered_until: Instant,
    /// The same, but for COORDINATOR: until then somebody who is there may have seemed gone.
    muffled_until: Instant,
    /// How long a group needs, or `None` if nothing can be promised.
    within: Option<Duration>,
    /// Messages allowed so far.
    allowed: u64,
}

/// How long a group takes at most from the last disturbance until all agree, for delays that are
/// short against all of these.
///
/// The slowest ways are those by which a mistake comes to light: a member whose JOIN failed tries
/// again after the longest pause, a leader asks the coordinator who has come, and one whose leader is gone sends its next PROBE after the
/// longest gap and waits for an answer. What comes to light is put right by an election: the OKs,
/// the COORDINATOR that does not come, because whoever answered has just gone, up to twice as long
/// the second time, and the OKs once more. The window may put the announcement off, and a
/// COORDINATOR lost before all this adds a PROBE to a lesser leader and the election that follows.
pub fn settles_within(config: &Config) -> Duration {
    let joins = config.join_again.1.max(config.look_gap) + config.join_within;
    let notices = config.probe_gap.1 + config.probe_within;
    let elects = config.ok_within + 2 * config.victor_within + config.ok_within;
    joins + 2 * (notices + elects + config.window)
}

/// After so long a member that has started or come back is there for all to see: it has joined, and
/// whoever waited in vain for an answer from before has stopped.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// After so long a PROBE from before has been answered, or given up.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

impl Agreement {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let config = Config::new(bully::Member {
            pid: pid(1),
            addr: addr(1),
        });
        // To the letter the rules promise nothing; nor do they when answers take longer than they
        // are waited for, when the table has no room for all, or when PROBE goes unasked or unanswered.
        let promised = !scenario.strict
            && 4 * scenario.delay.ceiling() <= config.ok_within
            && scenario.capacity >= scenario.members
            && scenario.prober.is_none();
        Self {
            right: 0,
            up: 0,
            greatest_up: 0,
            since: None,
            crashed_at: None,
            disturbed_at: Instant::ZERO,
            interfered_until: Instant::ZERO,
            muffled_until: Instant::ZERO,
            within: promised.then(|| settles_within(&config)),
            allowed: 0,
        }
    }

    /// Forgets what came before the late one.
    pub(super) fn restart(&mut self) {
        self.since = None;
    }

    /// A message is lost or late, or a partition changes; `muffles` if somebody who is there may seem
    /// gone because of it.
    pub(super) fn interfere(&mut self, at: Instant, muffles: bool) {
        self.interfered_until = self.interfered_until.max(at);
        if muffles {
            self.muffled_until = self.muffled_until.max(at);
        }
    }

    fn rests_at(&self) -> Option<Instant> {
        Some(self.disturbed_at + self.within?)
    }
}

impl Group<'_> {
    /// Something goes wrong now, or will at `at`.
    pub(super) fn disturb(&mut self, at: Instant) {
        let n = self.scenario.members as u64;
        let agreement = &mut self.agreement;
        // What the join of the lowest costs; no single disturbance costs more.
        agreement.allowed += n.max(2) * (n + 1);
        agreement.disturbed_at = agreement.disturbed_at.max(at);
        if let Some(at) = agreement.rests_at() {
            self.agenda.plan(at, Plan::Judge);
        }
    }

    /// Brings what is known of a member up to date, and with it whether all agree.
    pub(super) fn look(&mut self, number: usize) {
        let top = pid(self.agreement.greatest_up);
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
        self.judge_change(number, had, leader);
        if was_up != up {
            if let Some(seat) = self.seats.get_mut(number) {
                seat.up_since = self.now;
            }
            self.disturb(self.now);
            let numbers = 1..self.seats.len();
            let is_up = |number: &usize| self.seats.get(*number).is_some_and(|seat| seat.up);
            let greatest_up = numbers.clone().rev().find(is_up).unwrap_or(0);
            let top = pid(greatest_up);
            self.agreement.greatest_up = greatest_up;
            self.agreement.up = numbers.clone().filter(is_up).count();
            self.agreement.right = numbers
                .filter(is_up)
                .filter(|number| {
                    self.seats
                        .get(*number)
                        .is_some_and(|seat| seat.leader == Some(top))
                })
                .count();
        } else if up {
            self.agreement.right -= usize::from(had == Some(top));
            self.agreement.right += usize::from(leader == Some(top));
        }
        let agreement = &mut self.agreement;
        let agreed = agreement.up > 0 && agreement.right == agreement.up;
        match (agreed, agreement.since) {
            (true, None) => agreement.since = Some(self.now),
            (false, Some(_)) => agreement.since = None,
            _ => {}
        }
        self.judge();
    }

    /// Nobody has reason to pass over a greater member that is there for all to see.
    fn judge_change(&mut self, number: usize, had: Option<Pid>, has: Option<Pid>) {
        if self.agreement.within.is_none() {
            return;
        }
        let plain = |greater: usize, clear_since: Instant, within: Duration| {
            self.now >= clear_since + within
                && !self.weather.parts(self.now, number, greater)
                && self
                    .seats
                    .get(greater)
                    .is_some_and(|seat| seat.up && self.now >= seat.up_since + within)
        };
        let (invariant, greater) = match (had, has) {
            (Some(had), Some(has)) if has < had && has > pid(number) => (
                "nobody leaves a leader that answers for a lesser one",
                Some(name(had) as usize)
                    .filter(|had| plain(*had, self.agreement.muffled_until, ASKED_WITHIN)),
            ),
            (_, Some(has)) if has == pid(number) && had != has.into() => (
                "nobody takes the lead over a greater member that answers",
                match self.seats.get(number).map(|seat| &seat.who) {
                    Some(Occupant::Member(machine)) => {
                        let known = machine.roster().members().iter().rev();
                        let mut greater = known.map(|known| name(known.pid) as usize);
                        greater.find(|known| {
                            *known > number
                                && plain(*known, self.agreement.interfered_until, SEEN_WITHIN)
                        })
                    }
                    _ => None,
                },
            ),
            _ => return,
        };
        if let Some(greater) = greater {
            let seen = format!(
                "{:?} after {:?} over {greater}",
                has.map(name),
                had.map(name)
            );
            self.accuse(number, invariant, seen);
        }
    }

    /// At rest, all must agree.
    pub(super) fn judge(&mut self) {
        let rests = self.agreement.rests_at();
        if rests.is_none_or(|at| self.now < at) || self.breach.is_some() {
            return;
        }
        let mut from = 1;
        while from < self.seats.len() {
            let cut = (from + 1..self.seats.len())
                .find(|number| self.weather.parts(self.now, number - 1, *number))
                .unwrap_or(self.seats.len());
            self.judge_side(from..cut);
            from = cut;
        }
    }

    /// At rest, these must agree, who all reach each other and nobody else.
    fn judge_side(&mut self, side: core::ops::Range<usize>) {
        let (start, now) = (side.start, self.now);
        let side: Vec<(usize, Phase)> = side
            .filter_map(|number| match &self.seats.get(number)?.who {
                Occupant::Member(machine) => Some((number, machine.phase())),
                _ => None,
            })
            .filter(|(_, phase)| *phase != Phase::Failed)
            .collect();
        // Whoever started where the coordinator cannot be reached is not in the group yet.
        let joining = side.iter().any(|(_, phase)| *phase == Phase::Joining);
        if joining && self.weather.parts(now, 0, start) {
            return;
        }
        let named = |(number, phase): (usize, Phase)| match phase {
            Phase::Leading => Some(pid(number)),
            Phase::Following(leader) => Some(leader),
            _ => None,
        };
        let mut leaders = side.iter().copied().filter_map(named);
        if let Some(first) = leaders.next()
            && let Some(other) = leaders.find(|leader| *leader != first)
        {
            let (first, other) = (name(first), name(other));
            return self.accuse(
                start,
                "at rest no two settled members that reach each other name different leaders",
                format!("{first} and {other}"),
            );
        }
        let Some((greatest, _)) = side.last().copied() else {
            return;
        };
        for member in side {
            let leader = named(member);
            if leader != Some(pid(greatest)) {
                let leader = leader.map(name);
                return self.accuse(
                    member.0,
                    "at rest everyone names the greatest member up",
                    format!("{leader:?} ({:?}) for {greatest}", member.1),
                );
            }
        }
    }

    /// Elections must not cost more than what disturbs the group calls for.
    pub(super) fn judge_count(&mut self, number: usize) {
        let (sent, allowed) = (self.outcome.election_sum(), self.agreement.allowed);
        if self.agreement.within.is_some() && sent > allowed {
            self.accuse(
                number,
                "a disturbance costs less than (n - 1)(n + 2) messages",
                format!("{sent}, {allowed} allowed so far"),
            );
        }
    }

    fn accuse(&mut self, member: usize, invariant: &'static str, seen: String) {
        let breach = Breach {
            invariant,
            member,
            at: self.now,
            seen,
            seed: self.scenario.seed,
        };
        self.breach = self.breach.take().or(Some(breach));
    }

    /// Whether the end would fall on an election in a group that is never at rest for long.
    pub(super) fn is_caught_out(&self) -> bool {
        self.scenario.feign.is_some() && self.agreement.since.is_none()
    }

    /// What the run came to.
    pub(super) fn finish(self) -> Outcome {
        let since = self.agreement.since.map(|at| at.since(Instant::ZERO));
        let began = match self.scenario.start {
            Start::LowestJoins | Start::HighestJoins => JOINS_AT,
            _ => Duration::ZERO,
        };
        let leader: Pid = pid(self.agreement.greatest_up);
        let mut outcome = self.outcome;
        outcome.agreed = since.is_some() && !outcome.cut;
        outcome.leader = outcome.agreed.then_some(leader);
        outcome.settled = since.map(|since| since.saturating_sub(began));
        outcome.simulated = match outcome.cut {
            true => self.now.since(Instant::ZERO),
            false => self.scenario.duration.max(self.now.since(Instant::ZERO)),
        };
        outcome.crash_to_leader = self
            .agreement
            .crashed_at
            .zip(self.agreement.since)
            .map(|(crash, agreed)| agreed.since(crash));
        outcome.calm_to_leader = self
            .agreement
            .since
            .map(|agreed| agreed.since(self.agreement.disturbed_at));
        outcome
    }
}
