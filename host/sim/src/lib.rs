#![doc = include_str!("../README.md")]

mod agreement;
mod checks;
mod connections;
mod identity;
mod network;
mod node;
mod oracle;
mod port;
mod queue;
mod random;
mod report;
mod scenario;
mod simulation;
mod trace;

pub use agreement::settles_within;
pub use checks::Breach;
pub use node::{AnyNode, CAPACITIES, node, sized};
pub use report::{CSV_HEADING, Outcome, Run, Summary, text_heading};
pub use scenario::{Crash, Delay, Hold, Kind, Partition, Scenario, Start, Who};
pub use simulation::{Build, Measure, Trace, run, run_built};
