//! Who the members are: identities, addresses, and lists of both.

use core::cmp::Ordering;

use crate::sort::sort_once;

/// A process id: the lab's pair (days to the next birthday, SU ID).
///
/// The order is the lab's: fewer days is less, the same days are decided by the id, and the greatest
/// process leads. Any two numbers are a valid `Pid` here; the lab's ranges are checked where people
/// join, by the [`Directory`](crate::Directory).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Pid {
    /// Calendar days to the next birthday.
    pub days: u32,
    /// The SU ID.
    pub id: u32,
}

impl Pid {
    /// Both numbers as one of the same order, which a chip compares in half the code.
    pub(crate) const fn key(self) -> u64 {
        (self.days as u64) << 32 | self.id as u64
    }

    /// Below every address of this process but the least, which it may be.
    pub(crate) const fn first(self) -> Member {
        Member {
            pid: self,
            addr: Addr(0),
        }
    }

    /// Above every address of this process but the greatest, which it may be.
    pub(crate) const fn last(self) -> Member {
        Member {
            pid: self,
            addr: Addr(u64::MAX),
        }
    }
}

/// Where a process listens, as its [`Net`](crate::Net) understands it.
///
/// The core only compares and copies it: a host packs an IPv4 address and a port, a bus uses a
/// node number. Equal numbers must mean the same listener for as long as a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Addr(pub u64);

/// A process and one place where it listens, in the order of processes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Member {
    /// Who.
    pub pid: Pid,
    /// Where.
    pub addr: Addr,
}

impl Ord for Pid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Member {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pid.cmp(&other.pid).then(self.addr.cmp(&other.addr))
    }
}

impl PartialOrd for Member {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Which program of our own kind sent a list.
///
/// Programs of the lab do not name the sender, and nothing depends on it: it makes an answer go to the
/// member that asked, and lets a member learn early that its group is larger than some tables. Like
/// all that comes from the network it may be false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Origin {
    /// The sender.
    pub pid: Pid,
    /// `true` if the sender knows the group to be larger than a member's table.
    pub large: bool,
    /// `true` if the sender leads: whoever probes one that does not is mistaken.
    pub leads: bool,
}

/// A list of members, strictly ascending by ([`Pid`], [`Addr`]): what messages carry.
///
/// A process may stand in it at several addresses, when it has moved or is spelled in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Roster<'a> {
    members: &'a [Member],
    revision: Option<u32>,
    origin: Option<Origin>,
}

impl<'a> Roster<'a> {
    /// A list of nobody.
    pub const EMPTY: Roster<'static> = Roster {
        members: &[],
        revision: None,
        origin: None,
    };

    /// `members` as a list, or `None` if they are not strictly ascending.
    pub fn new(members: &'a [Member]) -> Option<Self> {
        members.is_sorted_by(|a, b| a < b).then_some(Self {
            members,
            ..Self::EMPTY
        })
    }

    /// Sorts `members`, moves repetitions to the end, and lends the others as a list.
    ///
    /// Costs one pass if they are ascending already.
    pub fn sorted(members: &'a mut [Member]) -> Self {
        let mut kept = members.len();
        if !members.is_sorted_by(|a, b| a < b) {
            kept = sort_once(members);
        }
        Self {
            members: members.get(..kept).unwrap_or(&[]),
            ..Self::EMPTY
        }
    }

    /// A table, which is strictly ascending at all times, as a list.
    pub(crate) const fn of_table(members: &'a [Member], revision: u32) -> Self {
        Self {
            members,
            revision: Some(revision),
            origin: None,
        }
    }

    /// A list of one member.
    #[cfg(feature = "record")]
    pub(crate) const fn of_one(member: &'a Member) -> Self {
        Self {
            members: core::slice::from_ref(member),
            ..Self::EMPTY
        }
    }

    /// The same list as part of a table that is at `revision`.
    ///
    /// For whoever lends lists of a table of their own to a [`Net`](crate::Net): see
    /// [`revision`](Self::revision).
    #[must_use]
    pub const fn with_revision(self, revision: u32) -> Self {
        Self {
            revision: Some(revision),
            ..self
        }
    }

    /// The same list with who sent it.
    #[must_use]
    pub const fn with_origin(self, origin: Option<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// The members, strictly ascending.
    pub const fn members(&self) -> &'a [Member] {
        self.members
    }

    /// The state of the table this list was lent from, or `None` if it is not part of a table: a
    /// received list, or one composed for a single message.
    ///
    /// The number changes whenever the table does. Two lists of one table with the same revision
    /// and length have the same members, so their encoding may be kept and shared.
    pub const fn revision(&self) -> Option<u32> {
        self.revision
    }

    /// Who sent the list, if it was a program of our own kind and the wire could carry it.
    pub const fn origin(&self) -> Option<Origin> {
        self.origin
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

/// Above everyone: where a cursor over the table starts. As a peer it stands for one that is unknown.
pub(crate) const TOP: Member = Member {
    pid: Pid {
        days: u32::MAX,
        id: u32::MAX,
    },
    addr: Addr(u64::MAX),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn member(days: u32, addr: u64) -> Member {
        Member {
            pid: Pid { days, id: days },
            addr: Addr(addr),
        }
    }

    #[test]
    fn sorting_drops_repetitions_only() {
        let mut raw = [member(3, 1), member(1, 1), member(3, 1), member(3, 0)];
        let roster = Roster::sorted(&mut raw).with_revision(4);
        assert_eq!(roster.members(), [member(1, 1), member(3, 0), member(3, 1)]);
        assert_eq!(roster.revision(), Some(4));
        assert_eq!(roster.greatest(), Some(member(3, 0).pid));
        assert_eq!(Roster::new(&[member(2, 2), member(2, 2)]), None);
    }
}
