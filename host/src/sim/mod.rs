//! A deterministic simulator of a group: the shipped machines on a network in memory, in virtual
//! time, from one seed.
//!
//! `agenda` is time, `network` and `wires` the connections and their weather, `port` a
//! machine's side of them,
//! `scenario` what is to happen, by plan or at `random`, `checks` what must hold at every step,
//! `agreement` what must hold at rest, `tell` the trace, and `report` what comes out.

mod agenda;
mod agreement;
mod checks;
mod group;
mod machine;
mod network;
mod port;
mod random;
mod report;
mod scenario;
mod tell;
mod wires;

pub use crate::machine::{CAPACITIES, Machine};
pub use agreement::settles_within;
pub use checks::Breach;
pub use group::{Build, Measure, Trace, run, run_built};
pub use machine::node;
pub use report::{CSV_HEADING, Outcome, Run, Summary, text_heading};
pub use scenario::{Crash, Delay, Hold, Kind, Partition, Scenario, Start, Who};
