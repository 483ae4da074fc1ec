//! Leaving for good, in order: a leader announces the next one before it goes.

use crate::event::Event;
use crate::net::Net;
use crate::phase::Stage;
use crate::roster::TOP;
use crate::time::Instant;
use crate::timers::Timer;
use crate::view::NodeView;

impl NodeView<'_> {
    /// Leaves the group. A leader has every lesser member sent a COORDINATOR without itself.
    pub(crate) fn resign(&mut self) {
        if let Stage::Resigned { .. } = self.state.stage {
            return;
        }
        self.state.started = true;
        let leads = matches!(self.state.stage, Stage::Leading { .. });
        let successor = self.table.successors().greatest().filter(|_| leads);
        let stage = Stage::Resigned {
            unsent: successor.map(|_| TOP),
            listening: true,
        };
        self.enter(stage, Instant::NEVER);
        self.drop_pending();
        self.state.timers.stop(Timer::Join);
        self.state.timers.stop(Timer::Feign);
        self.emit(Event::Resigned { successor });
    }

    /// Once resigned, before anything is sent: refuses connections, so that whoever learns of the
    /// next leader and looks for this one finds nobody, and ends its own exchanges. Then gives the
    /// answers that a feigned failure has kept: who is never answered may not survive it.
    pub(crate) fn stop_listening(&mut self, net: &mut dyn Net) {
        let Stage::Resigned { listening, .. } = &mut self.state.stage else {
            return;
        };
        if core::mem::take(listening) {
            net.set_listening(false);
            while let Some(ours) = self.slots.opened_by_us() {
                self.close(ours, net);
            }
        } else {
            while let Some(unanswered) = self.slots.unanswered() {
                self.answer(unanswered, net);
            }
        }
    }
}
