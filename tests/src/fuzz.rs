//! What is fed whatever bytes there are: each target takes bytes and panics if something is wrong.
//!
//! `cargo fuzz` runs them from `tests/fuzz`, and `bully-fuzz` in a plain loop.

mod frames;
mod gateway;
mod input;
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
