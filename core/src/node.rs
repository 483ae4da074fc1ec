//! A member of the group.

use heapless::Vec;

use crate::config::Config;
use crate::election::Input;
use crate::event::{Counters, Event};
use crate::exchanges::{Slot, Slots, State};
use crate::net::Net;
use crate::phase::Phase;
use crate::roster::{Member, Pid, Roster};
use crate::table::{Note, Table, Trust};
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::{NodeState, NodeView};

/// A member of the group, with capacity for `MEMBERS` of them (itself included) and for `EXCHANGES`
/// connections at once.
///
/// Drive it with [`poll`](Self::poll) and [`poll_at`](Self::poll_at); the other methods only look.
/// Nothing is allocated: the size of the value is all the memory there is. At least 4 members and
/// 4 exchanges; fewer do not compile.
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Node<const MEMBERS: usize, const EXCHANGES: usize> {
    members: Vec<Member, MEMBERS>,
    notes: Vec<Note, MEMBERS>,
    revision: u32,
    slots: Vec<Slot, EXCHANGES>,
    state: NodeState,
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Node<MEMBERS, EXCHANGES> {
    /// A node that has done nothing yet. The first [`poll`](Self::poll) starts it.
    ///
    /// `config` is taken as it is: see [`Config::check`].
    pub fn new(config: Config) -> Self {
        const {
            assert!(
                MEMBERS >= 4,
                "me, the leader, and two more who may be said to lead"
            );
            assert!(
                EXCHANGES >= 4,
                "a quarter of the slots is reserved for each direction"
            );
        }
        let mut members = Vec::new();
        let mut notes = Vec::new();
        // Cannot fail: the capacity is at least four.
        let _ = members.push(config.me);
        let _ = notes.push(Note::of(Trust::Reached));
        Self {
            members,
            notes,
            revision: 0,
            slots: Vec::new(),
            state: NodeState::new(config),
        }
    }

    /// Goes on up to the next event, and returns it; `None` when there is nothing more to do until
    /// the network has input or [`poll_at`](Self::poll_at) has come.
    ///
    /// `now` may stand still and may even go back, which is taken for standing still. The work of
    /// one call is bounded by the capacities: a flood of input is taken in several calls, between
    /// which the network still has some.
    pub fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.view().poll(now, net)
    }

    /// When [`poll`](Self::poll) must be called again even if the network stays silent, or `None`
    /// if only the network can wake this node. Never earlier than the last `poll` if that one
    /// returned `None`.
    pub fn poll_at(&self) -> Option<Instant> {
        if !self.state.started || self.state.has_event() || self.state.inputs_wait {
            return Some(self.state.now);
        }
        let earliest = self
            .slots
            .iter()
            .map(|slot| slot.deadline)
            .fold(self.state.earliest(), Instant::min);
        (earliest != Instant::NEVER).then_some(earliest)
    }

    /// Leaves the group for good: the next [`poll`](Self::poll) closes the listener and ends this
    /// node's own exchanges; a leader then sends COORDINATOR without itself to every lesser member,
    /// so that the next one is followed at once. Connections that others have open are served.
    ///
    /// Go on polling for as long as [`poll_at`](Self::poll_at) returns a time, and 400 ms at most:
    /// then everybody has been sent the message, and has closed, or never will. A second call does
    /// nothing, and there is no way back.
    pub fn resign(&mut self) {
        self.view().resign();
    }

    /// Who leads, if known: `None` while joining, electing and feigning failure.
    pub fn leader(&self) -> Option<Pid> {
        self.state.leader()
    }

    /// Where this node stands in the election.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// This node's own state, by the lab's names.
    pub fn state(&self) -> State {
        match self.state.phase() {
            Phase::Joining => State::WaitingForMembers,
            Phase::Electing => State::WaitingForOk,
            Phase::Waiting => State::WaitingForVictor,
            Phase::Failed | Phase::Leading | Phase::Following(_) | Phase::Resigned => {
                State::Quiescent
            }
        }
    }

    /// The members known, this node among them.
    pub fn roster(&self) -> Roster<'_> {
        Roster::of_table(&self.members, self.revision)
    }

    /// What this node has done so far.
    pub fn counters(&self) -> Counters {
        self.state.counters
    }

    /// Returns `true` if its tables are as they are in every node, whatever it has been told.
    #[cfg(feature = "record")]
    pub(crate) fn is_sound(&self) -> bool {
        let me = self.members.contains(&self.state.config.me);
        let ascending = self.members.is_sorted_by(|a, b| a < b);
        me && ascending && self.members.len() == self.notes.len()
    }

    /// Its tables, and the rest.
    #[cfg(feature = "record")]
    pub(crate) fn parts(&self) -> (&[Member], &[Note], &[Slot], &NodeState) {
        (&self.members, &self.notes, &self.slots, &self.state)
    }

    // `#[inline(never)]`: inlined into `poll` it is 90 bytes longer.
    #[inline(never)]
    fn view(&mut self) -> NodeView<'_> {
        NodeView {
            table: Table {
                me: self.state.config.me,
                members: &mut self.members,
                notes: &mut self.notes,
                revision: &mut self.revision,
            },
            slots: Slots(&mut self.slots),
            state: &mut self.state,
        }
    }
}

