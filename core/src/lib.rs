#![doc = include_str!("../README.md")]
//!
//! ## Where to find what
//!
//! The protocol is one `match` in `election.rs`, and reads like the assignment; `announcement.rs`
//! says who is believed. `receive.rs`, `outcome.rs` and `expire.rs` turn messages, answers and times
//! into its inputs; `send.rs`, `probing.rs`, `membership.rs` and `feign.rs` do what follows.
//! `phase.rs` holds what is valid in one phase only, `timers.rs` the node's times, `exchanges.rs` and
//! `table.rs` its two tables.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod announcement;
#[cfg(feature = "checked")]
mod checked;
mod config;
#[cfg(feature = "postcard")]
mod crc;
mod directory;
mod election;
mod event;
mod exchanges;
mod expire;
mod feign;
mod large;
#[cfg(feature = "postcard")]
mod link;
mod membership;
mod merge;
mod neighbours;
mod net;
mod node;
mod outcome;
mod phase;
mod probing;
mod receive;
#[cfg(feature = "record")]
pub mod record;
mod resign;
mod rng;
mod roster;
mod send;
mod shares;
mod sort;
mod table;
mod time;
mod timers;
mod view;
#[cfg(feature = "postcard")]
pub mod wire;

#[cfg(feature = "checked")]
pub use checked::Checked;
pub use config::{Config, ConfigError, Feign, FeignMode};
pub use directory::{Directory, DirectoryEvent};
pub use event::{Cause, Counters, Event, JoinFailure, Loss, Messages, Reason};
pub use exchanges::State;
#[cfg(feature = "embedded-io")]
pub use link::Io;
#[cfg(feature = "postcard")]
pub use link::{Buffers, Gateway, Line, Link};
pub use net::{Exchange, Full, Gone, Incoming, Net, Refusal, Reply, Request};
pub use node::Node;
pub use phase::Phase;
pub use roster::{Addr, Member, Origin, Pid, Roster};
pub use shares::thin;
pub use time::Instant;
