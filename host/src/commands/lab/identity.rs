//! Who the members of a lab are.

use bully::Pid;

use super::super::birthday::DAYS_MAX;

/// The SU ID of the first member by default.
pub(super) const ID_FIRST: u32 = 1_000_001;

/// The greatest SU ID there is.
pub(super) const ID_MAX: u32 = 9_999_999;

/// The process id of the member with this SU ID: the days are spread over the year, so that the
/// greatest is none that a reader would guess from the order.
pub(super) fn identity(id: u32) -> Pid {
    Pid {
        // 97 has no factor in common with 365, so a year passes before days repeat.
        days: 1 + 97 * (id - 1_000_000) % DAYS_MAX,
        id,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identities_are_distinct_and_in_the_labs_ranges() {
        for first in [1_000_000, ID_FIRST, 5_000_000, ID_MAX - 999] {
            let mut pids: Vec<_> = (first..first + 1_000).map(identity).collect();
            for pid in &pids {
                assert!((1..=365).contains(&pid.days), "{pid:?}");
                assert!((1_000_000..=ID_MAX).contains(&pid.id), "{pid:?}");
            }
            let days = pids.iter().take(365).map(|pid| pid.days);
            assert_eq!(days.collect::<BTreeSet<_>>().len(), 365);
            pids.sort();
            pids.dedup();
            assert_eq!(pids.len(), 1_000);
        }
    }
}
