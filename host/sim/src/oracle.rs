//! What must hold of the group as a whole: who may lead, that all agree at rest, and what an election
//! may cost.

use core::time::Duration;

use bully::{Instant, Phase, Pid};

use crate::agreement::{ASKED_WITHIN, SEEN_WITHIN};
use crate::checks::Breach;
use crate::identity::{number as number_of, pid};
use crate::report::Outcome;
use crate::scenario::{JOINS_AT, Start};
use crate::simulation::{Process, SimEvent, Simulation};

impl Simulation<'_> {
    /// Something goes wrong now, or will at `at`.
    pub(crate) fn disturb(&mut self, at: Instant) {
        let n = self.scenario.members as u64;
        let agreement = &mut self.agreement;
        // What the join of the lowest costs; no single disturbance costs more.
        agreement.allowed += n.max(2) * (n + 1);
        agreement.disturbed_at = agreement.disturbed_at.max(at);
        if let Some(at) = agreement.rests_at() {
            self.queue.plan(at, SimEvent::CheckAgreement);
        }
    }

    /// Brings what is known of a member up to date, and with it whether all agree.
    pub(crate) fn look(&mut self, number: usize) {
        let top = pid(self.agreement.greatest_up);
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if number == 0 {
            return;
        }
        let (up, leader) = match &seat.who {
            Process::Member(machine) => {
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
        self.check_change(number, had, leader);
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
        self.check_agreement();
    }

    /// Nobody has reason to pass over a greater member that is there for all to see.
    fn check_change(&mut self, number: usize, had: Option<Pid>, has: Option<Pid>) {
        if self.agreement.within.is_none() {
            return;
        }
        let plain = |greater: usize, clear_since: Instant, within: Duration| {
            self.now >= clear_since + within
                && !self.fault_model.parts(self.now, number, greater)
                && self
                    .seats
                    .get(greater)
                    .is_some_and(|seat| seat.up && self.now >= seat.up_since + within)
        };
        let (invariant, greater) = match (had, has) {
            (Some(had), Some(has)) if has < had && has > pid(number) => (
                "nobody leaves a leader that answers for a lesser one",
                Some(number_of(had) as usize)
                    .filter(|had| plain(*had, self.agreement.muffled_until, ASKED_WITHIN)),
            ),
            (_, Some(has)) if has == pid(number) && had != has.into() => (
                "nobody takes the lead over a greater member that answers",
                match self.seats.get(number).map(|seat| &seat.who) {
                    Some(Process::Member(machine)) => {
                        let known = machine.roster().members().iter().rev();
                        let mut greater = known.map(|known| number_of(known.pid) as usize);
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
                has.map(number_of),
                had.map(number_of)
            );
            self.breach_by(number, invariant, seen);
        }
    }

    /// At rest, all must agree.
    pub(crate) fn check_agreement(&mut self) {
        let rests = self.agreement.rests_at();
        if rests.is_none_or(|at| self.now < at) || self.breach.is_some() {
            return;
        }
        let mut from = 1;
        while from < self.seats.len() {
            let cut = (from + 1..self.seats.len())
                .find(|number| self.fault_model.parts(self.now, number - 1, *number))
                .unwrap_or(self.seats.len());
            self.check_side(from..cut);
            from = cut;
        }
    }

    /// At rest, these must agree, who all reach each other and nobody else.
    fn check_side(&mut self, side: core::ops::Range<usize>) {
        let (start, now) = (side.start, self.now);
        let side: Vec<(usize, Phase)> = side
            .filter_map(|number| match &self.seats.get(number)?.who {
                Process::Member(machine) => Some((number, machine.phase())),
                _ => None,
            })
            .filter(|(_, phase)| *phase != Phase::Failed)
            .collect();
        // Whoever started where the coordinator cannot be reached is not in the group yet.
        let joining = side.iter().any(|(_, phase)| *phase == Phase::Joining);
        if joining && self.fault_model.parts(now, 0, start) {
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
            let (first, other) = (number_of(first), number_of(other));
            return self.breach_by(
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
                let leader = leader.map(number_of);
                return self.breach_by(
                    member.0,
                    "at rest everyone names the greatest member up",
                    format!("{leader:?} ({:?}) for {greatest}", member.1),
                );
            }
        }
    }

    /// Elections must not cost more than what disturbs the group calls for.
    pub(crate) fn check_cost(&mut self, number: usize) {
        let (sent, allowed) = (self.outcome.election_sum(), self.agreement.allowed);
        if self.agreement.within.is_some() && sent > allowed {
            self.breach_by(
                number,
                "a disturbance costs less than (n - 1)(n + 2) messages",
                format!("{sent}, {allowed} allowed so far"),
            );
        }
    }

    fn breach_by(&mut self, member: usize, invariant: &'static str, seen: String) {
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
    pub(crate) fn ends_unsettled(&self) -> bool {
        self.scenario.feign.is_some() && self.agreement.since.is_none()
    }

    /// What the run came to.
    pub(crate) fn finish(self) -> Outcome {
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
        outcome.last_fault_to_leader = self
            .agreement
            .since
            .map(|agreed| agreed.since(self.agreement.disturbed_at));
        outcome
    }
}
