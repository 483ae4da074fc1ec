//! The bully election as a state machine.
#![no_std]
#![forbid(unsafe_code)]

mod net;
mod rng;
mod roster;
mod time;

pub use net::{Exchange, Full, Gone, Incoming, Net, Refusal, Reply, Request};
pub use roster::{Addr, Member, Pid, Roster};
pub use time::Instant;
