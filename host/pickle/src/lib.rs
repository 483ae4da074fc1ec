#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod data;
mod fault;
mod keys;
pub mod message;
mod names;
mod opcode;
mod output;
mod reader;
mod show;
mod storage;
mod table;
mod value;
pub mod writer;

pub use fault::{Fault, Limits, Refused};
pub use names::{HOST_BYTES_MAX, Ipv4, Ipv4Text, Names, port};
pub use output::{Buffer, Output};
pub use reader::Reader;
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Fixed, Storage};
pub use table::{Array, Table, Zero};
