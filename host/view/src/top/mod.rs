//! A group at one moment, on a terminal: who stands where, who leads and why, what is sent, and what
//! happened last.

mod board;
mod draw;
mod playback;

pub use board::{Board, Row, Standing};
pub use draw::draw;
pub use playback::Playback;
