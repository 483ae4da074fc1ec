//! The shipped core in the simulator: formulas, random faults, stories, and bugs planted to be found.

mod faults; // random faults, many seeds
mod found; // what random faults have found, cut down
mod groups; // partitions that heal, and tables that are too small
mod large; // thousands of members: times and costs
mod matrix; // groups larger than their tables under every fault
mod oracles; // what theory says
mod planted; // bugs that must be found
mod poor; // loss, slow networks, and forged members
mod recorded; // recordings as scenarios
mod scenarios; // stories with their whole trace
mod shrink; // failing scenarios, cut down
mod text; // scenarios as text
mod twelve; // twelve faults that make real elections fail
