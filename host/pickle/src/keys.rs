//! The keys of a dict of members: each once, with what it was set to last.

use bully::Member;

#[cfg(feature = "alloc")]
use crate::names::{host_key, port};
use crate::table::Table;

/// What the keys of a dict of members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// `{(host, port): (days, id)}`, as the assignment says.
    Address,
    /// `{(days, id): (host, port)}`, as the published coordinator and most nodes do.
    Pid,
}

/// Removes from members in the order in which they came what was set again later, and then what is not
/// usable, if not `all` are: an unusable value replaces a usable one that its key had before.
#[cfg(feature = "alloc")]
pub(crate) fn keep_last(
    members: &mut impl Table<Member>,
    keyed: Option<Keyed>,
    all: bool,
    is_usable: impl Fn(&Member) -> bool,
) {
    let items = members.as_mut_slice();
    reverse_descending(items);
    let kept = match keyed {
        Some(Keyed::Address) if are_distinct_ports(items) => items.len(),
        Some(Keyed::Address) => keep_last_of(items, |member| member.addr),
        _ => keep_last_of(items, |member| member.pid),
    };
    members.truncate(kept);
    if !all {
        retain(members, |member, _| is_usable(member));
    }
}

/// As with a heap, in a quarter of the flash: each is compared with all that follow, for a list that is
/// as short as a fixed reader's.
#[cfg(not(feature = "alloc"))]
pub(crate) fn keep_last(
    members: &mut impl Table<Member>,
    keyed: Option<Keyed>,
    _all: bool,
    is_usable: impl Fn(&Member) -> bool,
) {
    let key = |member: &Member| match keyed {
        Some(Keyed::Address) => member.addr.0,
        _ => u64::from(member.pid.days) << 32 | u64::from(member.pid.id),
    };
    retain(members, |member, later| {
        is_usable(member) && !later.iter().any(|other| key(other) == key(member))
    });
    reverse_descending(members.as_mut_slice());
}

/// COORDINATOR comes greatest first; ascending lists are sorted in one pass.
fn reverse_descending(mut items: &mut [Member]) {
    if items.is_sorted_by(|a, b| a > b) {
        // As far as the compiler sees on a chip, the standard library's `reverse` can panic.
        while let [first, between @ .., last] = items {
            core::mem::swap(first, last);
            items = between;
        }
    }
}

/// Moves the members that `keep` to the front, and removes the others; it is shown what follows, too.
fn retain(members: &mut impl Table<Member>, keep: impl Fn(&Member, &[Member]) -> bool) {
    let mut kept = 0;
    let items = members.as_mut_slice();
    for at in 0..items.len() {
        let Some([member, later @ ..]) = items.get(at..) else {
            break;
        };
        if keep(member, later) {
            // Of one and the same there are no two.
            if let Ok([place, member]) = items.get_disjoint_mut([kept, at]) {
                core::mem::swap(place, member);
            }
            kept += 1;
        }
    }
    members.truncate(kept);
}

#[cfg(feature = "alloc")]
fn keep_last_of<K: Ord>(members: &mut [Member], key: impl Fn(&Member) -> K) -> usize {
    if members.is_sorted_by(|a, b| key(a) < key(b)) {
        return members.len();
    }
    members.sort_by_key(&key);
    // Of those that are equal now, the last comes last.
    let mut kept: usize = 0;
    for at in 0..members.len() {
        let Some(member) = members.get(at).copied() else {
            break;
        };
        let last = kept.checked_sub(1).and_then(|last| members.get(last));
        if last.is_none_or(|last| key(last) != key(&member)) {
            kept += 1;
        }
        if let Some(place) = kept.checked_sub(1).and_then(|at| members.get_mut(at)) {
            *place = member;
        }
    }
    kept
}

/// Returns `true` if all are on one host, each at a port of its own: then no key was set twice, and the
/// members stay in the order in which they came, which is the table's more often than not.
#[cfg(feature = "alloc")]
fn are_distinct_ports(members: &[Member]) -> bool {
    let Some(first) = members.first() else {
        return true;
    };
    let mut seen = [0_u64; 1 << 10];
    members.iter().all(|member| {
        let port = port(member.addr);
        let bit = 1 << (port % 64);
        let Some(word) = seen.get_mut(usize::from(port / 64)) else {
            return false;
        };
        let is_new = *word & bit == 0 && host_key(member.addr) == host_key(first.addr);
        *word |= bit;
        is_new
    })
}
