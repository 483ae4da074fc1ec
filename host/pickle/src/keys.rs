//! The keys of a dict of members: each once, with what it was set to last.

use bully::Member;

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

/// Removes what was set again later from members in the order in which they came.
pub(crate) fn keep_last(members: &mut impl Table<Member>, keyed: Option<Keyed>) {
    let items = members.as_mut_slice();
    // COORDINATOR comes greatest first; ascending lists are sorted in one pass.
    if items.is_sorted_by(|a, b| a > b) {
        items.reverse();
    }
    if keyed == Some(Keyed::Address) && are_distinct_ports(items) {
        return;
    }
    let kept = keep_last_by(items, keyed);
    members.truncate(kept);
}

#[cfg(feature = "alloc")]
fn keep_last_by(items: &mut [Member], keyed: Option<Keyed>) -> usize {
    match keyed {
        Some(Keyed::Address) => keep_last_of(items, |member| member.addr),
        _ => keep_last_of(items, |member| member.pid),
    }
}

/// As with a heap, in half the flash: both kinds of keys as one.
#[cfg(not(feature = "alloc"))]
fn keep_last_by(items: &mut [Member], keyed: Option<Keyed>) -> usize {
    keep_last_of(items, |member| match keyed {
        Some(Keyed::Address) => member.addr.0,
        _ => u64::from(member.pid.days) << 32 | u64::from(member.pid.id),
    })
}

/// Moves the members that `keep` to the front, and removes the others.
pub(crate) fn retain(members: &mut impl Table<Member>, keep: impl Fn(&Member) -> bool) {
    let mut kept = 0;
    let items = members.as_mut_slice();
    for at in 0..items.len() {
        let Some(&item) = items.get(at).filter(|item| keep(item)) else {
            continue;
        };
        if let Some(place) = items.get_mut(kept) {
            *place = item;
            kept += 1;
        }
    }
    members.truncate(kept);
}

fn keep_last_of<K: Ord>(members: &mut [Member], key: impl Fn(&Member) -> K) -> usize {
    if members.is_sorted_by(|a, b| key(a) < key(b)) {
        return members.len();
    }
    sort(members, &key);
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

/// Sorts by `key`, and leaves what is equal in its order.
#[cfg(feature = "alloc")]
fn sort<K: Ord>(members: &mut [Member], key: impl Fn(&Member) -> K) {
    members.sort_by_key(key);
}

/// As with a heap, in place: by insertion, for a list that is as short as a fixed reader's.
#[cfg(not(feature = "alloc"))]
fn sort<K: Ord>(members: &mut [Member], key: impl Fn(&Member) -> K) {
    for end in 1..members.len() {
        let mut at = end;
        while let Some([before, member]) = at
            .checked_sub(1)
            .and_then(|from| members.get_mut(from..=at))
        {
            if key(before) <= key(member) {
                break;
            }
            core::mem::swap(before, member);
            at -= 1;
        }
    }
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

/// As with a heap, without its 8 KiB on the stack: each against each.
#[cfg(not(feature = "alloc"))]
fn are_distinct_ports(members: &[Member]) -> bool {
    let mut rest = members;
    while let Some((first, others)) = rest.split_first() {
        let is_other = |member: &Member| {
            port(member.addr) != port(first.addr) && host_key(member.addr) == host_key(first.addr)
        };
        if !others.iter().all(is_other) {
            return false;
        }
        rest = others;
    }
    true
}
