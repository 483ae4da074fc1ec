//! The bully election as a state machine.
#![no_std]
#![forbid(unsafe_code)]

mod config;
mod directory;
mod due;
mod election;
mod event;
mod hear;
mod net;
mod node;
mod owe;
mod rng;
mod roster;
mod state;
mod time;

pub use config::{Config, Feign, FeignMode};
pub use directory::{Directory, DirectoryEvent};
pub use election::{Cause, Phase};
pub use event::{Counters, Event, JoinFailure, Loss, Messages};
pub use net::{Exchange, Full, Gone, Incoming, Net, Refusal, Reply, Request};
pub use node::Node;
pub use roster::{Addr, Member, Pid, Roster};
pub use state::State;
pub use time::Instant;
