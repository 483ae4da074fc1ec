//! Who leads according to a COORDINATOR. It names nobody: the greatest in its list leads, unless that
//! one is known better.

use crate::election::Input;
use crate::phase::Stage;
use crate::roster::{Pid, Roster};
use crate::table::{Liveness, admits};
use crate::view::NodeView;

impl NodeView<'_> {
    /// What a COORDINATOR with this list means, or `None` if it names nobody that counts.
    pub(crate) fn read_announcement(&self, roster: Roster<'_>) -> Option<Input> {
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
        if self.state.large.on {
            // Lists hold a few members of no rank: who is found gone has to be asked.
            let gone = self.found_gone(greatest) && !self.state.is_led_by(greatest);
            return Some(if gone {
                Input::DoubtfulCoordinator {
                    doubtful: greatest,
                    instead: None,
                }
            } else {
                Input::Coordinator(greatest)
            });
        }
        let liveness = self.table.liveness(greatest);
        // It has yet to answer, and somebody in the list has answered: some send everybody.
        let asked = liveness == Liveness::Asked
            && matches!(self.state.stage, Stage::Waiting { .. })
            && !self.state.config.strict;
        if !asked && !liveness.is_dead() {
            return Some(Input::Coordinator(greatest));
        }
        let instead = named.take_while(|pid| *pid > me.pid).find(|pid| {
            let liveness = self.table.liveness(*pid);
            !liveness.is_dead() && (!asked || liveness == Liveness::Alive)
        });
        Some(match instead {
            None if asked => Input::Coordinator(greatest),
            instead => Input::DoubtfulCoordinator {
                doubtful: greatest,
                instead,
            },
        })
    }
}

impl Input {
    /// Whom a COORDINATOR names that may be followed.
    pub(crate) const fn announced(self) -> Option<Pid> {
        match self {
            Self::Coordinator(named) => Some(named),
            Self::DoubtfulCoordinator {
                instead: None,
                doubtful,
            } => Some(doubtful),
            Self::DoubtfulCoordinator { instead, .. } => instead,
            _ => None,
        }
    }
}
