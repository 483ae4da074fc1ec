//! Sorting for lists in any order: the core's own, since the one in `core` can panic.

use heapless::VecView;

/// Sorts `list` and moves repetitions out of the way; how many are left.
///
/// Heap sort: no worse in any order, needs no second list, and is a few hundred bytes on a chip.
pub(crate) fn sort_once<T: Ord + Copy>(list: &mut [T]) -> usize {
    for root in (0..list.len() / 2).rev() {
        sink(list, root);
    }
    for end in (1..list.len()).rev() {
        swap(list, 0, end);
        if let Some(heap) = list.get_mut(..end) {
            sink(heap, 0);
        }
    }
    without_repetitions(list)
}

/// Puts `entry` where it belongs in an ascending list; `heapless` has an `insert` that can panic.
/// Returns `false`, and changes nothing, if the list is full.
pub(crate) fn insert<T: Ord>(list: &mut VecView<T>, entry: T) -> bool {
    if list.push(entry).is_err() {
        return false;
    }
    let mut at = list.len() - 1;
    while at > 0 && list.get(at) < list.get(at - 1) {
        swap(list, at, at - 1);
        at -= 1;
    }
    true
}

/// Lets the entry at `at` sink until neither entry below it is greater.
fn sink<T: Ord>(heap: &mut [T], mut at: usize) {
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        // Nothing is less than something, so a missing entry is never the greater one.
        let below = if heap.get(left) < heap.get(right) {
            right
        } else {
            left
        };
        if heap.get(below) <= heap.get(at) {
            return;
        }
        swap(heap, at, below);
        at = below;
    }
}

fn swap<T>(list: &mut [T], a: usize, b: usize) {
    if let Ok([a, b]) = list.get_disjoint_mut([a, b]) {
        core::mem::swap(a, b);
    }
}

fn without_repetitions<T: Ord + Copy>(sorted: &mut [T]) -> usize {
    let mut last = None;
    let mut kept = 0;
    for at in 0..sorted.len() {
        let next = sorted.get(at).copied();
        if next != last
            && let (Some(place), Some(next)) = (sorted.get_mut(kept), next)
        {
            *place = next;
            kept += 1;
        }
        last = next;
    }
    kept
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::cmp::Ordering;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    struct Counted<'a>(u32, &'a Cell<u32>);

    impl Ord for Counted<'_> {
        fn cmp(&self, other: &Self) -> Ordering {
            self.1.set(self.1.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Counted<'_> {}

    #[test]
    fn no_order_costs_more_than_n_log_n() {
        const N: u32 = 1_024;
        let orders: [fn(u32) -> u32; 5] = [
            |at| at,
            |at| N - 1 - at,
            |at| at * 389 % N, // an odd factor: each number once, scattered
            |at| (2 * at) % N + 2 * at / N, // two ascending halves, interleaved
            |at| if at % 2 == 0 { at / 2 } else { N - 1 - at / 2 },
        ];
        for order in orders {
            let count = Cell::new(0);
            let mut list: [_; N as usize] =
                core::array::from_fn(|at| Counted(order(at as u32), &count));
            assert_eq!(sort_once(&mut list), N as usize);
            assert!((0..N).eq(list.iter().map(|entry| entry.0)));
            // Two comparisons at each of the ten levels, and less than that again to build the heap.
            assert!(count.get() <= 2 * 10 * N + 4 * N, "{}", count.get());
        }
    }
}
