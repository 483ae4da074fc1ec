//! Several hosts on one network: namespaces of the Linux kernel, joined by a bridge.
//!
//! It takes root and the command `ip`. Without them every test here says that it is skipped, and
//! why.

#![cfg(target_os = "linux")]

mod labs; // several machines make one large group
mod lan; // the hosts and the network between them
mod simulated; // the same faults in the simulator
mod tap; // a member with its own TCP/IP, as on a chip
mod three; // three hosts, one of which is cut off, comes back, and ends
