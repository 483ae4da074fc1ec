//! What the outcome of an exchange of ours means: its answer, its end without one, or its failure.

use crate::election::Input;
use crate::event::{Event, JoinFailure, Loss, Reason, count};
use crate::exchanges::State;
use crate::net::{Exchange, Gone, Net, Refusal, Reply};
use crate::phase::{Contest, Phase, Stage};
use crate::roster::{Member, Pid, TOP};
use crate::table::Liveness;
use crate::time::Span;
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Takes the answer to a message of ours.
    pub(crate) fn replied(&mut self, exchange: Exchange, reply: Reply<'_>) {
        match reply {
            Reply::Ok(_) => self.answered(exchange),
            Reply::Members(roster) => {
                if self.state_of(exchange) == Some(State::WaitingForMembers) {
                    let added = self.merge(roster, None);
                    self.retire(exchange, Span::ZERO);
                    self.joined(added);
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
    fn answered(&mut self, exchange: Exchange) {
        let Some(slot) = self.slots.get(exchange).filter(|slot| slot.opened_by_us) else {
            return;
        };
        let (state, peer) = (slot.state, slot.peer);
        self.retire(exchange, Span::ZERO);
        match state {
            State::WaitingForOk | State::Quiescent => {
                count(&mut self.state.counters.received.ok);
                self.table.mark(peer.pid, Liveness::Alive);
                self.decide(Input::Ok);
                let contest = self.state.stage.contest();
                if contest.is_some_and(|contest| contest.greater == peer.pid) {
                    self.decide(Input::ContestSettled(peer.pid, Reason::Answered));
                }
            }
            State::WaitingForProbeOk => {
                count(&mut self.state.counters.received.ok);
                self.probe_answered(peer.pid);
            }
            State::WaitingForMembers => {
                self.join_failed(JoinFailure::Refused(Refusal::Malformed));
            }
            _ => {}
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
        if added.is_some() {
            self.ask_who_has_come();
        }
        let known = self.state.leader().unwrap_or(self.table.me.pid);
        // A greater one that had no entry for me has not told me that it leads.
        let top = self.table.below(TOP);
        let untold = self.table.is_full()
            && top.is_some_and(|(top, liveness)| top.pid > known && !liveness.is_dead());
        if untold || added.is_some_and(|added| added > known) {
            self.decide(Input::GreaterJoined);
        } else if added.is_some() {
            self.decide(Input::LesserJoined);
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
        self.close(exchange, net);
        if gone == Some(Gone::Refused)
            && self.is_still_due(state)
            // Who has moved is known at another address too: the same message goes there.
            && let Some(moved) = self.table.forget_address(peer)
            && self.open(moved, state, left, net).is_ok()
        {
            return;
        }
        match state {
            State::SendElection | State::WaitingForOk => {
                if matches!(gone, Some(Gone::Refused | Gone::Reset)) {
                    self.asked_in_vain(peer.pid, Liveness::Gone);
                    self.ask_directory_again();
                } else {
                    self.asked_in_vain(peer.pid, Liveness::Silent);
                }
            }
            State::SendProbe | State::WaitingForProbeOk => match gone {
                Some(Gone::Refused) => self.probe_failed(peer.pid, Loss::Refused),
                Some(Gone::Reset) => self.probe_failed(peer.pid, Loss::Reset),
                // Whatever it said, somebody is there.
                Some(Gone::Malformed) => self.probe_answered(peer.pid),
                None => self.probe_failed(peer.pid, Loss::Silent),
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
        if let Stage::Waiting {
            contest: Some(Contest { greater, lesser }),
            ..
        } = self.state.stage
            && greater == pid
        {
            self.decide(Input::ContestSettled(lesser, Reason::GreaterFailed));
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
        self.table.mark(pid, Liveness::Alive);
        let contest = self.take_contest(pid);
        if self.state.is_led_by(pid) {
            self.state.answers_probes = Some(pid);
        } else if contest.is_some() {
            self.decide(Input::ContestSettled(pid, Reason::Answered));
        } else if pid > self.table.me.pid {
            self.decide(Input::GreaterBack);
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
                self.decide(Input::GreaterBack);
            }
            return;
        }
        if how == Loss::Silent && self.state.answers_probes.is_none_or(|known| known != pid) {
            // It may never have learned to answer PROBE: as long as it accepts, it lives.
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
        self.state.reported.leader = None;
        self.emit(Event::LeaderLost { leader: pid, how });
        self.ask_directory_again();
        let me = self.table.me.pid;
        match contest.and_then(|contest| self.table.find(contest.lesser)) {
            Some(Member { pid: lesser, .. })
                if lesser > me && !self.table.liveness(lesser).is_dead() =>
            {
                self.decide(Input::ContestSettled(lesser, Reason::GreaterFailed));
            }
            _ => self.decide(Input::LeaderGone),
        }
    }
}
