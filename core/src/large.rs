//! Groups larger than their members' tables.
//!
//! A member of such a group knows its neighbours and a sample of the others (see `shares.rs`), so no
//! announcement reaches everybody, and no election asks everybody. These rules hold once a member
//! knows that its group is large; until then none of them does anything.
//!
//! * **Relay.** Whoever begins to follow a leader passes its COORDINATOR on, once, to `RELAYS` of its
//!   table. Without: 2.9 s instead of 20 ms after a crash among 1,000 (simulated).
//! * **Pace.** Three relays at once, then one in [`RELAY_GAP`]: the hard limit of every storm.
//! * **Pull.** An ELECTION is answered OK and with a COORDINATOR as soon as the leader is known to be
//!   alive. It starts no election while that leader answers.
//! * **Few are asked.** An election asks sixteen: the greatest, the nearest, and some by lot.
//! * **Introduction.** A newcomer sends ELECTION to its nearest greater members whatever happens, so
//!   that everybody is known to its neighbour and the ring is whole.
//! * **Ask before believing.** A lesser leader, or one that was found gone lately, is followed only when
//!   the PROBE to the present leader, or to that one, says so. An answer from before the claim proves
//!   nothing.
//! * **Patience.** What does not answer within a few round trips is taken for gone for the time being.
//! * **No false leader.** An OK says whether its sender leads: who has asked follows it, and who learns
//!   that its leader does not elects, and learns who does. A program of another kind does not read that:
//!   PROBEs that go on for 15 s are left unanswered.
//! * **Seeking.** A leader asks some greater members by lot, each time it asks the coordinator who came.
//! * **Repair.** Who has lost all its neighbours on one side asks the coordinator for the next ones.

use crate::exchanges::State;
use crate::neighbours::{List, Side, TAKEN, greater_than};
use crate::phase::Stage;
use crate::rng::divide;
use crate::roster::{Member, Origin, Pid, Roster, TOP};
use crate::shares::Shares;
use crate::table::{Flag, count_below};
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

/// How many relays may follow each other at once, and the pause after which there may be one more.
const RELAYS_AT_ONCE: u8 = 3;
const RELAY_GAP: Span = Span::from_millis(200);

/// An answer this fresh is as good as another PROBE: it bounds the PROBEs of one member to the leader.
const PROOF: Span = Span::from_millis(20);

/// How long somebody found gone is not believed to lead without being asked.
const GONE_FOR: Span = Span::from_millis(10_000);

/// The bounds of patience: it is four of the slowest round trips lately, within these. Without it, with
/// answers that take up to 100 ms, two leaders alternate for ever (simulated).
const PATIENCE: (Span, Span) = (Span::from_millis(50), Span::from_millis(1_500));

/// PROBEs as if I led are answered for so long, if no pause between them is longer than the second.
const MISLED_MAX: Span = Span::from_millis(15_000);
const MISLED_PAUSE: Span = Span::from_millis(6_000);

/// ELECTIONs under way at once until patience is over: each is answered by a COORDINATOR too.
const ASKED_AT_ONCE: usize = 4;

/// The first and the longest pause of a repair, and how much a member of the coordinator's list adds
/// to it: half a group that loses its neighbours at once must not ask in step for 240 kB each.
const REPAIR_PAUSE: (Span, Span) = (Span::from_millis(300), Span::from_millis(30_000));
const REPAIR_SPREAD: Span = Span::from_millis(5);

