//! The one bounded table of members, and what is known of each.

use heapless::VecView;

use crate::roster::{Member, Pid, Roster};

/// What is known of a member from the last time it was asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Liveness {
    /// Not asked since it was named, or since the present election began.
    #[default]
    Unasked,
    /// Asked; the answer is still out.
    Asked,
    /// It answered.
    Alive,
    /// It accepted the connection and gave no answer.
    Silent,
    /// It refused the connection, broke it off, or did not accept it in time.
    Gone,
    /// It answered one election after the other and never announced itself, or what it answers is
    /// no message: left alone until the next election.
    Idle,
    /// Not to be asked in the present election.
    Skipped,
}

impl Liveness {
    /// Returns `true` if it was asked in vain.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self, Self::Silent | Self::Gone | Self::Idle)
    }
}

/// How a member came to be known. The greater gives way later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Trust {
    /// Only named in lists of other members, which may name anybody.
    #[default]
    Named,
    /// The coordinator lists it, or it has sent a message.
    Listed,
    /// It has answered.
    Reached,
}

/// What else is noted of a member: a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flag {
    /// The last exchange with it failed; unlike [`Liveness`] this outlives elections.
    Gone = 1,
    /// Its process is known at another address too, which is tried first.
    Second = 2,
    /// It is to be sent the COORDINATOR that is being relayed.
    Relay = 4,
    /// It has asked, and is to be sent COORDINATOR once the leader is known.
    Asker = 8,
    /// It is to be sent ELECTION whatever the state of the election: it may not know me.
    Introduce = 16,
    /// It runs a program of our own kind, which answers PROBE.
    Ours = 32,
    /// The coordinator has listed it.
    Listed = 64,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Note {
    pub(crate) liveness: Liveness,
    pub(crate) trust: Trust,
    flags: u8,
}

impl Note {
    pub(crate) const fn of(trust: Trust) -> Self {
        Self {
            liveness: Liveness::Unasked,
            trust,
            flags: 0,
        }
    }

    pub(crate) const fn has(self, flag: Flag) -> bool {
        self.flags & flag as u8 != 0
    }

    pub(crate) const fn set(&mut self, flag: Flag, on: bool) {
        if on {
            self.flags |= flag as u8;
        } else {
            self.flags &= !(flag as u8);
        }
    }

    /// Returns `true` if it has said itself who it is, and has not failed since.
    pub(crate) fn is_itself(self) -> bool {
        self.trust > Trust::Named && self.has(Flag::Ours) && !self.has(Flag::Gone)
    }

    /// Returns `true` if a message to it waits for a slot.
    pub(crate) const fn is_pending(self) -> bool {
        self.has(Flag::Relay) || self.has(Flag::Asker) || self.has(Flag::Introduce)
    }
}

/// An entry of the table: lent, as two pointers pass in registers and a copy does not.
pub(crate) type Entry<'a> = (&'a Member, &'a Note);

/// The table without its capacity: `Node` lends the storage, so that this code exists once.
///
/// Invariants: `members` is strictly ascending; `notes` runs parallel to it; `me` is in it, and no
/// other entry has my pid or my address; a process has at most [`ADDRESSES_MAX`] entries, which have
/// the same liveness and trust.
pub(crate) struct Table<'a> {
    pub(crate) me: Member,
    pub(crate) members: &'a mut VecView<Member>,
    pub(crate) notes: &'a mut VecView<Note>,
    pub(crate) revision: &'a mut u32,
}

/// The addresses kept of one process: the newest and the one before. A process that comes back on
/// other ports again and again must not fill the table.
pub(crate) const ADDRESSES_MAX: usize = 2;

