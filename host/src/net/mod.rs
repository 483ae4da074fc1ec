//! A [`bully::Net`] over TCP: one thread, non-blocking sockets, and one place that waits.
//!
//! # How a message travels
//!
//! Each message has a connection of its own, on which at most one answer comes back.
//!
//! 1. The core calls [`open`](bully::Net::open) with an address and a request. [`Tcp`] finds out where
//!    to connect (`endpoints`): hosts are not looked up, and who listens on loopback connects to
//!    nothing else. Nowhere to connect to is a connection that reports at once that it was refused.
//! 2. The request becomes bytes (`encoder`), or those of an earlier message that said the same.
//! 3. A socket begins to connect (`socket`), and is put into a slot of the table of all connections of
//!    the process (`connections`), whose number is the exchange's. If the table is full, the connection
//!    that is needed least gives way.
//! 4. The connection (`connection`: bytes out, bytes in, no messages, no names) writes. The first write
//!    shows whether the handshake is over; if it would block, and when an answer is awaited, the socket
//!    enters the poller (`source`), and [`Poll::wait`] names its owner when there is more to do.
//! 5. At the other end the poller names the `listener`, which takes the connection from the backlog;
//!    it is in another slot of another table, or of the same one in a process with several members.
//!    [`recv`](bully::Net::recv) reports to the core that somebody has connected.
//! 6. The bytes that are read become a message (`inbox`): recognised, if a message of the same bytes
//!    came lately, or read as a pickle. What it comes to, by what was due, is decided in `exchange`: a
//!    request, an answer, a refusal to be reported, or the end. `Tcp` reports it to the core, and what a
//!    person should know of it as a [`Note`] (`watch`).
//! 7. The core calls [`reply`](bully::Net::reply); the answer goes back as the message came.
//! 8. The core closes the exchange at either end. A peer of our own kind, which says so, is done then.
//!    Others send more after the end, or end when a connection is gone too early: their connection
//!    lingers in the table without the core, for 40 ms after an answer and for 2 s at most.
//!
//! # System calls
//!
//! An exchange (PROBE and OK) between two members takes 12 beside those for waiting, both ends
//! together: socket, connect, send, enter the poller, accept, ask whether there are more (by the
//! poller, or if they come in crowds by an accept that finds nobody), receive, send, receive, leave the
//! poller, two closes. Blocking sockets take 11, of which two set TCP_NODELAY, which one write a message
//! makes needless. In a process with several members two fall away: an answer is looked for after the
//! next turns, and enters the poller if it has not come by then.
//!
//! A wait takes five by the poller's public interface (timer, two re-armed sources, the wait, the
//! waker's state), for however many sockets are ready: with one exchange at a time between members of
//! one process there is one wait to each, with 64 one to some dozens.

mod agenda;
mod clock;
mod config;
mod connection;
mod connections;
pub(crate) mod descriptors;
mod encoder;
mod endpoints;
mod exchange;
mod inbox;
mod listener;
mod poll;
mod serial;
mod shared;
mod socket;
mod source;
mod tcp;
mod under_way;
mod watch;

pub use agenda::Agenda;
pub use clock::Clock;
pub use config::TcpConfig;
pub(crate) use inbox::LIMITS;
pub use poll::{Poll, Ready, Waker};
pub use serial::{LineEvent, LineTo, Serial};
pub use tcp::Tcp;
pub use watch::{Ends, Note, Seen, TcpCounters};
