#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod arp;
mod backlog;
mod connection;
mod encodings;
mod lan;
mod memory;
mod net;
mod receiving;
mod sending;
mod sockets;

pub use backlog::{Backlog, is_connect};
pub use lan::{Config, Lan};
pub use memory::{LIST_MAX, Memory, Sockets};
pub use sockets::LISTENERS;
