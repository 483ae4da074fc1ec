//! The time since the start.

use core::cell::Cell;

use bully::Instant;
use cortex_m::interrupt::{Mutex, free};

/// How often the board ticks: also the clock's resolution, and the longest sleep.
pub const TICKS_PER_SECOND: u32 = 1_000;

/// In a critical section, since neither core reads 64 bits at once.
static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// A tick has passed.
pub(crate) fn tick() {
    free(|cs| {
        let ticks = TICKS.borrow(cs);
        ticks.set(ticks.get() + 1);
    });
}

/// The time since the start.
pub fn now() -> Instant {
    let ticks = free(|cs| TICKS.borrow(cs).get());
    Instant::from_micros(ticks * (1_000_000 / u64::from(TICKS_PER_SECOND)))
}
