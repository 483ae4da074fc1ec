//! What a piece of work takes from the heap, for programs whose allocator is [`Counting`].

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use crate::figure::Trouble;

/// The system's allocator, which counts what a thread takes from it during a
/// [measurement](measure).
///
/// It counts nothing otherwise, and leaves growing and zeroing to the system: so a program with it
/// takes as much memory and time as one without. Only a program can choose its allocator:
///
/// ```
/// #[global_allocator]
/// static HEAP: bully_bench::heap::Counting = bully_bench::heap::Counting;
///
/// let used = bully_bench::heap::measure(|| drop(vec![1_u8; 1_000]))?;
/// assert_eq!((used.allocations, used.peak, used.kept), (1, 1_000, 0));
/// # Ok::<(), bully_bench::Trouble>(())
/// ```
#[derive(Debug)]
pub struct Counting;

/// What a piece of work took from the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUse {
    /// How often something was allocated, or was made larger or smaller.
    pub allocations: u64,
    /// The most that was held at any time beyond what was held before, in bytes.
    pub peak: u64,
    /// What is held now beyond what was held before, in bytes.
    pub kept: i64,
}

thread_local! {
    static USED: Cell<Option<HeapUse>> = const { Cell::new(None) };
}

/// Returns `true` if the program's allocator is [`Counting`].
pub fn is_counted() -> bool {
    USED.set(Some(HeapUse::default()));
    // An allocation that must not be optimized away.
    drop(core::hint::black_box(Box::new(1_u8)));
    USED.take() != Some(HeapUse::default())
}

/// Does `work`, and returns what this thread took from the heap for it. Measurements do not nest: an
/// inner one ends the outer one's count.
///
/// # Errors
///
/// The program's allocator is not [`Counting`]; `work` has not been done.
pub fn measure(work: impl FnOnce()) -> Result<HeapUse, Trouble> {
    if !is_counted() {
        let why = "this program's allocator does not count: bully_bench::heap::Counting does";
        return Err(Trouble(why.to_owned()));
    }
    USED.set(Some(HeapUse::default()));
    work();
    Ok(USED.take().unwrap_or_default())
}

/// Counts a change by so many bytes.
fn count(allocations: u64, bytes: i64) {
    if let Some(used) = USED.get() {
        let kept = used.kept + bytes;
        USED.set(Some(HeapUse {
            allocations: used.allocations + allocations,
            peak: used.peak.max(u64::try_from(kept).unwrap_or(0)),
            kept,
        }));
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait: each call is the system's, with the same arguments"
)]
// SAFETY: whatever the caller promises is what `System` asks for, and what it returns is returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}
