//! Members of a bully election over TCP, with Python's pickle at the edge: what the program `bully`
//! is made of.
//!
//! The election is in package [`bully`]: a [`Node`](bully::Node) says what to send and who leads.
//! This package gives it a network, [`net::Tcp`], and one place that waits, [`net::Poll`]. A whole
//! program that joins a group and takes part in its elections:
//!
//! ```no_run
//! use bully::{Config, Member, Node, Pid};
//! use bully_host::net::{Poll, Tcp, TcpConfig};
//!
//! let mut poll = Poll::new()?;
//! let mut net = Tcp::bind(&poll, 0, TcpConfig::default())?;
//! let mut config = Config::new(Member {
//!     pid: Pid { days: 120, id: 1_234_567 },
//!     addr: net.addr(),
//! });
//! config.directory = net.names_mut().addr("127.0.0.1", 23600); // the group coordinator
//!
//! let mut node = Node::<64, 16>::new(config); // 64 members, 16 connections
//! loop {
//!     while let Some(event) = node.poll(poll.clock().now(), &mut net) {
//!         println!("{event:?}");
//!     }
//!     net.sweep(node.roster());
//!     let until = net.until(node.poll_at());
//!     poll.wait(until, |ready| net.ready(ready))?; // the only place that blocks
//! }
//! # #[expect(unreachable_code, reason = "the type of the errors above")]
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Platforms
//!
//! Everything is run on Linux. On macOS all of it is meant to work, and on Windows all but a chip on a
//! serial device or on a Unix socket: both are compiled by `.ci/run`, and run by nobody here.
//!
//! # Where to find what
//!
//! * [`net`]: sockets, and the loop's one place that waits.
//! * [`pickle`]: messages and their bytes; the reader is package `bully-pickle`.
//! * [`names`]: `(host, port)` pairs as the numbers that the core compares.
//! * [`gateway`]: the sockets of a chip on a serial line.
//! * [`machine`]: nodes by the capacities that the command line takes.
//! * [`cli`]: the program itself.

mod bench;
pub mod cli;
mod commands;
mod control;
pub mod gateway;
mod load;
mod log;
pub mod machine;
pub mod names;
pub mod net;
pub mod pickle;
