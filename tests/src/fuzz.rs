//! What is fed whatever bytes there are: each target takes bytes and panics if something is wrong.
//!
//! `cargo fuzz` runs them from `tests/fuzz`, and `bully-fuzz` in a plain loop.

mod frames;
mod gateway;
mod link;
mod pickle;

pub use frames::decoder;
pub use gateway::gateway;
pub use link::link;
pub use pickle::{messages, pickle};

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("pickle", pickle),
    ("messages", messages),
    ("decoder", decoder),
    ("link", link),
    ("gateway", gateway),
];

/// Bytes that are taken for decisions; at their end there are none left to take.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, 0 at the end.
    fn any(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    /// Up to so many bytes as they are.
    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (now, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        now
    }
}
