//! The lab's wire: pickled Python data, read through a whitelist and written as small as can be.
//!
//! Three parts, used in this order: a [`Reader`] takes bytes as they come and refuses whatever a
//! lab message has no use for; [`message`] tells which message a finished reader holds; [`writer`]
//! writes ours. Nothing in a message is ever executed, imported or constructed.

mod data;
mod fault;
pub mod message;
mod opcode;
mod reader;
pub mod writer;

pub use fault::{Fault, Limits, Refused};
pub use reader::Reader;
