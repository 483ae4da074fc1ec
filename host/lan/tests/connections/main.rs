//! A member with its own TCP/IP and a peer that sends what it likes, segment by segment, in virtual time.
//! `Checked` stands between the member and its network.

mod attacks;
mod breaks;
#[path = "../ethernet/mod.rs"]
mod ethernet;
mod peer;
