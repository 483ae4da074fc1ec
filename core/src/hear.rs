//! What a node makes of what it hears.

use core::time::Duration;

use crate::election::{Input, Phase, TOP};
use crate::event::{Event, JoinFailure, Loss};
use crate::net::{Exchange, Gone, Incoming, Net, Refusal, Reply, Request};
use crate::node::Machine;
use crate::roster::{Member, Pid, Roster, Standing};
use crate::state::{Row, State};

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
                Request::Election(roster) if self.life.phase != Phase::Failed => {
                    self.life.counters.heard.election += 1;
                    self.merge(roster, self.life.leader());
                    self.answer(exchange, net);
                    self.decide(Input::Election);
                }
                Request::Probe(_) if self.life.phase != Phase::Failed => {
                    self.life.counters.heard.probe += 1;
                    self.answer(exchange, net);
                    self.decide(Input::Probed);
                }
                Request::Coordinator(roster) if self.life.phase != Phase::Failed => {
                    self.life.counters.heard.coordinator += 1;
                    // Whoever is announced must find a place in the table.
                    self.merge(roster, self.life.leader().max(roster.greatest()));
                    let input = self.read_announcement(roster);
                    self.retire(exchange, self.life.config.heard_linger);
                    if let Some(input) = input {
                        self.decide(input);
                    }
                }
                // Playing dead: the OK stays owed until we are back.
                Request::Election(_) | Request::Probe(_) => {
                    if let Some(row) = self.rows.get(exchange) {
                        row.state = State::SendOk;
                    }
                }
                Request::Coordinator(_) => self.retire(exchange, self.life.config.heard_linger),
                Request::Join(_) | Request::Unfit(_) => {
                    self.life.counters.rejected += 1;
                    self.retire(exchange, self.life.config.heard_linger);
                }
            },
            Incoming::Reply(Reply::Ok(_)) => self.answered(exchange),
            Incoming::Reply(Reply::Members(roster)) => {
                if self.state_of(exchange) == Some(State::WaitingForMembers) {
                    let greater = self.merge(roster, self.life.leader());
                    self.retire(exchange, Duration::ZERO);
                    self.joined(greater);
                }
            }
            Incoming::Reply(Reply::Refused(refusal)) => {
                if self.state_of(exchange) == Some(State::WaitingForMembers) {
                    self.retire(exchange, Duration::ZERO);
                    self.join_failed(JoinFailure::Refused(refusal));
                }
            }
            Incoming::Done => self.ended(exchange, None, net),
            Incoming::Gone(gone) => {
                self.life.counters.rejected += u64::from(gone == Gone::Malformed);
                self.ended(exchange, Some(gone), net);
            }
        }
        true
    }

    fn state_of(&mut self, exchange: Exchange) -> Option<State> {
        self.rows.get(exchange).map(|row| row.state)
    }

    fn accept(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let row = Row {
            exchange,
            state: State::WaitingForAnyMessage,
            peer: None,
            deadline: self.now() + self.life.config.message_within,
        };
        if !self.make_room(false, net) || !self.rows.push(row) {
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
                    State::Quiescent
                }
                same => same,
            };
        }
    }

    /// OK, at once.
    fn answer(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if let Some(row) = self.rows.get(exchange) {
            row.state = State::SendOk;
            self.life.counters.sent.ok += 1;
            net.reply(exchange, Reply::Ok(self.table.all()));
        }
    }

    /// Nothing more is awaited of `exchange`; it is closed after `linger`.
    fn retire(&mut self, exchange: Exchange, linger: Duration) {
        let deadline = self.now() + linger;
        if let Some(row) = self.rows.get(exchange) {
            row.state = State::Quiescent;
            row.deadline = deadline;
        }
    }

    /// Takes in a list, and keeps `leader` whatever happens. Returns the greatest that was new, if
    /// greater than whoever leads, or than me.
    pub(crate) fn merge(&mut self, roster: Roster<'_>, leader: Option<Pid>) -> Option<Pid> {
        let merged = self.table.merge(roster, leader);
        if merged.left_out > self.life.told_left_out {
            self.life.told_left_out = merged.left_out;
            self.tell(Event::RosterFull {
                left_out: merged.left_out,
            });
        }
        let added = merged.greatest_added?.pid;
        // Somebody greater turned up while we ask: the cursor starts anew and passes over all who
        // have been asked already.
        if self.life.phase == Phase::Electing && added > self.life.config.me.pid {
            self.life.asking = Some(TOP);
        }
        let known = self.life.leader().unwrap_or(self.life.config.me.pid);
        (added > known).then_some(added)
    }

    /// Who leads according to a COORDINATOR, which does not say who sent it.
    fn read_announcement(&self, roster: Roster<'_>) -> Option<Input> {
        let me = self.life.config.me.pid;
        let greatest = roster.greatest()?;
        if greatest <= me {
            return Some(Input::LesserCoordinator);
        }
        if self.table.standing(greatest) != Standing::Dead {
            return Some(Input::Coordinator(greatest));
        }
        let instead = roster
            .members()
            .iter()
            .rev()
            .map(|member| member.pid)
            .take_while(|pid| *pid > me)
            .find(|pid| self.table.standing(*pid) != Standing::Dead);
        Some(Input::DoubtfulCoordinator {
            dead: greatest,
            instead,
        })
    }

    /// An OK came.
    fn answered(&mut self, exchange: Exchange) {
        let Some(row) = self.rows.get(exchange).copied() else {
            return;
        };
        let Some(peer) = row.peer else { return };
        self.retire(exchange, Duration::ZERO);
        match row.state {
            State::WaitingForOk | State::Quiescent => {
                self.table.mark(peer.pid, Standing::Alive);
                self.decide(Input::Ok);
                if self.life.claim == Some(peer.pid) {
                    self.decide(Input::DoubtSettled(peer.pid));
                }
            }
            State::WaitingForProbeOk => self.probe_answered(peer),
            State::WaitingForMembers => {
                self.join_failed(JoinFailure::Refused(Refusal::Malformed));
            }
            _ => {}
        }
    }

    /// The coordinator answered; `greater` is somebody greater than the leader who is new.
    fn joined(&mut self, greater: Option<Pid>) {
        if !self.life.joined {
            self.life.joined = true;
            let members = u32::try_from(self.table.all().len()).unwrap_or(u32::MAX);
            self.tell(Event::Joined { members });
            self.decide(Input::Joined);
        } else if greater.is_some() {
            self.decide(Input::GreaterJoined);
        }
    }

    /// Tries again later, unless we are in the group anyway and only wanted the latest addresses.
    fn join_failed(&mut self, failure: JoinFailure) {
        if self.life.joined {
            return;
        }
        let pause = self.life.join_pause;
        let again_in = self.life.rng.between(pause / 2, pause);
        self.life.join_pause = (2 * pause).min(self.life.config.join_again.1);
        self.life.join_at = Some(self.now() + again_in);
        self.tell(Event::JoinFailed { failure, again_in });
    }

    /// An exchange is over: in order, or broken.
    pub(crate) fn ended(&mut self, exchange: Exchange, gone: Option<Gone>, net: &mut dyn Net) {
        let row = self.close(exchange, net);
        let Some((row, peer)) = row.and_then(|row| Some((row, row.peer?))) else {
            return;
        };
        let unreachable = matches!(gone, Some(Gone::Refused | Gone::Reset));
        if gone == Some(Gone::Refused)
            && matches!(
                row.state,
                State::SendElection | State::SendVictory | State::SendProbe
            )
            // Who has moved is known at another address too: the same message goes there.
            && let Some(moved) = self.table.forget_address(peer)
            && self.open(moved, row.state, row.deadline, net).is_ok()
        {
            return;
        }
        match row.state {
            State::SendElection | State::WaitingForOk => {
                self.table.mark(peer.pid, Standing::Dead);
                if unreachable {
                    self.ask_directory_again();
                }
            }
            State::SendProbe | State::WaitingForProbeOk => match gone {
                Some(Gone::Refused) => self.probe_failed(peer, Loss::Refused),
                Some(Gone::Reset) => self.probe_failed(peer, Loss::Reset),
                // Whatever it said, somebody is there.
                Some(Gone::Malformed) => self.probe_answered(peer),
                None => self.probe_failed(peer, Loss::Silent),
            },
            State::SendJoin | State::WaitingForMembers => {
                self.join_failed(gone.map_or(JoinFailure::Silent, JoinFailure::Gone));
            }
            _ => {}
        }
    }

    fn probe_answered(&mut self, peer: Member) {
        self.table.mark(peer.pid, Standing::Alive);
        if self.life.leader() == Some(peer.pid) {
            self.life.leader_answers = true;
            self.life.claim = self.life.claim.filter(|claim| *claim > peer.pid);
        } else if self.life.claim == Some(peer.pid) {
            self.decide(Input::DoubtSettled(peer.pid));
        }
    }

    pub(crate) fn probe_failed(&mut self, peer: Member, how: Loss) {
        if self.life.leader() != Some(peer.pid) {
            // It claimed to lead, and is not there.
            self.life.claim = self.life.claim.filter(|claim| *claim != peer.pid);
            return;
        }
        if how == Loss::Silent && !self.life.leader_answers {
            // It may never have learned to answer PROBE: as long as it accepts, it lives.
            self.life.claim = self.life.claim.filter(|claim| *claim > peer.pid);
            return;
        }
        self.table.mark(peer.pid, Standing::Dead);
        self.life.told_leader = None;
        self.tell(Event::LeaderLost {
            leader: peer.pid,
            how,
        });
        self.ask_directory_again();
        let me = self.life.config.me.pid;
        match self.life.claim {
            Some(claim) if claim > me && self.table.standing(claim) != Standing::Dead => {
                self.decide(Input::DoubtSettled(claim));
            }
            _ => self.decide(Input::LeaderGone),
        }
    }

    /// Somebody wanted has refused us: the coordinator may know where it listens now.
    pub(crate) fn ask_directory_again(&mut self) {
        if self.life.config.directory.is_some() && self.life.joined && self.life.join_at.is_none() {
            let earliest = self.life.last_join + self.life.config.join_gap;
            self.life.join_at = Some(self.now().max(earliest));
        }
    }
}
