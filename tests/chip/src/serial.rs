//! The serial line as the core's [`Line`].

use bully::Line;

use crate::{board, ring};

/// Returns `true` if bytes wait to be read.
pub fn has_come() -> bool {
    ring::has_come()
}

/// The board's UART.
pub struct Serial;

impl Line for Serial {
    fn read(&mut self, into: &mut [u8]) -> usize {
        ring::read(into, board::listen)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.iter().take_while(|byte| board::put(**byte)).count()
    }
}
