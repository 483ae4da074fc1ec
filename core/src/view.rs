//! A node without its capacities: what the files that hold its rules work on.

use core::hash::{Hash, Hasher};

use heapless::Deque;

use crate::config::{Config, Settings};
use crate::event::{Counters, Event, Reason};
use crate::exchanges::Slots;
use crate::phase::{Phase, Stage};
use crate::rng::Rng;
use crate::roster::{Addr, Member, Pid, TOP};
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
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct NodeState {
    pub(crate) config: Settings,
    pub(crate) rng: Rng,
    /// The latest time ever given; time does not go back.
    pub(crate) now: Instant,
    /// The last time given, if it was earlier than the latest by far.
    pub(crate) set_back_to: Option<Instant>,
    pub(crate) started: bool,
    pub(crate) stage: Stage,
    pub(crate) timers: Timers,
    /// There was no slot for another exchange: try again then, or when one ends. Else zero.
    pub(crate) blocked_until: Instant,
    pub(crate) membership: Membership,
    pub(crate) search: Search,
    /// No further election for being probed without leading until then.
    pub(crate) probed_until: Instant,
    /// The elections before this one that ended without a victor, counted up to seven and from anew.
    pub(crate) fruitless: u8,
    /// Four of the slowest round trips lately.
    pub(crate) slowest: Span,
    /// The pause after the next election for being probed without leading.
    pub(crate) probed_pause: Span,
    /// Whoever answered a PROBE last: its silence means something.
    pub(crate) answers_probes: Option<Pid>,
    pub(crate) large: Large,
    /// An entry of the table may be flagged for a message that waits for a slot.
    pub(crate) pending: bool,
    /// The inputs that may still be taken before deadlines have their turn.
    pub(crate) inputs_left: u16,
    /// The last `poll` left inputs untaken.
    pub(crate) inputs_wait: bool,
    pub(crate) reported: Reported,
    events: Deque<Event, 4>,
    pub(crate) counters: Counters,
}

/// How this node stands with the group coordinator.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Membership {
    /// It has answered, or there is none.
    pub(crate) joined: bool,
    pub(crate) last_join: Instant,
    /// The pause after a JOIN that failed.
    pub(crate) retry_pause: Span,
    /// The leader last given up because the coordinator did not list it. Announced again, it stays.
    pub(crate) doubted: Option<Pid>,
}

/// How a leader looks for greater members.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Search {
    /// Those from this one up have been probed.
    pub(crate) cursor: Member,
    /// The greatest of all is the next to be probed, not the next one below the cursor.
    pub(crate) greatest_next: bool,
    /// How often it has looked since its announcement while somebody lesser was gone.
    pub(crate) looks: u8,
}

/// What was reported to the user last.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Reported {
    pub(crate) leader: Option<Pid>,
    pub(crate) left_out: u32,
    /// Where else this node's process id is in use.
    pub(crate) pid_at: Option<Addr>,
}

/// What a member keeps because its group is large.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Large {
    /// The group is larger than the table of a member, perhaps of another one. Never unset.
    pub(crate) on: bool,
    /// The nearest greater members have been sent ELECTION.
    pub(crate) introduced: bool,
    /// Relays that may be sent at once, at the time of the last one.
    pub(crate) relays_left: u8,
    pub(crate) relayed: Option<Pid>,
    pub(crate) relayed_at: Instant,
    /// When the leader last answered a PROBE.
    pub(crate) proof_at: Instant,
    /// PROBEs as if I led: since when, and the last one.
    pub(crate) misled_since: Instant,
    pub(crate) misled_at: Instant,
    /// Who was found gone last.
    pub(crate) gone: [(Pid, Instant); 3],
    pub(crate) repair: Repair,
}

/// The search for neighbours after all known ones have failed.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Repair {
    /// As far as the coordinator's list brought greater neighbours; and lesser ones.
    pub(crate) up: Option<Pid>,
    pub(crate) down: Option<Pid>,
    /// The next list is for repair.
    pub(crate) due: bool,
    pub(crate) pause: Span,
    /// How long the coordinator's list was.
    pub(crate) listed: u32,
}

impl Large {
    // `#[inline(never)]`: 240 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) const fn new() -> Self {
        Self {
            on: false,
            introduced: false,
            relays_left: u8::MAX,
            relayed: None,
            relayed_at: Instant::ZERO,
            proof_at: Instant::ZERO,
            misled_since: Instant::ZERO,
            misled_at: Instant::ZERO,
            gone: [(TOP.pid, Instant::ZERO); 3],
            repair: Repair {
                up: None,
                down: None,
                due: false,
                pause: Span::ZERO,
                listed: 0,
            },
        }
    }
}

