//! What the outcome of an exchange of ours means: its answer, its end without one, or its failure.

use crate::election::Input;
use crate::event::{Event, JoinFailure, Loss, Reason, count};
use crate::exchanges::State;
use crate::net::{Exchange, Gone, Net, Refusal, Reply};
use crate::phase::{Contest, Phase, Stage};
use crate::roster::{Addr, Member, Origin, Pid, Roster};
use crate::table::{Flag, Liveness, Trust, count_below};
use crate::time::Span;
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Takes the answer to a message of ours.
    pub(crate) fn replied(&mut self, exchange: Exchange, reply: Reply<'_>) {
        match reply {
            Reply::Ok(list) => self.answered(exchange, list),
            Reply::Members(roster) => {
                if roster.origin().is_some_and(|origin| origin.large) {
                    // A gateway has thinned it.
                    self.become_large();
                }
                if self.state_of(exchange) == Some(State::WaitingForMembers) {
                    self.take_listed(roster);
                    self.look_for_my_pid(roster);
                    let added = self.merge_listed(roster);
                    self.retire(exchange, Span::ZERO);
                    self.joined(added);
                    self.doubt_unlisted_leader();
                }
            }
            Reply::Refused(refusal) => {
                if self.state_of(exchange) == Some(State::WaitingForMembers) {
                    self.retire(exchange, Span::ZERO);
                    self.join_failed(JoinFailure::Refused(refusal));
                }
            }
        }
    }

    pub(crate) fn state_of(&mut self, exchange: Exchange) -> Option<State> {
        self.slots.get(exchange).map(|slot| slot.state)
    }

    /// OK was received.
    fn answered(&mut self, exchange: Exchange, list: Roster<'_>) {
        let now = self.now();
        let Some(slot) = self.slots.get(exchange).filter(|slot| slot.opened_by_us) else {
            return;
        };
        let (state, mut peer, to_election) = (slot.state, slot.peer, slot.unanswered);
        let left = slot.deadline.left(now);
        self.retire(exchange, Span::ZERO);
        let origin = list.origin().filter(|origin| origin.pid != peer.pid);
        if let Some(Origin { pid, .. }) = origin {
            self.somebody_else_answered(pid, state, peer);
            if !to_election || pid < self.table.me.pid {
                return;
            }
            // It has the ELECTION that was meant for another, and is greater, too.
            peer.pid = pid;
        }
        match state {
            State::WaitingForOk | State::Quiescent if to_election => {
                count(&mut self.state.counters.received.ok);
                let within = self.slow(self.state.config.ok_within);
                // A late one has taken at least as long as it was waited for.
                let late = state == State::Quiescent;
                self.learn_round_trip(if late { within } else { within.less(left) });
                self.is_alive(peer, list);
                self.decide(Input::Ok);
                let (large, phase) = (self.state.large.on, self.state.phase());
                let leads = large && list.origin().is_some_and(|origin| origin.leads);
                let contest = self.state.stage.contest();
                if contest.is_some_and(|contest| contest.greater == peer.pid)
                    || leads && phase == Phase::Waiting
                {
                    self.decide(Input::ContestSettled(peer.pid, Reason::Answered));
                }
                if large && phase == Phase::Leading {
                    self.decide(Input::GreaterBack(peer.pid));
                }
            }
            State::WaitingForProbeOk => {
                count(&mut self.state.counters.received.ok);
                let within = self.slow(self.state.config.probe_within);
                self.learn_round_trip(within.less(left));
                self.is_alive(peer, list);
                self.probe_answered(peer.pid);
                if !list.origin().is_some_and(|origin| origin.leads) {
                    self.may_not_lead(peer.pid, list.origin().is_some());
                }
            }
            State::WaitingForMembers => {
                self.join_failed(JoinFailure::Refused(Refusal::Malformed));
            }
            _ => {}
        }
    }

    /// Whom I probe does not lead, or does not say: I may have missed an announcement. If I know all, I
    /// ask the greater ones in turn, as a leader would; and it elects, if it is of our kind. In a large
    /// group I elect, or the coordinator's list tells whom to ask.
    fn may_not_lead(&mut self, pid: Pid, says_so: bool) {
        if !self.state.is_led_by(pid) || self.state.config.strict {
            return;
        }
        let last_join = self.state.membership.last_join;
        if !self.state.large.on {
            if let Some(greater) = self.next_sought() {
                let lesser = pid;
                self.decide(Input::NotKnownToLead(Contest { greater, lesser }));
            }
        } else if says_so {
            if !self.in_window() {
                self.decide(Input::LeaderGone);
            }
        } else if last_join + self.state.config.look_gap <= self.now() {
            self.ask_directory_again();
        }
    }

    /// The program at the address of `peer` is another process: `peer` is gone.
    fn somebody_else_answered(&mut self, found: Pid, state: State, peer: Member) {
        match state {
            State::WaitingForProbeOk => self.probe_failed(peer.pid, Loss::Unreachable),
            _ => self.asked_in_vain(peer.pid, Liveness::Gone),
        }
        if self.table.forget_address(peer).is_none() && !self.state.is_led_by(peer.pid) {
            self.table.forget(peer.pid);
        }
        let addr = peer.addr;
        self.merge_sender(Member { pid: found, addr });
    }

    /// `peer` has answered, with this list.
    fn is_alive(&mut self, peer: Member, list: Roster<'_>) {
        self.table.answered_at(peer);
        // That answers every PROBE from before.
        self.slots.retire_probes(peer.pid);
        self.note_alive(peer.pid);
        if let Some(origin) = list.origin().filter(|origin| origin.pid == peer.pid) {
            self.table.set_flag(peer.pid, Flag::Ours, true);
            if origin.large {
                self.become_large();
            }
        }
    }

    /// The coordinator answered; `added` is the greatest who is new.
    fn joined(&mut self, added: Option<Pid>) {
        if !self.state.membership.joined {
            self.state.membership.joined = true;
            let members = u32::try_from(self.table.all().len()).unwrap_or(u32::MAX);
            self.emit(Event::Joined { members });
            self.decide(Input::Joined);
            self.ask_who_has_come();
            return;
        }
        let known = self.state.leader().unwrap_or(self.table.me.pid);
        // The coordinator forgets nobody: the address of one that has just failed is no news. Who is
        // back says so itself.
        let is_gone = added.is_some_and(|added| self.table.has(added, Flag::Gone));
        if added.is_some_and(|added| added > known) && is_gone {
            return;
        }
        if added.is_some_and(|added| added > known) {
            self.decide(Input::GreaterJoined);
        } else if added.is_some() {
            self.decide(Input::LesserJoined);
        }
    }

    /// Reports another address of this node's own process id in the coordinator's list.
    fn look_for_my_pid(&mut self, list: Roster<'_>) {
        let Member { pid, addr } = self.table.me;
        let before = count_below(list.members(), Member { pid, addr: Addr(0) });
        let mut listed = list.members().iter().skip(before);
        let other = listed.find(|listed| listed.pid != pid || listed.addr != addr);
        if let Some(other) = other.filter(|other| other.pid == pid)
            && self.state.reported.pid_at != Some(other.addr)
        {
            self.state.reported.pid_at = Some(other.addr);
            self.emit(Event::PidInUse { addr: other.addr });
        }
    }

    /// Tries again later, and less soon if we are in the group anyway.
    fn join_failed(&mut self, failure: JoinFailure) {
        if self.state.membership.joined {
            self.ask_who_has_come();
            return;
        }
        let pause = self.state.membership.retry_pause;
        let again_in = self.state.rng.between(pause.half(), pause);
        self.state.membership.retry_pause = pause.twice().min(self.state.config.join_again.1);
        let at = self.now() + again_in;
        self.state.timers.set(Timer::Join, at);
        self.emit(Event::JoinFailed {
            failure,
            again_in: again_in.into(),
        });
    }

    /// An exchange is over: in order, or broken.
    pub(crate) fn ended(&mut self, exchange: Exchange, gone: Option<Gone>, net: &mut dyn Net) {
        let now = self.now();
        let Some(slot) = self.slots.get(exchange) else {
            return;
        };
        let (state, peer, left) = (slot.state, slot.peer, slot.deadline.left(now));
        let second_try = slot.second_try;
        self.close(exchange, net);
        if gone == Some(Gone::Refused)
            && self.is_still_due(state)
            // Who has moved is known at another address too: the same message goes there.
            && let Some(moved) = self.table.forget_address(peer)
            && self.open_again(moved, state, left, net)
        {
            return;
        }
        match state {
            State::SendElection | State::WaitingForOk => {
                if matches!(gone, Some(Gone::Refused | Gone::Reset)) {
                    self.asked_in_vain(peer.pid, Liveness::Gone);
                    if self.state.leader().is_none() {
                        self.ask_directory_again();
                    }
                } else {
                    self.asked_in_vain(peer.pid, Liveness::Silent);
                }
            }
            State::SendVictory if gone.is_some() => self.found_not_there(peer.pid),
            State::SendProbe | State::WaitingForProbeOk => match gone {
                Some(Gone::Refused) => self.probe_failed(peer.pid, Loss::Refused),
                Some(Gone::Reset) => self.probe_failed(peer.pid, Loss::Reset),
                // Whatever it said, somebody is there; but that is no member of the lab.
                Some(Gone::Malformed) if self.state.is_led_by(peer.pid) => {
                    self.probe_silent(peer, Loss::Silent, true, net);
                }
                Some(Gone::Malformed) => {
                    self.table.mark(peer.pid, Liveness::Idle);
                    self.found_not_there(peer.pid);
                }
                None => self.probe_silent(peer, Loss::Silent, second_try, net),
            },
            State::SendJoin | State::WaitingForMembers => {
                self.join_failed(gone.map_or(JoinFailure::Silent, JoinFailure::Gone));
            }
            _ => {}
        }
    }

    /// Returns `true` if a message that has not been sent is still to be.
    fn is_still_due(&self, state: State) -> bool {
        match state {
            State::SendElection => matches!(self.state.phase(), Phase::Electing | Phase::Waiting),
            State::SendVictory => self.state.phase() == Phase::Leading,
            State::SendProbe => matches!(self.state.phase(), Phase::Leading | Phase::Following(_)),
            _ => false,
        }
    }

    /// Nobody answers our ELECTION there, at least not in time.
    pub(crate) fn asked_in_vain(&mut self, pid: Pid, liveness: Liveness) {
        if self.table.liveness(pid) == Liveness::Asked {
            self.table.mark(pid, liveness);
        }
        self.found_not_there(pid);
        if let Stage::Waiting {
            contest: Some(Contest { greater, lesser }),
            ..
        } = self.state.stage
            && greater == pid
        {
            self.decide(match liveness {
                // It has accepted, and may only be late: its COORDINATOR may have been its own.
                Liveness::Silent => Input::DoubtfulCoordinator {
                    doubtful: greater,
                    instead: Some(lesser),
                },
                _ => Input::ContestSettled(lesser, Reason::GreaterFailed),
            });
        }
    }

    /// The contest in which `greater` is being asked; it is over now.
    fn take_contest(&mut self, greater: Pid) -> Option<Contest> {
        let contest = self.state.stage.contest();
        let contest = contest.filter(|contest| contest.greater == greater)?;
        self.state.stage.set_contest(None);
        Some(contest)
    }

    fn probe_answered(&mut self, pid: Pid) {
        let contest = self.take_contest(pid);
        if self.state.is_led_by(pid) {
            self.state.answers_probes = Some(pid);
            self.state.large.proof_at = self.now();
            self.state.timers.stop(Timer::Patience);
        } else if contest.is_some() {
            self.decide(Input::ContestSettled(pid, Reason::Answered));
        } else if pid > self.table.me.pid {
            self.decide(Input::GreaterBack(pid));
        }
    }

    pub(crate) fn probe_failed(&mut self, pid: Pid, how: Loss) {
        let contest = self.take_contest(pid);
        if !self.state.is_led_by(pid) {
            // It did not even accept when last asked: so it is back, and may never have learned to
            // answer PROBE.
            let back = how == Loss::Silent && self.table.liveness(pid) == Liveness::Gone;
            if back && contest.is_some() {
                self.decide(Input::ContestSettled(pid, Reason::Answered));
            } else if back {
                self.decide(Input::GreaterBack(pid));
            } else {
                self.found_not_there(pid);
                if contest.is_some_and(|_| how != Loss::Silent) {
                    self.slots.retire_probes(pid);
                }
            }
            return;
        }
        if how == Loss::Silent && !self.answers_probes(pid) {
            // It may never have learned to answer PROBE: as long as it accepts, it lives.
            self.may_not_lead(pid, false);
            if self.table.note(pid).unwrap_or_default().trust == Trust::Named {
                self.table.set_flag(pid, Flag::Gone, true);
            }
            return;
        }
        self.state.answers_probes = None;
        self.table.mark(
            pid,
            match how {
                Loss::Silent => Liveness::Silent,
                Loss::Refused | Loss::Reset | Loss::Unreachable => Liveness::Gone,
            },
        );
        self.found_not_there(pid);
        self.slots.retire_probes(pid);
        self.state.reported.leader = None;
        self.emit(Event::LeaderLost { leader: pid, how });
        self.ask_directory_again();
        let me = self.table.me.pid;
        match contest.and_then(|contest| self.table.find(contest.lesser)) {
            Some(&Member { pid: lesser, .. })
                if lesser > me && !self.table.liveness(lesser).is_dead() =>
            {
                self.decide(Input::ContestSettled(lesser, Reason::GreaterFailed));
            }
            _ => self.decide(Input::LeaderGone),
        }
    }

    /// A PROBE was not answered in time, or not even taken. It is sent once more before that counts.
    pub(crate) fn probe_silent(
        &mut self,
        peer: Member,
        how: Loss,
        second_try: bool,
        net: &mut dyn Net,
    ) {
        let leads = self.state.is_led_by(peer.pid);
        let counts = how != Loss::Silent || self.answers_probes(peer.pid);
        let other = self.table.other_address(peer).is_some();
        let worth_it = !second_try && (other || self.state.stage.contest().is_none());
        if leads && counts && worth_it && !self.state.config.strict {
            let within = self.slow(SECOND_TRY_WITHIN);
            if self.try_again(peer, State::SendProbe, within, net) {
                return;
            }
        }
        self.probe_failed(peer.pid, how);
    }

    /// Returns `true` if the silence of `pid` to a PROBE means something: it has answered one, or it
    /// runs a program of our kind; or only other members' lists say that it exists, and it was silent
    /// before.
    fn answers_probes(&self, pid: Pid) -> bool {
        let note = self.table.note(pid).unwrap_or_default();
        let doubtful = note.trust == Trust::Named && note.has(Flag::Gone);
        self.state.answers_probes == Some(pid) || note.has(Flag::Ours) || doubtful
    }

    /// The coordinator lists everybody who has ever joined: one that it has never listed is no member,
    /// whoever answers in its name, unless it says itself who it is; nor is one whose address it gives to
    /// another. In a large group the list may have been thinned on its way.
    ///
    /// Each is doubted once: a coordinator that was restarted, or has replaced one of two programs with
    /// the same id, does not list a leader that lives, and the election has shown that it does.
    fn doubt_unlisted_leader(&mut self) {
        if let Stage::Following { leader, .. } = self.state.stage
            && !self.is_listed(leader)
        {
            self.state.membership.doubted = Some(leader);
            self.table.forget(leader);
            self.probe_failed(leader, Loss::Unreachable);
        }
    }

    pub(crate) fn is_listed(&self, pid: Pid) -> bool {
        let thinned = self.state.large.on || self.state.config.strict;
        let exempt = thinned || self.state.membership.doubted == Some(pid);
        let note = self.table.note(pid);
        note.is_some_and(|note| exempt || note.has(Flag::Listed) || note.is_itself())
    }

    /// Nobody has answered for `pid`.
    pub(crate) fn found_not_there(&mut self, pid: Pid) {
        if self.state.is_led_by(pid) {
            // As long as it is followed it has an entry.
            self.table.set_flag(pid, Flag::Gone, true);
        } else {
            self.table.fail(pid);
        }
        self.note_gone(pid);
    }

    /// In a large group, patience is over: the leader does not answer for the time being. A claim is
    /// believed, and for those who have asked an election is held; an answer that comes after all
    /// puts that right.
    pub(crate) fn lose_patience(&mut self) {
        self.state.timers.stop(Timer::Patience);
        let Stage::Following {
            leader, contest, ..
        } = self.state.stage
        else {
            return;
        };
        if !self.slots.probing(leader) {
            return;
        }
        match contest {
            Some(contest) if contest.lesser > self.table.me.pid && contest.greater == leader => {
                self.decide(Input::ContestSettled(contest.lesser, Reason::GreaterFailed));
            }
            _ if self.table.any(Flag::Asker) => self.decide(Input::LeaderGone),
            _ => {}
        }
    }
}

/// How long the second PROBE waits: TCP sends a SYN that was lost once more after a second. With 0.5 s
/// six members of which one packet in ten is lost disagree 0.27 % of the time, with this 0.10 %
/// (simulated); a leader that is silent, and does not refuse, is found out that much later.
const SECOND_TRY_WITHIN: Span = Span::from_millis(1_100);
