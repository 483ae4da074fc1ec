//! What is done when a time has come.

use crate::election::Input;
use crate::event::Loss;
use crate::exchanges::State;
use crate::net::{Exchange, Net};
use crate::phase::Phase;
use crate::probing::Probed;
use crate::roster::Member;
use crate::send::BLOCKED_PAUSE;
use crate::table::Liveness;
use crate::time::Instant;
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Does one thing that is due. Returns `false` if nothing is.
    pub(crate) fn expire(&mut self, net: &mut dyn Net) -> bool {
        let now = self.now();
        if let Some(slot) = self.slots.earliest()
            && slot.deadline <= now
        {
            let (exchange, state, peer) = (slot.exchange, slot.state, slot.peer);
            self.overdue(exchange, state, peer, net);
            return true;
        }
        if self.is_due(Timer::Feign) {
            self.fail(net);
            return true;
        }
        if self.is_due(Timer::Phase) {
            self.end_phase(net);
            return true;
        }
        if self.is_due(Timer::Announce) {
            // Not before everybody has been sent what is being announced already.
            match self.state.stage.unsent_coordinator() {
                None => self.announce(),
                Some(_) => {
                    let again = now + self.state.config.window.max(BLOCKED_PAUSE);
                    self.state.timers.set(Timer::Announce, again);
                }
            }
            return true;
        }
        if self.is_due(Timer::Look) {
            self.ask_directory_again();
            if self.table.passed_over() {
                // Whoever is there after all, and greater, objects.
                self.announce();
            }
            self.look_later();
            return true;
        }
        let sends = !matches!(self.state.phase(), Phase::Failed | Phase::Resigned);
        if sends && self.state.unblocked() {
            if self.is_due(Timer::Join) {
                return self.send_join(net);
            }
            if self.is_due(Timer::Probe) {
                return self.probe(net);
            }
        }
        false
    }

    fn is_due(&self, timer: Timer) -> bool {
        self.state.timers.at(timer) <= self.now()
    }

    fn end_phase(&mut self, net: &mut dyn Net) {
        match self.state.phase() {
            Phase::Failed => self.recover(net),
            // There has been no slot to ask anybody else "within the given time limit".
            Phase::Electing => {
                self.state.timers.stop(Timer::Phase);
                self.state.stage.set_unsent_election(None);
            }
            _ => self.decide(Input::TimeOut),
        }
    }

    fn probe(&mut self, net: &mut dyn Net) -> bool {
        match self.send_probe(net) {
            Ok(Probed::Sent) => true,
            // A leader without an address is no leader.
            Ok(Probed::Unreachable(pid)) => {
                self.probe_failed(pid, Loss::Unreachable);
                true
            }
            Err(_) => false,
        }
    }

    /// An exchange has lasted too long in its state.
    fn overdue(&mut self, exchange: Exchange, state: State, peer: Member, net: &mut dyn Net) {
        let late = self.now() + self.state.config.ok_late;
        match state {
            State::WaitingForOk => {
                // It no longer holds up the election, but an OK that comes late counts.
                if let Some(slot) = self.slots.get(exchange) {
                    slot.state = State::Quiescent;
                    slot.deadline = late;
                }
                self.state.blocked_until = Instant::ZERO;
                self.asked_in_vain(peer.pid, Liveness::Silent);
            }
            State::SendProbe => {
                self.close(exchange, net);
                self.probe_failed(peer.pid, Loss::Unreachable);
            }
            State::SendElection => {
                self.close(exchange, net);
                self.asked_in_vain(peer.pid, Liveness::Gone);
            }
            _ => self.ended(exchange, None, net),
        }
    }
}
