//! The bully election as a state machine: who is in the group, who leads, and what is owed to whom.
//!
//! # Overview
//!
//! A [`Node`] is a member of a fully connected group. It joins by asking the group coordinator, a
//! [`Directory`]; takes part in elections; probes the leader now and then; and, if told to, plays
//! dead at times. It knows no sockets, no bytes and no clock: messages go through a [`Net`], of
//! which one lives on TCP (the host package) and others may live on a bus or a serial line, and
//! time is an argument.
//!
//! Nothing is allocated. A node is one value of a fixed size, whose two capacities are named where
//! it is made: how many members it can know, and how many connections it can have at once. The
//! crate needs neither `std` nor `alloc` nor atomics.
//!
//! # The loop
//!
//! Everyone who uses it writes the same few lines. [`Node::poll`] goes on up to the next thing
//! worth telling; when it returns `None` there is nothing to do until the network has news or
//! [`Node::poll_at`] has come, and how to sleep until then is the caller's business.
//!
//! ```
//! # use bully::*;
//! # struct Lonely;
//! # impl Net for Lonely {
//! #     fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> { Err(Full) }
//! #     fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> { None }
//! #     fn reply(&mut self, _: Exchange, _: Reply<'_>) {}
//! #     fn close(&mut self, _: Exchange) {}
//! #     fn set_listening(&mut self, _: bool) {}
//! # }
//! # struct Clock(core::cell::Cell<Instant>);
//! # impl Clock { fn now(&self) -> Instant { self.0.get() } }
//! # let mut net = Lonely;
//! # let clock = Clock(core::cell::Cell::new(Instant::ZERO));
//! # let wait = |at: Option<Instant>| clock.0.set(at.unwrap_or(clock.now()));
//! let me = Member { pid: Pid { days: 120, id: 1_234_567 }, addr: Addr(1) };
//! let mut node = Node::<32, 8>::new(Config::new(me));
//! loop {
//!     while let Some(event) = node.poll(clock.now(), &mut net) {
//!         // Report `event`.
//!     }
//!     wait(node.poll_at()); // the only place that blocks
//! #   if node.leader().is_some() { break }
//! }
//! # assert_eq!(node.leader(), Some(me.pid));
//! ```
//!
//! # Capacities
//!
//! On a 32-bit chip `Node<MEMBERS, EXCHANGES>` takes 17 bytes for each member, 32 for each exchange
//! and some 600 besides.
//!
//! * A member more than `MEMBERS` makes the least one give way, except this node itself and the
//!   leader: a full table holds the greatest, whatever the order in which they were heard of.
//!   [`Event::RosterFull`] tells how many were left out.
//! * When all `EXCHANGES` are taken, messages wait their turn, as a cursor over the table and never
//!   as a queue. A quarter is kept for each direction, so that neither a flood from outside nor a
//!   broadcast of our own shuts the other out; among those who connected, whoever has stayed silent
//!   longest gives way to a newcomer.
//!
//! # On a chip
//!
//! A chip without sockets leaves them to a gateway at the other end of a serial line, the command
//! `bully gateway` of the host package, and speaks to it through a `Link`, which is a [`Net`]
//! (feature `postcard`; `examples/chip.rs` is a whole program). It needs:
//!
//! * **A line**: a `Line` that reads and writes what there is at once, in two methods, or a driver
//!   with the traits of `embedded-io` (feature of that name). Receive by interrupt into a ring: a
//!   byte that is lost costs a session, in which all open exchanges break off.
//! * **Buffers**: `Buffers<MEMBERS, EXCHANGES, BYTES>`, a static that is lent to the link.
//!   `MEMBERS` is best that of the node, `EXCHANGES` that of the node or a few more, for newcomers
//!   among whom the node then chooses, and `BYTES` is `wire::message_max(MEMBERS)`. At 115,200 baud
//!   a list of 32 members takes 22 ms, once each time it changes.
//! * **A clock**: anything that counts, as an [`Instant`]: microseconds from an origin of the
//!   chip's own. A tick of a millisecond is fine. It must not wrap around: extend a narrow counter
//!   to 64 bits.
//! * **Chance**: [`Config::seed`], another one in each member, from the chip's serial number for
//!   instance. Without it every boot draws the same times.
//! * **A start**: the gateway says where others reach the chip, and where the coordinator is. Only
//!   then is there a [`Config`]; and when the gateway was started anew, which its `instance` tells,
//!   node and link are to be made anew.
//! * **Sleep**: until [`Node::poll_at`] or an interrupt of the line, whichever comes first, and not
//!   while `Link::is_busy`.
//!
//! Put the node in a static or on a stack that is large enough, once: it is moved around by copying.
//! Nothing in [`Node::poll`] panics, recurses or blocks.
//!
//! When the line is cut, the gateway closes the door, so that others see a dead member; the node
//! sees others that do not answer, and leads a group of its own until the line is back.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `checked`: `Checked`, a [`Net`] that panics at the first breach of the rules between a node and
//!   its network; for tests.
//! * `postcard`: `Link` and the format it speaks, `wire`.
//! * `embedded-io`: drivers with its traits as a `Line`.
//! * `defmt`: `defmt::Format` on the public types.
//!
//! # Where to find what
//!
//! The protocol is one `match` in `election.rs`, and reads like the assignment; `announcement.rs`
//! says who is believed. `receive.rs`, `outcome.rs` and `expire.rs` turn messages, answers and times
//! into its inputs; `send.rs`, `probing.rs`, `membership.rs` and `feign.rs` do what follows.
//! `phase.rs` holds what is valid in one phase only, `timers.rs` the node's times, `exchanges.rs` and
//! `table.rs` its two tables.
//!
//! # What is not here
//!
//! Encryption, authentication, membership that expires, and any protection against members that
//! lie about others: whoever can connect can claim to be anybody, as in the lab.

#![no_std]
#![forbid(unsafe_code)]

mod announcement;
#[cfg(feature = "checked")]
mod checked;
mod config;
mod directory;
mod election;
mod event;
mod exchanges;
mod expire;
mod feign;
#[cfg(feature = "postcard")]
mod link;
mod membership;
mod net;
mod node;
mod outcome;
mod phase;
mod probing;
mod receive;
mod rng;
mod roster;
mod send;
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
pub use time::Instant;
