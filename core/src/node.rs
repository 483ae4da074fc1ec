//! A member of the group: what it hears, what it owes, and what time brings.

use core::hash::{Hash, Hasher};

use heapless::{Deque, Vec};

use crate::config::{Config, Settings};
use crate::election::{Doubt, Input, Phase, TOP};
use crate::event::{Counters, Event, Reason};
use crate::net::Net;
use crate::rng::Rng;
use crate::roster::{Member, Pid, Roster, Standing, Table};
use crate::state::{Row, Rows, State};
use crate::time::{Instant, Span};

/// A member of the group, with room for `MEMBERS` of them (itself included) and for `EXCHANGES`
/// connections at once.
///
/// Drive it with [`poll`](Self::poll) and [`poll_at`](Self::poll_at); the other methods only look.
/// Nothing is allocated: the size of the value is all the memory there is. At least 4 members and
/// 4 exchanges; fewer do not compile.
#[derive(Clone, Debug, Hash)]
pub struct Node<const MEMBERS: usize, const EXCHANGES: usize> {
    members: Vec<Member, MEMBERS>,
    standing: Vec<Standing, MEMBERS>,
    revision: u32,
    rows: Vec<Row, EXCHANGES>,
    life: Life,
}

/// A node apart from its tables. What is not to be done is due [`Instant::NEVER`].
///
/// Times that start at zero stand between those that start there: more than two of these in a row
/// would be filled by a call of `memset`, 180 bytes of code on a chip.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) config: Settings,
    pub(crate) rng: Rng,
    /// The latest time ever told; time does not go back.
    pub(crate) now: Instant,
    started: bool,

    pub(crate) phase: Phase,
    /// When the phase ends, if it is one that does.
    pub(crate) phase_until: Instant,
    /// When to play dead.
    pub(crate) fail_at: Instant,
    /// No elections because of others until then: the window after a COORDINATOR.
    pub(crate) calm_until: Instant,
    pub(crate) probed_in_calm: bool,
    pub(crate) probed_until: Instant,

    /// The election before this one ended without a victor.
    pub(crate) no_victor: bool,
    /// Everyone below this and above me is still owed an ELECTION.
    pub(crate) asking: Option<Member>,
    /// Everyone below this is still owed a COORDINATOR.
    pub(crate) announcing: Option<Member>,
    /// Who has no place in the table and is still owed a COORDINATOR.
    pub(crate) left_out: Option<Member>,
    /// When to announce once more.
    pub(crate) announce_at: Instant,

    /// When a leader next asks the coordinator who has come.
    pub(crate) look_at: Instant,
    /// There was no room for another exchange: try again then, or when one ends. Else zero.
    pub(crate) blocked_until: Instant,
    /// Which greater members I have looked for since I lead: those from this one up.
    pub(crate) sought: Member,
    /// Whether the greatest of them is the next to look for.
    pub(crate) seek_greatest: bool,

    /// Whoever answered a PROBE last: its silence means something.
    pub(crate) answers_probes: Option<Pid>,
    /// Two who are said to lead.
    pub(crate) doubt: Option<Doubt>,

    pub(crate) joined: bool,
    pub(crate) last_join: Instant,
    /// When to send the next JOIN.
    pub(crate) join_at: Instant,
    /// When to send the next PROBE.
    pub(crate) probe_at: Instant,
    pub(crate) join_pause: Span,
    /// The pause before the next JOIN of one for whom others may have no place.
    pub(crate) left_out_pause: Span,

    pub(crate) told_leader: Option<Pid>,
    pub(crate) told_left_out: u32,
    events: Deque<Event, 4>,
    pub(crate) counters: Counters,
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Node<MEMBERS, EXCHANGES> {
    /// A node that has done nothing yet. The first [`poll`](Self::poll) starts it.
    pub fn new(config: Config) -> Self {
        const {
            assert!(
                MEMBERS >= 4,
                "me, the leader, and two more who may be said to lead"
            );
            assert!(
                EXCHANGES >= 4,
                "each direction keeps a quarter of the places"
            );
        }
        let mut members = Vec::new();
        let mut standing = Vec::new();
        // Cannot fail: there are at least four places.
        let _ = members.push(config.me);
        let _ = standing.push(Standing::Unasked);
        Self {
            members,
            standing,
            revision: 0,
            rows: Vec::new(),
            life: Life::new(config),
        }
    }

    /// Goes on up to the next thing worth telling, and returns it; `None` when there is nothing
    /// more to do until the network has news or [`poll_at`](Self::poll_at) has come.
    ///
    /// `now` may stand still and may even go back, which is taken for standing still. The work of
    /// one call is bounded by the capacities: a flood of news is taken in several calls, between
    /// which the network still has news.
    pub fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.machine().poll(now, net)
    }

    /// When [`poll`](Self::poll) must be called again even if the network stays silent, or `None`
    /// if only the network can wake this node. Never earlier than the last `poll` if that one
    /// returned `None`.
    pub fn poll_at(&self) -> Option<Instant> {
        if !self.life.started || !self.life.events.is_empty() {
            return Some(self.life.now);
        }
        let earliest = self
            .rows
            .iter()
            .map(|row| row.deadline)
            .fold(self.life.earliest(), Instant::min);
        (earliest != Instant::NEVER).then_some(earliest)
    }

    /// Who leads, if known: `None` while joining, electing and playing dead.
    pub fn leader(&self) -> Option<Pid> {
        self.life.leader()
    }

    /// Where this node stands in the election.
    pub fn phase(&self) -> Phase {
        self.life.phase
    }

    /// This node's own state, by the lab's names.
    pub fn state(&self) -> State {
        match self.life.phase {
            Phase::Joining => State::WaitingForMembers,
            Phase::Electing => State::WaitingForOk,
            Phase::Waiting => State::WaitingForVictor,
            Phase::Failed | Phase::Leading | Phase::Following(_) => State::Quiescent,
        }
    }

    /// The members known, this node among them.
    pub fn roster(&self) -> Roster<'_> {
        Roster::of_table(&self.members, self.revision)
    }

    /// What this node has done so far.
    pub fn counters(&self) -> Counters {
        self.life.counters
    }

    /// This node as code that does not know its capacities.
    // Once for all: inlined into `poll` it is 90 bytes longer.
    #[inline(never)]
    fn machine(&mut self) -> Machine<'_> {
        Machine {
            table: Table {
                me: self.life.config.me,
                members: &mut self.members,
                standing: &mut self.standing,
                revision: &mut self.revision,
            },
            rows: Rows(&mut self.rows),
            life: &mut self.life,
        }
    }
}

