//! Where a node stands in the election, and what it keeps as long as it stands there.

use crate::roster::{Member, Pid, TOP};
use crate::time::Instant;

/// Where a node stands. All but the last four have a deadline at which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Phase {
    /// Not in the group yet: the coordinator is asked until it answers.
    Joining,
    /// Everyone greater is being asked: election in progress.
    Electing,
    /// Somebody greater answered and will announce itself: election in progress.
    Waiting,
    /// Feigning failure.
    Failed,
    /// I lead.
    Leading,
    /// This one leads.
    Following(Pid),
    /// I have left for good, by [`Node::resign`](crate::Node::resign). Nothing follows.
    Resigned,
}

/// A [`Phase`] with what is valid in it only.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Stage {
    Joining,
    Electing {
        unsent: Option<Unsent>,
    },
    Waiting {
        /// To the letter of the assignment everyone is asked, whoever has answered.
        unsent: Option<Unsent>,
        contest: Option<Contest>,
    },
    Failed,
    Leading {
        /// Everyone below this has yet to be sent COORDINATOR.
        unsent: Option<Member>,
        /// The suppression window after the announcement ends then.
        window_until: Instant,
    },
    Following {
        leader: Pid,
        contest: Option<Contest>,
        /// The suppression window after COORDINATOR ends then.
        window_until: Instant,
        /// The leader has been probed because of an ELECTION in the present window.
        probed_in_window: bool,
    },
    Resigned {
        /// Everyone below this and me has yet to be sent COORDINATOR, without me.
        unsent: Option<Member>,
        /// The listener is still open.
        listening: bool,
    },
}

/// Who has yet to be sent ELECTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Unsent {
    /// Everyone below this and above me.
    pub(crate) below: Member,
    /// Only those that have answered before; the others follow.
    pub(crate) reached: bool,
    /// Nobody is asked after that.
    pub(crate) until: Instant,
}

/// Two are said to lead. The greater one is being asked: if it answers it leads, or else the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Contest {
    pub(crate) greater: Pid,
    pub(crate) lesser: Pid,
}

impl Stage {
    pub(crate) const fn phase(&self) -> Phase {
        match self {
            Self::Joining => Phase::Joining,
            Self::Electing { .. } => Phase::Electing,
            Self::Waiting { .. } => Phase::Waiting,
            Self::Failed => Phase::Failed,
            Self::Leading { .. } => Phase::Leading,
            Self::Following { leader, .. } => Phase::Following(*leader),
            Self::Resigned { .. } => Phase::Resigned,
        }
    }

    /// Moves the times in it by so many microseconds.
    pub(crate) fn set_back(&mut self, by: u64) {
        match self {
            Self::Leading { window_until, .. } | Self::Following { window_until, .. } => {
                *window_until = window_until.earlier(by);
            }
            Self::Electing { unsent } | Self::Waiting { unsent, .. } => {
                if let Some(unsent) = unsent {
                    unsent.until = unsent.until.earlier(by);
                }
            }
            Self::Joining | Self::Failed | Self::Resigned { .. } => {}
        }
    }

    /// Returns `true` if anybody is still to be sent ELECTION or COORDINATOR.
    pub(crate) const fn has_unsent(&self) -> bool {
        match self {
            Self::Electing { unsent } | Self::Waiting { unsent, .. } => unsent.is_some(),
            Self::Leading { unsent, .. } | Self::Resigned { unsent, .. } => unsent.is_some(),
            _ => false,
        }
    }

    /// The members that are still to be sent ELECTION.
    pub(crate) const fn unsent_election(&self) -> Option<Unsent> {
        match self {
            Self::Electing { unsent } | Self::Waiting { unsent, .. } => *unsent,
            _ => None,
        }
    }

    /// Moves the cursor over those who are still to be sent ELECTION.
    // `#[inline(never)]`: 24 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) const fn set_unsent_election(&mut self, to: Option<Unsent>) {
        if let Self::Electing { unsent } | Self::Waiting { unsent, .. } = self {
            *unsent = to;
        }
    }

    /// While electing, has those asked who have not been, until `until`.
    pub(crate) const fn ask_more(&mut self, until: Instant) {
        if let Self::Electing { unsent } = self {
            *unsent = Some(Unsent {
                below: TOP,
                reached: false,
                until,
            });
        }
    }

    /// The members that are still to be sent COORDINATOR: everyone below this one.
    pub(crate) const fn unsent_coordinator(&self) -> Option<Member> {
        match self {
            Self::Leading { unsent, .. } | Self::Resigned { unsent, .. } => *unsent,
            _ => None,
        }
    }

    /// Moves the cursor over those who are still to be sent COORDINATOR.
    pub(crate) const fn set_unsent_coordinator(&mut self, to: Option<Member>) {
        if let Self::Leading { unsent, .. } | Self::Resigned { unsent, .. } = self {
            *unsent = to;
        }
    }

    /// The two of whom it is not known which one leads.
    // `#[inline(never)]`: 16 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) const fn contest(&self) -> Option<Contest> {
        match self {
            Self::Waiting { contest, .. } | Self::Following { contest, .. } => *contest,
            _ => None,
        }
    }

    /// Notes that two are said to lead, or with `None` that it is settled. In phases that do not
    /// know a leader nothing changes.
    pub(crate) const fn set_contest(&mut self, between: Option<Contest>) {
        if let Self::Waiting { contest, .. } | Self::Following { contest, .. } = self {
            *contest = between;
        }
    }
}
