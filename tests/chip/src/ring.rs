//! The ring between the UART's interrupt and the loop, so that a long poll loses nothing.

use core::cell::RefCell;

use cortex_m::interrupt::{Mutex, free};
use heapless::Deque;

/// Bytes that came and were not read yet: 22 ms of them at 115,200 baud.
static RING: Mutex<RefCell<Deque<u8, 256>>> = Mutex::new(RefCell::new(Deque::new()));

/// Stores what the UART has, which `take` returns, as far as there is capacity; the rest waits there.
/// `listen` says whether received bytes are to interrupt. For the interrupt.
pub(crate) fn fill(take: fn() -> Option<u8>, listen: fn(bool)) {
    free(|cs| {
        if let Ok(mut ring) = RING.borrow(cs).try_borrow_mut() {
            while !ring.is_full()
                && let Some(byte) = take()
            {
                let _ = ring.push_back(byte); // there is capacity
            }
            listen(!ring.is_full());
        }
    });
}

/// Returns `true` if bytes wait to be read.
pub(crate) fn has_come() -> bool {
    free(|cs| {
        let ring = RING.borrow(cs).try_borrow();
        ring.is_ok_and(|ring| !ring.is_empty())
    })
}

/// Moves bytes to `into`, the oldest first, and has `listen` make received ones interrupt again.
/// Returns how many.
pub(crate) fn read(into: &mut [u8], listen: fn(bool)) -> usize {
    free(|cs| {
        let Ok(mut ring) = RING.borrow(cs).try_borrow_mut() else {
            return 0;
        };
        let came = core::iter::from_fn(|| ring.pop_front());
        let taken = into
            .iter_mut()
            .zip(came)
            .map(|(place, byte)| *place = byte)
            .count();
        listen(true); // there is capacity
        taken
    })
}
