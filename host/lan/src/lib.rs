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

pub use backlog::BACKLOG;
pub use lan::{Config, Lan};
pub use memory::{LIST_MAX, Memory};
pub use sockets::LISTENERS;
