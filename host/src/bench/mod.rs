//! What this program costs, beside others: its wire, its sockets, and live groups of it.
//!
//! How it is measured, reported and drawn is package [`bully_bench`], which also has the sections that
//! need no sockets. It stands below this package, whose sockets and pickles these sections measure.

mod child;
pub(crate) mod counting;
mod group;
mod heap;
mod plan;
mod sockets;
mod wire;

pub(crate) use self::group::alone as group_alone;
pub(crate) use self::plan::plan;
