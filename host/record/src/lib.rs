#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cursor;
mod file;
mod node;
mod player;
mod read;
mod recorded;
mod replay;
mod words;

#[doc(hidden)]
pub use {bully, bully_sim}; // for `reads_of!`

pub use file::{FileSink, SharedBytes};
pub use node::{AnyRecordable, node, restored};
pub use player::{Divergence, Observer};
pub use read::{Bank, Header, Recording, Unreadable};
pub use recorded::{Recorded, recorded};
pub use replay::{Ended, Problem, Replay, Step};
