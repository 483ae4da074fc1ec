//! What is received: connections, messages of others, and lists of members.

use crate::election::Input;
use crate::event::{Event, count};
use crate::exchanges::State;
use crate::merge::{Keep, Merged};
use crate::net::{Exchange, Gone, Incoming, Net, Request};
use crate::phase::{Phase, Stage};
use crate::roster::{Member, Pid, Roster};
use crate::table::{Flag, count_below};
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
                    let sender = self.read_origin(roster);
                    self.merge_named(roster, roster.origin().is_none(), None);
                    if roster.is_empty() {
                        // It does not say who it is; the coordinator knows newcomers.
                        self.ask_directory_again();
                    }
                    self.note_asker(roster, sender);
                    self.answer(exchange, net);
                    self.decide(Input::Election);
                }
                Request::Probe(roster) if !matches!(self.state.stage, Stage::Failed) => {
                    count(&mut self.state.counters.received.probe);
                    self.read_origin(roster);
                    if roster.origin().is_none() && self.is_misleading() {
                        // It stays open, as if this process had failed.
                        return true;
                    }
                    self.answer(exchange, net);
                    self.decide(Input::Probed);
                }
                Request::Coordinator(roster) if !matches!(self.state.stage, Stage::Failed) => {
                    count(&mut self.state.counters.received.coordinator);
                    self.announced(roster);
                    self.retire(exchange, self.state.config.received_linger);
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

    /// COORDINATOR was received.
    fn announced(&mut self, list: Roster<'_>) {
        let sender = self.read_origin(list);
        let input = self.read_announcement(list);
        if let Some(sender) = sender
            && (list.greatest() == Some(sender.pid) || self.table.has(sender.pid, Flag::Gone))
        {
            // It announces itself, or was gone from where it was: it is there, where it says.
            self.merge_origin(sender);
        }
        self.merge_named(list, false, input.and_then(Input::announced));
        let leader = self.state.leader();
        if let (true, Some(claimant)) = (self.state.large.on, list.greatest())
            && leader.is_some_and(|leader| claimant < leader)
        {
            self.flag(claimant, Flag::Asker);
        }
        if let Some(Input::Coordinator(named)) = input
            && self.table.find(named).is_none()
        {
            // It contradicts what is known better: the coordinator knows.
            self.confirm_named();
        }
        if let Some(input) = input {
            self.decide(input);
        }
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
            let absent = self.state.search.looks > 0 && !self.state.large.on;
            if slot.state == State::SendVictory && absent {
                // It was there to accept it.
                self.table.set_flag(slot.peer.pid, Flag::Gone, false);
            }
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

    /// Adds a list that another member has sent, with `announced` in any case; `from_asker` if its
    /// sender may be one of it and does not say which.
    fn merge_named(&mut self, list: Roster<'_>, from_asker: bool, announced: Option<Pid>) {
        let keep = self.keep(announced);
        // To the letter of the assignment whoever is named is a member.
        let trusted = self.state.config.strict;
        let merged = self.table.merge_named(list, from_asker, trusted, &keep);
        self.merged(merged);
        if self.table.any_greater_named() {
            self.confirm_named();
        }
    }

    /// Adds the coordinator's list. Returns the greatest that was new.
    pub(crate) fn merge_listed(&mut self, list: Roster<'_>) -> Option<Pid> {
        let keep = self.keep(None);
        let doubted = self.state.membership.doubted;
        let merged = self.table.merge_listed(list, &keep, doubted);
        self.merged(merged)
    }

    /// Adds a member that is to have an entry in any case.
    pub(crate) fn merge_sender(&mut self, sender: Member) {
        let keep = self.keep(None);
        let merged = self.table.merge_sender(sender, &keep);
        self.merged(merged);
    }

    /// Adds one of our own kind that has said who and where it is.
    fn merge_origin(&mut self, sender: Member) {
        self.merge_sender(sender);
        self.table.set_flag(sender.pid, Flag::Ours, true);
        if self.table.find(sender.pid) == Some(&sender) {
            self.table.set_flag(sender.pid, Flag::Gone, false);
        }
    }

    /// Whom the table always has an entry for: who leads, who is said to, and `announced`.
    fn keep(&self, announced: Option<Pid>) -> Keep {
        let me = self.table.me.pid;
        let (greater, lesser) = match self.state.stage.contest() {
            // One of the two is whom I follow, if I follow anybody.
            Some(contest) => (contest.greater, contest.lesser),
            None => (self.state.leader().unwrap_or(me), me),
        };
        [greater, lesser, announced.unwrap_or(me)]
    }

    /// What follows from new members. Returns the greatest.
    fn merged(&mut self, merged: Merged) -> Option<Pid> {
        if merged.left_out > 0 {
            self.become_large();
        }
        if merged.left_out > self.state.reported.left_out {
            self.state.reported.left_out = merged.left_out;
            self.emit(Event::RosterFull {
                left_out: merged.left_out,
            });
        }
        let added = merged.greatest_added?;
        match self.state.phase() {
            // Somebody greater turned up while we ask, and is asked too.
            Phase::Electing if added > self.table.me.pid => {
                let until = self.now() + self.slow(self.state.config.ok_within);
                self.state.stage.ask_more(until);
            }
            Phase::Leading => self.seek_greater(),
            _ => {}
        }
        Some(added)
    }

    /// Takes note of what a list says of its sender, and returns who that is, if it is in the list.
    fn read_origin(&mut self, list: Roster<'_>) -> Option<Member> {
        let origin = list.origin()?;
        if origin.large {
            self.become_large();
        }
        let mut named = list.members().iter();
        let sender = named.find(|member| member.pid == origin.pid)?;
        Some(*sender).filter(|sender| sender.pid != self.table.me.pid)
    }

    /// Who has sent an ELECTION: in a large group it is to be sent COORDINATOR. A program of another
    /// kind does not say: it is one of those in its list that are not known to be of ours, drawn by
    /// lot, as it asks again.
    fn note_asker(&mut self, list: Roster<'_>, sender: Option<Member>) {
        if let Some(sender) = sender {
            self.merge_origin(sender);
        }
        if !self.state.large.on {
            return;
        }
        let asker = sender.or_else(|| {
            let lesser = count_below(list.members(), self.table.me);
            let others = list.members().iter().take(lesser);
            let mut others = others.filter(|other| !self.table.has(other.pid, Flag::Ours));
            let drawn = self.state.rng.below(others.clone().count());
            others.nth(drawn).copied()
        });
        if let Some(asker) = asker.filter(|asker| asker.pid < self.table.me.pid) {
            if sender.is_none() {
                self.merge_sender(asker);
            }
            self.flag(asker.pid, Flag::Asker);
        }
    }
}
