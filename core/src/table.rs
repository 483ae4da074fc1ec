//! The one bounded table of members, and what is known of each.

use heapless::VecView;

use crate::roster::{Member, Pid, Roster};

/// What is known of a member from the last time it was asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Liveness {
    /// Not asked since it was heard of, or since the present election began.
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
    /// It answered one election after the other and never announced itself.
    Idle,
}

impl Liveness {
    /// Whether it was asked in vain.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self, Self::Silent | Self::Gone | Self::Idle)
    }
}

/// Whom a full table keeps besides me, however small: who leads, and who is said to.
pub(crate) type Keep = [Pid; 3];

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The greatest process of which an entry was not in the table before and is now.
    pub(crate) greatest_added: Option<Pid>,
    /// Entries, of the table or of the list, for which there was no room.
    pub(crate) left_out: u32,
}

/// The table without its capacity: `Node` lends the storage, so that this code exists once.
///
/// Invariants: `members` is strictly ascending; `liveness` runs parallel to it; `me` is in it, and
/// no other entry has my pid or my address.
pub(crate) struct Table<'a> {
    pub(crate) me: Member,
    pub(crate) members: &'a mut VecView<Member>,
    pub(crate) liveness: &'a mut VecView<Liveness>,
    pub(crate) revision: &'a mut u32,
}

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
        let mut lesser = self.liveness.iter().take(lesser);
        let end = lesser.rposition(|liveness| !liveness.is_dead());
        let end = end.map_or(0, |last| last + 1);
        Roster::of_table(self.members.get(..end).unwrap_or(&[]), *self.revision)
    }

    /// The greatest entry below `cursor`, and what is known of it.
    pub(crate) fn below(&self, cursor: Member) -> Option<(Member, Liveness)> {
        self.entry(count_below(self.members, cursor).checked_sub(1)?)
    }

    // `#[inline(never)]`: a call is a third as long as the body.
    #[inline(never)]
    fn entry(&self, at: usize) -> Option<(Member, Liveness)> {
        Some((*self.members.get(at)?, *self.liveness.get(at)?))
    }

    /// The address at which `pid` is tried first.
    pub(crate) fn find(&self, pid: Pid) -> Option<Member> {
        greatest_of(self.members, pid)
    }

    /// What is known of `pid`; an unknown process is [`Liveness::Unasked`].
    pub(crate) fn liveness(&self, pid: Pid) -> Liveness {
        match self.entry(count_below(self.members, pid.first())) {
            Some((found, liveness)) if found.pid == pid => liveness,
            _ => Liveness::Unasked,
        }
    }

    /// Notes what is now known of `pid`, at all its addresses.
    pub(crate) fn mark(&mut self, pid: Pid, liveness: Liveness) {
        let from = count_below(self.members, pid.first());
        let to = count_up_to(self.members, pid.last());
        if let Some(entries) = self.liveness.get_mut(from..to) {
            entries.fill(liveness);
        }
    }

    /// Forgets what is known of everyone greater than me: an election asks anew. With
    /// `but_those_alive`, those who answered the last one are passed over.
    pub(crate) fn ask_anew(&mut self, but_those_alive: bool) {
        let from = count_up_to(self.members, self.me.pid.last());
        for entry in self.liveness.get_mut(from..).unwrap_or(&mut []) {
            *entry = match entry {
                Liveness::Alive if but_those_alive => Liveness::Idle,
                _ => Liveness::Unasked,
            };
        }
    }

    /// How many processes greater than me are known.
    pub(crate) fn count_greater(&self) -> u32 {
        let from = count_up_to(self.members, self.me.pid.last());
        let greater = self.members.get(from..).unwrap_or(&[]);
        let pids = greater.chunk_by(|a, b| a.pid == b.pid).count();
        u32::try_from(pids).unwrap_or(u32::MAX)
    }

    /// Whether the group may be larger than the table: then others may have no place for me either.
    pub(crate) fn is_full(&self) -> bool {
        self.members.is_full()
    }

    /// Whether more than half of the places are taken.
    pub(crate) fn is_half_full(&self) -> bool {
        self.members.len() > self.members.capacity() / 2
    }

    /// Whether anybody greater than me has been passed over.
    pub(crate) fn passed_over(&self) -> bool {
        self.liveness.contains(&Liveness::Idle)
    }

    /// `stale` refused a connection: forgets this address if its process is known at another one,
    /// and returns that one.
    pub(crate) fn forget_address(&mut self, stale: Member) -> Option<Member> {
        let at = count_below(self.members, stale);
        if self.members.get(at) != Some(&stale) {
            return self.find(stale.pid);
        }
        let same = |found: &&Member| found.pid == stale.pid;
        let below = at.checked_sub(1).and_then(|below| self.members.get(below));
        let above = self.members.get(at + 1);
        let other = *below.filter(same).or(above.filter(same))?;
        self.retain(&|member| *member != stale);
        self.bump();
        Some(other)
    }

    /// Adds everyone in `received`; the one way into the table.
    ///
    /// When there is no room for all, the greatest stay, and I and those in `keep` whatever we are.
    /// So the outcome depends on who was heard of and never on the order: merging is commutative,
    /// associative and idempotent. Linear in table and list; nothing is written if nothing is new.
    pub(crate) fn merge(&mut self, received: Roster<'_>, keep: &Keep) -> Merged {
        let (me, received) = (self.me, received.members());
        let fresh = self.count_fresh(received);
        if fresh == 0 {
            return Merged::default();
        }
        let size = self.members.len() + fresh;
        let excess = size.saturating_sub(self.members.capacity());
        // The last one stays: me.
        let mut pinned = [me; 4];
        for (place, pid) in pinned.iter_mut().zip(keep) {
            *place = self.latest(*pid, received).unwrap_or(me);
        }
        let may_go = |member: &Member| admits(&me, member) && !pinned.contains(member);
        let floor = self.nth_from_below(received, excess, &may_go).copied();
        let stays = |member: &Member| match floor {
            Some(floor) if *member <= floor => pinned.contains(member),
            _ => admits(&me, member),
        };
        self.retain(&stays);
        let greatest_added = self.insert(received, size - excess, &stays);
        // Nobody is dropped but to make room for somebody.
        if greatest_added.is_some() {
            self.bump();
        }
        Merged {
            greatest_added,
            left_out: u32::try_from(excess).unwrap_or(u32::MAX),
        }
    }

    fn bump(&mut self) {
        *self.revision = self.revision.wrapping_add(1);
    }

    /// How many of those in `received` are to be added.
    fn count_fresh(&self, received: &[Member]) -> usize {
        let mut known = &**self.members;
        received
            .iter()
            .filter(|member| {
                while let [least, others @ ..] = known
                    && least < *member
                {
                    known = others;
                }
                known.first() != Some(member) && admits(&self.me, member)
            })
            .count()
    }

    /// The greatest address of a process, known or just received.
    fn latest(&self, pid: Pid, received: &[Member]) -> Option<Member> {
        let mut told = received.iter().rev().copied();
        told.find(|told| told.pid == pid && admits(&self.me, told))
            .max(self.find(pid))
    }

    /// Of table and list together, the `nth` of those that are `wanted`, counted from 1.
    fn nth_from_below<'a>(
        &'a self,
        received: &'a [Member],
        mut nth: usize,
        wanted: Wanted<'_>,
    ) -> Option<&'a Member> {
        let (mut known, mut told) = (&**self.members, received);
        while nth > 0 {
            let next = match (known.first(), told.first()) {
                (Some(a), Some(b)) => a.min(b),
                (a, b) => a.or(b)?,
            };
            for list in [&mut known, &mut told] {
                if let [first, others @ ..] = *list
                    && first == next
                {
                    *list = others;
                }
            }
            if wanted(next) {
                nth -= 1;
                if nth == 0 {
                    return Some(next);
                }
            }
        }
        None
    }

    /// Drops the entries that do not stay.
    fn retain(&mut self, stays: Wanted<'_>) {
        let mut kept = 0;
        for at in 0..self.members.len() {
            if let Some((member, liveness)) = self.entry(at)
                && stays(&member)
            {
                self.put(kept, member, liveness);
                kept += 1;
            }
        }
        self.members.truncate(kept);
        self.liveness.truncate(kept);
    }

    /// Puts those in `received` that stay where they belong, which makes `size` entries: from the
    /// greatest down, so that no entry moves twice. Returns the greatest that was new.
    fn insert(&mut self, received: &[Member], size: usize, stays: Wanted<'_>) -> Option<Pid> {
        let mut from = self.members.len();
        let mut to = size;
        for _ in from..size {
            // Cannot fail, as `merge` has made room.
            let _ = self.members.push(self.me);
            let _ = self.liveness.push(Liveness::Unasked);
        }
        let mut greatest_added = None;
        // The entries between `from` and `to` are the room that is still to be filled.
        for next in received
            .iter()
            .rev()
            .copied()
            .filter(|member| stays(member))
        {
            while let Some((known, liveness)) = from.checked_sub(1).and_then(|at| self.entry(at))
                && known >= next
            {
                from -= 1;
                to -= 1;
                self.put(to, known, liveness);
            }
            if self.members.get(to) != Some(&next) {
                to -= 1;
                self.put(to, next, Liveness::Unasked);
                greatest_added.get_or_insert(next.pid);
            }
        }
        greatest_added
    }

    // `#[inline(never)]`, and what is copied cannot overlap: no `memmove`, which would be 1.6 KB.
    #[inline(never)]
    fn put(&mut self, at: usize, member: Member, liveness: Liveness) {
        if let (Some(to), Some(mark)) = (self.members.get_mut(at), self.liveness.get_mut(at)) {
            *to = member;
            *mark = liveness;
        }
    }
}

