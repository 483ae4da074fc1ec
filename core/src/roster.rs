//! Who the members are: identities, addresses, and the one bounded table of both.

use heapless::VecView;

/// A process id: the lab's pair (days to the next birthday, SU ID).
///
/// The derived order is the lab's: fewer days is less, the same days are decided by the id, and
/// the greatest process leads. Any two numbers are a valid `Pid` here; the lab's ranges are
/// checked where people join, by the [`Directory`](crate::Directory).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    /// Calendar days to the next birthday.
    pub days: u32,
    /// The SU ID.
    pub id: u32,
}

/// Where a process listens, as its [`Net`](crate::Net) understands it.
///
/// The core only compares and copies it: a host packs an IPv4 address and a port, a bus uses a
/// node number. Equal numbers must mean the same listener for as long as a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub u64);

/// A process and one place where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Who.
    pub pid: Pid,
    /// Where.
    pub addr: Addr,
}

/// A list of members, strictly ascending by ([`Pid`], [`Addr`]): what messages carry.
///
/// A process may stand in it at several addresses, when it has moved or is spelled in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roster<'a> {
    members: &'a [Member],
    revision: u32,
}

impl<'a> Roster<'a> {
    /// A list of nobody.
    pub const EMPTY: Roster<'static> = Roster {
        members: &[],
        revision: 0,
    };

    /// `members` as a list, or `None` if they are not strictly ascending.
    pub fn new(members: &'a [Member], revision: u32) -> Option<Self> {
        members
            .is_sorted_by(|a, b| a < b)
            .then_some(Self { members, revision })
    }

    /// Sorts `members`, moves repetitions out of the way, and lends what is left as a list.
    ///
    /// Costs nothing but one pass if they are ascending already.
    pub fn sorted(members: &'a mut [Member], revision: u32) -> Self {
        let mut kept = members.len();
        if !members.is_sorted_by(|a, b| a < b) {
            members.sort_unstable();
            let mut last = None;
            kept = 0;
            for at in 0..members.len() {
                let member = members[at];
                if last != Some(member) {
                    members[kept] = member;
                    kept += 1;
                    last = Some(member);
                }
            }
        }
        Self {
            members: members.get(..kept).unwrap_or(&[]),
            revision,
        }
    }

    /// The members, strictly ascending.
    pub const fn members(&self) -> &'a [Member] {
        self.members
    }

    /// Changes whenever the table this list was taken from changes: two lists of one node with
    /// equal revision and length are equal, so an encoding may be kept and shared.
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The greatest process in the list.
    pub fn greatest(&self) -> Option<Pid> {
        self.members.last().map(|member| member.pid)
    }
}

/// What is known of a member from the last time it was asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not asked since it was heard of, or since the present election began.
    #[default]
    Unasked,
    /// Asked; the answer is still out.
    Asked,
    /// It answered.
    Alive,
    /// It refused the connection or kept silent for too long.
    Dead,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The greatest member that was not in the table before and is now.
    pub(crate) greatest_added: Option<Member>,
    /// Entries, of the table or of the list, for which there was no room.
    pub(crate) left_out: u32,
}

/// The table's storage apart from its capacity: lent by `Node`, so that this code exists once.
///
/// Invariants: `members` is strictly ascending; `standing` runs parallel to it; `me` is in it, and
/// no other entry has my pid or my address.
pub(crate) struct Table<'a> {
    pub(crate) me: Member,
    /// Whom the table must keep besides me, however small.
    pub(crate) leader: Option<Pid>,
    pub(crate) members: &'a mut VecView<Member>,
    pub(crate) standing: &'a mut VecView<Standing>,
    pub(crate) revision: &'a mut u32,
}

