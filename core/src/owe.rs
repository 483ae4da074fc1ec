//! What a node owes to others: a cursor over the table, moved on as there is room.

use crate::election::{Input, Phase};
use crate::event::count;
use crate::net::{Exchange, Full, Net, Request};
use crate::node::Machine;
use crate::roster::{Member, Standing};
use crate::state::State;
use crate::time::{Instant, Span};

impl Machine<'_> {
    /// Sends one message that is owed; whether there was one and room for it.
    pub(crate) fn send_owed(&mut self, net: &mut dyn Net) -> bool {
        let asked = [State::SendElection, State::WaitingForOk];
        if matches!(self.life.phase, Phase::Electing)
            && self.life.asking.is_none()
            && !self.rows.any(&asked)
        {
            self.decide(Input::NobodyAnswered);
            return true;
        }
        if !self.life.unblocked() {
            return false;
        }
        let me = self.life.config.me.pid;
        if let Some(cursor) = self.life.asking {
            return match self.table.below(cursor) {
                Some((next, standing)) if next.pid > me => {
                    if standing == Standing::Unasked {
                        let within = self.life.config.ok_within;
                        if self.open(next, State::SendElection, within, net).is_err() {
                            return false;
                        }
                        let until = self.now() + within;
                        self.table.mark(next.pid, Standing::Asked);
                        if self.life.phase_until < until || self.life.phase_until == Instant::NEVER
                        {
                            self.life.phase_until = until;
                        }
                    }
                    self.life.asking = Some(next);
                    true
                }
                _ => {
                    self.life.asking = None;
                    true
                }
            };
        }
        if matches!(self.life.phase, Phase::Leading)
            && let Some(left_out) = self.life.left_out
        {
            let within = self.life.config.ok_within;
            if self
                .open(left_out, State::SendVictory, within, net)
                .is_err()
            {
                return false;
            }
            self.life.left_out = None;
            return true;
        }
        if let Some(cursor) = self.life.announcing {
            let Some((next, _)) = self.table.below(cursor) else {
                self.life.announcing = None;
                return true;
            };
            if next.pid != me {
                let within = self.life.config.ok_within;
                if self.open(next, State::SendVictory, within, net).is_err() {
                    return false;
                }
            }
            self.life.announcing = Some(next.pid.first());
            return true;
        }
        false
    }

    /// Opens an exchange to say what `state`, one of the `Send` ones, stands for.
    pub(crate) fn open(
        &mut self,
        peer: Member,
        state: State,
        within: Span,
        net: &mut dyn Net,
    ) -> Result<(), Full> {
        let opened = if self.make_room(true, net) {
            let sent = &mut self.life.counters.sent;
            let (request, counter) = match state {
                State::SendJoin => (Request::Join(self.life.config.me), &mut sent.join),
                State::SendElection => (Request::Election(self.table.all()), &mut sent.election),
                State::SendProbe => (Request::Probe(self.table.all()), &mut sent.probe),
                _ => (
                    Request::Coordinator(self.table.up_to_me()),
                    &mut sent.coordinator,
                ),
            };
            net.open(peer.addr, request).inspect(|_| count(counter))
        } else {
            Err(Full)
        };
        match opened {
            Ok(exchange) => {
                // There is a place: it has just been made.
                let deadline = self.now() + within;
                let placed = self.rows.push(exchange, state, Some(peer), deadline);
                debug_assert!(placed, "a row got lost");
                Ok(())
            }
            Err(full) => {
                self.life.blocked_until = self.now() + BLOCKED_PAUSE;
                Err(full)
            }
        }
    }

    /// Makes a place for one more exchange; whether there is one now.
    pub(crate) fn make_room(&mut self, opened_by_us: bool, net: &mut dyn Net) -> bool {
        if self.rows.crowded(opened_by_us) {
            let Some(expendable) = self.rows.expendable(opened_by_us) else {
                return false;
            };
            self.close(expendable, net);
            count(&mut self.life.counters.crowded_out);
        }
        !self.rows.crowded(opened_by_us)
    }

    pub(crate) fn close(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if self.rows.remove(exchange) {
            net.close(exchange);
            self.life.blocked_until = Instant::ZERO;
        }
    }
}

/// How long to wait after `Full` if nothing else happens: a network that is full for reasons of
/// its own, such as its file descriptors, is not asked again and again.
pub(crate) const BLOCKED_PAUSE: Span = Span::from_millis(50);