/// A choice of members; not generic, so that what uses it exists once.
type Wanted<'a> = &'a dyn Fn(&Member) -> bool;

/// How many of `members`, ascending, are below `bound`.
fn count_below(members: &[Member], bound: Member) -> usize {
    members.partition_point(|member| *member < bound)
}

/// How many of `members`, ascending, are at most `bound`.
fn count_up_to(members: &[Member], bound: Member) -> usize {
    let below = count_below(members, bound);
    below + usize::from(members.get(below) == Some(&bound))
}

/// The entry of `pid` in `members`, ascending, at its greatest address.
fn greatest_of(members: &[Member], pid: Pid) -> Option<Member> {
    let at = count_up_to(members, pid.last()).checked_sub(1)?;
    members.get(at).copied().filter(|found| found.pid == pid)
}

/// Whether `received` is me or may stand in the table beside me: my pid at another address is my own
/// past, and my address under another pid is somebody whose port I have now.
pub(crate) fn admits(me: &Member, received: &Member) -> bool {
    let same_addr = received.addr == me.addr;
    if received.pid == me.pid {
        same_addr
    } else {
        !same_addr
    }
}

#[cfg(test)]
mod tests {
    use heapless::Vec;

    use super::*;
    use crate::roster::Addr;

    fn member(days: u32, addr: u64) -> Member {
        Member {
            pid: Pid { days, id: days },
            addr: Addr(addr),
        }
    }

