#![doc = include_str!("record.md")]

mod digest;
mod format;
mod image;
mod inspect;
mod list;
pub mod op;
mod recorder;
mod ring;
mod sink;
mod stream;

pub use digest::Digest;
pub use format::{BLOCK_MAX, GONE, MAGIC, MARK_EACH, NOBODY, REFUSALS, VERSION, checksum};
pub use image::{Recordable, image_checksum};
pub use inspect::{Inspect, Inspected};
pub use recorder::Recorder;
pub use ring::Ring;
pub use sink::Sink;
