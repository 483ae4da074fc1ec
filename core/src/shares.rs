//! Who stays of those for whom there are too few entries.
//!
//! A table that is too small for the group is a neighbourhood: the nearest lesser and greater members
//! form a ring that leaves nobody out, a few of the greatest are those that may lead, and the rest is
//! a random sample, over which news spreads in a number of steps that grows with the logarithm of
//! the group.

use crate::roster::{Member, Pid};
use crate::sort::sort_once;

/// How many of the nearest lesser, the nearest greater and the greatest members a table of `capacity`
/// keeps in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) lesser: usize,
    pub(crate) greater: usize,
    pub(crate) greatest: usize,
}

impl Shares {
    /// Simulated from 4 to 4,096 entries and 5 to 10,000 members: with fewer near ones a tenth of the
    /// members crashing at once cuts the ring, with more the sample is too small for the news to
    /// spread.
    pub(crate) const fn of(capacity: usize) -> Self {
        let (lesser, greater, greatest) = match capacity {
            ..=4 => (1, 1, 0),
            5..=8 => (1, 2, 1),
            9..=26 => (capacity / 4, capacity / 4, 1),
            27..=63 => (6, 6, capacity / 8),
            _ => (6, 6, 8),
        };
        Self {
            lesser,
            greater,
            greatest,
        }
    }
}

/// A number that is as good as drawn by lot for each pair: the sample of each member is another one.
pub(crate) const fn mix(me: Pid, other: Pid) -> u64 {
    // The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
    let mut mixed = other.key() ^ me.key().rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Thins the coordinator's list to the `max` members that a node with entries for so many keeps of
/// it: for whoever hands lists on to a node that cannot take them whole, as a gateway does to a chip.
///
/// `members` are ascending, and `me` is the node's own process. Moves those that stay to the front,
/// ascending, and returns how many they are; the order of the others is lost. They are `me` if it is
/// listed, its nearest lesser and greater members, the greatest, and of the rest those that the node's
/// own policy would draw for its sample. Cutting a list down to the greatest instead would leave the
/// node without neighbours, and the ring of the group with a gap.
pub fn thin(me: Pid, members: &mut [Member], max: usize) -> usize {
    let len = members.len();
    if len <= max {
        return len;
    }
    let shares = Shares::of(max);
    // Too few for both neighbours and me: the greater one matters more, which may lead.
    let (lesser, greater) = match max {
        ..=1 => (0, 0),
        2 => (0, 1),
        _ => (shares.lesser, shares.greater),
    };
    let least = members.partition_point(|member| member.pid < me);
    let above = members.partition_point(|member| member.pid <= me);
    let near = least.saturating_sub(lesser)..len.min(above + greater);
    let greatest = near.end.max(len - shares.greatest)..len;
    if let Some(front) = members.get_mut(..near.end) {
        front.rotate_left(near.start);
    }
    if let Some(behind) = members.get_mut(near.len()..) {
        behind.rotate_right(greatest.len());
    }
    let stay = near.len() + greatest.len();
    if let Some(drawn) = max.checked_sub(stay + 1)
        && let Some(others) = members.get_mut(stay..)
    {
        others.select_nth_unstable_by_key(drawn, |other| mix(me, other.pid));
    }
    members.get_mut(..max).map_or(0, sort_once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::roster::Addr;

    fn member(days: usize) -> Member {
        Member {
            pid: Pid {
                days: days as u32,
                id: 1,
            },
            addr: Addr(days as u64),
        }
    }

    /// What of everybody stays, by sorting instead of rotating.
    fn wanted(me: Pid, all: &[Member], max: usize) -> std::vec::Vec<Member> {
        let shares = Shares::of(max);
        let mut order: std::vec::Vec<Member> =
            all.iter().copied().filter(|m| m.pid == me).collect();
        let greater = all.iter().copied().filter(|other| other.pid > me);
        let lesser = all.iter().rev().copied().filter(|other| other.pid < me);
        order.extend(greater.clone().take(shares.greater));
        order.extend(lesser.take(shares.lesser));
        order.extend(greater.rev().take(shares.greatest));
        let mut others = all.to_vec();
        others.sort_by_key(|other| mix(me, other.pid));
        order.extend(others);
        let mut kept: std::vec::Vec<Member> = Default::default();
        for member in order {
            if kept.len() < max && !kept.contains(&member) {
                kept.push(member);
            }
        }
        kept.sort_unstable();
        kept
    }

    #[test]
    fn a_list_is_thinned_to_the_neighbourhood() {
        let mut rng = Rng::new(1);
        for max in [3, 4, 5, 8, 16, 32, 64, 100] {
            for len in [0, 1, 3, 17, 40, 99, 100, 101, 1_000] {
                for _ in 0..20 {
                    let mut all: std::vec::Vec<Member> =
                        (0..len).map(|_| member(rng.below(5_000))).collect();
                    all.sort_unstable();
                    all.dedup();
                    // Listed or not.
                    let me = match all.get(rng.below(2 * len + 1)) {
                        Some(listed) => listed.pid,
                        None => member(rng.below(5_000)).pid,
                    };
                    let expected = wanted(me, &all, max);
                    let mut thinned = all.clone();
                    let kept = thin(me, &mut thinned, max);
                    assert_eq!(thinned[..kept], expected[..], "{me:?}, {max} of {all:?}");
                }
            }
        }
    }

    #[test]
    fn a_list_for_one_or_two_has_the_member_itself() {
        for max in 0..3 {
            let mut all: std::vec::Vec<Member> = (1..50).map(member).collect();
            let me = all[20];
            let kept = thin(me.pid, &mut all, max);
            assert_eq!(kept, max);
            assert!(max == 0 || all[..kept].contains(&me));
        }
    }
}