    struct Storage<const N: usize> {
        members: Vec<Member, N>,
        liveness: Vec<Liveness, N>,
        revision: u32,
        me: Member,
        leader: Option<Pid>,
    }

    impl<const N: usize> Storage<N> {
        fn of(me: Member) -> Self {
            let mut storage = Self {
                members: Vec::new(),
                liveness: Vec::new(),
                revision: 0,
                me,
                leader: None,
            };
            storage.members.push(me).unwrap();
            storage.liveness.push(Liveness::Unasked).unwrap();
            storage
        }

        fn table(&mut self) -> Table<'_> {
            Table {
                me: self.me,
                members: &mut self.members,
                liveness: &mut self.liveness,
                revision: &mut self.revision,
            }
        }

        fn hear(&mut self, members: &[Member]) -> Merged {
            let keep = [self.leader.unwrap_or(self.me.pid); 3];
            self.table().merge(Roster::new(members).unwrap(), &keep)
        }
    }

    #[test]
    fn a_merge_is_a_sorted_union() {
        let mut storage = Storage::<8>::of(member(5, 5));
        let merged = storage.hear(&[member(1, 1), member(9, 9)]);
        assert_eq!(merged.greatest_added, Some(member(9, 9).pid));
        storage.table().mark(member(9, 9).pid, Liveness::Gone);
        let revision = storage.revision;
        let merged = storage.hear(&[member(1, 1), member(5, 5), member(7, 7), member(9, 9)]);
        assert_eq!(merged.greatest_added, Some(member(7, 7).pid));
        assert_eq!(
            storage.members,
            [member(1, 1), member(5, 5), member(7, 7), member(9, 9)]
        );
        // What was known of a member moved along with it.
        assert_eq!(storage.table().liveness(member(9, 9).pid), Liveness::Gone);
        assert_eq!(
            storage.table().liveness(member(7, 7).pid),
            Liveness::Unasked
        );
        assert_ne!(storage.revision, revision);
        let revision = storage.revision;
        assert_eq!(
            storage.hear(&[member(1, 1), member(9, 9)]),
            Merged::default()
        );
        assert_eq!(storage.revision, revision, "nothing new, nothing changed");
    }

    #[test]
    fn my_past_and_my_port_s_past_stay_out() {
        let mut storage = Storage::<8>::of(member(5, 5));
        let merged = storage.hear(&[member(4, 5), member(5, 4), member(5, 6), member(6, 5)]);
        assert_eq!(merged, Merged::default());
        assert_eq!(storage.members, [member(5, 5)]);
    }

    #[test]
    fn a_full_table_keeps_me_the_leader_and_the_greatest() {
        let mut storage = Storage::<4>::of(member(1, 1));
        storage.hear(&[member(2, 2), member(3, 3), member(4, 4)]);
        storage.leader = Some(member(2, 2).pid);
        let merged = storage.hear(&[member(0, 9), member(5, 5), member(6, 6)]);
        assert_eq!(merged.left_out, 3);
        assert_eq!(merged.greatest_added, Some(member(6, 6).pid));
        assert_eq!(
            storage.members,
            [member(1, 1), member(2, 2), member(5, 5), member(6, 6)]
        );
    }

    #[test]
    fn a_stale_address_is_forgotten_only_if_another_is_known() {
        let mut storage = Storage::<8>::of(member(5, 5));
        storage.hear(&[member(7, 1), member(7, 3), member(8, 8)]);
        let mut table = storage.table();
        assert_eq!(table.find(member(7, 0).pid), Some(member(7, 3)));
        assert_eq!(table.forget_address(member(7, 3)), Some(member(7, 1)));
        assert_eq!(table.forget_address(member(7, 1)), None);
        assert_eq!(table.find(member(7, 0).pid), Some(member(7, 1)));
        assert_eq!(storage.members.len(), 3);
    }
}
