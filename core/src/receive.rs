//! What is received: connections, messages of others, and lists of members.

use crate::election::Input;
use crate::event::{Event, count};
use crate::exchanges::State;
use crate::net::{Exchange, Gone, Incoming, Net, Request};
use crate::phase::{Phase, Stage};
use crate::roster::{Member, Pid, Roster, TOP};
use crate::table::admits;
use crate::time::Instant;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Takes one input. Returns `false` if the network has none.
    pub(crate) fn receive(&mut self, net: &mut dyn Net) -> bool {
        let Some((exchange, incoming)) = net.recv() else {
            return false;
        };
        match incoming {
            Incoming::Accepted => self.accept(exchange, net),
            Incoming::Sent => self.sent(exchange),
            Incoming::Request(request) if self.state.phase() == Phase::Resigned => match request {
                // It was accepted before, and some programs end without the answer.
                Request::Election(_) | Request::Probe(_) => self.answer(exchange, net),
                _ => self.retire(exchange, self.state.config.received_linger),
            },
            Incoming::Request(request) => match request {
                Request::Election(roster) if !matches!(self.state.stage, Stage::Failed) => {
                    count(&mut self.state.counters.received.election);
                    self.merge(roster, None);
                    if roster.is_empty() {
                        // It does not say who it is; the coordinator knows newcomers.
                        self.ask_directory_again();
                    }
                    // With a table too small for the group, a sender is the least in its own list.
                    if let Some(sender) = roster.members().first() {
                        self.note_left_out(sender);
                    }
                    self.answer(exchange, net);
                    self.decide(Input::Election);
                }
                Request::Probe(_) if !matches!(self.state.stage, Stage::Failed) => {
                    count(&mut self.state.counters.received.probe);
                    self.answer(exchange, net);
                    self.decide(Input::Probed);
                }
                Request::Coordinator(roster) if !matches!(self.state.stage, Stage::Failed) => {
                    count(&mut self.state.counters.received.coordinator);
                    let input = self.read_announcement(roster);
                    self.merge(roster, input.and_then(Input::announced));
                    self.retire(exchange, self.state.config.received_linger);
                    if let Some(input) = input {
                        self.decide(input);
                    }
                }
                Request::Election(_) | Request::Probe(_) => self.leave_unanswered(exchange),
                Request::Coordinator(_) => self.retire(exchange, self.state.config.received_linger),
                Request::Join(_) => self.reject(exchange),
            },
            Incoming::Unfit(_) => self.reject(exchange),
            Incoming::Reply(reply) => {
                // An answer implies that the question was sent.
                if self
                    .slots
                    .get(exchange)
                    .is_some_and(|slot| slot.opened_by_us)
                {
                    self.sent(exchange);
                }
                self.replied(exchange, reply);
            }
            // One program dies of a connection that is gone before it has logged our answer.
            Incoming::Done if self.is_answered(exchange) => {
                self.retire(exchange, self.state.config.answer_linger);
            }
            Incoming::Done => self.ended(exchange, None, net),
            Incoming::Gone(gone) => {
                self.state.counters.rejected += u64::from(gone == Gone::Malformed);
                self.ended(exchange, Some(gone), net);
            }
        }
        true
    }

    /// Returns `true` if an OK of ours has gone out on `exchange`.
    fn is_answered(&mut self, exchange: Exchange) -> bool {
        let slot = self.slots.get(exchange);
        slot.is_some_and(|slot| slot.state == State::SendOk && !slot.unanswered)
    }

    fn reject(&mut self, exchange: Exchange) {
        count(&mut self.state.counters.rejected);
        self.retire(exchange, self.state.config.received_linger);
    }

    fn accept(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let deadline = self.now() + self.state.config.message_within;
        let state = State::WaitingForAnyMessage;
        if !self.free_slot(false, net) || !self.slots.push(exchange, state, None, deadline) {
            net.close(exchange);
        }
    }

    fn sent(&mut self, exchange: Exchange) {
        let linger = self.now() + self.state.config.sent_linger;
        if let Some(slot) = self.slots.get(exchange) {
            slot.state = match slot.state {
                State::SendElection => State::WaitingForOk,
                State::SendJoin => State::WaitingForMembers,
                State::SendProbe => State::WaitingForProbeOk,
                State::SendVictory => {
                    slot.deadline = linger;
                    // Its slot can be had now.
                    self.state.blocked_until = Instant::ZERO;
                    State::Quiescent
                }
                same => same,
            };
        }
    }

    /// Adds a list to the table, which always has an entry for who leads, who is said to, and
    /// `announced`. Returns the greatest that was new.
    pub(crate) fn merge(&mut self, roster: Roster<'_>, announced: Option<Pid>) -> Option<Pid> {
        let me = self.table.me.pid;
        let (greater, lesser) = match self.state.stage.contest() {
            // One of the two is whom I follow, if I follow anybody.
            Some(contest) => (contest.greater, contest.lesser),
            None => (self.state.leader().unwrap_or(me), me),
        };
        let keep = [greater, lesser, announced.unwrap_or(me)];
        let merged = self.table.merge(roster, &keep);
        if merged.left_out > self.state.reported.left_out {
            self.state.reported.left_out = merged.left_out;
            self.emit(Event::RosterFull {
                left_out: merged.left_out,
            });
        }
        if self.table.is_half_full() {
            self.ask_who_has_come();
        }
        let added = merged.greatest_added?;
        // Somebody greater turned up while we ask: the cursor starts anew and passes over all who
        // have been asked already.
        match self.state.phase() {
            Phase::Electing if added > me => self.state.stage.set_unsent_election(Some(TOP)),
            Phase::Leading => self.seek_greater(),
            _ => {}
        }
        Some(added)
    }

    /// Remembers an asker that has no entry in my table: no announcement of mine would reach it. One
    /// at a time; another one that asks meanwhile will ask again.
    fn note_left_out(&mut self, sender: &Member) {
        let me = self.table.me;
        let lesser = sender.pid < me.pid && admits(&me, sender);
        if lesser && self.table.find(sender.pid).is_none() {
            self.state.left_out = Some(*sender);
        }
    }
}
