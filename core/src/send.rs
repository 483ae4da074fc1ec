//! Opening, answering and closing exchanges, and the messages that wait for a slot: a cursor over the
//! table, moved on as there are slots.

use crate::election::ROUNDS_MAX;
use crate::event::count;
use crate::exchanges::State;
use crate::neighbours::List;
use crate::net::{Exchange, Full, Net, Reply, Request};
use crate::phase::{Stage, Unsent};
use crate::roster::{Member, TOP};
use crate::table::{Flag, Liveness};
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Sends one message that waits for a slot. Returns `false` if there is none, or no slot.
    pub(crate) fn send_pending(&mut self, net: &mut dyn Net) -> bool {
        self.state.unblocked()
            && (self.send_election(net)
                || (self.state.pending && self.send_flagged(net))
                || self.send_coordinator(net))
    }

    /// Sends ELECTION to the greatest that has yet to be asked: first to those that have answered
    /// before, who may be few among many that never did.
    fn send_election(&mut self, net: &mut dyn Net) -> bool {
        let Some(unsent) = self.state.stage.unsent_election() else {
            return false;
        };
        let Some(&next) = self.table.next_unasked(unsent.below, unsent.reached) else {
            let others = Unsent {
                below: TOP,
                reached: false,
                ..unsent
            };
            let others = Some(others).filter(|_| unsent.reached);
            self.state.stage.set_unsent_election(others);
            return true;
        };
        if self.asks_patiently() {
            return false;
        }
        if !self.ask(next, net) {
            return false;
        }
        let until = self.now() + self.state.config.ok_within;
        let mut unsent = unsent;
        if unsent.until <= self.now() && !self.state.config.strict {
            // There has been no slot until now.
            unsent.until = self.now() + self.state.config.ok_within.times(ROUNDS_MAX);
        }
        let timers = &mut self.state.timers;
        if timers.at(Timer::Phase) < until.min(unsent.until) || timers.is_stopped(Timer::Phase) {
            timers.set(Timer::Phase, until.min(unsent.until));
        }
        let unsent = Unsent {
            below: next,
            ..unsent
        };
        self.state.stage.set_unsent_election(Some(unsent));
        true
    }

    /// Sends ELECTION. Returns `false` if there is no slot for it.
    fn ask(&mut self, member: Member, net: &mut dyn Net) -> bool {
        let within = self.slow(self.state.config.ok_within);
        let opened = self.open(member, State::SendElection, within, net).is_ok();
        if opened {
            self.table.mark(member.pid, Liveness::Asked);
            self.table.set_flag(member.pid, Flag::Introduce, false);
        }
        opened
    }

    /// Sends one of the messages that entries of the table are flagged for.
    fn send_flagged(&mut self, net: &mut dyn Net) -> bool {
        if let Some(&member) = self.table.furthest(Flag::Introduce) {
            return self.ask(member, net);
        }
        let leader = self.state.leader();
        let more_slots = !self.slots.only_one_left();
        for (flag, may) in [
            (Flag::Asker, more_slots && self.may_answer_askers()),
            (Flag::Relay, more_slots && leader.is_some()),
        ] {
            if let (true, Some(leader)) = (may, leader)
                && let Some(&member) = self.table.furthest(flag)
            {
                // Nobody needs to be told of itself.
                let sent = member.pid == leader || self.send_victory(member, net);
                self.table.set_flag(member.pid, flag, !sent);
                return sent;
            }
        }
        self.state.pending = self.table.any(Flag::Asker) || self.table.any(Flag::Relay);
        false
    }

    /// Sends COORDINATOR to the greatest that has yet to be sent it, at one address of each process.
    fn send_coordinator(&mut self, net: &mut dyn Net) -> bool {
        let Some(cursor) = self.state.stage.unsent_coordinator() else {
            return false;
        };
        let Some((&next, _)) = self.table.below(cursor) else {
            self.state.stage.set_unsent_coordinator(None);
            return true;
        };
        if let Some(&member) = self.table.find(next.pid)
            && next.pid != self.table.me.pid
            && !self.send_victory(member, net)
        {
            return false;
        }
        let next = next.pid.first();
        self.state.stage.set_unsent_coordinator(Some(next));
        true
    }

    /// Sends COORDINATOR. Returns `false` if there is no slot for it.
    fn send_victory(&mut self, member: Member, net: &mut dyn Net) -> bool {
        let within = self.slow(self.state.config.ok_within);
        self.open(member, State::SendVictory, within, net).is_ok()
    }

    /// Opens an exchange to send what `state`, one of the `Send` ones, stands for.
    pub(crate) fn open(
        &mut self,
        peer: Member,
        state: State,
        within: Span,
        net: &mut dyn Net,
    ) -> Result<(), Full> {
        let opened = if self.state.unblocked() && self.free_slot(true, net) {
            let mut list = List::new();
            let request = self.request(state, &mut list);
            net.open(peer.addr, request)
        } else {
            Err(Full)
        };
        if opened.is_ok() {
            let sent = &mut self.state.counters.sent;
            count(match state {
                State::SendJoin => &mut sent.join,
                State::SendElection => &mut sent.election,
                State::SendProbe => &mut sent.probe,
                _ => &mut sent.coordinator,
            });
        }
        self.placed(opened, state, peer, within)
    }

    /// The message that `state` stands for; a list that is not the table's own is composed in `list`.
    // `#[inline(never)]`: what it needs is off the stack before anything is sent.
    #[inline(never)]
    fn request<'list>(&'list self, state: State, list: &'list mut List) -> Request<'list> {
        let (table, large) = (&self.table, self.state.large.on);
        let members = match (state, &self.state.stage) {
            (State::SendJoin, _) => return Request::Join(table.me),
            (State::SendElection, _) if large => table.list_upwards(list),
            (State::SendElection | State::SendProbe, _) => table.all(),
            (_, Stage::Resigned { .. }) => table.successors(),
            _ if large => self.relay_list(list),
            _ => table.up_to_me(),
        };
        let members = members.with_origin(self.origin());
        match state {
            State::SendElection => Request::Election(members),
            State::SendProbe => Request::Probe(members),
            _ => Request::Coordinator(members),
        }
    }

    /// Notes an exchange that was opened, or that there is no slot for it.
    fn placed(
        &mut self,
        opened: Result<Exchange, Full>,
        state: State,
        peer: Member,
        within: Span,
    ) -> Result<(), Full> {
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

    /// The same message again, to the same process at another address if one is known: one lost
    /// segment must not decide. Returns `false` if it was a second one, or there is no slot.
    pub(crate) fn try_again(
        &mut self,
        peer: Member,
        state: State,
        within: Span,
        net: &mut dyn Net,
    ) -> bool {
        let to = *self.table.other_address(peer).unwrap_or(&peer);
        self.open_again(to, state, within, net)
    }

    /// Opens an exchange for a message that has been sent before. Returns `false` if there is no slot.
    pub(crate) fn open_again(
        &mut self,
        to: Member,
        state: State,
        within: Span,
        net: &mut dyn Net,
    ) -> bool {
        let opened = self.open(to, state, within, net).is_ok();
        if opened && let Some(slot) = self.slots.0.last_mut() {
            slot.second_try = true;
        }
        opened
    }

    /// Answers OK.
    pub(crate) fn answer(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let deadline = self.now() + self.state.config.ok_within;
        let all = self.table.all().with_origin(self.origin());
        if let Some(slot) = self.slots.get(exchange) {
            slot.state = State::SendOk;
            slot.unanswered = false;
            slot.deadline = slot.deadline.max(deadline);
            count(&mut self.state.counters.sent.ok);
            net.reply(exchange, Reply::Ok(all));
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
