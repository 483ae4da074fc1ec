//! All connections of one poller, whoever's they are: bounded, and the least needed give way.
//!
//! They share the descriptors of the process. A group in one process would otherwise lock up when
//! it runs out of them: one member's peers wait to be accepted by others, who have no descriptors
//! left because their own peers wait.

use core::time::Duration;
use std::collections::VecDeque;

use bully::Instant;

use super::connection::{Connection, Need};
use super::under_way::UnderWay;

/// The connections, numbered by slots, each with its owner's `T`.
#[derive(Debug)]
pub(super) struct Connections<T> {
    slots: Vec<Option<Entry<T>>>,
    free: Vec<usize>,
    /// How many there may be, as their users and the system allow.
    limit: Limit,
    /// How many hold a descriptor.
    connected: usize,
    /// How many of these we opened, and the core has not closed.
    initiated: usize,
    under_way: UnderWay,
    next_number: u64,
    /// How many share them.
    owners: usize,
    /// Those whose peer may be in this process: asked since the poller last looked, and before.
    asked: Vec<(usize, u64)>,
    asked_before: Vec<(usize, u64)>,
    /// Those that are looked after soon, and since when; the oldest first.
    unwatched: VecDeque<(Instant, usize, u64)>,
    /// Those whose peer has answered and is left to close first, and since when; the oldest first.
    held: VecDeque<(Instant, usize, u64)>,
    /// When those that linger are looked through next.
    sweep_at: Option<Instant>,
    /// Whose slots have something to report that the poller does not know of.
    notices: VecDeque<(usize, usize)>,
    /// Those that [`make_room`](Self::make_room) found and has not had give way, the least needed
    /// last; and when it searched.
    candidates: Vec<(Need, u64, usize)>,
    searched_at: Option<Instant>,
    evicted: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) connection: Connection,
    /// What its owner keeps with it.
    pub(super) state: T,
    owner: usize,
    /// Never used twice; a greater one is younger.
    number: u64,
    /// When the core closed it.
    closed_at: Option<Instant>,
    /// It is one of those counted as under way.
    under_way: bool,
}

/// Whose connections are to give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    ByUs,
    ByAnybody,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// What the owners ask for, together.
    wanted: usize,
    /// What the user of the poller allows.
    allowed: usize,
    /// What the system lets us have.
    descriptors: usize,
}

