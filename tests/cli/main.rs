//! The command line, as its user meets it: the real program, its words, its exit codes.

mod bench;
mod birthday;
mod ending;
mod failures;
mod gcd;
mod help;
mod json;
mod lab;
mod node;
mod program;
mod python;
mod room;
mod sim;
mod text;
mod usage;
