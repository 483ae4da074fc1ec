//! The control socket: what others may ask a running program, and what it answers.
//!
//! `protocol.md` describes the lines. A thread of its own serves the clients, so that none of them is
//! ever waited for: `server` asks the program's loop for a snapshot when there is a question, and the
//! loop hands one over when it comes by. `socket` is what it listens at and `address` where that is,
//! `client` is the other end, and `snapshot` what is answered.

mod address;
mod client;
#[cfg(unix)]
mod server;
mod snapshot;
#[cfg(unix)]
mod socket;

pub(crate) use address::Address;
pub(crate) use client::{Client, ClientError};
#[cfg(unix)]
pub(crate) use server::Control;
pub(crate) use snapshot::{Listed, Snapshot, View};
