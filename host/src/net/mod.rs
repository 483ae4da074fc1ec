//! A [`bully::Net`] over TCP: one thread, non-blocking sockets, and one place that waits.

mod clock;
mod connection;
mod connections;
pub(crate) mod descriptors;
mod encoder;
mod inbox;
mod listener;
mod poll;
mod serial;
mod shared;
mod source;
mod tcp;

pub use clock::Clock;
pub(crate) use inbox::LIMITS;
pub use poll::{Poll, Ready, Waker};
pub use serial::{LineEvent, LineTo, Serial};
pub use tcp::{Ends, Note, Seen, Tcp, TcpConfig, TcpCounters};
