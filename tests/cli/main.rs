//! The command line, as its user meets it: the real program, its words, its exit codes.

mod bench;
mod birthday;
mod capacity;
mod ending;
mod failures;
mod gcd;
mod handover;
mod help;
mod json;
mod lab;
mod messages;
mod node;
mod program;
mod python;
#[cfg(unix)]
mod readme;
mod schema;
mod sim;
#[cfg(unix)]
mod stalled;
mod text;
mod usage;
