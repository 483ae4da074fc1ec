//! `bully grade`: what it finds, what it does not, what it leaves behind, and who reads its reports.

#![cfg(unix)]

mod bounds;
mod class;
mod detect;
mod faults;
mod graded;
mod identities;
mod peers;
mod reports;
mod usage;
