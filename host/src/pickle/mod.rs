//! The lab's wire on the host: [`bully_pickle`] with storage on the heap, and serde-pickle for the
//! short messages.

pub mod writer;

pub use bully_pickle::{Fault, Limits, Refused, message};

/// A reader that keeps a message on the heap.
pub type Reader = bully_pickle::Reader<bully_pickle::Heap>;