impl Life {
    fn new(config: Config) -> Self {
        let rng = Rng::new(config.seed);
        let config = Settings::from(config);
        Self {
            rng,
            now: Instant::ZERO,
            started: false,
            phase: Phase::Joining,
            phase_until: Instant::NEVER,
            calm_until: Instant::ZERO,
            probed_in_calm: false,
            probed_until: Instant::ZERO,
            no_victor: false,
            asking: None,
            announcing: None,
            left_out: None,
            announce_at: Instant::NEVER,
            look_at: Instant::NEVER,
            sought: TOP,
            seek_greatest: true,
            probe_at: Instant::NEVER,
            answers_probes: None,
            doubt: None,
            joined: false,
            join_at: Instant::NEVER,
            join_pause: config.join_again.0,
            last_join: Instant::ZERO,
            left_out_pause: config.join_gap,
            fail_at: Instant::NEVER,
            blocked_until: Instant::ZERO,
            told_leader: None,
            told_left_out: 0,
            events: Deque::new(),
            counters: Counters::default(),
            config,
        }
    }

    pub(crate) fn leader(&self) -> Option<Pid> {
        match self.phase {
            Phase::Leading => Some(self.config.me.pid),
            Phase::Following(leader) => Some(leader),
            _ => None,
        }
    }

    pub(crate) fn is_led_by(&self, pid: Pid) -> bool {
        self.leader().is_some_and(|leader| leader == pid)
    }

