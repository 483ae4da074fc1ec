//! A node without its capacities: what the files that hold its rules work on.

use core::hash::{Hash, Hasher};

use heapless::Deque;

use crate::config::{Config, Settings};
use crate::event::{Counters, Event, Reason};
use crate::exchanges::Slots;
use crate::phase::{Phase, Stage};
use crate::rng::Rng;
use crate::roster::{Member, Pid, TOP};
use crate::table::Table;
use crate::time::{Instant, Span};
use crate::timers::{Timer, Timers};

/// A [`Node`](crate::Node) with its tables borrowed, so that the rules are compiled once for all
/// capacities.
pub(crate) struct NodeView<'a> {
    pub(crate) table: Table<'a>,
    pub(crate) slots: Slots<'a>,
    pub(crate) state: &'a mut NodeState,
}

/// A node apart from its tables.
#[derive(Clone, Debug)]
pub(crate) struct NodeState {
    pub(crate) config: Settings,
    pub(crate) rng: Rng,
    /// The latest time ever given; time does not go back.
    pub(crate) now: Instant,
    pub(crate) started: bool,
    pub(crate) stage: Stage,
    pub(crate) timers: Timers,
    /// There was no slot for another exchange: try again then, or when one ends. Else zero.
    pub(crate) blocked_until: Instant,
    pub(crate) membership: Membership,
    pub(crate) search: Search,
    /// No further election for being probed without leading until then.
    pub(crate) probed_until: Instant,
    /// The election before this one ended without a victor.
    pub(crate) no_victor: bool,
    /// Whoever answered a PROBE last: its silence means something.
    pub(crate) answers_probes: Option<Pid>,
    /// Who asked, has no entry in the table, and has yet to be sent COORDINATOR.
    pub(crate) left_out: Option<Member>,
    pub(crate) reported: Reported,
    events: Deque<Event, 4>,
    pub(crate) counters: Counters,
}

/// How this node stands with the group coordinator.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Membership {
    /// It has answered, or there is none.
    pub(crate) joined: bool,
    pub(crate) last_join: Instant,
    /// The pause after a JOIN that failed.
    pub(crate) retry_pause: Span,
    /// The pause before asking again who has come.
    pub(crate) again_pause: Span,
}

/// How a leader looks for greater members.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Search {
    /// Those from this one up have been probed.
    pub(crate) cursor: Member,
    /// The greatest of all is the next to be probed, not the next one below the cursor.
    pub(crate) greatest_next: bool,
}

/// What the user was told last.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Reported {
    pub(crate) leader: Option<Pid>,
    pub(crate) left_out: u32,
}

impl NodeState {
    pub(crate) fn new(config: Config) -> Self {
        let rng = Rng::new(config.seed);
        let config = Settings::from(config);
        Self {
            rng,
            now: Instant::ZERO,
            started: false,
            stage: Stage::Joining,
            timers: Timers::new(),
            blocked_until: Instant::ZERO,
            membership: Membership {
                joined: false,
                last_join: Instant::ZERO,
                retry_pause: config.join_again.0,
                again_pause: config.join_gap,
            },
            search: Search {
                cursor: TOP,
                greatest_next: true,
            },
            probed_until: Instant::ZERO,
            no_victor: false,
            answers_probes: None,
            left_out: None,
            reported: Reported {
                leader: None,
                left_out: 0,
            },
            events: Deque::new(),
            counters: Counters::default(),
            config,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.stage.phase()
    }

    pub(crate) fn leader(&self) -> Option<Pid> {
        match self.stage {
            Stage::Leading { .. } => Some(self.config.me.pid),
            Stage::Following { leader, .. } => Some(leader),
            _ => None,
        }
    }

    pub(crate) fn is_led_by(&self, pid: Pid) -> bool {
        self.leader().is_some_and(|leader| leader == pid)
    }

    /// Returns `true` if opening an exchange is worth a try.
    pub(crate) fn unblocked(&self) -> bool {
        self.now >= self.blocked_until
    }

    /// Returns `true` if an event waits to be returned by `poll`.
    pub(crate) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The earliest time at which something is due. What waits for a slot is not due before the
    /// next try.
    pub(crate) fn earliest(&self) -> Instant {
        let left_out = self
            .left_out
            .filter(|_| matches!(self.stage, Stage::Leading { .. }));
        let unsent = self.stage.unsent_election();
        let unsent = unsent.or(self.stage.unsent_coordinator()).or(left_out);
        let sends = self.timers.earliest_sending().max(self.blocked_until);
        let waits = unsent.is_some() && self.blocked_until > Instant::ZERO;
        let sends = if waits {
            sends.min(self.blocked_until)
        } else {
            sends
        };
        sends.min(self.timers.earliest_but_sending())
    }
}

/// What the node does from now on depends on this alone: counters tell of the past, and the
/// configuration never changes.
impl Hash for NodeState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Named one by one, so that a new field does not compile before it has been thought of.
        let Self {
            config: _,
            rng,
            now,
            started,
            stage,
            timers,
            blocked_until,
            membership,
            search,
            probed_until,
            no_victor,
            answers_probes,
            left_out,
            reported,
            events,
            counters: _,
        } = self;
        (rng, now, started, stage, timers).hash(state);
        (blocked_until, membership, search, probed_until).hash(state);
        (no_victor, answers_probes, left_out).hash(state);
        (reported, events.len()).hash(state);
    }
}

impl NodeView<'_> {
    pub(crate) fn now(&self) -> Instant {
        self.state.now
    }

    /// When to do again what would be done for ever at the end of time: there is no later then.
    pub(crate) fn later(&self, pause: Span) -> Instant {
        match self.now() + pause {
            at if at > self.now() => at,
            _ => Instant::NEVER,
        }
    }

    /// Draws the time of `timer`, between `low` and `high` from now.
    pub(crate) fn draw(&mut self, timer: Timer, (low, high): (Span, Span)) {
        let pause = self.state.rng.between(low, high);
        self.state.timers.set(timer, self.later(pause));
    }

    pub(crate) fn emit(&mut self, event: Event) {
        // Four are enough: no single step of `poll` emits more than three.
        let kept = self.state.events.push_back(event);
        debug_assert!(kept.is_ok(), "{event:?} got lost");
    }

    /// Emits who leads, unless that is what was emitted last.
    pub(crate) fn emit_leader(&mut self, leader: Pid, reason: Reason) {
        if self.state.reported.leader.is_none_or(|last| last != leader) {
            self.state.reported.leader = Some(leader);
            self.emit(Event::Leader { leader, reason });
        }
    }
}
