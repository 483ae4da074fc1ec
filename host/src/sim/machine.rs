//! Which of the shipped machines a scenario is played with.

use bully::{Config, Node};

use super::scenario::Scenario;
use crate::machine::{Machine, sized};

/// Exchanges of a simulated node: a quarter of each side's is kept for the other, so that 16
/// ELECTIONs go out at once, as in the simulations that the storm rules come from.
const EXCHANGES: usize = 22;

/// Exchanges of a node that keeps to the letter: its storms would be bounded by the table, not by
/// the rules.
const STORM_EXCHANGES: usize = 8_192;

/// The capacity of nodes with so many exchanges; in a larger group a storm fills any table.
const STORM_CAPACITY: usize = 64;

/// How many exchanges each node has.
pub(super) fn exchanges(scenario: &Scenario) -> usize {
    let small = scenario.members <= STORM_CAPACITY && STORM_CAPACITY <= scenario.capacity;
    if scenario.strict && small {
        STORM_EXCHANGES
    } else {
        EXCHANGES
    }
}

/// The shipped node, with room for as many members as the scenario says.
pub fn node(scenario: &Scenario, config: Config) -> Option<Box<dyn Machine>> {
    match exchanges(scenario) {
        STORM_EXCHANGES => Some(Box::new(Node::<STORM_CAPACITY, STORM_EXCHANGES>::new(
            config,
        ))),
        _ => sized::<EXCHANGES>(scenario.capacity, config),
    }
}
