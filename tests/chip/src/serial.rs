//! The serial line: a ring between the UART's interrupt and the loop, so that a long poll loses
//! nothing.

use core::cell::RefCell;

use bully::Line;
use cortex_m::interrupt::{Mutex, free};
use heapless::Deque;

use crate::board;

/// Bytes that came and were not read yet: 22 ms of them at 115,200 baud.
static RING: Mutex<RefCell<Deque<u8, 256>>> = Mutex::new(RefCell::new(Deque::new()));

/// Takes from the UART what there is room for; the rest waits there. For the interrupt.
pub(crate) fn fill() {
    free(|cs| {
        if let Ok(mut ring) = RING.borrow(cs).try_borrow_mut() {
            while !ring.is_full()
                && let Some(byte) = board::take()
            {
                let _ = ring.push_back(byte); // there is room
            }
            board::listen(!ring.is_full());
        }
    });
}

/// Whether bytes wait to be read.
pub fn has_come() -> bool {
    free(|cs| {
        let ring = RING.borrow(cs).try_borrow();
        ring.is_ok_and(|ring| !ring.is_empty())
    })
}

/// The board's UART.
pub struct Serial;

impl Line for Serial {
    fn read(&mut self, into: &mut [u8]) -> usize {
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
            board::listen(true); // there is room
            taken
        })
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.iter().take_while(|byte| board::put(**byte)).count()
    }
}
