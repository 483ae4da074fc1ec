//! What time brings.

use crate::config::FeignMode;
use crate::election::{Input, Phase, TOP};
use crate::event::{Event, Loss};
use crate::net::{Exchange, Net};
use crate::node::Machine;
use crate::owe::BLOCKED_PAUSE;
use crate::roster::{Member, Pid, Standing};
use crate::state::State;
use crate::time::{Instant, Span};

impl Machine<'_> {
    /// Does one thing that is due; whether there was one.
    pub(crate) fn pass_time(&mut self, net: &mut dyn Net) -> bool {
        let now = self.now();
        let due = |at: Instant| at <= now;
        if let Some(row) = self.rows.earliest()
            && row.deadline <= now
        {
            let (exchange, state, peer) = (row.exchange, row.state, row.peer);
            self.overdue(exchange, state, peer, net);
            return true;
        }
        if due(self.life.fail_at) {
            self.life.fail_at = Instant::NEVER;
            self.fail(net);
            return true;
        }
        if due(self.life.phase_until) {
            match self.life.phase {
                Phase::Failed => self.recover(net),
                // There has been no room to ask anybody else "within the given time limit".
                Phase::Electing => {
                    self.life.phase_until = Instant::NEVER;
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
                    self.life.announce_at = now + self.life.config.window.max(BLOCKED_PAUSE);
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
        if !matches!(self.life.phase, Phase::Failed) && self.life.unblocked() {
            if due(self.life.join_at) {
                return self.send_join(net);
            }
            if due(self.life.probe_at) {
                return self.send_probe(net);
            }
        }
        false
    }

    /// An exchange has lasted too long in its state.
    fn overdue(&mut self, exchange: Exchange, state: State, peer: Member, net: &mut dyn Net) {
        let late = self.now() + self.life.config.ok_late;
        match state {
            State::WaitingForOk => {
                // It no longer holds up the election, but an OK that comes late is news.
                if let Some(row) = self.rows.get(exchange) {
                    row.state = State::Quiescent;
                    row.deadline = late;
                }
                self.life.blocked_until = Instant::ZERO;
                self.asked_in_vain(peer.pid, Standing::Silent);
            }
            State::SendProbe => {
                self.close(exchange, net);
                self.probe_failed(peer.pid, Loss::Unreachable);
            }
            State::SendElection => {
                self.close(exchange, net);
                self.asked_in_vain(peer.pid, Standing::Gone);
            }
            _ => self.ended(exchange, None, net),
        }
    }

    /// ELECTIONs of an election that is over: their answers are late ones now.
    pub(crate) fn retire_asked(&mut self) {
        for row in self.rows.iter_mut() {
            if matches!(row.state, State::SendElection | State::WaitingForOk) {
                row.state = State::Quiescent;
            }
        }
        self.life.blocked_until = Instant::ZERO;
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
        self.life.seek_greatest = !self.life.seek_greatest;
        let in_between = !self.life.seek_greatest;
        let from = if in_between { self.life.sought } else { TOP };
        let next = self.greater(from).or_else(|| self.greater(TOP))?;
        if in_between {
            self.life.sought = next;
        }
        Some(next.pid)
    }

    /// The greatest below `cursor` who is greater than me and may yet lead.
    fn greater(&self, mut cursor: Member) -> Option<Member> {
        loop {
            let (next, standing) = self.table.below(cursor)?;
            if next.pid <= self.life.config.me.pid {
                return None;
            }
            if standing != Standing::Idle {
                return Some(next);
            }
            cursor = next;
        }
    }

    /// A leader to whom somebody greater is known looks for them now and then, so that the parts of
    /// a divided group find each other again.
    pub(crate) fn seek_greater(&mut self) {
        let config = &self.life.config;
        let greater = self
            .table
            .below(TOP)
            .is_some_and(|(top, _)| top.pid > config.me.pid);
        if greater && config.probing && !config.strict && self.life.probe_at == Instant::NEVER {
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
        if looks {
            self.life.look_at = self.later(config.look_gap.max(config.join_gap));
        } else {
            self.life.look_at = Instant::NEVER;
        }
    }

    /// Probes at once, unless a PROBE is under way that will tell as much.
    pub(crate) fn probe_now(&mut self) {
        if self.probed().is_some_and(|pid| !self.rows.probing(pid)) {
            self.life.probe_at = self.now();
        }
    }

    /// Sends the PROBE that is due; whether anything was done.
    fn send_probe(&mut self, net: &mut dyn Net) -> bool {
        let probed = match self.life.phase {
            Phase::Leading => self.sought(),
            _ => self.probed(),
        };
        let Some(pid) = probed else {
            self.life.probe_at = Instant::NEVER;
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
        let within = self.life.config.probe_within;
        if self.open(member, State::SendProbe, within, net).is_err() {
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
            let within = self.life.config.join_within;
            if self.open(directory, State::SendJoin, within, net).is_err() {
                return false;
            }
            self.life.last_join = self.now();
        }
        self.life.join_at = Instant::NEVER;
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
            self.life.join_at = self.now();
        }
        while let Some(owed) = self.rows.owed() {
            self.answer(owed, net);
        }
        self.decide(Input::Recover);
    }
}

/// The shortest time between two PROBEs, whatever is configured.
const SHORTEST_GAP: Span = Span::from_millis(1);
