//! What time brings.

use core::time::Duration;

use crate::config::FeignMode;
use crate::election::{Input, Phase, TOP};
use crate::event::{Event, Loss};
use crate::net::Net;
use crate::node::Machine;
use crate::owe::BLOCKED_PAUSE;
use crate::roster::{Member, Pid, Standing};
use crate::state::{Row, State};
use crate::time::Instant;

impl Machine<'_> {
    /// Does one thing that is due; whether there was one.
    pub(crate) fn pass_time(&mut self, net: &mut dyn Net) -> bool {
        let now = self.now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(row) = self.rows.earliest()
            && row.deadline <= now
        {
            self.overdue(row, net);
            return true;
        }
        if due(self.life.fail_at) {
            self.life.fail_at = None;
            self.fail(net);
            return true;
        }
        if due(self.life.phase_until) {
            match self.life.phase {
                Phase::Failed => self.recover(net),
                // There has been no room to ask anybody else "within the given time limit".
                Phase::Electing => {
                    self.life.phase_until = None;
                    self.life.asking = None;
                }
                _ => self.decide(Input::TimeOut),
            }
            return true;
        }
        if due(self.life.announce_at) {
            // Not before everybody has been told what is being announced already.
            match self.life.announcing {
                None => self.announce(),
                Some(_) => {
                    self.life.announce_at = Some(now + self.life.config.window.max(BLOCKED_PAUSE))
                }
            }
            return true;
        }
        if due(self.life.look_at) {
            self.ask_directory_again();
            if self.table.passed_over() {
                // Whoever is there after all, and greater, objects.
                self.announce();
            }
            self.look_later();
            return true;
        }
        if self.life.phase != Phase::Failed && self.life.unblocked() {
            if due(self.life.join_at) {
                return self.send_join(net);
            }
            if due(self.life.probe_at) {
                return self.send_probe(net);
            }
        }
        false
    }

    /// A row has lasted too long in its state.
    fn overdue(&mut self, row: Row, net: &mut dyn Net) {
        let late = self.now() + self.life.config.ok_late;
        match (row.state, row.peer) {
            (State::WaitingForOk, Some(peer)) => {
                // It no longer holds up the election, but an OK that comes late is news.
                if let Some(row) = self.rows.get(row.exchange) {
                    row.state = State::Quiescent;
                    row.deadline = late;
                }
                self.life.blocked_until = None;
                self.asked_in_vain(peer.pid, Standing::Silent);
            }
            (State::SendProbe, Some(peer)) => {
                self.close(row.exchange, net);
                self.probe_failed(peer.pid, Loss::Unreachable);
            }
            (State::SendElection, Some(peer)) => {
                self.close(row.exchange, net);
                self.asked_in_vain(peer.pid, Standing::Gone);
            }
            _ => self.ended(row.exchange, None, net),
        }
    }

    /// ELECTIONs of an election that is over: their answers are late ones now.
    pub(crate) fn retire_asked(&mut self) {
        for row in self.rows.iter_mut() {
            if matches!(row.state, State::SendElection | State::WaitingForOk) {
                row.state = State::Quiescent;
            }
        }
        self.life.blocked_until = None;
    }

    /// Whom a follower probes: the leader, or somebody greater who is said to lead.
    fn probed(&self) -> Option<Pid> {
        match self.life.phase {
            Phase::Following(leader) if self.life.config.probing => {
                let greater = self.life.doubt.map_or(leader, |doubt| doubt.greater);
                Some(greater.max(leader))
            }
            _ => None,
        }
    }

    /// Whom a leader looks for: every other time the greatest member, in between one of the greater
    /// ones after the other. Those who answer and never lead are left alone.
    fn sought(&mut self) -> Option<Pid> {
        let me = self.life.config.me.pid;
        self.life.seek_greatest = !self.life.seek_greatest;
        for from in [self.life.sought, TOP] {
            let mut cursor = if self.life.seek_greatest { TOP } else { from };
            while let Some((next, standing)) = self.table.below(cursor)
                && next.pid > me
            {
                cursor = next;
                if standing != Standing::Idle {
                    if !self.life.seek_greatest {
                        self.life.sought = next;
                    }
                    return Some(next.pid);
                }
            }
        }
        None
    }

    /// A leader to whom somebody greater is known looks for them now and then, so that the parts of
    /// a divided group find each other again.
    pub(crate) fn seek_greater(&mut self) {
        let config = &self.life.config;
        let greater = self
            .table
            .below(TOP)
            .is_some_and(|(top, _)| top.pid > config.me.pid);
        if greater && config.probing && !config.strict && self.life.probe_at.is_none() {
            let (shortest, longest) = config.probe_gap;
            let gap = self.life.rng.between(shortest, longest);
            self.life.probe_at = self.later(gap);
        }
    }

    /// A leader looks now and then whether it should be one: whoever announced itself in vain may be
    /// unknown here, or have been passed over.
    pub(crate) fn look_later(&mut self) {
        let config = &self.life.config;
        let doubtful = config.directory.is_some() || self.table.passed_over();
        let looks = doubtful && !config.strict;
        let gap = config.look_gap.max(config.join_gap);
        self.life.look_at = self.later(gap).filter(|_| looks);
    }

    /// Probes at once, unless a PROBE is under way that will tell as much.
    pub(crate) fn probe_now(&mut self) {
        if self.probed().is_some_and(|pid| !self.rows.probing(pid)) {
            self.life.probe_at = Some(self.now());
        }
    }

    /// Sends the PROBE that is due; whether anything was done.
    fn send_probe(&mut self, net: &mut dyn Net) -> bool {
        let probed = match self.life.phase {
            Phase::Leading => self.sought(),
            _ => self.probed(),
        };
        let Some(pid) = probed else {
            self.life.probe_at = None;
            return true;
        };
        let (shortest, longest) = self.life.config.probe_gap;
        // A gap of nothing would be a poll without end.
        let gap = self.life.rng.between(shortest, longest).max(SHORTEST_GAP);
        let Some(member) = self.table.find(pid) else {
            // A leader without an address is no leader.
            self.life.probe_at = self.later(gap);
            self.probe_failed(pid, Loss::Unreachable);
            return true;
        };
        let until = self.now() + self.life.config.probe_within;
        if self.open(member, State::SendProbe, until, net).is_err() {
            return false;
        }
        self.life.probe_at = self.later(gap);
        true
    }

    fn send_join(&mut self, net: &mut dyn Net) -> bool {
        let joining = self.rows.any(&[State::SendJoin, State::WaitingForMembers]);
        if let (Some(addr), false) = (self.life.config.directory, joining) {
            let directory = Member {
                addr,
                ..self.life.config.me
            };
            let until = self.now() + self.life.config.join_within;
            if self.open(directory, State::SendJoin, until, net).is_err() {
                return false;
            }
            self.life.last_join = self.now();
        }
        self.life.join_at = None;
        true
    }

    /// Plays dead: our own exchanges end, those of others are left in the dark.
    fn fail(&mut self, net: &mut dyn Net) {
        self.decide(Input::Fail);
        while let Some(ours) = self.rows.opened_by_us() {
            self.close(ours, net);
        }
        if self.life.config.feign.map(|feign| feign.mode) == Some(FeignMode::Close) {
            net.set_listening(false);
        }
    }

    /// "Recovery is done by starting your listening server and initiating an election."
    fn recover(&mut self, net: &mut dyn Net) {
        if self.life.config.feign.map(|feign| feign.mode) == Some(FeignMode::Close) {
            net.set_listening(true);
        }
        self.tell(Event::Recovered);
        self.schedule_failure();
        if !self.life.joined {
            self.life.join_at = Some(self.now());
        }
        while let Some(owed) = self.rows.owed() {
            self.answer(owed, net);
        }
        self.decide(Input::Recover);
    }
}

/// The shortest time between two PROBEs, whatever is configured.
const SHORTEST_GAP: Duration = Duration::from_millis(1);
