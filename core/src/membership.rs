//! When the group coordinator is asked again: JOIN is the only way to learn of members that nobody
//! has named to this node.

use crate::exchanges::State;
use crate::net::Net;
use crate::phase::Stage;
use crate::roster::Member;
use crate::table::Flag;
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

    /// Somebody wanted has refused us: the coordinator may know where it listens now. To the letter
    /// of the assignment everybody joins once.
    pub(crate) fn ask_directory_again(&mut self) {
        let asks = self.state.config.directory.is_some() && !self.state.config.strict;
        if asks && self.state.membership.joined {
            let earliest = self.state.membership.last_join + self.state.config.join_gap;
            let at = self.state.timers.at(Timer::Join);
            let at = at.min(earliest.max(self.now()));
            self.state.timers.set(Timer::Join, at);
        }
    }

    /// Somebody greater is known by hearsay only: the coordinator knows whether it exists. Everybody
    /// learns of it at the same time, so they ask at times drawn by lot.
    pub(crate) fn confirm_named(&mut self) {
        let membership = &self.state.membership;
        let idle = self.state.timers.is_stopped(Timer::Join);
        let asks = self.state.config.directory.is_some() && membership.joined && idle;
        if asks && !self.state.config.strict {
            let gap = self.state.config.join_gap;
            self.draw(Timer::Join, (gap.half(), gap));
        }
    }

    /// Whoever joins at the same time as I do is known to me by hearsay only. So I ask the coordinator
    /// once more who has come, when they have had the time to join. In a large group everybody has
    /// neighbours that introduce themselves, and the list is long.
    pub(crate) fn ask_who_has_come(&mut self) {
        let idle = self.state.timers.is_stopped(Timer::Join);
        if self.state.membership.joined && idle && !self.state.config.strict && !self.state.large.on
        {
            let gap = self.state.config.join_gap;
            self.draw(Timer::Join, (gap, gap.twice()));
        }
    }

    /// Returns `true` if members have been passed over that may lead after all: they answered one
    /// election after the other. One that the coordinator does not know is none.
    pub(crate) fn has_passed_over(&self) -> bool {
        let asks = self.state.config.directory.is_some();
        self.table.passed_over(asks)
    }

    /// Asks the coordinator who has come. A leader also sends its announcement to whoever may have
    /// missed it.
    pub(crate) fn look(&mut self) {
        self.ask_directory_again();
        if matches!(self.state.stage, Stage::Leading { .. }) {
            if self.has_passed_over() {
                // Whoever is there after all, and greater, objects.
                self.announce();
            }
            self.announce_to_absent();
        }
        self.look_later();
    }

    /// Returns `true` if a program of another kind leads: it never asks the coordinator again. In a
    /// large group the coordinator is asked often enough, and to the letter everybody joins once.
    pub(crate) fn is_led_by_another_kind(&self) -> bool {
        let asks = !self.state.config.strict && !self.state.large.on;
        match self.state.stage {
            Stage::Following { leader, .. } => asks && !self.table.has(leader, Flag::Ours),
            _ => false,
        }
    }

    /// Sets when a leader next asks who has come: whoever announced itself in vain may be unknown
    /// here, or have been passed over. If the leader is of another kind, its followers do.
    pub(crate) fn look_later(&mut self) {
        self.state.timers.stop(Timer::Look);
        if matches!(self.state.stage, Stage::Following { .. }) {
            if self.state.config.directory.is_some() && self.is_led_by_another_kind() {
                self.draw(Timer::Look, FOLLOWERS_LOOK_GAP);
            }
            return;
        }
        let config = &self.state.config;
        let may_be_wrong = config.directory.is_some() || self.has_passed_over();
        let at = if may_be_wrong && !config.strict {
            self.later(config.look_gap.max(config.join_gap))
        } else {
            Instant::NEVER
        };
        self.state.timers.set(Timer::Look, at);
    }
}

/// How long a follower waits before it asks the coordinator who has come, if a program of another kind
/// leads. Groups that a restarted coordinator has parted are joined within a minute, and a class of 30
/// sends it a JOIN every second and a half.
const FOLLOWERS_LOOK_GAP: (Span, Span) = (Span::from_millis(30_000), Span::from_millis(60_000));