impl NodeState {
    pub(crate) fn new(config: Config) -> Self {
        let rng = Rng::new(config.seed);
        let config = Settings::from(config);
        Self {
            rng,
            now: Instant::ZERO,
            set_back_to: None,
            started: false,
            stage: Stage::Joining,
            timers: Timers::new(),
            blocked_until: Instant::ZERO,
            membership: Membership {
                joined: false,
                last_join: Instant::ZERO,
                retry_pause: config.join_again.0,
                doubted: None,
            },
            search: Search {
                cursor: TOP,
                greatest_next: true,
                looks: 0,
            },
            probed_until: Instant::ZERO,
            fruitless: 0,
            slowest: Span::ZERO,
            probed_pause: config.window,
            answers_probes: None,
            large: Large::new(),
            pending: false,
            inputs_left: 0,
            inputs_wait: false,
            reported: Reported {
                leader: None,
                left_out: 0,
                pid_at: None,
            },
            events: Deque::new(),
            counters: Counters::default(),
            config,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.stage.phase()
    }

    // `#[inline(never)]`: 100 bytes less on a Cortex-M4.
    #[inline(never)]
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

    /// The clock was `by` microseconds ahead: everything that was to be at some time is to be that much earlier.
    pub(crate) fn set_back(&mut self, by: u64) {
        self.timers.set_back(by);
        self.stage.set_back(by);
        let large = &mut self.large;
        let times = [
            &mut self.blocked_until,
            &mut self.probed_until,
            &mut self.membership.last_join,
            &mut large.relayed_at,
            &mut large.proof_at,
            &mut large.misled_since,
            &mut large.misled_at,
        ];
        for time in times {
            *time = time.earlier(by);
        }
        for (_, at) in &mut large.gone {
            *at = at.earlier(by);
        }
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
        let sends = self.timers.earliest_sending().max(self.blocked_until);
        let waits = (self.stage.has_unsent() || self.pending) && self.blocked_until > Instant::ZERO;
        let sends = if waits {
            sends.min(self.blocked_until)
        } else {
            sends
        };
        sends.min(self.timers.earliest_but_sending())
    }
}

/// What the node does from now on depends on this alone: counters are about the past, and the
/// configuration never changes.
impl Hash for NodeState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Named one by one, so that a new field does not compile before it has been thought of.
        let Self {
            config: _,
            rng,
            now,
            set_back_to,
            started,
            stage,
            timers,
            blocked_until,
            membership,
            search,
            probed_until,
            fruitless,
            slowest,
            probed_pause,
            answers_probes,
            large,
            pending,
            inputs_left,
            inputs_wait,
            reported,
            events,
            counters: _,
        } = self;
        (rng, now, set_back_to, started, stage, timers).hash(state);
        (blocked_until, membership, search, probed_until).hash(state);
        (fruitless, slowest, probed_pause, answers_probes).hash(state);
        (large, pending).hash(state);
        (inputs_left, inputs_wait).hash(state);
        (reported, events.len()).hash(state);
    }
}

impl NodeView<'_> {
    pub(crate) fn now(&self) -> Instant {
        self.state.now
    }

    /// A time-out as long as the network asks for: `within`, and as much longer as four of the slowest
    /// round trips lately exceed [`SLOW`].
    pub(crate) fn slow(&self, within: Span) -> Span {
        if self.state.config.strict {
            return within;
        }
        within + self.state.slowest.less(SLOW)
    }

    /// An answer took `time`.
    pub(crate) fn learn_round_trip(&mut self, time: Span) {
        let slowest = self.state.slowest;
        let shorter = slowest.less(Span::from_micros(slowest.as_micros() / 16));
        self.state.slowest = shorter.max(time.twice().twice()).min(SLOWEST);
    }

    /// When to do again what would be done for ever at the end of time: there is no later then.
    pub(crate) fn later(&self, pause: Span) -> Instant {
        match self.now() + pause {
            at if at > self.now() => at,
            _ => Instant::NEVER,
        }
    }

    /// Returns `true` in the suppression window after an announcement was sent or received; it lasts
    /// until everybody has been sent what is announced.
    pub(crate) fn in_window(&self) -> bool {
        match self.state.stage {
            Stage::Leading {
                unsent,
                window_until,
            } => unsent.is_some() || self.now() < window_until,
            Stage::Following { window_until, .. } => self.now() < window_until,
            _ => false,
        }
    }

    /// Draws the time of `timer`, between `low` and `high` from now.
    pub(crate) fn draw(&mut self, timer: Timer, (low, high): (Span, Span)) {
        let pause = self.state.rng.between(low, high);
        self.state.timers.set(timer, self.later(pause));
    }

    pub(crate) fn emit(&mut self, event: Event) {
        // Four are enough: no single step of `poll` emits more than that.
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

/// Round trips of which four take longer than this make time-outs longer: the shortest of them, a
/// second for an OK, is made for a local network.
const SLOW: Span = Span::from_millis(1_000);

/// Time-outs grow by seven seconds at most: with delays of 300 ms on average, drawn anew for each message, 32
/// members settle (simulated); longer would be mistaken for a network that is down.
const SLOWEST: Span = Span::from_millis(8_000);
