#![doc = include_str!("record.md")]

mod bytes;
mod digest;
mod format;
mod image;
mod inspect;
pub mod op;
mod recorder;
mod ring;
mod sink;
mod stream;

pub use digest::Digest;
pub use format::{GONE, MAGIC, MARK_EACH, NOBODY, REFUSALS, VERSION};
pub use image::{Recordable, image_digest};
pub use inspect::{Inspect, Inspected};
pub use recorder::Recorder;
pub use ring::Ring;
pub use sink::Sink;
