//! What a board's timer cannot count itself: how often it began anew.

use core::cell::Cell;

use cortex_m::interrupt::{CriticalSection, Mutex};

/// How often the board ticks: the longest sleep.
pub(crate) const TICKS_PER_SECOND: u32 = 1_000;

/// In a critical section, since neither core reads 64 bits at once.
static PERIODS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// The timer began anew. For its interrupt.
pub(crate) fn count(cs: &CriticalSection) {
    let periods = PERIODS.borrow(cs);
    periods.set(periods.get() + 1);
}

/// How often the timer has started over since the start.
pub(crate) fn periods(cs: &CriticalSection) -> u64 {
    PERIODS.borrow(cs).get()
}
