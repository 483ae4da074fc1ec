//! The shipped core in the simulator: formulas, random faults, stories, and bugs planted to be found.

mod faults; // random faults, many seeds
mod oracles; // what theory says
mod scenarios; // stories with their whole trace
mod shrink; // failing scenarios, cut down
mod text; // scenarios as text
