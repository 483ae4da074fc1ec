//! Feigned failure: when it begins, what it leaves unanswered, and how it ends.

use crate::config::FeignMode;
use crate::election::Input;
use crate::event::Event;
use crate::exchanges::State;
use crate::net::{Exchange, Net};
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Draws when to fail next, if this node is to feign failures.
    pub(crate) fn schedule_failure(&mut self) {
        if let Some(feign) = self.state.config.feign {
            let after = self.state.rng.between(feign.after.0, feign.after.1);
            let at = self.now() + after;
            self.state.timers.set(Timer::Feign, at);
        }
    }

    /// Fails: our own exchanges end, those of others stay unanswered.
    pub(crate) fn fail(&mut self, net: &mut dyn Net) {
        self.state.timers.stop(Timer::Feign);
        self.decide(Input::Fail);
        self.drop_pending();
        while let Some(ours) = self.slots.opened_by_us() {
            self.close(ours, net);
        }
        if self.closes_listener() {
            net.set_listening(false);
        }
    }

    /// Keeps the OK to `exchange` until the failure is over.
    pub(crate) fn leave_unanswered(&mut self, exchange: Exchange) {
        let deadline = self.state.timers.at(Timer::Phase) + self.state.config.ok_within;
        if let Some(slot) = self.slots.get(exchange) {
            slot.state = State::SendOk;
            slot.unanswered = true;
            slot.deadline = slot.deadline.max(deadline);
        }
    }

    /// "Recovery is done by starting your listening server and initiating an election."
    pub(crate) fn recover(&mut self, net: &mut dyn Net) {
        if self.closes_listener() {
            net.set_listening(true);
        }
        self.forget_introduction();
        self.emit(Event::Recovered);
        self.schedule_failure();
        if !self.state.membership.joined {
            let now = self.now();
            self.state.timers.set(Timer::Join, now);
        }
        while let Some(unanswered) = self.slots.unanswered() {
            self.answer(unanswered, net);
        }
        self.decide(Input::Recover);
    }

    fn closes_listener(&self) -> bool {
        self.state.config.feign.map(|feign| feign.mode) == Some(FeignMode::Close)
    }
}
