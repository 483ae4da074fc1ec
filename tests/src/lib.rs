//! Doubles and checkers that the tests share.
//!
//! [`script::Script`] is a network played by the test itself, and [`group::Group`] a small one in
//! memory for several nodes. Time is virtual in both, and [`bully::Checked`] stands between node and
//! network.

#[cfg(unix)]
pub mod chip;
pub mod fuzz;
pub mod group;
pub mod line;
pub mod owned;
pub mod people;
pub mod process;
pub mod python;
pub mod random;
pub mod script;
