//! What is done when a time has come.

use crate::election::Input;
use crate::event::Loss;
use crate::exchanges::State;
use crate::net::{Exchange, Net};
use crate::phase::Phase;
use crate::probing::Probed;
use crate::roster::{Member, TOP};
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
            let exchange = slot.exchange;
            self.overdue(exchange, net);
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
        if self.is_due(Timer::Patience) {
            self.lose_patience();
            return true;
        }
        if self.is_due(Timer::Relay) {
            self.relay_late();
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
            self.look();
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
            Phase::Electing if self.could_ask_nobody() => {
                let within = self.slow(self.state.config.ok_within);
                self.state.timers.set(Timer::Phase, self.now() + within);
            }
            // There has been no slot to ask anybody else "within the given time limit".
            Phase::Electing => {
                self.state.timers.stop(Timer::Phase);
                self.state.stage.set_unsent_election(None);
            }
            _ => {
                self.state.timers.stop(Timer::Phase);
                self.decide(Input::TimeOut);
            }
        }
    }

    /// Returns `true` if there has been no slot to ask anybody at all, for not too long: that nobody
    /// has answered says nothing then.
    fn could_ask_nobody(&self) -> bool {
        let unsent = self.state.stage.unsent_election();
        unsent.is_some_and(|unsent| {
            let within = self.state.config.ok_within;
            let blocked = !self.state.unblocked() && !self.state.config.strict;
            let longest = unsent.until + within.times(BLOCKED_ROUNDS_MAX);
            blocked && unsent.below == TOP && self.now() < longest
        })
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
    fn overdue(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let late = self.state.config.ok_late;
        let Some(slot) = self.slots.get(exchange) else {
            return;
        };
        let (state, peer, second_try) = (slot.state, slot.peer, slot.second_try);
        match state {
            State::WaitingForOk => {
                // It no longer holds up the election, but an OK that comes late counts.
                self.retire(exchange, late);
                self.state.blocked_until = Instant::ZERO;
                self.election_silent(peer, Liveness::Silent, second_try, net);
            }
            State::SendProbe => {
                self.close(exchange, net);
                self.probe_silent(peer, Loss::Unreachable, second_try, net);
            }
            State::SendElection => {
                self.close(exchange, net);
                self.election_silent(peer, Liveness::Gone, second_try, net);
            }
            State::SendVictory => {
                self.close(exchange, net);
                let leads = self.state.phase() == Phase::Leading;
                let other = self.table.other_address(peer).is_some();
                let within = self.slow(self.state.config.ok_within);
                let again = leads && other && !second_try;
                if !(again && self.try_again(peer, State::SendVictory, within, net)) {
                    self.found_not_there(peer.pid);
                }
            }
            _ => self.ended(exchange, None, net),
        }
    }

    /// Nobody has answered an ELECTION in time: the process may have moved.
    fn election_silent(
        &mut self,
        peer: Member,
        liveness: Liveness,
        second_try: bool,
        net: &mut dyn Net,
    ) {
        let electing = self.state.phase() == Phase::Electing;
        if electing && !second_try && self.table.other_address(peer).is_some() {
            let within = self.slow(self.state.config.ok_within);
            if self.try_again(peer, State::SendElection, within, net) {
                return;
            }
        }
        self.asked_in_vain(peer.pid, liveness);
    }
}

/// How many rounds longer than an election lasts it waits for the first slot. In a thousand members on
/// a machine at load 33 some waited for 3 s; 20 s is far more, and soon enough for one that never gets
/// any.
const BLOCKED_ROUNDS_MAX: u32 = 20;
