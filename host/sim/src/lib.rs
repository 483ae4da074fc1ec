#![doc = include_str!("../README.md")]

mod agreement;
mod attack;
mod breach;
mod checks;
mod connections;
mod identity;
mod line;
mod message;
mod network;
mod node;
mod oracle;
mod outcome;
mod port;
mod process;
mod queue;
mod random;
mod report;
mod run;
mod scenario;
mod simulation;
mod summary;
mod trace;
mod versions;

pub use breach::{Breach, INVARIANTS};
pub use identity::MEMBERS_MAX;
pub use network::Fate;
pub use node::{AnyNode, CAPACITIES, exchanges, node, sized};
pub use outcome::{Attacked, Outcome, Unchecked};
pub use report::{CSV_HEADING, text_heading};
pub use run::Run;
pub use scenario::{
    Attack, BackAs, Crash, Cut, Delay, Failure, ForgedAt, Hold, Kind, Partition, Pause, Scenario,
    Slow, Start, Who,
};
pub use simulation::{Build, Measure, run, run_built};
pub use summary::Summary;
pub use trace::{Observer, TraceEvent, TraceMessage};