    /// Whether opening an exchange is worth a try.
    pub(crate) fn unblocked(&self) -> bool {
        self.now >= self.blocked_until
    }

    /// The earliest time at which something is due. What waits for room is not due before the next
    /// try.
    fn earliest(&self) -> Instant {
        let left_out = self
            .left_out
            .filter(|_| matches!(self.phase, Phase::Leading));
        let opens = self.join_at.min(self.probe_at).max(self.blocked_until);
        let owes = self.asking.or(self.announcing).or(left_out).is_some();
        let waits = owes && self.blocked_until > Instant::ZERO;
        [
            if waits { self.blocked_until } else { opens },
            self.phase_until,
            self.announce_at,
            self.look_at,
            self.fail_at,
        ]
        .into_iter()
        .fold(opens, Instant::min)
    }
}

/// What the node does from now on depends on this alone: counters tell of the past, and the
/// configuration never changes.
impl Hash for Life {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Named one by one, so that a new field does not compile before it has been thought of.
        let Self {
            config: _,
            rng,
            now,
            started,
            phase,
            phase_until,
            calm_until,
            probed_in_calm,
            probed_until,
            no_victor,
            asking,
            announcing,
            left_out,
            announce_at,
            look_at,
            sought,
            seek_greatest,
            probe_at,
            answers_probes,
            doubt,
            joined,
            join_at,
            join_pause,
            last_join,
            left_out_pause,
            fail_at,
            blocked_until,
            told_leader,
            told_left_out,
            events,
            counters: _,
        } = self;
        (rng, now, started, phase, phase_until).hash(state);
        (calm_until, probed_in_calm, probed_until).hash(state);
        (no_victor, asking, announcing, left_out, announce_at).hash(state);
        (look_at, sought, seek_greatest).hash(state);
        (probe_at, answers_probes, doubt).hash(state);
        (joined, join_at, join_pause, last_join, left_out_pause).hash(state);
        (fail_at, blocked_until).hash(state);
        (told_leader, told_left_out, events.len()).hash(state);
    }
}

/// A node without its capacities; see [`Node::machine`].
pub(crate) struct Machine<'a> {
    pub(crate) table: Table<'a>,
    pub(crate) rows: Rows<'a>,
    pub(crate) life: &'a mut Life,
}

impl Machine<'_> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.life.now = self.life.now.max(now).min(Instant::LAST);
        if !self.life.started {
            self.start();
        }
        // News come before deadlines: after a long pause the answers that wait are still read. What
        // is owed comes before news, so that a group that fits is asked whole.
        let mut news_max = 4 * self.rows.0.capacity();
        loop {
            if let Some(event) = self.life.events.pop_front() {
                return Some(event);
            }
            if self.send_owed(net) {
                continue;
            }
            if news_max > 0 && self.hear(net) {
                news_max -= 1;
            } else if !self.pass_time(net) {
                return None;
            }
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.life.now
    }

    /// When to do again what would be done for ever at the end of time: there is no later then.
    pub(crate) fn later(&self, pause: Span) -> Instant {
        match self.now() + pause {
            at if at > self.now() => at,
            _ => Instant::NEVER,
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        // Four are enough: no single step of `poll` tells more than three.
        let told = self.life.events.push_back(event);
        debug_assert!(told.is_ok(), "{event:?} got lost");
    }

    /// Tells who leads, unless that is what was told last.
    pub(crate) fn tell_leader(&mut self, leader: Pid, reason: Reason) {
        if self.life.told_leader.is_none_or(|told| told != leader) {
            self.life.told_leader = Some(leader);
            self.tell(Event::Leader { leader, reason });
        }
    }

    fn start(&mut self) {
        self.life.started = true;
        self.schedule_failure();
        if self.life.config.directory.is_some() {
            self.life.join_at = self.now();
        } else {
            self.life.joined = true;
            self.decide(Input::Joined);
        }
    }

    pub(crate) fn schedule_failure(&mut self) {
        if let Some(feign) = self.life.config.feign {
            let after = self.life.rng.between(feign.after.0, feign.after.1);
            self.life.fail_at = self.now() + after;
        }
    }
}
