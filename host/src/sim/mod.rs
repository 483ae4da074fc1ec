//! A deterministic simulator of a group: the shipped machines on a network in memory, in virtual
//! time, from one seed.
//!
//! `agenda` is time, `network` the connections and their weather, `port` a machine's side of them,
//! `scenario` what is to happen, `checks` what must hold at every step, and `report` what comes out.

mod agenda;
mod checks;
mod group;
mod machine;
mod network;
mod port;
mod report;
mod scenario;

pub use checks::Breach;
pub use group::{Measure, Trace, run};
pub use machine::CAPACITIES;
pub use report::Outcome;
pub use scenario::{Crash, Delay, Partition, Scenario, Start, Who};