impl NodeView<'_> {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.tick(now);
        if !self.state.started {
            self.start();
        }
        self.state.inputs_wait = false;
        if self.state.unblocked() {
            self.state.blocked_until = Instant::ZERO;
        }
        // Input comes before deadlines: after a long pause the answers that wait are still read.
        // What is pending comes before input, so that a group that fits is asked whole.
        self.stop_listening(net);
        loop {
            if let Some(event) = self.state.next_event() {
                return Some(event);
            }
            if self.everyone_has_been_asked() {
                self.decide(Input::NobodyAnswered);
                continue;
            }
            if self.send_pending(net) {
                continue;
            }
            let out_of_inputs = self.state.inputs_left == 0;
            if !out_of_inputs {
                self.state.inputs_left -= 1;
                if self.receive(net) {
                    continue;
                }
                self.state.inputs_left = self.inputs_max();
            }
            if !self.expire(net) {
                self.state.inputs_left = self.inputs_max();
                // One more, so that input that waits is distinguished from input that has just ended.
                self.state.inputs_wait = out_of_inputs && self.receive(net);
                if self.state.inputs_wait && self.state.has_event() {
                    continue;
                }
                return None;
            }
        }
    }

    /// Takes the time. Two readings in a row that are earlier than the one before them by more than
    /// [`SET_BACK`] mean that it was wrong: all deadlines move back with them, or this node would be
    /// idle until the clock is there again. A single one is taken for standing still.
    fn tick(&mut self, now: Instant) {
        let now = now.min(Instant::LAST);
        let back = now + SET_BACK < self.state.now;
        let again = self.state.set_back_to.is_some_and(|before| before < now);
        self.state.set_back_to = Some(now).filter(|_| back && !again);
        if back && again {
            let by = self.state.now.as_micros() - now.as_micros();
            self.state.set_back(by);
            for slot in self.slots.iter_mut() {
                slot.deadline = slot.deadline.earlier(by);
            }
            self.state.now = now;
        }
        self.state.now = self.state.now.max(now);
    }

    /// The inputs that are taken before deadlines have their turn.
    fn inputs_max(&self) -> u16 {
        u16::try_from(4 * self.slots.0.capacity()).unwrap_or(u16::MAX)
    }

    fn start(&mut self) {
        self.state.started = true;
        self.state.inputs_left = self.inputs_max();
        self.schedule_failure();
        if self.state.config.directory.is_some() {
            let now = self.now();
            self.state.timers.set(Timer::Join, now);
        } else {
            self.state.membership.joined = true;
            self.decide(Input::Joined);
        }
    }

    /// Returns `true` if this node is electing and nobody greater is left who could still answer.
    fn everyone_has_been_asked(&self) -> bool {
        self.state.phase() == Phase::Electing
            && self.state.stage.unsent_election().is_none()
            && !self.slots.any(&[State::SendElection, State::WaitingForOk])
    }
}

/// A clock that goes back by more than this was wrong before; by less, it stands still. 1 s is far
/// more than two clocks of one machine differ, and little to wait for.
pub(crate) const SET_BACK: Span = Span::from_millis(1_000);
