//! What a node makes of what it hears.

use crate::election::{Input, Phase, TOP};
use crate::event::{Event, JoinFailure, Loss, Reason, count};
use crate::net::{Exchange, Gone, Incoming, Net, Refusal, Reply, Request};
use crate::node::Machine;
use crate::roster::{Member, Pid, Roster, Standing, admits};
use crate::state::State;
use crate::time::{Instant, Span};

impl Machine<'_> {
    /// Takes one piece of news; whether there was one.
    pub(crate) fn hear(&mut self, net: &mut dyn Net) -> bool {
        let Some((exchange, incoming)) = net.recv() else {
            return false;
        };
        match incoming {
            Incoming::Accepted => self.accept(exchange, net),
            Incoming::Sent => self.sent(exchange),
            Incoming::Request(request) => match request {
                Request::Election(roster) if !matches!(self.life.phase, Phase::Failed) => {
                    count(&mut self.life.counters.received.election);
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
                Request::Probe(_) if !matches!(self.life.phase, Phase::Failed) => {
                    count(&mut self.life.counters.received.probe);
                    self.answer(exchange, net);
                    self.decide(Input::Probed);
                }
                Request::Coordinator(roster) if !matches!(self.life.phase, Phase::Failed) => {
                    count(&mut self.life.counters.received.coordinator);
                    let input = self.read_announcement(roster);
                    let announced = match input {
                        Some(Input::Coordinator(named)) => Some(named),
                        Some(Input::DoubtfulCoordinator { instead, .. }) => instead,
                        _ => None,
                    };
                    self.merge(roster, announced);
                    self.retire(exchange, self.life.config.received_linger);
                    if let Some(input) = input {
                        self.decide(input);
                    }
                }
                // Playing dead: the OK stays owed until we are back.
                Request::Election(_) | Request::Probe(_) => {
                    let deadline = self.life.phase_until + self.life.config.ok_within;
                    if let Some(row) = self.rows.get(exchange) {
                        row.state = State::SendOk;
                        row.owed = true;
                        row.deadline = row.deadline.max(deadline);
                    }
                }
                Request::Coordinator(_) => self.retire(exchange, self.life.config.received_linger),
                Request::Join(_) => self.reject(exchange),
            },
            Incoming::Unfit(_) => self.reject(exchange),
            Incoming::Reply(reply) => {
                // An answer implies that the question was sent.
                if self.rows.get(exchange).is_some_and(|row| row.opened_by_us) {
                    self.sent(exchange);
                }
                self.replied(exchange, reply);
            }
            // One program dies of a connection that is gone before it has logged our answer.
            Incoming::Done if self.is_answered(exchange) => {
                self.retire(exchange, self.life.config.answer_linger);
            }
            Incoming::Done => self.ended(exchange, None, net),
            Incoming::Gone(gone) => {
                self.life.counters.rejected += u64::from(gone == Gone::Malformed);
                self.ended(exchange, Some(gone), net);
            }
        }
        true
    }

    fn replied(&mut self, exchange: Exchange, reply: Reply<'_>) {
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

    /// Returns `true` if an OK of ours has gone out on `exchange`.
    fn is_answered(&mut self, exchange: Exchange) -> bool {
        let row = self.rows.get(exchange);
        row.is_some_and(|row| row.state == State::SendOk && !row.owed)
    }

    fn reject(&mut self, exchange: Exchange) {
        count(&mut self.life.counters.rejected);
        self.retire(exchange, self.life.config.received_linger);
    }

    fn state_of(&mut self, exchange: Exchange) -> Option<State> {
        self.rows.get(exchange).map(|row| row.state)
    }

    fn accept(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let deadline = self.now() + self.life.config.message_within;
        let state = State::WaitingForAnyMessage;
        if !self.make_room(false, net) || !self.rows.push(exchange, state, None, deadline) {
            net.close(exchange);
        }
    }

    fn sent(&mut self, exchange: Exchange) {
        let linger = self.now() + self.life.config.sent_linger;
        if let Some(row) = self.rows.get(exchange) {
            row.state = match row.state {
                State::SendElection => State::WaitingForOk,
                State::SendJoin => State::WaitingForMembers,
                State::SendProbe => State::WaitingForProbeOk,
                State::SendVictory => {
                    row.deadline = linger;
                    // Its place can be had now.
                    self.life.blocked_until = Instant::ZERO;
                    State::Quiescent
                }
                same => same,
            };
        }
    }

    /// OK, at once.
    pub(crate) fn answer(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let deadline = self.now() + self.life.config.ok_within;
        if let Some(row) = self.rows.get(exchange) {
            row.state = State::SendOk;
            row.owed = false;
            row.deadline = row.deadline.max(deadline);
            count(&mut self.life.counters.sent.ok);
            net.reply(exchange, Reply::Ok(self.table.all()));
        }
    }

    /// Nothing more is awaited of `exchange`; it is closed after `linger`.
    fn retire(&mut self, exchange: Exchange, linger: Span) {
        let deadline = self.now() + linger;
        if let Some(row) = self.rows.get(exchange) {
            row.state = State::Quiescent;
            row.deadline = deadline;
        }
    }

    /// Takes in a list; there is always a place for who leads, who is said to, and `announced`.
    /// Returns the greatest that was new.
    fn merge(&mut self, roster: Roster<'_>, announced: Option<Pid>) -> Option<Pid> {
        let me = self.table.me.pid;
        let (greater, lesser) = match self.life.doubt {
            // One of the two is whom I follow, if I follow anybody.
            Some(doubt) => (doubt.greater, doubt.lesser),
            None => (self.life.leader().unwrap_or(me), me),
        };
        let keep = [greater, lesser, announced.unwrap_or(me)];
        let merged = self.table.merge(roster, &keep);
        if merged.left_out > self.life.told_left_out {
            self.life.told_left_out = merged.left_out;
            self.tell(Event::RosterFull {
                left_out: merged.left_out,
            });
        }
        if self.table.is_half_full() {
            self.ask_who_has_come();
        }
        let added = merged.greatest_added?;
        // Somebody greater turned up while we ask: the cursor starts anew and passes over all who
        // have been asked already.
        if matches!(self.life.phase, Phase::Electing) && added > self.life.config.me.pid {
            self.life.asking = Some(TOP);
        }
        if matches!(self.life.phase, Phase::Leading) {
            self.seek_greater();
        }
        Some(added)
    }

    /// Who leads according to a COORDINATOR, which does not say who sent it.
    fn read_announcement(&self, roster: Roster<'_>) -> Option<Input> {
        let me = self.table.me;
        let mut named = roster
            .members()
            .iter()
            .rev()
            .filter(|member| admits(&me, member))
            .map(|member| member.pid);
        let greatest = named.next()?;
        if greatest <= me.pid {
            return Some(Input::LesserCoordinator);
        }
        let standing = self.table.standing(greatest);
        // It has yet to answer, and somebody in the list has answered: some send everybody.
        let asked = standing == Standing::Asked
            && matches!(self.life.phase, Phase::Waiting)
            && !self.life.config.strict;
        if !asked && !standing.is_dead() {
            return Some(Input::Coordinator(greatest));
        }
        let instead = named.take_while(|pid| *pid > me.pid).find(|pid| {
            let standing = self.table.standing(*pid);
            !standing.is_dead() && (!asked || standing == Standing::Alive)
        });
        Some(match instead {
            None if asked => Input::Coordinator(greatest),
            instead => Input::DoubtfulCoordinator {
                doubtful: greatest,
                instead,
            },
        })
    }

    /// Whoever asks and has no place in my table is owed the news that I lead: no broadcast of mine
    /// would reach it. One at a time; another one that asks meanwhile will ask again.
    fn note_left_out(&mut self, sender: &Member) {
        let me = self.table.me;
        let lesser = sender.pid < me.pid && admits(&me, sender);
        if lesser && self.table.find(sender.pid).is_none() {
            self.life.left_out = Some(*sender);
        }
    }

    /// An OK came.
    fn answered(&mut self, exchange: Exchange) {
        let Some(row) = self.rows.get(exchange).filter(|row| row.opened_by_us) else {
            return;
        };
        let (state, peer) = (row.state, row.peer);
        self.retire(exchange, Span::ZERO);
        match state {
            State::WaitingForOk | State::Quiescent => {
                count(&mut self.life.counters.received.ok);
                self.table.mark(peer.pid, Standing::Alive);
                self.decide(Input::Ok);
                if self
                    .life
                    .doubt
                    .is_some_and(|doubt| doubt.greater == peer.pid)
                {
                    self.decide(Input::DoubtSettled(peer.pid, Reason::Answered));
                }
            }
            State::WaitingForProbeOk => {
                count(&mut self.life.counters.received.ok);
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
        if !self.life.joined {
            self.life.joined = true;
            let members = u32::try_from(self.table.all().len()).unwrap_or(u32::MAX);
            self.tell(Event::Joined { members });
            self.decide(Input::Joined);
            self.ask_who_has_come();
            return;
        }
        if added.is_some() {
            self.ask_who_has_come();
        }
        let known = self.life.leader().unwrap_or(self.life.config.me.pid);
        // A greater one who had no place for me has not told me that it leads.
        let top = self.table.below(TOP);
        let untold = self.table.is_full()
            && top.is_some_and(|(top, standing)| top.pid > known && !standing.is_dead());
        if untold || added.is_some_and(|added| added > known) {
            self.decide(Input::GreaterJoined);
        } else if added.is_some() {
            self.decide(Input::LesserJoined);
        }
    }

    /// In a group that is larger than its tables, somebody may have no place for me, and not tell me
    /// of a new leader. So I ask the coordinator who has come: once more after I have joined, and
    /// then ever less often for as long as there is news or my table is half full.
    fn ask_who_has_come(&mut self) {
        if self.life.joined && self.life.join_at == Instant::NEVER && !self.life.config.strict {
            let pause = self.life.left_out_pause;
            self.life.left_out_pause = pause.twice().min(LEFT_OUT_PAUSE_MAX);
            let again_in = self.life.rng.between(pause, pause.twice());
            self.life.join_at = self.later(again_in);
        }
    }

    /// Tries again later, and less soon if we are in the group anyway.
    fn join_failed(&mut self, failure: JoinFailure) {
        if self.life.joined {
            self.ask_who_has_come();
            return;
        }
        let pause = self.life.join_pause;
        let again_in = self.life.rng.between(pause.half(), pause);
        self.life.join_pause = pause.twice().min(self.life.config.join_again.1);
        self.life.join_at = self.now() + again_in;
        self.tell(Event::JoinFailed {
            failure,
            again_in: again_in.into(),
        });
    }

    /// An exchange is over: in order, or broken.
    pub(crate) fn ended(&mut self, exchange: Exchange, gone: Option<Gone>, net: &mut dyn Net) {
        let now = self.now();
        let Some(row) = self.rows.get(exchange) else {
            return;
        };
        let (state, peer, left) = (row.state, row.peer, row.deadline.left(now));
        self.close(exchange, net);
        if gone == Some(Gone::Refused)
            && self.is_due(state)
            // Who has moved is known at another address too: the same message goes there.
            && let Some(moved) = self.table.forget_address(peer)
            && self.open(moved, state, left, net).is_ok()
        {
            return;
        }
        match state {
            State::SendElection | State::WaitingForOk => {
                if matches!(gone, Some(Gone::Refused | Gone::Reset)) {
                    self.asked_in_vain(peer.pid, Standing::Gone);
                    self.ask_directory_again();
                } else {
                    self.asked_in_vain(peer.pid, Standing::Silent);
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

    /// Whether a message that has not been sent is still to be.
    fn is_due(&self, state: State) -> bool {
        match state {
            State::SendElection => matches!(self.life.phase, Phase::Electing | Phase::Waiting),
            State::SendVictory => matches!(self.life.phase, Phase::Leading),
            State::SendProbe => matches!(self.life.phase, Phase::Leading | Phase::Following(_)),
            _ => false,
        }
    }

    /// Nobody answers our ELECTION there, at least not in time.
    pub(crate) fn asked_in_vain(&mut self, pid: Pid, standing: Standing) {
        if self.table.standing(pid) == Standing::Asked {
            self.table.mark(pid, standing);
        }
        if matches!(self.life.phase, Phase::Waiting)
            && let Some(doubt) = self.life.doubt.filter(|doubt| doubt.greater == pid)
        {
            self.decide(Input::DoubtSettled(doubt.lesser, Reason::GreaterFailed));
        }
    }

    fn probe_answered(&mut self, pid: Pid) {
        self.table.mark(pid, Standing::Alive);
        let doubted = self.life.doubt.take_if(|doubt| doubt.greater == pid);
        if self.life.is_led_by(pid) {
            self.life.answers_probes = Some(pid);
        } else if doubted.is_some() {
            self.decide(Input::DoubtSettled(pid, Reason::Answered));
        } else if pid > self.life.config.me.pid {
            self.decide(Input::GreaterBack);
        }
    }

    pub(crate) fn probe_failed(&mut self, pid: Pid, how: Loss) {
        let doubt = self.life.doubt.take_if(|doubt| doubt.greater == pid);
        if !self.life.is_led_by(pid) {
            // It did not even accept when last asked: so it is back, and may never have learned to
            // answer PROBE.
            let back = how == Loss::Silent && self.table.standing(pid) == Standing::Gone;
            if back && doubt.is_some() {
                self.decide(Input::DoubtSettled(pid, Reason::Answered));
            } else if back {
                self.decide(Input::GreaterBack);
            }
            return;
        }
        if how == Loss::Silent && self.life.answers_probes.is_none_or(|known| known != pid) {
            // It may never have learned to answer PROBE: as long as it accepts, it lives.
            return;
        }
        self.life.answers_probes = None;
        self.table.mark(
            pid,
            match how {
                Loss::Silent => Standing::Silent,
                Loss::Refused | Loss::Reset | Loss::Unreachable => Standing::Gone,
            },
        );
        self.life.told_leader = None;
        self.tell(Event::LeaderLost { leader: pid, how });
        self.ask_directory_again();
        let me = self.life.config.me.pid;
        match doubt.and_then(|doubt| self.table.find(doubt.lesser)) {
            Some(Member { pid: lesser, .. })
                if lesser > me && !self.table.standing(lesser).is_dead() =>
            {
                self.decide(Input::DoubtSettled(lesser, Reason::GreaterFailed));
            }
            _ => self.decide(Input::LeaderGone),
        }
    }

    /// Somebody wanted has refused us: the coordinator may know where it listens now.
    pub(crate) fn ask_directory_again(&mut self) {
        if self.life.config.directory.is_some() && self.life.joined {
            let earliest = self
                .now()
                .max(self.life.last_join + self.life.config.join_gap);
            self.life.join_at = self.life.join_at.min(earliest);
        }
    }
}

/// The longest pause of a member for whom others may have no place: it draws the time between two
/// JOINs from one to two of them, which keeps a thousand such members below 40 JOINs a second.
const LEFT_OUT_PAUSE_MAX: Span = Span::from_millis(30_000);
