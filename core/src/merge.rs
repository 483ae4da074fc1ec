//! How members get into the table, and who stays when it is full.
//!
//! The shares of a full table are those of `shares.rs`. What stays depends on who was named and on who
//! answers, not on the order of the lists.

use core::ops::Range;

use crate::roster::{Member, Pid, Roster, TOP};
use crate::shares::{Shares, mix};
use crate::table::{
    ADDRESSES_MAX, Entry, Flag, Liveness, Note, Table, Trust, admits, count_below, holds,
};

/// Whom a full table keeps besides me, whatever they are: who leads, and who is said to.
pub(crate) type Keep = [Pid; 3];

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The greatest process that was not in the table before and is now, or was gone from the address
    /// where it was.
    pub(crate) greatest_added: Option<Pid>,
    /// Entries, of the table or of the list, for which there was no capacity. Of what is only named
    /// nobody is counted: it says nothing about the group.
    pub(crate) left_out: u32,
}

/// The members that are only named in lists of others and not confirmed: at most so many at once, and
/// at most half of the table. Whoever names a thousand members makes this node try 32 of them, twice.
const NAMED_MAX: usize = 32;

/// In what order entries give way, the greatest first: what is gone, then the less trusted, and among
/// equals by lot. One number, which a chip compares in less code than a tuple.
fn rank(me: Pid, member: &Member, note: Note) -> u64 {
    let distrust = Trust::Reached as u64 - note.trust as u64;
    let gone = u64::from(note.has(Flag::Gone));
    gone << 62 | distrust << 60 | mix(me, member.pid) >> 4
}

/// What is in nobody's share gives way before everything else.
const SAMPLE: u64 = 1 << 63;

/// How far the shares of a table reach. Of those who answer, everyone from `lesser` up to me, from me
/// up to `greater`, and from `greatest` on stays.
struct Bounds {
    lesser: Pid,
    greater: Pid,
    greatest: Pid,
    /// The greatest that does not answer, to be looked for.
    sought: Option<Pid>,
}

impl Bounds {
    fn keeps(&self, me: Pid, member: &Member, note: Note) -> bool {
        let pid = member.pid;
        let near = (self.lesser <= pid && pid < me) || (me < pid && pid <= self.greater);
        let kept = near || (me < pid && self.greatest <= pid);
        (kept && !note.has(Flag::Gone)) || self.sought == Some(pid)
    }
}

/// What a full table, as long as it does not change, refuses of a list.
struct Refusal {
    bounds: Bounds,
    /// What is known of everyone in the list.
    note: Note,
    /// The rank of the entry that gives way first; 0 if none does.
    worst: u64,
    /// The addresses in the table, as a Bloom filter with one hash: with 64 entries one address in
    /// eight has to be looked up.
    addrs: [u64; 8],
}

