//! What must hold of the group as a whole: who may lead, that all agree at rest, and what an election
//! may cost.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::{Instant, Member, Phase, Pid};

use crate::agreement::{ASKED_WITHIN, SEEN_WITHIN, View};
use crate::breach::Breach;
use crate::identity::{addr, number as number_of};
use crate::outcome::Unchecked;
use crate::process::Process;
use crate::scenario::Who;
use crate::simulation::{SimEvent, Simulation};

impl Simulation<'_> {
    /// Something goes wrong now, or will at `at`.
    pub(crate) fn fault(&mut self, at: Instant) {
        let n = self.scenario.members as u64;
        // What the join of the lowest costs; no single fault costs more. In large groups the number of
        // exchanges bounds it, 16 each, twice over for the answers, and two announcements; where the
        // tables are too small, members pass a new leader on instead of hearing it from the leader.
        let least = if self.scenario.fits() {
            0
        } else {
            PASSED_ON_MAX
        };
        self.agreement.allowed += n.max(2) * (n + 1).max(least).min(FAULT_COST_EACH_MAX);
        self.agreement.last_fault = self.agreement.last_fault.max(at);
        if let Some(at) = self.agreement.rests_at()
            && !core::mem::replace(&mut self.agreement.check_is_due, true)
        {
            self.queue.push(at, SimEvent::CheckAgreement);
        }
    }

    /// Brings what is known of a member up to date, and checks the change.
    pub(crate) fn observe(&mut self, number: usize) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let (up, leader) = match &slot.process {
            Process::Member(node) => {
                let fullest = &mut self.record.outcome.fullest_table;
                *fullest = node.roster().len().max(*fullest);
                let up = node.phase() != Phase::Failed && !slot.paused;
                (up, node.leader())
            }
            _ if number == 0 => return,
            _ => (false, None),
        };
        let seen = (up, slot.pid, leader);
        let Some(before) = self.agreement.observe(self.now, number, seen) else {
            return;
        };
        if up && before.leader != leader {
            self.check_change(number, before.leader, leader);
        }
        if before.up != up {
            self.fault(self.now);
        }
        self.check_agreement();
    }

    /// Nobody has reason to pass over a greater member that has long been there; whoever was stopped
    /// itself has not seen it for as long.
    fn check_change(&mut self, number: usize, had: Option<Pid>, has: Option<Pid>) {
        let Some(me) = self.agreement.view(number).copied() else {
            return;
        };
        if self.agreement.within.is_none() || !me.judged {
            return;
        }
        let plain = |greater: &View, whom: usize, clear_since: Instant, within: Duration| {
            self.now >= clear_since + within
                && self.fault_model.reaches(self.now, number, whom)
                && self.fault_model.reaches(self.now, whom, number)
                && greater.up
                && self.now >= greater.since.max(me.since) + within
        };
        let there = |pid: Pid, clear_since: Instant, within: Duration| {
            let number = number_of(pid) as usize;
            let view = self.agreement.view(number)?;
            // By the letter a plain member asks all who were forged before it leads.
            let leads = view.judged || self.scenario.attacks.is_empty();
            let plain = view.pid == pid && plain(view, number, clear_since, within);
            (leads && plain).then_some(number)
        };
        let (invariant, greater) = match (had, has) {
            (Some(had), Some(has)) if has < had && has > me.pid => (
                // One that follows somebody itself is no leader, whatever its followers believe.
                "nobody leaves a leader that answers for a lesser one",
                there(had, self.agreement.muffled_until, ASKED_WITHIN).filter(|whom| {
                    let view = self.agreement.view(*whom);
                    let leads = view.is_some_and(|view| view.leader == Some(had));
                    leads && (self.slots[*whom].moves == 0 || self.knows(number, *whom))
                }),
            ),
            (_, Some(has)) if has == me.pid && had != Some(has) => (
                "nobody takes the lead over a greater member that answers",
                match self.slots.get(number).map(|slot| &slot.process) {
                    Some(Process::Member(node)) => {
                        let known = node.roster().members().iter().rev();
                        let mut greater = known.filter(|known| {
                            known.pid > me.pid && self.knows(number, number_of(known.pid) as usize)
                        });
                        greater.find_map(|known| {
                            there(known.pid, self.agreement.interfered_until, SEEN_WITHIN)
                        })
                    }
                    _ => None,
                },
            ),
            _ => return,
        };
        if let Some(greater) = greater {
            let (has, had) = (has.map(number_of), had.map(number_of));
            let seen = format!("{has:?} after {had:?} over {greater}");
            self.breach(number, invariant, seen);
        }
    }

    /// The member of this number knows where `whom` is. One that is known where it was before it moved
    /// does not answer there.
    fn knows(&self, number: usize, whom: usize) -> bool {
        let known = self.slots.get(number).map(|slot| &slot.process);
        let Some((slot, Process::Member(node))) = self.slots.get(whom).zip(known) else {
            return false;
        };
        let here = Member {
            pid: slot.pid,
            addr: addr(whom, slot.moves),
        };
        node.roster().members().contains(&here)
    }

    /// The check that was planned is due: at rest by now, or later because of another fault.
    pub(crate) fn check_agreement_or_later(&mut self) {
        self.agreement.check_is_due = false;
        match self.agreement.rests_at() {
            Some(at) if at > self.now => {
                self.agreement.check_is_due = true;
                self.queue.push(at, SimEvent::CheckAgreement);
            }
            _ => self.check_agreement(),
        }
    }

    /// At rest, all must agree.
    fn check_agreement(&mut self) {
        let rests = self.agreement.rests_at();
        if rests.is_none_or(|at| self.now < at) || self.breach.is_some() {
            return;
        }
        if self.fault_model.has_cut(self.now) {
            return self.record.leave_out(Unchecked::CutLinks);
        }
        self.record.was_at_rest = true;
        if self.scenario.partitions.is_empty() && self.agreement.since().is_some() {
            return;
        }
        let mut sides: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for number in self.agreement.up() {
            let side = self.fault_model.side(self.now, number);
            sides.entry(side).or_default().push(number);
        }
        for (_, side) in sides {
            self.check_side(&side);
        }
    }

    /// At rest, these must agree, who all reach each other and nobody else; ascending by process id.
    fn check_side(&mut self, side: &[usize]) {
        let phase = |number: usize| match &self.slots.get(number)?.process {
            Process::Member(node) => Some((number, node.phase())),
            _ => None,
        };
        let mut side: Vec<(usize, Phase)> = side.iter().filter_map(|it| phase(*it)).collect();
        // Whoever started where the coordinator cannot be reached is not in the group yet.
        let coordinator = matches!(
            self.slots.first().map(|slot| &slot.process),
            Some(Process::Coordinator(_))
        );
        let before = side.len();
        side.retain(|(number, phase)| {
            *phase != Phase::Joining
                || coordinator && self.fault_model.reaches(self.now, 0, *number)
        });
        if side.len() < before {
            self.record.leave_out(Unchecked::CannotJoin);
        }
        let Some((greatest, _)) = side.last().copied() else {
            return;
        };
        let named = |(number, phase): (usize, Phase)| match phase {
            Phase::Leading => Some(self.slots.get(number)?.pid),
            Phase::Following(leader) => Some(leader),
            _ => None,
        };
        let judged = |number: usize| self.agreement.view(number).is_some_and(|view| view.judged);
        let Some(pid) = self.slots.get(greatest).map(|slot| slot.pid) else {
            return;
        };
        for member in side {
            let leader = named(member);
            if leader == Some(pid) || !judged(member.0) {
                continue;
            }
            let seen = format!(
                "{:?} ({:?}) for {greatest}",
                leader.map(number_of),
                member.1
            );
            let invariant = "at rest everyone names the greatest member up";
            return self.breach(member.0, invariant, seen);
        }
    }

    /// Elections must not cost more than the faults account for.
    pub(crate) fn check_cost(&mut self, number: usize) {
        // JOINs go on in the quietest group: the leader asks every ten seconds who has come.
        let sent = self.record.to_elect();
        let allowed = self.agreement.allowed;
        if self.agreement.within.is_some() && sent > allowed {
            let invariant = "elections cost no more than the faults account for";
            self.breach(
                number,
                invariant,
                format!("{sent}, {allowed} allowed so far"),
            );
        }
    }

    fn breach(&mut self, member: usize, invariant: &'static str, seen: String) {
        let breach = Breach {
            invariant,
            member,
            at: self.now,
            seen,
            seed: self.scenario.seed,
        };
        self.breach = self.breach.take().or(Some(breach));
    }

    /// Returns `true` if the end of the run would fall on an election in a group whose faults never
    /// end. It then goes on until all agree, for as long as settling may take and no longer: if there
    /// was no other fault meanwhile, they must agree by then as at rest.
    pub(crate) fn ends_unsettled(&self) -> bool {
        let lossy = self.scenario.loss > 0.0 && self.scenario.loss_until.is_none()
            || self.scenario.packet_loss > 0.0;
        (self.scenario.feign.is_some() || lossy) && self.agreement.since().is_none()
    }

    /// Processes to which a fault happens now.
    pub(crate) fn whom(&mut self, who: Who) -> Vec<usize> {
        match who {
            Who::Leader => self
                .agreement
                .greatest()
                .map(|(_, number)| number)
                .into_iter()
                .collect(),
            Who::Number(number) => vec![number],
            Who::Percent(share) => {
                let mut up: Vec<usize> = self.agreement.up().collect();
                let count = (up.len() * usize::from(share)).div_ceil(100);
                self.draw(&mut up, count);
                up
            }
        }
    }
}

/// What a fault may cost at most for each member of a group that is larger than its tables.
const PASSED_ON_MAX: u64 = 16;

/// What a fault may cost at most for each member.
const FAULT_COST_EACH_MAX: u64 = 64;
