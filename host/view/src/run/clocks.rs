//! How the clocks of several logs are brought together.
//!
//! A message from one log to another says that the receiver's clock, shifted, is not behind the
//! sender's. The shifts that keep all such rules and change as little as possible, none of them
//! forward, are the shortest paths of the rules as a graph.

use std::collections::BTreeMap;

use super::ends::Ends;

/// What is added to the times of each log.
pub(super) struct Shifts {
    /// In microseconds, never more than 0.
    pub(super) shift: Vec<i64>,
    /// With them no message arrives before it left.
    pub(super) is_consistent: bool,
}

pub(super) fn shifts(count: usize, ends: &Ends<'_>) -> Shifts {
    let mut least = BTreeMap::new();
    for (from, to, later) in ends.delays() {
        let least = least.entry((from, to)).or_insert(later);
        *least = later.min(*least);
    }
    relax(count, &least)
}

/// Shortest paths of Bellman and Ford, from a start that is at distance 0 from all.
fn relax(count: usize, least: &BTreeMap<(usize, usize), i64>) -> Shifts {
    let mut shift = vec![0_i64; count];
    let mut is_consistent = false;
    for _ in 0..=count {
        let mut changed = false;
        for ((from, to), later) in least {
            let bound = shift.get(*to).map(|to| to.saturating_add(*later));
            if let (Some(bound), Some(from)) = (bound, shift.get_mut(*from))
                && bound < *from
            {
                *from = bound;
                changed = true;
            }
        }
        if !changed {
            is_consistent = true;
            break;
        }
    }
    Shifts {
        shift,
        is_consistent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(count: usize, rules: &[(usize, usize, i64)]) -> (Vec<i64>, bool) {
        let least = rules.iter().map(|(from, to, later)| ((*from, *to), *later));
        let Shifts {
            shift,
            is_consistent,
        } = relax(count, &least.collect());
        (shift, is_consistent)
    }

    #[test]
    fn clocks_that_agree_are_left_alone() {
        assert_eq!(
            shifted(3, &[(0, 1, 4), (1, 0, 9), (1, 2, 0)]),
            (vec![0, 0, 0], true)
        );
    }

    #[test]
    fn a_clock_that_is_ahead_moves_back_and_no_further_than_it_must() {
        assert_eq!(
            shifted(2, &[(0, 1, 3_604), (1, 0, -3_590)]),
            (vec![0, -3_590], true)
        );
    }

    #[test]
    fn a_shift_takes_others_with_it() {
        // 1 is 100 ahead of 0, and 2 is with 1.
        assert_eq!(
            shifted(3, &[(1, 0, -100), (2, 1, 2), (1, 2, 2)]),
            (vec![0, -100, -98], true)
        );
    }

    #[test]
    fn what_no_shift_mends_is_told() {
        assert!(!shifted(2, &[(0, 1, -3), (1, 0, -3)]).1);
    }
}