impl Refusal {
    /// The place of an address in the filter: a word and a bit of it.
    const fn bit(member: &Member) -> (usize, u64) {
        // Fibonacci hashing: the upper bits of the product depend on all of the address.
        let hash = member.addr.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

impl Table<'_> {
    /// Adds the coordinator's list of everyone who has joined. Members that were only named by others
    /// and are not in it are forgotten, as are those whose address or id somebody else has now.
    /// `doubted` stays though its id is listed with other days: two copies of it may be running.
    pub(crate) fn merge_listed(
        &mut self,
        list: Roster<'_>,
        keep: &Keep,
        doubted: Option<Pid>,
    ) -> Merged {
        let list = list.members();
        self.confirm(list, keep, doubted);
        let merged = self.merge(list, Trust::Listed, usize::MAX, keep);
        for (member, note) in self.members.iter().zip(self.notes.iter_mut()) {
            // Of a process, not of an entry: it is the same at its other address.
            if lists(list, member.pid) {
                note.set(Flag::Listed, true);
                note.trust = note.trust.max(Trust::Listed);
            }
        }
        for pair in list.windows(2) {
            // Listed at two addresses: the greater first, in whatever order they were added.
            if let [second, first] = pair
                && second.pid == first.pid
            {
                self.try_first(*first);
            }
        }
        merged
    }

    /// Adds a list that another member has sent. A single member that is not known yet, in the list
    /// of one that asks, is the asker.
    pub(crate) fn merge_named(
        &mut self,
        list: Roster<'_>,
        from_asker: bool,
        trusted: bool,
        keep: &Keep,
    ) -> Merged {
        let trusted =
            trusted || from_asker && self.count_fresh(list.members(), Trust::Named).0 == 1;
        if trusted {
            return self.merge(list.members(), Trust::Listed, usize::MAX, keep);
        }
        let named = self
            .notes
            .iter()
            .filter(|note| note.trust == Trust::Named)
            .count();
        let named_max = NAMED_MAX.min(self.members.capacity() / 2);
        let quota = named_max.saturating_sub(named);
        self.merge(list.members(), Trust::Named, quota, keep)
    }

    /// Adds a member that has sent a message itself: there is always an entry for it.
    pub(crate) fn merge_sender(&mut self, sender: Member, keep: &Keep) -> Merged {
        let mut merged = Merged::default();
        self.trust(sender.pid, Trust::Listed);
        self.offer(sender, Trust::Listed, true, keep, &mut merged);
        merged
    }

    /// Trusts what the coordinator lists, and forgets what its list contradicts.
    fn confirm(&mut self, list: &[Member], keep: &Keep, doubted: Option<Pid>) {
        let mut absent = false;
        for (member, note) in self.members.iter().zip(self.notes.iter_mut()) {
            if holds(list, member) {
                note.trust = note.trust.max(Trust::Listed);
            } else {
                absent |= *member != self.me;
            }
        }
        if !absent {
            return;
        }
        let (me, before) = (self.me, self.members.len());
        self.retain(&|member, note| {
            let aged = doubted != Some(member.pid);
            let replaced = |other: &Member| {
                (other.pid != member.pid && other.addr == member.addr)
                    || (aged && other.pid.id == member.pid.id && other.pid.days != member.pid.days)
            };
            let kept = note.trust > Trust::Named || keep.contains(&member.pid);
            // It has said itself who it is; the coordinator may not know yet.
            let here = *member == me || holds(list, member);
            here || note.is_itself() || (kept && !list.iter().any(replaced))
        });
        if self.members.len() != before {
            self.bump();
        }
    }

    /// Adds everyone in `list`, of those not known yet at most `quota`.
    ///
    /// Linear in table and list if everyone fits, and nothing is written if nobody is new.
    fn merge(&mut self, list: &[Member], trust: Trust, quota: usize, keep: &Keep) -> Merged {
        let (fresh, plain) = self.count_fresh(list, trust);
        if fresh == 0 {
            return Merged::default();
        }
        let size = self.members.len() + fresh;
        if plain && fresh <= quota && size <= self.members.capacity() {
            let merged = Merged {
                greatest_added: self.insert_all(list, size, trust),
                left_out: 0,
            };
            self.bump();
            return merged;
        }
        let mut merged = Merged::default();
        let mut rejected = u32::try_from(fresh).unwrap_or(u32::MAX);
        let mut quota = quota;
        let me = self.me;
        for pid in keep {
            let wanted = |named: &&Member| named.pid == *pid && admits(&me, named);
            if self.find(*pid).is_none()
                && let Some(named) = list.iter().rev().find(wanted)
            {
                rejected -= u32::from(self.offer(*named, trust, true, keep, &mut merged));
            }
        }
        let before = quota;
        let mut refusal = None;
        // The nearest and the greatest first: those beyond them have to be few to be found quickly.
        let shares = Shares::of(self.members.capacity());
        let mine = count_below(list, self.me);
        let (lesser, greater) = list.split_at_checked(mine).unwrap_or_default();
        for (part, upwards, share) in [
            (greater, true, shares.greater),
            (lesser, false, shares.lesser),
            (greater, false, shares.greatest),
        ] {
            for nth in 0..part.len().min(2 * share) {
                let at = if upwards { nth } else { part.len() - 1 - nth };
                self.offer_one(
                    part.get(at),
                    &mut refusal,
                    trust,
                    &mut quota,
                    keep,
                    &mut merged,
                );
            }
        }
        // Of the rest not one of the least is left out: a list that names too many is thinned.
        let step = (fresh / quota.max(1)).max(1);
        let step = if quota == usize::MAX { 1 } else { step };
        let mut next = list.len().checked_sub(1);
        while let Some(at) = next {
            self.offer_one(
                list.get(at),
                &mut refusal,
                trust,
                &mut quota,
                keep,
                &mut merged,
            );
            next = at.checked_sub(step);
        }
        if trust > Trust::Named {
            let added = u32::try_from(before - quota).unwrap_or(u32::MAX);
            merged.left_out += rejected.saturating_sub(added);
        }
        merged
    }

    /// Offers one member of a list that may add `quota` more. Most of a long list find no entry in a
    /// full table: `refusal` says so without a look at each entry.
    fn offer_one(
        &mut self,
        member: Option<&Member>,
        refusal: &mut Option<Refusal>,
        trust: Trust,
        quota: &mut usize,
        keep: &Keep,
        merged: &mut Merged,
    ) {
        let Some(member) = member.filter(|_| *quota > 0) else {
            return;
        };
        if self.members.is_full() {
            let refusal = refusal.get_or_insert_with(|| self.refusal(trust, keep));
            if self.refuses(refusal, member) {
                return;
            }
        }
        if self.offer(*member, trust, false, keep, merged) {
            *quota -= 1;
            *refusal = None;
        }
    }

    /// How many of those in `list` are not in the table; and whether they can be added without a
    /// look at each: none has an address or a process in common with another.
    fn count_fresh(&self, list: &[Member], trust: Trust) -> (usize, bool) {
        let mut known = &**self.members;
        let (mut fresh, mut plain) = (0, true);
        let mut last: Option<&Member> = None;
        for member in list {
            while let [least, others @ ..] = known
                && least < member
            {
                last = Some(least);
                known = others;
            }
            if known.first() != Some(member) && admits(&self.me, member) {
                fresh += 1;
                // The coordinator has one entry for an address; others may name anybody.
                let shared = trust == Trust::Named
                    && fresh <= NAMED_MAX
                    && self
                        .members
                        .iter()
                        .chain(list)
                        .any(|other| other.addr == member.addr && other.pid != member.pid);
                let same = |near: &Member| near.pid == member.pid;
                let moved = last.is_some_and(same) || known.first().is_some_and(same);
                plain &= !shared && !moved;
            }
            last = Some(member);
        }
        (fresh, plain)
    }

    /// Puts everyone in `list` where they belong, which makes `size` entries: from the greatest down,
    /// so that no entry moves twice. Returns the greatest that was new.
    fn insert_all(&mut self, list: &[Member], size: usize, trust: Trust) -> Option<Pid> {
        let mut from = self.members.len();
        let mut to = size;
        for _ in from..size {
            // Cannot fail: `size` is within the capacity.
            let _ = self.members.push(self.me);
            let _ = self.notes.push(Note::default());
        }
        let me = self.me;
        let mut greatest_added = None;
        // The entries between `from` and `to` are still to be filled.
        for next in list.iter().rev().copied().filter(|next| admits(&me, next)) {
            while let Some((known, note)) = from.checked_sub(1).and_then(|at| self.entry(at))
                && *known >= next
            {
                let (known, note) = (*known, *note);
                from -= 1;
                to -= 1;
                self.put(to, known, note);
            }
            if self.members.get(to) != Some(&next) {
                to -= 1;
                self.put(to, next, Note::of(trust));
                greatest_added.get_or_insert(next.pid);
            }
        }
        greatest_added
    }

    /// Adds one member unless it is known, contradicts what is known better, or there are better ones
    /// for all entries; with `force` somebody gives way to it. Returns `true` if it was added.
    fn offer(
        &mut self,
        member: Member,
        trust: Trust,
        force: bool,
        keep: &Keep,
        merged: &mut Merged,
    ) -> bool {
        if holds(self.members, &member) || !admits(&self.me, &member) {
            return false;
        }
        let mut note = Note::of(trust);
        let same_addr = |other: &Member| other.addr == member.addr;
        let holder = self.members.iter().position(same_addr);
        let holder = holder.and_then(|at| self.entry(at)).map(copied);
        if holder.is_some_and(|(other, _)| keep.contains(&other.pid)) {
            return false;
        }
        // The same id on another day, as it says itself, is the same process.
        let aged = |(other, _): &(Member, Note)| other.pid.id == member.pid.id;
        if let Some((_, held)) = holder
            && !(trust > Trust::Named && holder.as_ref().is_some_and(aged))
            && (trust == Trust::Named || held.trust == Trust::Reached)
            && held.trust >= trust
            && !(held.has(Flag::Gone) && trust > Trust::Named)
        {
            // One address is one process, and that one is known better.
            return false;
        }
        let known = self.note(member.pid);
        if let Some((other, _)) = holder {
            self.drop_entry(other);
        }
        if let Some(known) = known {
            if self.members.is_full() {
                // Nobody else gives way to a second address, but to a leader's own; the first one does
                // if it has failed, and to what the coordinator lists also if it has yet to answer.
                let asked = trust > Trust::Named && known.liveness == Liveness::Asked;
                if known.has(Flag::Gone) || asked {
                    self.retain(&|entry, _| entry.pid != member.pid);
                } else if !(force && keep.contains(&member.pid)) {
                    return false;
                }
            }
            note = self.note_of_new_address(member.pid, known, trust);
        }
        if self.members.is_full() {
            let Some(at) = self.gives_way(&member, note, force, keep) else {
                return false;
            };
            if let Some((evicted, known)) = self.entry(at).map(copied) {
                let counts = trust > Trust::Named && known.trust > Trust::Named;
                merged.left_out += u32::from(counts);
                self.drop_entry(evicted);
            }
        }
        let added = self.insert(member, note);
        self.bump();
        if added && known.is_none_or(|known| known.liveness != note.liveness) {
            let greatest = merged
                .greatest_added
                .map_or(member.pid, |pid| pid.max(member.pid));
            merged.greatest_added = Some(greatest);
        }
        added
    }

    /// Who is refused until the table changes.
    fn refusal(&self, trust: Trust, keep: &Keep) -> Refusal {
        let bounds = self.bounds(None);
        let note = Note::of(trust);
        let worst = self.worst(&bounds, keep);
        let worst = worst.filter(|(_, at)| self.may_give_way(*at, note));
        let mut refusal = Refusal {
            bounds,
            note,
            worst: worst.map_or(0, |(worst, _)| worst),
            addrs: [0; 8],
        };
        for member in self.members.iter() {
            let (word, bit) = Refusal::bit(member);
            if let Some(word) = refusal.addrs.get_mut(word) {
                *word |= bit;
            }
        }
        refusal
    }

    /// Returns `true` if [`offer`](Self::offer) would return `false` and leave everything as it is:
    /// the table is full, and `newcomer` is unknown to it, in nobody's share, and worse than all
    /// of the sample. In most cases this takes no look at the entries.
    fn refuses(&self, refusal: &Refusal, newcomer: &Member) -> bool {
        let (word, bit) = Refusal::bit(newcomer);
        let noted = refusal.addrs.get(word).is_none_or(|word| word & bit != 0);
        rank(self.me.pid, newcomer, refusal.note) | SAMPLE >= refusal.worst
            && !refusal.bounds.keeps(self.me.pid, newcomer, refusal.note)
            && !(noted && self.members.iter().any(|other| other.addr == newcomer.addr))
            && self.places(newcomer.pid).is_empty()
    }

    /// A known process has another address. The coordinator's is the one to try first, and so is
    /// any if the present one has failed; one that others name is the second.
    fn note_of_new_address(&mut self, pid: Pid, known: Note, trust: Trust) -> Note {
        let count = self
            .members
            .iter()
            .filter(|member| member.pid == pid)
            .count();
        if count >= ADDRESSES_MAX {
            self.retain(&|entry, note| entry.pid != pid || !note.has(Flag::Second));
        }
        let first = trust > Trust::Named && known.trust != Trust::Reached || known.has(Flag::Gone);
        self.set_flag(pid, Flag::Second, first);
        let mut note = known;
        if trust > Trust::Named && known.liveness == Liveness::Gone {
            // Not there; here it has not been asked yet.
            note.liveness = Liveness::Unasked;
            self.mark(pid, note.liveness);
        }
        note.set(Flag::Second, !first);
        note
    }

    /// The entry that gives way to `newcomer`: one of the sample, or one that the newcomer pushes out
    /// of its share. `None` if all are better. What was only named by others never pushes out what has
    /// answered.
    fn gives_way(&self, newcomer: &Member, note: Note, force: bool, keep: &Keep) -> Option<usize> {
        let bounds = self.bounds(Some(newcomer.pid));
        let me = self.me.pid;
        let (worst, at) = self.worst(&bounds, keep)?;
        let better = rank(me, newcomer, note) | SAMPLE < worst || bounds.keeps(me, newcomer, note);
        let allowed = self.may_give_way(at, note);
        (force || (worst >= SAMPLE && better && allowed)).then_some(at)
    }

    /// The entry that gives way first, with its rank, greater if it is in nobody's share.
    fn worst(&self, bounds: &Bounds, keep: &Keep) -> Option<(u64, usize)> {
        let me = self.me.pid;
        let mut worst: Option<(u64, usize)> = None;
        for (at, (member, note)) in self.members.iter().zip(self.notes.iter()).enumerate() {
            if member.pid == me || keep.contains(&member.pid) {
                continue;
            }
            let rank = match rank(me, member, *note) {
                // Only for whoever is to have an entry in any case.
                _ if note.is_pending() => 0,
                rank if bounds.keeps(me, member, *note) => rank,
                rank => rank | SAMPLE,
            };
            if worst.is_none_or(|(than, _)| rank > than) {
                worst = Some((rank, at));
            }
        }
        worst
    }

    /// Returns `true` if the entry at a place may give way to one of whom `note` is known: what has
    /// answered does not to what is only named.
    fn may_give_way(&self, at: usize, note: Note) -> bool {
        let answers = |known: &Note| known.trust == Trust::Reached && !known.has(Flag::Gone);
        note.trust > Trust::Named || !self.notes.get(at).is_some_and(answers)
    }

    /// The bounds of the shares with `newcomer` as if it were in the table; with `None`, the bounds
    /// within which any newcomer would be.
    fn bounds(&self, newcomer: Option<Pid>) -> Bounds {
        let shares = Shares::of(self.members.capacity());
        let (me, mine, end) = (self.me.pid, self.my_place(), self.members.len());
        let (lesser, greater, greatest) = match newcomer {
            Some(pid) if pid < me => (Some(pid), None, None),
            greater @ Some(_) => (None, greater, greater),
            // The furthest there may be, so that a share with entries to spare has no end.
            None => (Some(Pid { days: 0, id: 0 }), Some(TOP.pid), Some(me)),
        };
        let gone = |at: &usize| self.notes.get(*at).is_some_and(|note| note.has(Flag::Gone));
        let sought = (mine + 1..end)
            .rev()
            .find(gone)
            .filter(|_| self.members.capacity() > 4);
        Bounds {
            lesser: self.bound(0..mine, false, lesser, shares.lesser, me),
            greater: self.bound(mine + 1..end, true, greater, shares.greater, me),
            greatest: self.bound(mine + 1..end, false, greatest, shares.greatest, TOP.pid),
            sought: sought
                .and_then(|at| self.entry(at))
                .map(|(member, _)| member.pid),
        }
    }

    /// The last of the first `count` live members at `places`, counted upwards or downwards, `newcomer`
    /// among them where it belongs; `start` if there are none.
    fn bound(
        &self,
        places: Range<usize>,
        upwards: bool,
        mut newcomer: Option<Pid>,
        count: usize,
        start: Pid,
    ) -> Pid {
        let (mut bound, mut left) = (start, count);
        for nth in 0..places.len() {
            let at = if upwards {
                places.start + nth
            } else {
                places.end - 1 - nth
            };
            let Some((member, note)) = self.entry(at) else {
                continue;
            };
            if note.has(Flag::Gone) {
                continue;
            }
            // Between the one before and this one, in whatever order they come.
            if left > 0
                && let Some(between) = newcomer
                && (bound < between) == (between < member.pid)
            {
                (bound, newcomer) = (between, None);
                left -= 1;
            }
            if left == 0 {
                return bound;
            }
            bound = member.pid;
            left -= 1;
        }
        match newcomer {
            Some(last) if left > 0 => last,
            _ => bound,
        }
    }

    /// Puts one member where it belongs. Returns `false` if there is no capacity.
    fn insert(&mut self, member: Member, note: Note) -> bool {
        let mut carried = (member, note);
        let place = count_below(self.members, member);
        for at in place..self.members.len() {
            if let Some(entry) = self.entry(at).map(copied) {
                self.put(at, carried.0, carried.1);
                carried = entry;
            }
        }
        self.members.push(carried.0).is_ok() && self.notes.push(carried.1).is_ok()
    }
}

/// Returns `true` if `pid` is in `list`, ascending, at any address.
fn lists(list: &[Member], pid: Pid) -> bool {
    let first = list.get(count_below(list, pid.first()));
    first.is_some_and(|member| member.pid == pid)
}

/// An entry by itself, so that the table may change.
fn copied((member, note): Entry<'_>) -> (Member, Note) {
    (*member, *note)
}

#[cfg(test)]
mod tests;
