//! Opening, answering and closing exchanges, and the messages that wait for a slot: a cursor over the
//! table, moved on as there are slots.

use crate::event::count;
use crate::exchanges::State;
use crate::net::{Exchange, Full, Net, Reply, Request};
use crate::phase::Stage;
use crate::roster::Member;
use crate::table::Liveness;
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Sends one message that waits for a slot. Returns `false` if there is none, or no slot.
    pub(crate) fn send_pending(&mut self, net: &mut dyn Net) -> bool {
        if !self.state.unblocked() {
            return false;
        }
        if let Some(cursor) = self.state.stage.unsent_election() {
            return self.send_election(cursor, net);
        }
        if let Stage::Leading { .. } = self.state.stage
            && let Some(left_out) = self.state.left_out
        {
            let within = self.state.config.ok_within;
            let opened = self.open(left_out, State::SendVictory, within, net);
            if opened.is_ok() {
                self.state.left_out = None;
            }
            return opened.is_ok();
        }
        match self.state.stage.unsent_coordinator() {
            Some(cursor) => self.send_coordinator(cursor, net),
            None => false,
        }
    }

    /// Sends ELECTION to the greatest below `cursor`, unless it has been asked already.
    fn send_election(&mut self, cursor: Member, net: &mut dyn Net) -> bool {
        let next = self.table.below(cursor);
        let Some((next, liveness)) = next.filter(|(next, _)| next.pid > self.table.me.pid) else {
            self.state.stage.set_unsent_election(None);
            return true;
        };
        if liveness == Liveness::Unasked {
            let within = self.state.config.ok_within;
            if self.open(next, State::SendElection, within, net).is_err() {
                return false;
            }
            let until = self.now() + within;
            self.table.mark(next.pid, Liveness::Asked);
            let timers = &mut self.state.timers;
            if timers.at(Timer::Phase) < until || timers.is_stopped(Timer::Phase) {
                timers.set(Timer::Phase, until);
            }
        }
        self.state.stage.set_unsent_election(Some(next));
        true
    }

    /// Sends COORDINATOR to the greatest below `cursor`, at one address of each process.
    fn send_coordinator(&mut self, cursor: Member, net: &mut dyn Net) -> bool {
        let Some((next, _)) = self.table.below(cursor) else {
            self.state.stage.set_unsent_coordinator(None);
            return true;
        };
        if next.pid != self.table.me.pid {
            let within = self.state.config.ok_within;
            if self.open(next, State::SendVictory, within, net).is_err() {
                return false;
            }
        }
        let next = next.pid.first();
        self.state.stage.set_unsent_coordinator(Some(next));
        true
    }

    /// Opens an exchange to send what `state`, one of the `Send` ones, stands for.
    pub(crate) fn open(
        &mut self,
        peer: Member,
        state: State,
        within: Span,
        net: &mut dyn Net,
    ) -> Result<(), Full> {
        let opened = if self.free_slot(true, net) {
            let sent = &mut self.state.counters.sent;
            let (request, counter) = match state {
                State::SendJoin => (Request::Join(self.table.me), &mut sent.join),
                State::SendElection => (Request::Election(self.table.all()), &mut sent.election),
                State::SendProbe => (Request::Probe(self.table.all()), &mut sent.probe),
                _ => {
                    let list = match self.state.stage {
                        Stage::Resigned { .. } => self.table.successors(),
                        _ => self.table.up_to_me(),
                    };
                    (Request::Coordinator(list), &mut sent.coordinator)
                }
            };
            net.open(peer.addr, request).inspect(|_| count(counter))
        } else {
            Err(Full)
        };
        match opened {
            Ok(exchange) => {
                // There is a slot: it has just been freed.
                let deadline = self.now() + within;
                let placed = self.slots.push(exchange, state, Some(peer), deadline);
                debug_assert!(placed, "an exchange got lost");
                Ok(())
            }
            Err(full) => {
                self.state.blocked_until = self.now() + BLOCKED_PAUSE;
                Err(full)
            }
        }
    }

    /// Answers OK.
    pub(crate) fn answer(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let deadline = self.now() + self.state.config.ok_within;
        if let Some(slot) = self.slots.get(exchange) {
            slot.state = State::SendOk;
            slot.unanswered = false;
            slot.deadline = slot.deadline.max(deadline);
            count(&mut self.state.counters.sent.ok);
            net.reply(exchange, Reply::Ok(self.table.all()));
        }
    }

    /// Nothing more is awaited of `exchange`; it is closed after `linger`.
    pub(crate) fn retire(&mut self, exchange: Exchange, linger: Span) {
        let deadline = self.now() + linger;
        if let Some(slot) = self.slots.get(exchange) {
            slot.state = State::Quiescent;
            slot.deadline = deadline;
        }
    }

    /// Takes ELECTIONs of an election that is over for answered: an OK to them is a late one.
    pub(crate) fn retire_elections(&mut self) {
        for slot in self.slots.iter_mut() {
            if matches!(slot.state, State::SendElection | State::WaitingForOk) {
                slot.state = State::Quiescent;
            }
        }
        self.state.blocked_until = Instant::ZERO;
    }

    /// Frees a slot for one more exchange of a direction, by closing one that may be evicted.
    /// Returns `false` if there is none.
    pub(crate) fn free_slot(&mut self, opened_by_us: bool, net: &mut dyn Net) -> bool {
        if self.slots.is_full_for(opened_by_us) {
            let Some(evicted) = self.slots.evictable(opened_by_us) else {
                return false;
            };
            self.close(evicted, net);
            count(&mut self.state.counters.crowded_out);
        }
        !self.slots.is_full_for(opened_by_us)
    }

    pub(crate) fn close(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if self.slots.remove(exchange) {
            net.close(exchange);
            self.state.blocked_until = Instant::ZERO;
        }
    }
}

/// How long to wait after `Full` if nothing else happens: a network that is full for reasons of
/// its own, such as its file descriptors, is not asked again and again. 50 ms is far below every
/// deadline, and twenty tries a second cost nothing.
pub(crate) const BLOCKED_PAUSE: Span = Span::from_millis(50);