impl Table<'_> {
    /// Everyone.
    pub(crate) fn all(&self) -> Roster<'_> {
        Roster::of_table(self.members, *self.revision)
    }

    /// Everyone up to me: what I announce when I lead.
    pub(crate) fn up_to_me(&self) -> Roster<'_> {
        let end = count_up_to(self.members, self.me);
        Roster::of_table(self.members.get(..end).unwrap_or(&[]), *self.revision)
    }

    /// Everyone below me, but for the greatest of them that were asked in vain: what I announce when
    /// I resign. The greatest in it leads next.
    pub(crate) fn successors(&self) -> Roster<'_> {
        let lesser = count_below(self.members, self.me.pid.first());
        let mut lesser = self.notes.iter().take(lesser);
        let end = lesser.rposition(|note| !note.has(Flag::Gone) && note.trust > Trust::Named);
        let end = end.map_or(0, |last| last + 1);
        Roster::of_table(self.members.get(..end).unwrap_or(&[]), *self.revision)
    }

    /// The greatest entry below `cursor`.
    pub(crate) fn below(&self, cursor: Member) -> Option<Entry<'_>> {
        self.entry(count_below(self.members, cursor).checked_sub(1)?)
    }

    // `#[inline(never)]`: a call is a third as long as the body.
    #[inline(never)]
    pub(crate) fn entry(&self, at: usize) -> Option<Entry<'_>> {
        Some((self.members.get(at)?, self.notes.get(at)?))
    }

    /// Where I stand.
    pub(crate) fn my_place(&self) -> usize {
        count_below(self.members, self.me)
    }

    /// Where the entries of `pid` stand.
    pub(crate) fn places(&self, pid: Pid) -> core::ops::Range<usize> {
        count_below(self.members, pid.first())..count_up_to(self.members, pid.last())
    }

    /// The greatest process below `below` and above me that has yet to be asked; with `reached` only
    /// of those that have answered before. At the address that is tried first.
    pub(crate) fn next_unasked(&self, below: Member, reached: bool) -> Option<&Member> {
        let mut at = count_below(self.members, below);
        loop {
            at = at.checked_sub(1)?;
            let (member, note) = self.entry(at)?;
            if member.pid <= self.me.pid {
                return None;
            }
            let wanted = !reached || note.trust == Trust::Reached;
            if note.liveness == Liveness::Unasked && wanted {
                return self.find(member.pid);
            }
        }
    }

    /// The address at which `pid` is tried first.
    pub(crate) fn find(&self, pid: Pid) -> Option<&Member> {
        let mut found = None;
        for at in self.places(pid) {
            if let Some((member, note)) = self.entry(at) {
                if !note.has(Flag::Second) {
                    return Some(member);
                }
                found = found.or(Some(member));
            }
        }
        found
    }

    /// Another address of the process than `stale`.
    pub(crate) fn other_address(&self, stale: Member) -> Option<&Member> {
        let entries = self.members.get(self.places(stale.pid))?;
        entries.iter().find(|member| **member != stale)
    }

    /// What is known of `pid`; of an unknown process nothing.
    pub(crate) fn note(&self, pid: Pid) -> Option<Note> {
        let (_, note) = self.places(pid).find_map(|at| self.entry(at))?;
        Some(*note)
    }

    pub(crate) fn liveness(&self, pid: Pid) -> Liveness {
        self.note(pid).unwrap_or_default().liveness
    }

    pub(crate) fn has(&self, pid: Pid, flag: Flag) -> bool {
        self.note(pid).is_some_and(|note| note.has(flag))
    }

    /// What is known of `pid`, at each of its addresses.
    // `#[inline(never)]`: a call is a third as long as the body.
    #[inline(never)]
    fn notes_of(&mut self, pid: Pid) -> &mut [Note] {
        let places = self.places(pid);
        self.notes.get_mut(places).unwrap_or(&mut [])
    }

    /// Notes what is now known of `pid`, at all its addresses.
    pub(crate) fn mark(&mut self, pid: Pid, liveness: Liveness) {
        for note in self.notes_of(pid) {
            note.liveness = liveness;
        }
    }

    /// An exchange with `pid` has failed. One that was only ever named is forgotten the second time.
    pub(crate) fn fail(&mut self, pid: Pid) {
        let Some(note) = self.note(pid) else {
            return;
        };
        if note.trust == Trust::Named && note.has(Flag::Gone) {
            self.forget(pid);
        } else {
            self.set_flag(pid, Flag::Gone, true);
        }
    }

    /// `member` has answered: this is the address to try first from now on.
    pub(crate) fn answered_at(&mut self, member: Member) {
        self.mark(member.pid, Liveness::Alive);
        self.trust(member.pid, Trust::Reached);
        self.set_flag(member.pid, Flag::Gone, false);
        self.try_first(member);
    }

    /// Forgets a process.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.retain(&|member, _| member.pid != pid);
        self.bump();
    }

    /// Of the addresses of a process, this is the one to try first.
    pub(crate) fn try_first(&mut self, member: Member) {
        for at in self.places(member.pid) {
            let second = self.members.get(at) != Some(&member);
            if let Some(note) = self.notes.get_mut(at) {
                note.set(Flag::Second, second);
            }
        }
    }

    /// Notes `flag` of `pid`, at all its addresses. An unknown process is left unknown.
    pub(crate) fn set_flag(&mut self, pid: Pid, flag: Flag, on: bool) {
        for note in self.notes_of(pid) {
            note.set(flag, on);
        }
    }

    /// Raises what is known of how `pid` came to be known.
    pub(crate) fn trust(&mut self, pid: Pid, trust: Trust) {
        for note in self.notes_of(pid) {
            note.trust = note.trust.max(trust);
        }
    }

    /// Nobody has `flag` any more.
    pub(crate) fn clear_flag(&mut self, flag: Flag) {
        for note in self.notes.iter_mut() {
            note.set(flag, false);
        }
    }

    /// Returns `true` if anybody has `flag`.
    pub(crate) fn any(&self, flag: Flag) -> bool {
        self.notes.iter().any(|note| note.has(flag))
    }

    /// Returns `true` if anybody lesser is gone.
    pub(crate) fn any_lesser_gone(&self) -> bool {
        let mut lesser = self.notes.iter().take(self.my_place());
        lesser.any(|note| note.has(Flag::Gone))
    }

    /// Flags everybody lesser who is gone for the announcement.
    pub(crate) fn relay_to_gone(&mut self) {
        let lesser = self.my_place();
        for note in self.notes.get_mut(..lesser).unwrap_or(&mut []) {
            note.set(Flag::Relay, note.has(Flag::Gone));
        }
    }

    /// Returns `true` if anybody greater is known from lists of other members only.
    pub(crate) fn any_greater_named(&self) -> bool {
        let mut greater = self.notes.iter().skip(self.my_place() + 1);
        greater.any(|note| note.trust == Trust::Named)
    }

    /// Forgets what is known of everyone greater than me: an election asks anew. Of those who answered
    /// the last one, with `but_others` all but our own kind are passed over, with `but_ours` that, too.
    pub(crate) fn ask_anew(&mut self, but_others: bool, but_ours: bool) {
        let from = count_up_to(self.members, self.me.pid.last());
        for note in self.notes.get_mut(from..).unwrap_or(&mut []) {
            let passed_over = if note.has(Flag::Ours) {
                but_ours
            } else {
                but_others
            };
            note.liveness = match note.liveness {
                Liveness::Alive if passed_over => Liveness::Idle,
                _ => Liveness::Unasked,
            };
        }
    }

    /// How many processes greater than me are known.
    pub(crate) fn count_greater(&self) -> u32 {
        let from = count_up_to(self.members, self.me.pid.last());
        let greater = self.members.get(from..).unwrap_or(&[]);
        let mut last = self.me.pid;
        let mut count: u32 = 0;
        for member in greater {
            count = count.saturating_add(u32::from(member.pid != last));
            last = member.pid;
        }
        count
    }

    /// Returns `true` if anybody greater than me has been passed over, or with `listed` anybody that
    /// the coordinator has listed.
    pub(crate) fn passed_over(&self, listed: bool) -> bool {
        let mut notes = self.notes.iter();
        notes.any(|note| note.liveness == Liveness::Idle && (!listed || note.has(Flag::Listed)))
    }

    /// `stale` does not listen any more: forgets this address if its process is known at another
    /// one, and returns that one.
    pub(crate) fn forget_address(&mut self, stale: Member) -> Option<Member> {
        let other = *self.other_address(stale)?;
        self.drop_entry(stale);
        self.bump();
        self.set_flag(other.pid, Flag::Second, false);
        Some(other)
    }

    // `#[inline(never)]`: 12 bytes less on a Cortex-M4.
    #[inline(never)]
    pub(crate) fn bump(&mut self) {
        *self.revision = self.revision.wrapping_add(1);
    }

    /// Drops one entry.
    pub(crate) fn drop_entry(&mut self, entry: Member) {
        self.retain(&|member, _| *member != entry);
    }

    /// Drops the entries that do not stay.
    pub(crate) fn retain(&mut self, stays: Choice<'_>) {
        let mut kept = 0;
        for at in 0..self.members.len() {
            if let Some((member, note)) = self.entry(at)
                && stays(member, *note)
            {
                let (member, note) = (*member, *note);
                self.put(kept, member, note);
                kept += 1;
            }
        }
        self.members.truncate(kept);
        self.notes.truncate(kept);
    }

    // `#[inline(never)]`, and what is copied cannot overlap: no `memmove`, which would be 1.6 KB.
    #[inline(never)]
    pub(crate) fn put(&mut self, at: usize, member: Member, note: Note) {
        if let (Some(to), Some(mark)) = (self.members.get_mut(at), self.notes.get_mut(at)) {
            *to = member;
            *mark = note;
        }
    }
}

/// A choice of entries; not generic, so that what uses it exists once.
pub(crate) type Choice<'a> = &'a dyn Fn(&Member, Note) -> bool;

/// How many of `members`, ascending, are below `bound`.
pub(crate) fn count_below(members: &[Member], bound: Member) -> usize {
    members.partition_point(|member| *member < bound)
}

/// Returns `true` if `member` is one of `members`, ascending.
pub(crate) fn holds(members: &[Member], member: &Member) -> bool {
    members.get(count_below(members, *member)) == Some(member)
}

/// How many of `members`, ascending, are at most `bound`.
pub(crate) fn count_up_to(members: &[Member], bound: Member) -> usize {
    let below = count_below(members, bound);
    below + usize::from(holds(members, &bound))
}

/// Returns `true` if `received` is me or may stand in the table beside me: my pid at another address
/// is my own past, and my address under another pid is somebody whose port I have now.
pub(crate) fn admits(me: &Member, received: &Member) -> bool {
    let same_addr = received.addr == me.addr;
    if received.pid == me.pid {
        same_addr
    } else {
        !same_addr
    }
}
