//! Sockets, pickle, names, the clock and the command line around the `bully` core.

mod bench;
pub mod cli;
mod commands;
pub mod gateway;
pub mod heap;
mod load;
mod log;
pub mod machine;
pub mod names;
pub mod net;
pub mod pickle;