impl NodeView<'_> {
    /// What a list of mine says of its sender.
    // `#[inline(never)]`: 42 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) fn origin(&self) -> Option<Origin> {
        let origin = Origin {
            pid: self.table.me.pid,
            large: self.state.large.on,
            leads: matches!(self.state.stage, Stage::Leading { .. }),
        };
        Some(origin).filter(|_| !self.state.config.strict)
    }

    /// The group is larger than a table: the rules of this file hold from now on.
    pub(crate) fn become_large(&mut self) {
        if !self.state.large.on && !self.state.config.strict {
            self.state.large.on = true;
            if self.state.membership.joined && !matches!(self.state.stage, Stage::Failed) {
                self.introduce();
            }
        }
    }

    /// Sends ELECTION to the nearest greater members, once.
    pub(crate) fn introduce(&mut self) {
        if self.state.large.on && !self.state.large.introduced {
            self.state.large.introduced = true;
            let count = Shares::of(self.table.members.capacity()).greater.min(3);
            let mut at = self.table.my_place();
            for _ in 0..count {
                if let Some(Member { pid, .. }) = self.table.next_live(&mut at, Side::Greater) {
                    let pid = *pid;
                    self.flag(pid, Flag::Introduce);
                }
            }
        }
    }

    /// After a feigned failure a member introduces itself anew.
    pub(crate) fn forget_introduction(&mut self) {
        self.state.large.introduced = false;
    }

    pub(crate) fn flag(&mut self, pid: Pid, flag: Flag) {
        if pid != self.table.me.pid {
            self.table.set_flag(pid, flag, true);
            self.state.pending = true;
        }
    }

    /// An election begins: of a large table only some are asked.
    pub(crate) fn choose_asked(&mut self) {
        if self.state.large.on {
            let lot = self.state.rng.lot();
            let (gone, now) = (self.state.large.gone, self.now());
            self.table.choose_asked(lot, &gone, now);
            let patience = self.later(self.patience());
            self.state.timers.set(Timer::Patience, patience);
        }
    }

    /// Passes the announcement of `leader` on to some members, or as soon as the pace allows.
    pub(crate) fn relay(&mut self, leader: Pid) {
        if !self.state.large.on {
            return;
        }
        let now = self.now();
        let large = &mut self.state.large;
        let mut left = large.relays_left.min(RELAYS_AT_ONCE);
        let mut more_at = large.relayed_at + RELAY_GAP;
        while left < RELAYS_AT_ONCE && more_at <= now {
            left += 1;
            more_at = more_at + RELAY_GAP;
        }
        if left == 0 {
            let at = large.relayed_at + RELAY_GAP;
            self.state.timers.set(Timer::Relay, at);
            return;
        }
        large.relays_left = left - 1;
        large.relayed_at = now;
        large.relayed = Some(leader);
        self.state.timers.stop(Timer::Relay);
        self.table.choose_relays(leader);
        self.state.pending = true;
    }

    /// Relays whom I have just begun to follow, unless it was the last one relayed.
    pub(crate) fn relay_news(&mut self, leader: Pid) {
        self.state.large.proof_at = Instant::ZERO;
        if self.state.large.relayed != Some(leader) {
            self.relay(leader);
        }
    }

    /// The relay that the pace has put off: of whoever is followed now.
    pub(crate) fn relay_late(&mut self) {
        self.state.timers.stop(Timer::Relay);
        if let Some(leader) = self.state.leader() {
            self.relay(leader);
        }
    }

    /// The list of a COORDINATOR that passes on who leads.
    pub(crate) fn relay_list<'list>(&self, list: &'list mut List) -> Roster<'list> {
        let leader = self.state.leader().unwrap_or(self.table.me.pid);
        let turn = divide(self.now().as_micros(), 7)
            .0
            .wrapping_add(self.table.me.pid.key());
        self.table.list_for(leader, turn as usize, list)
    }

    /// Returns `true` if PROBEs as if I led have gone on for so long that another one is better left
    /// unanswered: whoever follows me elects then, and learns who leads. One of our own kind learns it
    /// from the answer.
    pub(crate) fn is_misleading(&mut self) -> bool {
        let now = self.now();
        let follows = matches!(self.state.stage, Stage::Following { .. });
        if !follows || self.in_window() || self.state.config.strict {
            return false;
        }
        let large = &mut self.state.large;
        if large.misled_at + MISLED_PAUSE < now {
            large.misled_since = now;
        }
        large.misled_at = now;
        now > large.misled_since + MISLED_MAX
    }

    /// Returns `true` if those who asked may be sent COORDINATOR: the leader is known to be alive.
    pub(crate) fn may_answer_askers(&self) -> bool {
        match self.state.stage {
            Stage::Leading { .. } => true,
            Stage::Following { .. } => self.in_window() || self.has_proof(),
            _ => false,
        }
    }

    /// Returns `true` if the leader has answered a PROBE just now.
    fn has_proof(&self) -> bool {
        let proof_at = self.state.large.proof_at;
        self.state.large.on && proof_at != Instant::ZERO && self.now() < proof_at + PROOF
    }

    /// Probes the leader for those who have asked, or for a claim, unless that is under way.
    pub(crate) fn prove_leader(&mut self) {
        let at = if self.has_proof() {
            self.state.large.proof_at + PROOF
        } else {
            self.now()
        };
        self.probe_by(at);
    }

    /// A PROBE to the leader has been sent: its answer is awaited with patience.
    pub(crate) fn await_proof(&mut self) {
        if self.state.large.on {
            // One that has yet to answer for the first time may be slower than all others.
            let leader = self.state.leader();
            let known = leader.is_some() && self.state.answers_probes == leader;
            let patience = if known { self.patience() } else { PATIENCE.1 };
            // For those who only ask there is time: one slow answer must not cost an election.
            let patience = match self.state.stage.contest() {
                Some(_) => patience,
                None => patience.twice().twice().min(PATIENCE.1),
            };
            let at = self.later(patience);
            self.state.timers.set(Timer::Patience, at);
        }
    }

    /// Returns `true` if the PROBE to the leader has been out for longer than patience.
    pub(crate) fn is_out_of_patience(&self, leader: Pid) -> bool {
        self.state.timers.is_stopped(Timer::Patience) && self.slots.probing(leader)
    }

    /// How long an answer may take before its absence counts for the time being.
    fn patience(&self) -> Span {
        match self.state.slowest {
            // Nobody has answered anything yet: it may be any network.
            Span::ZERO => PATIENCE.1,
            slowest => slowest.max(PATIENCE.0).min(PATIENCE.1),
        }
    }

    /// Notes that `pid` was found gone, and looks whether that leaves me without neighbours.
    pub(crate) fn note_gone(&mut self, pid: Pid) {
        let now = self.now();
        let [first, second, third] = &mut self.state.large.gone;
        if first.0 == pid {
            first.1 = now;
        } else if second.0 == pid {
            second.1 = now;
        } else {
            // By swaps: the copy of both would bring in `memmove`, 1.6 KB.
            core::mem::swap(second, third);
            core::mem::swap(first, second);
            *first = (pid, now);
        }
        self.repair_later();
    }

    /// `pid` has answered.
    pub(crate) fn note_alive(&mut self, pid: Pid) {
        for (gone, _) in &mut self.state.large.gone {
            if *gone == pid {
                *gone = TOP.pid;
            }
        }
        self.state.large.repair.pause = Span::ZERO;
    }

    /// Returns `true` if `pid` was found gone lately, and has not answered since.
    pub(crate) fn found_gone(&self, pid: Pid) -> bool {
        let now = self.now();
        let mut gone = self.state.large.gone.iter();
        gone.any(|(found, at)| *found == pid && *at + GONE_FOR > now)
    }

    /// The sides on which nobody answers any more as far as the coordinator's list brought somebody:
    /// the greater one, which is of no matter to a leader, and the lesser one.
    fn lost_sides(&self) -> (bool, bool) {
        let repair = &self.state.large.repair;
        let leads = matches!(self.state.stage, Stage::Leading { .. });
        let lost = |mark: Option<Pid>, side: Side| {
            let nearest = self.table.nearest(side);
            mark.is_some_and(|mark| nearest.is_none_or(|near| side.is_beyond(near.pid, mark)))
        };
        let up = lost(repair.up, Side::Greater);
        let down = lost(repair.down, Side::Lesser);
        (up && !leads, down)
    }

    /// Asks the coordinator for other neighbours if all on one side are lost.
    fn repair_later(&mut self) {
        let due = self.state.large.repair.due || !self.state.large.on;
        if due || self.lost_sides() == (false, false) {
            return;
        }
        let repair = &mut self.state.large.repair;
        repair.due = true;
        let (first, longest) = REPAIR_PAUSE;
        repair.pause = repair.pause.twice().max(first).min(longest);
        let spread = match self.state.stage {
            Stage::Leading { .. } => Span::ZERO,
            _ => REPAIR_SPREAD.times(repair.listed),
        };
        let (pause, until) = (repair.pause, repair.pause.twice() + spread);
        self.draw(Timer::Join, (pause, until));
    }

    /// Takes from the coordinator's list, before it is merged, what a large group needs: neighbours
    /// beyond those that are lost; and for a leader some greater members to ask.
    pub(crate) fn take_listed(&mut self, list: Roster<'_>) {
        let members = list.members();
        let mine = count_below(members, self.table.me);
        let (lesser, _) = members.split_at_checked(mine).unwrap_or_default();
        let greater = greater_than(members, self.table.me.pid);
        let shares = Shares::of(self.table.members.capacity());
        self.state.large.repair.listed = u32::try_from(members.len()).unwrap_or(u32::MAX);
        if !self.state.membership.joined {
            let repair = &mut self.state.large.repair;
            let mut near = greater.iter().take(shares.greater);
            repair.up = near.next_back().map(|last| last.pid);
            let mut near = lesser.iter().rev().take(shares.lesser);
            repair.down = near.next_back().map(|last| last.pid);
            return;
        }
        if !self.state.large.on {
            return;
        }
        if let Some(pid) = self.seeks_above() {
            self.seek_by_lot(greater_than(members, pid));
        }
        let (up, down) = self.lost_sides();
        let due = core::mem::take(&mut self.state.large.repair.due);
        if due && up {
            self.state.large.repair.up = Some(self.take_beyond(greater, Side::Greater));
        }
        if due && down {
            self.state.large.repair.down = Some(self.take_beyond(lesser, Side::Lesser));
        }
    }

    /// Gives the next neighbours beyond those that were lost an entry and a message; returns the
    /// furthest, or me to begin anew.
    // `#[inline(never)]`: it has two callers.
    #[inline(never)]
    fn take_beyond(&mut self, members: &[Member], side: Side) -> Pid {
        let repair = &self.state.large.repair;
        let (mark, flag) = match side {
            Side::Greater => (repair.up, Flag::Introduce),
            Side::Lesser => (repair.down, Flag::Asker),
        };
        let mark = mark.unwrap_or(self.table.me.pid);
        let mut furthest = None;
        let mut left = TAKEN;
        for at in 0..members.len() {
            let at = match side {
                Side::Greater => at,
                Side::Lesser => members.len() - 1 - at,
            };
            if let Some(member) = members.get(at).copied()
                && side.is_beyond(member.pid, mark)
                && left > 0
            {
                left -= 1;
                self.merge_sender(member);
                self.flag(member.pid, flag);
                furthest = Some(member.pid);
            }
        }
        if furthest.is_none() {
            self.state.large.repair.pause = REPAIR_PAUSE.1;
        }
        furthest.unwrap_or(self.table.me.pid)
    }

    /// Whose greater members are to be asked by lot: mine, if I lead a large group or have waited in
    /// vain for whoever does; my leader's, if that does not say whether it leads.
    fn seeks_above(&self) -> Option<Pid> {
        let me = self.table.me.pid;
        match self.state.stage {
            Stage::Leading { .. } => Some(me),
            Stage::Electing { .. } | Stage::Waiting { .. } if self.state.fruitless > 0 => Some(me),
            Stage::Following { leader, .. } if !self.table.has(leader, Flag::Ours) => Some(leader),
            _ => None,
        }
    }

    /// Gives some of `greater`, drawn by lot, an entry and an ELECTION: one of them may lead a part of
    /// the group that does not know of this one. Those that do not answer give way, but the greatest.
    fn seek_by_lot(&mut self, greater: &[Member]) {
        for _ in 0..TAKEN.min(greater.len()) {
            let drawn = self.state.rng.below(greater.len());
            if let Some(member) = greater.get(drawn).copied() {
                self.merge_sender(member);
                self.flag(member.pid, Flag::Introduce);
            }
        }
    }

    /// Sends `pid` an ELECTION, but not while it may yet answer the last one: what it announces
    /// meanwhile, which may be its answer to that, must not make a storm of two.
    pub(crate) fn ask_patiently(&mut self, pid: Pid) {
        let (now, patience) = (self.now(), self.patience());
        let within = self.slow(self.state.config.ok_within);
        if let Some(slot) = self.slots.asking_of(pid) {
            if within < slot.deadline.left(now) + patience {
                return;
            }
            // An OK that comes late counts; its slot may be needed.
            slot.state = State::Quiescent;
        }
        self.flag(pid, Flag::Introduce);
    }

    /// In a large group ELECTIONs go out a few at once until patience is over.
    pub(crate) fn asks_patiently(&self) -> bool {
        let patient = !self.state.timers.is_stopped(Timer::Patience);
        self.state.large.on && patient && self.slots.asking() >= ASKED_AT_ONCE
    }

    /// Nobody is to be sent anything any more.
    pub(crate) fn drop_pending(&mut self) {
        for flag in [Flag::Relay, Flag::Asker, Flag::Introduce] {
            self.table.clear_flag(flag);
        }
        self.state.pending = false;
    }
}