impl Table<'_> {
    /// Everyone.
    pub(crate) fn all(&self) -> Roster<'_> {
        Roster {
            members: self.members,
            revision: *self.revision,
        }
    }

    /// Everyone up to me: what I announce when I lead.
    pub(crate) fn up_to_me(&self) -> Roster<'_> {
        let end = self.members.partition_point(|member| *member <= self.me);
        Roster {
            members: self.members.get(..end).unwrap_or(&[]),
            revision: *self.revision,
        }
    }

    /// The newest-looking address of the greatest process that comes before `cursor`.
    pub(crate) fn before(&self, cursor: Member) -> Option<(Member, Standing)> {
        let at = self
            .members
            .partition_point(|member| *member < cursor)
            .checked_sub(1)?;
        Some((*self.members.get(at)?, *self.standing.get(at)?))
    }

    /// The address at which `pid` is tried first.
    pub(crate) fn find(&self, pid: Pid) -> Option<Member> {
        let after = Member {
            pid,
            addr: Addr(u64::MAX),
        };
        let at = self
            .members
            .partition_point(|member| *member <= after)
            .checked_sub(1)?;
        self.members
            .get(at)
            .copied()
            .filter(|found| found.pid == pid)
    }

    /// What is known of `pid`; a stranger is [`Standing::Unasked`].
    pub(crate) fn standing(&self, pid: Pid) -> Standing {
        let at = self.members.partition_point(|member| member.pid < pid);
        match (self.members.get(at), self.standing.get(at)) {
            (Some(found), Some(standing)) if found.pid == pid => *standing,
            _ => Standing::Unasked,
        }
    }

    /// Notes what is now known of `pid`, at all its addresses.
    pub(crate) fn mark(&mut self, pid: Pid, standing: Standing) {
        let from = self.members.partition_point(|member| member.pid < pid);
        let to = self.members.partition_point(|member| member.pid <= pid);
        for entry in self.standing.get_mut(from..to).unwrap_or(&mut []) {
            *entry = standing;
        }
    }

    /// Forgets what is known of everyone greater than me: an election asks anew.
    pub(crate) fn ask_anew(&mut self) {
        let from = self
            .members
            .partition_point(|member| member.pid <= self.me.pid);
        for entry in self.standing.get_mut(from..).unwrap_or(&mut []) {
            *entry = Standing::Unasked;
        }
    }

    /// Whether anyone greater than me is known.
    #[cfg(test)]
    pub(crate) fn anyone_greater(&self) -> bool {
        self.members
            .last()
            .is_some_and(|member| member.pid > self.me.pid)
    }

    /// `stale` refused a connection: forgets this address if its process is known at another one,
    /// and returns that one.
    pub(crate) fn forget_address(&mut self, stale: Member) -> Option<Member> {
        let at = self.members.partition_point(|member| *member < stale);
        if self.members.get(at) != Some(&stale) {
            return self.find(stale.pid);
        }
        let same = |found: &&Member| found.pid == stale.pid;
        let below = at.checked_sub(1).and_then(|below| self.members.get(below));
        let above = self.members.get(at + 1);
        let other = *below.filter(same).or(above.filter(same))?;
        self.members.remove(at);
        self.standing.remove(at);
        self.bump();
        Some(other)
    }

    /// Takes in everyone in `heard`; the one way into the table.
    ///
    /// When there is no room for all, the greatest stay, and me and the leader whatever we are. So
    /// the outcome depends on who was heard of and never on the order: merging is commutative,
    /// associative and idempotent. Linear in table and list; nothing is written if nothing is new.
    pub(crate) fn merge(&mut self, heard: Roster<'_>) -> Merged {
        let me = self.me;
        let fresh = self.count_fresh(heard.members, |member| admits(me, member));
        let excess = (self.members.len() + fresh).saturating_sub(self.members.capacity());
        if fresh == 0 {
            return Merged::default();
        }
        let pinned = self.pinned(heard.members);
        let floor = excess
            .checked_sub(1)
            .and_then(|nth| self.unpinned_from_below(heard.members, pinned).nth(nth));
        let stays = |member: &Member| {
            floor.is_none_or(|floor| *member > floor) || *member == me || Some(*member) == pinned
        };
        let dropped = self.retain(stays);
        let greatest_added =
            self.insert(heard.members, |member| admits(me, member) && stays(member));
        if dropped || greatest_added.is_some() {
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

    /// How many of those in `heard` that are `wanted` are not in the table.
    fn count_fresh(&self, heard: &[Member], wanted: impl Fn(&Member) -> bool) -> usize {
        let mut known = self.members.iter().peekable();
        heard
            .iter()
            .filter(|member| {
                while known.next_if(|known| *known < *member).is_some() {}
                known.peek() != Some(member) && wanted(member)
            })
            .count()
    }

    /// The leader's entry that must stay: its greatest address, known or just heard.
    fn pinned(&self, heard: &[Member]) -> Option<Member> {
        let leader = self.leader?;
        let end = heard.partition_point(|member| member.pid <= leader);
        let told = end.checked_sub(1).and_then(|at| heard.get(at)).copied();
        told.filter(|member| member.pid == leader && admits(self.me, member))
            .max(self.find(leader))
    }

    /// Table and list together, ascending, without those that must stay.
    fn unpinned_from_below(
        &self,
        heard: &[Member],
        pinned: Option<Member>,
    ) -> impl Iterator<Item = Member> {
        let me = self.me;
        let mut known = self.members.iter().copied().peekable();
        let mut told = heard
            .iter()
            .copied()
            .filter(move |member| admits(me, member))
            .peekable();
        core::iter::from_fn(move || match (known.peek(), told.peek()) {
            (Some(a), Some(b)) if a == b => {
                told.next();
                known.next()
            }
            (Some(a), Some(b)) if b < a => told.next(),
            (None, _) => told.next(),
            _ => known.next(),
        })
        .filter(move |member| *member != me && Some(*member) != pinned)
    }

    /// Drops the entries that do not stay; whether there were any.
    fn retain(&mut self, stays: impl Fn(&Member) -> bool) -> bool {
        let mut kept = 0;
        for at in 0..self.members.len() {
            let (Some(&member), Some(&standing)) = (self.members.get(at), self.standing.get(at))
            else {
                break;
            };
            if stays(&member) {
                self.put(kept, member, standing);
                kept += 1;
            }
        }
        let dropped = kept < self.members.len();
        self.members.truncate(kept);
        self.standing.truncate(kept);
        dropped
    }

    /// Puts those in `heard` that are `wanted` where they belong, from the greatest down so that
    /// no entry moves twice. Returns the greatest that was new.
    fn insert(&mut self, heard: &[Member], wanted: impl Fn(&Member) -> bool) -> Option<Member> {
        let mut from = self.members.len();
        let mut to = from + self.count_fresh(heard, &wanted);
        if self.members.resize(to, self.me).is_err()
            || self.standing.resize(to, Standing::Unasked).is_err()
        {
            // Unreachable while `merge` chooses its floor; a table in order is worth more than news.
            self.members.truncate(from);
            self.standing.truncate(from);
            return None;
        }
        let mut greatest_added = None;
        let mut told = heard.iter().rev().copied().filter(wanted).peekable();
        // The entries between `from` and `to` are the room that is still to be filled.
        while from < to {
            let Some(&next) = told.peek() else { break };
            let below = from.checked_sub(1);
            match below.and_then(|at| Some((*self.members.get(at)?, *self.standing.get(at)?))) {
                Some((known, standing)) if known >= next => {
                    from -= 1;
                    to -= 1;
                    self.put(to, known, standing);
                    if known == next {
                        told.next();
                    }
                }
                _ => {
                    to -= 1;
                    self.put(to, next, Standing::Unasked);
                    greatest_added = greatest_added.or(Some(next));
                    told.next();
                }
            }
        }
        greatest_added
    }

    fn put(&mut self, at: usize, member: Member, standing: Standing) {
        if let (Some(to), Some(mark)) = (self.members.get_mut(at), self.standing.get_mut(at)) {
            *to = member;
            *mark = standing;
        }
    }
}

/// Whether `heard` may stand in the table beside me: my pid at another address is my own past, and
/// my address under another pid is somebody whose port I have now. I never write to myself.
fn admits(me: Member, heard: &Member) -> bool {
    heard.pid != me.pid && heard.addr != me.addr
}
