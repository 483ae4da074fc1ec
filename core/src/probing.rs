//! Whom a node sends PROBE: a follower its leader, or the greater one of two that are said to lead;
//! a leader the greater members that may be back.

use crate::exchanges::State;
use crate::net::{Full, Net};
use crate::phase::Stage;
use crate::roster::{Member, Pid, TOP};
use crate::table::Liveness;
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

/// What has come of a PROBE that was due.
pub(crate) enum Probed {
    /// It was sent, or nobody is to be probed.
    Sent,
    /// This one has no address any more.
    Unreachable(Pid),
}

impl NodeView<'_> {
    /// Sends the PROBE that is due.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no slot for it; it is still due then.
    pub(crate) fn send_probe(&mut self, net: &mut dyn Net) -> Result<Probed, Full> {
        let target = match self.state.stage {
            Stage::Leading { .. } => self.next_sought(),
            _ => self.probed(),
        };
        let Some(pid) = target else {
            self.state.timers.stop(Timer::Probe);
            return Ok(Probed::Sent);
        };
        let (shortest, longest) = self.state.config.probe_gap;
        // A gap of nothing would be a poll without end.
        let gap = self.state.rng.between(shortest, longest).max(SHORTEST_GAP);
        let next = self.later(gap);
        let Some(member) = self.table.find(pid).copied() else {
            self.state.timers.set(Timer::Probe, next);
            return Ok(Probed::Unreachable(pid));
        };
        let within = self.slow(self.state.config.probe_within);
        self.open(member, State::SendProbe, within, net)?;
        if self.state.is_led_by(pid) {
            self.await_proof();
        }
        self.state.timers.set(Timer::Probe, next);
        Ok(Probed::Sent)
    }

    /// Probes at once, unless a PROBE is under way that will say as much.
    pub(crate) fn probe_now(&mut self) {
        self.probe_by(self.now());
    }

    /// Probes at `at` or earlier, unless a PROBE is under way that will say as much.
    pub(crate) fn probe_by(&mut self, at: Instant) {
        if self.probed().is_some_and(|pid| !self.slots.probing(pid)) {
            let at = at.min(self.state.timers.at(Timer::Probe));
            self.state.timers.set(Timer::Probe, at);
        }
    }

    /// Whom a follower probes: the leader, or somebody greater who is said to lead.
    fn probed(&self) -> Option<Pid> {
        match self.state.stage {
            Stage::Following {
                leader, contest, ..
            } if self.state.config.probing => {
                let greater = contest.map_or(leader, |contest| contest.greater);
                Some(greater.max(leader))
            }
            _ => None,
        }
    }

    /// A leader to whom somebody greater is known probes them now and then, so that the parts of a
    /// divided group find each other again.
    pub(crate) fn seek_greater(&mut self) {
        let config = &self.state.config;
        let greater = self.table.count_greater() > 0;
        let idle = self.state.timers.is_stopped(Timer::Probe);
        if greater && config.probing && !config.strict && idle {
            self.draw(Timer::Probe, self.state.config.probe_gap);
        }
    }

    /// Who is looked for next of those greater than the leader: every other time the greatest member,
    /// in between one after the other. Those who answer and never lead are left alone.
    pub(crate) fn next_sought(&mut self) -> Option<Pid> {
        let search = &mut self.state.search;
        search.greatest_next = !search.greatest_next;
        let in_between = !search.greatest_next;
        let from = if in_between { search.cursor } else { TOP };
        let next = self.greater(from).or_else(|| self.greater(TOP))?;
        if in_between {
            self.state.search.cursor = next;
        }
        Some(next.pid)
    }

    /// The greatest below `cursor` who is greater than the leader and may yet lead.
    fn greater(&self, mut cursor: Member) -> Option<Member> {
        let leader = self.state.leader().unwrap_or(self.table.me.pid);
        loop {
            let (&next, note) = self.table.below(cursor)?;
            if next.pid <= leader {
                return None;
            }
            if note.liveness != Liveness::Idle {
                return Some(next);
            }
            cursor = next;
        }
    }
}

/// The shortest time between two PROBEs, whatever is configured.
const SHORTEST_GAP: Span = Span::from_millis(1);
