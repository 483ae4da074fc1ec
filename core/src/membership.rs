//! When the group coordinator is asked again: JOIN is the only way to learn of members that nobody
//! has told this node of.

use crate::exchanges::State;
use crate::net::Net;
use crate::roster::Member;
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Sends the JOIN that is due. Returns `false` if there is no slot for it.
    pub(crate) fn send_join(&mut self, net: &mut dyn Net) -> bool {
        let joining = self.slots.any(&[State::SendJoin, State::WaitingForMembers]);
        if let (Some(addr), false) = (self.state.config.directory, joining) {
            let directory = Member {
                addr,
                ..self.state.config.me
            };
            let within = self.state.config.join_within;
            if self.open(directory, State::SendJoin, within, net).is_err() {
                return false;
            }
            self.state.membership.last_join = self.now();
        }
        self.state.timers.stop(Timer::Join);
        true
    }

    /// Somebody wanted has refused us: the coordinator may know where it listens now.
    pub(crate) fn ask_directory_again(&mut self) {
        if self.state.config.directory.is_some() && self.state.membership.joined {
            let earliest = self.state.membership.last_join + self.state.config.join_gap;
            let at = self.state.timers.at(Timer::Join);
            let at = at.min(earliest.max(self.now()));
            self.state.timers.set(Timer::Join, at);
        }
    }

    /// In a group that is larger than its tables, somebody may have no entry for me, and not tell me
    /// of a new leader. So I ask the coordinator who has come: once more after I have joined, and
    /// then ever less often for as long as there is news or my table is half full.
    pub(crate) fn ask_who_has_come(&mut self) {
        let membership = &mut self.state.membership;
        let idle = self.state.timers.is_stopped(Timer::Join);
        if membership.joined && idle && !self.state.config.strict {
            let pause = membership.again_pause;
            membership.again_pause = pause.twice().min(AGAIN_PAUSE_MAX);
            self.draw(Timer::Join, (pause, pause.twice()));
        }
    }

    /// Sets when a leader next asks who has come: whoever announced itself in vain may be unknown
    /// here, or have been passed over.
    pub(crate) fn look_later(&mut self) {
        let config = &self.state.config;
        let may_be_wrong = config.directory.is_some() || self.table.passed_over();
        let at = if may_be_wrong && !config.strict {
            self.later(config.look_gap.max(config.join_gap))
        } else {
            Instant::NEVER
        };
        self.state.timers.set(Timer::Look, at);
    }
}

/// The longest pause before a member asks again who has come: it draws the time between two JOINs
/// from one to two of them, which keeps a thousand such members below 40 JOINs a second.
const AGAIN_PAUSE_MAX: Span = Span::from_millis(30_000);
