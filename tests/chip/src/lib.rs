//! A board, as the firmware and the measurements see it: its clock, its serial line, its stack.

#![no_std]

mod registers;

#[cfg_attr(microbit, path = "microbit.rs")]
#[cfg_attr(not(microbit), path = "lm3s6965.rs")]
pub mod board;
mod clock;
#[cfg(all(feature = "lan", not(microbit)))]
pub mod ethernet;
#[cfg_attr(not(feature = "record"), path = "unrecorded.rs")]
pub mod recording;
mod ring;
pub mod serial;
pub mod stack;

/// How many members the node on this board can know.
pub const MEMBERS: usize = if cfg!(microbit) { 8 } else { 32 };
/// How many connections it can have at once.
pub const EXCHANGES: usize = if cfg!(microbit) { 4 } else { 8 };
