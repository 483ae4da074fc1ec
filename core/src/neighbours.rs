//! Who is whose neighbour in a group larger than the tables, and the short lists for them.

use crate::rng::divide;
use crate::roster::{Member, Pid, Roster};
use crate::shares::mix;
use crate::table::{Flag, Liveness, Table, Trust, count_below, count_up_to};
use crate::time::{Instant, Span};

/// To how many members a leader is relayed. With 16 it takes as long and twice the messages, with 4
/// some are reached by their own PROBE only (simulated).
const RELAYS: usize = 8;

/// How long somebody found gone is not asked again by an election.
const GONE_UNASKED: Span = Span::from_millis(1_000);

/// How many neighbours a repair takes, and how many greater members a leader asks by lot.
pub(crate) const TAKEN: usize = 4;

/// The most members in a list of a large group: it fits any peer's 1,024 bytes by far.
pub(crate) const LIST_MAX: usize = 16;

/// A list composed for one message.
pub(crate) struct List {
    members: heapless::Vec<Member, LIST_MAX>,
}

impl List {
    pub(crate) const fn new() -> Self {
        Self {
            members: heapless::Vec::new(),
        }
    }

    /// Adds a member where it belongs, unless the list is full.
    pub(crate) fn add(&mut self, member: Member) {
        let place = count_below(&self.members, member);
        // What does not fit is left out.
        if self.members.get(place) != Some(&member) && self.members.push(member).is_ok() {
            // By single swaps: `Vec::insert` would bring in `memmove`, 1.6 KB.
            for at in (place..self.members.len()).rev().skip(1) {
                if let Some([one, other]) = self.members.get_mut(at..=at + 1) {
                    core::mem::swap(one, other);
                }
            }
        }
    }

    pub(crate) fn roster(&self) -> Roster<'_> {
        Roster::new(&self.members).unwrap_or(Roster::EMPTY)
    }
}