impl<T> Connections<T> {
    /// No connections. At most `descriptors` can be held.
    pub(super) fn new(descriptors: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit: Limit {
                wanted: 0,
                allowed: usize::MAX,
                descriptors,
            },
            connected: 0,
            initiated: 0,
            under_way: UnderWay::new(),
            next_number: 0,
            owners: 0,
            asked: Vec::new(),
            asked_before: Vec::new(),
            unwatched: VecDeque::new(),
            held: VecDeque::new(),
            sweep_at: None,
            notices: VecDeque::new(),
            candidates: Vec::new(),
            searched_at: None,
            evicted: 0,
        }
    }

    /// Allows so many at most, whatever their owners ask for.
    pub(super) fn allow(&mut self, connections: usize) {
        self.limit.allowed = connections;
    }

    /// Bounds how many that we open are under way at once.
    pub(super) fn share_processor(&mut self) {
        self.under_way.bound();
    }

    /// Makes a place for an owner that listens and wants up to `connections`.
    pub(super) fn add_owner(&mut self, connections: usize) {
        self.owners += 1;
        self.limit.wanted += connections;
        self.limit.descriptors = self.limit.descriptors.saturating_sub(1);
    }

    /// The reverse of [`add_owner`](Self::add_owner).
    pub(super) fn remove_owner(&mut self, connections: usize) {
        self.owners -= 1;
        self.limit.wanted = self.limit.wanted.saturating_sub(connections);
        self.limit.descriptors += 1;
    }

    /// How many may be held.
    fn limit(&self) -> usize {
        let Limit {
            wanted,
            allowed,
            descriptors,
        } = self.limit;
        wanted.min(allowed).min(descriptors).max(LIMIT_MIN)
    }

    /// How many connections have given way to others.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes sure that there is room for one more that somebody else opens. Returns `false` if all
    /// there are are waited for.
    pub(super) fn admits_accepted(&mut self, now: Instant) -> bool {
        self.connected < self.limit() || self.make_room(Opened::ByAnybody, now)
    }

    /// Makes sure that there is room for one more that we open; `first` if its owner has no other. At
    /// most half of all may be ours, so that there always are some with which to accept those that
    /// wait for us.
    pub(super) fn admits_initiated(&mut self, first: bool, now: Instant) -> bool {
        while let Some((slot, number)) = self.under_way.next_old(now) {
            let entry = self.slots.get_mut(slot).and_then(Option::as_mut);
            if let Some(entry) = entry.filter(|entry| entry.number == number) {
                entry.no_longer_under_way(&mut self.under_way);
            }
        }
        if !self.under_way.admits(first) {
            return false;
        }
        let has_share =
            self.initiated < self.limit().div_ceil(2) || self.make_room(Opened::ByUs, now);
        has_share && self.admits_accepted(now)
    }

    /// Has the connection that is needed least give way, the oldest of its kind. Returns `false` if
    /// all are waited for.
    ///
    /// Finding them is what costs where there are many, so it is done for many at a time, and then
    /// once at most for each `now`.
    pub(super) fn make_room(&mut self, opened: Opened, now: Instant) -> bool {
        let mut searched = false;
        loop {
            while let Some((need, number, slot)) = self.candidates.pop() {
                if self.may_evict(slot, number, need, opened) && self.evict(slot) {
                    self.evicted += 1;
                    return true;
                }
            }
            let again = self.searched_at == Some(now) && self.slots.len() > SEARCHED_AT_ONCE;
            if searched || again {
                return false;
            }
            searched = true;
            self.searched_at = Some(now);
            let entries = self.slots.iter().enumerate();
            let found = entries.filter_map(|(slot, entry)| {
                let entry = entry.as_ref()?;
                let need = entry.connection.need();
                let gives_way = need < Need::Waited && entry.connection.is_connected();
                gives_way.then_some((need, entry.number, slot))
            });
            self.candidates.extend(found);
            // Only the least needed: by the time these are gone there may be more like them.
            let least = self.candidates.iter().map(|(need, ..)| *need).min();
            self.candidates.retain(|(need, ..)| Some(*need) == least);
            self.candidates.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// Returns `true` if the connection with that number may still give way, and is not needed more
    /// than it was.
    fn may_evict(&self, slot: usize, number: u64, need: Need, opened: Opened) -> bool {
        let entry = self.slots.get(slot).and_then(Option::as_ref);
        entry.is_some_and(|entry| {
            let connection = &entry.connection;
            entry.number == number
                && connection.is_connected()
                && connection.need() <= need
                && match opened {
                    Opened::ByAnybody => true,
                    Opened::ByUs => connection.is_initiated() && entry.closed_at.is_none(),
                }
        })
    }

    /// The slot that the next connection gets.
    pub(super) fn next_slot(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// Puts a connection of `owner` into [`next_slot`](Self::next_slot), and returns that.
    pub(super) fn insert(
        &mut self,
        owner: usize,
        connection: Connection,
        state: T,
        now: Instant,
    ) -> usize {
        let initiated = connection.is_connected() && connection.is_initiated();
        self.connected += usize::from(connection.is_connected());
        self.initiated += usize::from(initiated);
        self.next_number += 1;
        let slot = self.next_slot();
        let under_way = initiated && self.under_way.begin(now, slot, self.next_number);
        let entry = Entry {
            connection,
            state,
            owner,
            number: self.next_number,
            closed_at: None,
            under_way,
        };
        self.free.pop();
        match self.slots.get_mut(slot) {
            Some(free) => *free = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        slot
    }

    /// The connection in `slot`, if there is one that the core has not closed.
    pub(super) fn get(&self, slot: usize) -> Option<&Entry<T>> {
        let entry = self.slots.get(slot)?.as_ref()?;
        entry.closed_at.is_none().then_some(entry)
    }

    /// As [`get`](Self::get).
    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Entry<T>> {
        let entry = self.slots.get_mut(slot)?.as_mut()?;
        entry.closed_at.is_none().then_some(entry)
    }

    /// Ends a connection for good.
    fn remove(&mut self, slot: usize) {
        self.uncount(slot);
        if let Some(entry) = self.slots.get_mut(slot).filter(|entry| entry.is_some()) {
            *entry = None;
            self.free.push(slot);
        }
    }

    /// The core has closed a connection: its bytes still arrive. Returns `true` if it lingers, and
    /// `false` if it is gone.
    pub(super) fn close(&mut self, slot: usize, now: Instant) -> bool {
        let entry = self.slots.get_mut(slot).and_then(Option::as_mut);
        let Some(entry) = entry.filter(|entry| entry.closed_at.is_none()) else {
            return false;
        };
        if !entry.connection.close() {
            self.remove(slot);
            return false;
        }
        entry.closed_at = Some(now);
        if core::mem::take(&mut entry.under_way) {
            self.under_way.end();
        }
        let (number, connection) = (entry.number, &entry.connection);
        let (held, watched) = (connection.holds_open(), connection.is_watched());
        if connection.is_initiated() {
            self.initiated -= 1;
            if held {
                self.held.push_back((now, slot, number));
            } else if !watched {
                self.unwatched.push_back((now, slot, number));
            }
        } else {
            self.unwatched.push_back((now, slot, number));
        }
        self.sweep_at = self.sweep_at.or(Some(now + LINGER));
        true
    }

    /// Ends all that satisfy `of`, without regard for their last bytes.
    pub(super) fn remove_all(&mut self, of: impl Fn(&T) -> bool) {
        for slot in 0..self.slots.len() {
            let entry = self.slots.get(slot).and_then(Option::as_ref);
            if entry.is_some_and(|entry| of(&entry.state)) {
                self.remove(slot);
            }
        }
    }

    /// Looks after a connection on which nothing is awaited but the peer's end, before the poller
    /// is bothered with it.
    pub(super) fn look_later(&mut self, slot: usize, now: Instant) {
        if let Some(entry) = self.slots.get(slot).and_then(Option::as_ref) {
            self.unwatched.push_back((now, slot, entry.number));
        }
    }

    /// Returns `true` if members of this process may talk to each other.
    pub(super) fn has_several_owners(&self) -> bool {
        self.owners > 1
    }

    /// Looks for the answer on a connection once those who share this process have had a turn: most
    /// have answered by then, which saves the poller two system calls.
    pub(super) fn look_for_answer(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get(slot).and_then(Option::as_ref) {
            self.asked.push((slot, entry.number));
        }
    }

    /// Has the owners of those that were asked before the poller last looked look for answers.
    pub(super) fn look_for_answers(&mut self) {
        let mut asked = core::mem::take(&mut self.asked_before);
        for (slot, number) in asked.drain(..) {
            let entry = self.slots.get(slot).and_then(Option::as_ref);
            if let Some(entry) = entry.filter(|entry| entry.number == number)
                && !entry.connection.is_watched()
            {
                self.notices.push_back((entry.owner, slot));
            }
        }
        self.asked_before = asked;
    }

    /// The poller looks now. Returns `true` if there are answers that it does not watch for, and to
    /// look for after the next turns.
    pub(super) fn poller_looks(&mut self) -> bool {
        self.asked_before.append(&mut self.asked);
        !self.asked_before.is_empty()
    }

    /// The poller reports readiness of `slot`. Returns `true` if that is settled, and nobody else
    /// needs to know.
    pub(super) fn settle(&mut self, slot: usize, buffer: &mut [u8]) -> bool {
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return true;
        };
        if !entry.connection.is_lingering() {
            return false;
        }
        if entry.connection.drain(buffer) {
            self.remove(slot);
        }
        true
    }

    /// Releases the connections that have lingered long enough, and looks after those that the
    /// poller does not watch, if that has been so for `age`. Returns when to come again.
    pub(super) fn tidy(
        &mut self,
        now: Instant,
        age: Duration,
        buffer: &mut [u8],
    ) -> Option<Instant> {
        while let Some((since, slot, number)) = self.unwatched.front().copied()
            && since + age <= now
        {
            self.unwatched.pop_front();
            self.look(slot, number, buffer);
        }
        while let Some((since, slot, number)) = self.held.front().copied()
            && since + HOLD <= now
        {
            self.held.pop_front();
            self.look(slot, number, buffer);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        let look_at = self.unwatched.front().map(|(since, ..)| *since + LOOK_MAX);
        let held_until = self.held.front().map(|(since, ..)| *since + HOLD);
        let dues = look_at.into_iter().chain(held_until);
        dues.chain(self.sweep_at).min()
    }

    /// Returns `true` if there is something to report that the poller does not know of.
    pub(super) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// The next owner and slot that have something to report.
    pub(super) fn next_notice(&mut self) -> Option<(usize, usize)> {
        self.notices.pop_front()
    }

    /// As [`next_notice`](Self::next_notice), if it is for `owner`.
    pub(super) fn next_notice_for(&mut self, owner: usize) -> Option<usize> {
        let (_, slot) = *self.notices.front().filter(|(to, _)| *to == owner)?;
        self.notices.pop_front();
        Some(slot)
    }

    fn look(&mut self, slot: usize, number: u64, buffer: &mut [u8]) {
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let connection = &mut entry.connection;
        if entry.number != number || connection.is_watched() && !connection.holds_open() {
            return;
        }
        if !connection.is_draining() {
            let owner = entry.owner;
            self.notices.push_back((owner, slot));
        } else if connection.drain(buffer) {
            if connection.is_lingering() {
                self.remove(slot);
            } else {
                let owner = entry.owner;
                self.notices.push_back((owner, slot));
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.sweep_at = None;
        for slot in 0..self.slots.len() {
            let entry = self.slots.get(slot).and_then(Option::as_ref);
            match entry.and_then(|entry| entry.closed_at) {
                Some(closed_at) if closed_at + LINGER <= now => {
                    self.remove(slot);
                }
                Some(_) => self.sweep_at = Some(now + SWEEP_PAUSE),
                None => {}
            }
        }
    }

    /// Takes the descriptor of a connection back, and reports it to its owner if the core has not closed
    /// it. Returns `false` if it is needed more than it seemed to be.
    fn evict(&mut self, slot: usize) -> bool {
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return false;
        };
        let need = entry.connection.need();
        if need == Need::Lingering {
            self.remove(slot);
            return true;
        }
        self.notices.push_back((entry.owner, slot));
        // Its message may have come since it was accepted.
        if need == Need::Silent && entry.connection.has_input() {
            return false;
        }
        entry.connection.cut();
        entry.no_longer_under_way(&mut self.under_way);
        let initiated = entry.connection.is_initiated();
        self.connected -= 1;
        self.initiated -= usize::from(initiated);
        true
    }

    /// It is about to lose its descriptor.
    fn uncount(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut)
            && entry.connection.is_connected()
        {
            entry.no_longer_under_way(&mut self.under_way);
            self.connected -= 1;
            let ours = entry.connection.is_initiated() && entry.closed_at.is_none();
            self.initiated -= usize::from(ours);
        }
    }
}

impl<T> Entry<T> {
    fn no_longer_under_way(&mut self, under_way: &mut UnderWay) {
        if core::mem::take(&mut self.under_way) {
            under_way.end();
        }
    }
}

/// How long a connection that the core has closed waits for the peer's end. What was sent arrives
/// without it; it spares peers that send more after the end a reset. Longer than any pause between
/// two writes of one message that was seen in lab programs.
const LINGER: Duration = Duration::from_secs(2);

/// How long a peer that has answered is left to close first: one lab program dies of a connection
/// that is gone before it has logged its answer. Below the 50 ms that our own nodes wait after
/// theirs, so that those need not wait for each other.
const HOLD: Duration = Duration::from_millis(40);

/// How often those that linger are looked through, while there are any.
const SWEEP_PAUSE: Duration = Duration::from_millis(500);

/// How soon those are looked after that the poller does not watch, if nothing else happens: most
/// peers have closed by then, which saves two system calls.
const LOOK_MAX: Duration = Duration::from_millis(5);

/// How many connections are searched whenever that is needed: it takes some microseconds.
const SEARCHED_AT_ONCE: usize = 1_024;

/// With fewer nothing would work: two ways, and one more in each for a peer that does not end.
const LIMIT_MIN: usize = 4;
