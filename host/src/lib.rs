//! Sockets, pickle, names, the clock and the command line around the `bully` core.

pub mod cli;
mod commands;
pub mod machine;
pub mod names;
pub mod net;
pub mod pickle;
pub mod sim;