impl Table<'_> {
    /// The member at a place if it has not failed, at the address that is tried first only.
    // `#[inline(never)]`: a call is shorter than the body.
    #[inline(never)]
    pub(crate) fn live_at(&self, at: usize) -> Option<&Member> {
        let (member, note) = self.entry(at)?;
        (!note.has(Flag::Gone) && !note.has(Flag::Second)).then_some(member)
    }

    /// The live member next to the place `at` on one side of it; `at` becomes its place.
    ///
    /// A cursor: an iterator with its adapters would be compiled anew for each use.
    // `#[inline(never)]`: a call is shorter than the body.
    #[inline(never)]
    pub(crate) fn next_live(&self, at: &mut usize, side: Side) -> Option<&Member> {
        loop {
            *at = match side {
                Side::Greater => *at + 1,
                Side::Lesser => at.checked_sub(1)?,
            };
            if *at >= self.members.len() {
                return None;
            }
            if let Some(member) = self.live_at(*at) {
                return Some(member);
            }
        }
    }

    /// The nearest live member on one side of me.
    pub(crate) fn nearest(&self, side: Side) -> Option<&Member> {
        self.next_live(&mut self.my_place(), side)
    }

    /// The list of a COORDINATOR for `leader`: it, me, my neighbours, and others in turn.
    pub(crate) fn list_for<'list>(
        &self,
        leader: Pid,
        turn: usize,
        list: &'list mut List,
    ) -> Roster<'list> {
        if let Some(leader) = self.find(leader) {
            list.add(*leader);
        }
        list.add(self.me);
        let max = LIST_MAX.min(self.members.capacity());
        let below = |member: &&Member| member.pid < leader;
        for side in [Side::Lesser, Side::Greater] {
            let mut at = self.my_place();
            for _ in 0..max / 4 {
                if let Some(near) = self.next_live(&mut at, side).filter(below) {
                    list.add(*near);
                }
            }
        }
        let count = self.members.len();
        let mut at = turn % count.max(1);
        for _ in 0..count {
            if list.members.len() >= max {
                break;
            }
            if let Some(other) = self.live_at(at).filter(below) {
                list.add(*other);
            }
            at = if at + 1 < count { at + 1 } else { 0 };
        }
        list.roster()
    }

    /// The list of an ELECTION: me and greater members, the nearest.
    pub(crate) fn list_upwards<'list>(&self, list: &'list mut List) -> Roster<'list> {
        list.add(self.me);
        let mut at = self.my_place();
        for _ in 1..LIST_MAX.min(self.members.capacity()) {
            if let Some(near) = self.next_live(&mut at, Side::Greater) {
                list.add(*near);
            }
        }
        list.roster()
    }

    /// Chooses whom `leader` is relayed to: neighbours on both sides, and the sample.
    pub(crate) fn choose_relays(&mut self, leader: Pid) {
        self.clear_flag(Flag::Relay);
        let near = if self.members.capacity() <= 8 { 2 } else { 3 };
        let below = |member: &&Member| member.pid < leader;
        for side in [Side::Greater, Side::Lesser] {
            let mut at = self.my_place();
            for _ in 0..near {
                if let Some(Member { pid, .. }) = self.next_live(&mut at, side).filter(below) {
                    let pid = *pid;
                    self.set_flag(pid, Flag::Relay, true);
                }
            }
        }
        let chosen = self.notes.iter().filter(|note| note.has(Flag::Relay));
        for _ in chosen.count()..RELAYS {
            let me = self.me.pid;
            let mut next: Option<(u64, Pid)> = None;
            for at in 0..self.members.len() {
                if let Some(&Member { pid, .. }) = self.live_at(at).filter(below)
                    && pid != me
                    && !self.has(pid, Flag::Relay)
                {
                    let lot = mix(me, pid);
                    if next.is_none_or(|(least, _)| lot < least) {
                        next = Some((lot, pid));
                    }
                }
            }
            let Some((_, pid)) = next else {
                return;
            };
            self.set_flag(pid, Flag::Relay, true);
        }
    }

    /// The entry with `flag` that is furthest from me: the message travels furthest.
    pub(crate) fn furthest(&self, flag: Flag) -> Option<&Member> {
        let mine = self.my_place();
        let mut furthest: Option<(usize, usize)> = None;
        for (at, note) in self.notes.iter().enumerate() {
            let distance = at.abs_diff(mine);
            if note.has(flag) && furthest.is_none_or(|(least, _)| distance >= least) {
                furthest = Some((distance, at));
            }
        }
        let (_, at) = furthest?;
        let (member, _) = self.entry(at)?;
        self.find(member.pid)
    }

    /// Chooses whom an election asks: those who have answered before, the greatest, the nearest, and
    /// some by lot. `lot` is another number each time.
    pub(crate) fn choose_asked(&mut self, lot: Pid, unasked: &[(Pid, Instant)], now: Instant) {
        let from = self.my_place() + 1;
        let count = self.members.len() - from;
        let mut reached = 0;
        for (order, at) in (from..self.members.len()).rev().enumerate() {
            let Some((member, note)) = self.entry(at) else {
                return;
            };
            let asked_lately = unasked
                .iter()
                .any(|(pid, found)| *pid == member.pid && *found + GONE_UNASKED > now);
            let answered = note.trust == Trust::Reached && reached < TAKEN;
            reached += usize::from(answered);
            let nearest = at < from + TAKEN;
            let greatest = order < LIST_MAX / 2;
            // Four of those in between, each with the same chance.
            let between = count.saturating_sub(LIST_MAX / 2 + TAKEN).max(1);
            let between = u16::try_from(between).unwrap_or(u16::MAX);
            let drawn = usize::from(divide(mix(lot, member.pid), between).1) < TAKEN;
            if asked_lately || !(answered || nearest || greatest || drawn) {
                self.mark_skipped(at);
            }
        }
    }

    pub(crate) fn mark_skipped(&mut self, at: usize) {
        if let Some(note) = self.notes.get_mut(at) {
            note.liveness = Liveness::Skipped;
        }
    }
}

/// The members, ascending, that are greater than `pid`.
pub(crate) fn greater_than(members: &[Member], pid: Pid) -> &[Member] {
    let from = count_up_to(members, pid.last());
    members.get(from..).unwrap_or(&[])
}

/// A side of me in the order of members.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Lesser,
    Greater,
}

impl Side {
    /// Returns `true` if `pid` is further out on this side than `mark`.
    pub(crate) fn is_beyond(self, pid: Pid, mark: Pid) -> bool {
        match self {
            Self::Lesser => pid < mark,
            Self::Greater => pid > mark,
        }
    }
}
