//! A [`bully::Net`] over TCP: one thread, non-blocking sockets, and one place that waits.

mod begun;
mod clock;
mod conn;
mod door;
mod encoded;
mod known;
mod poll;
mod receive;
mod serial;
mod shared;
mod socket;
mod tcp;

pub use clock::Clock;
pub use poll::{Poll, Ready, Waker};
pub use serial::{LineEvent, LineTo, Serial};
pub(crate) use shared::LIMITS;
pub use tcp::{Ends, Note, Seen, Tcp, TcpConfig, TcpCounters};
