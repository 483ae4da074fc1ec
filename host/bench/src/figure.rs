//! Figures, what they stand beside, and why some are missing.

use core::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum Section {
    /// Reading and writing messages, beside CPython's pickle and serde-pickle
    Wire,
    /// The table of members, beside a BTreeMap
    Table,
    /// Turns of a node, beside the same book-keeping in std's collections
    Poll,
    /// Connections, beside blocking sockets
    Sockets,
    /// Live groups over TCP, beside what the assignment's rules come to
    Group,
    /// Allocations, beside serde-pickle
    Heap,
    /// Large groups in virtual time, beside foca (SWIM) and formulas
    Scale,
}

impl Section {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Wire,
        Self::Table,
        Self::Poll,
        Self::Sockets,
        Self::Group,
        Self::Heap,
        Self::Scale,
    ];

    /// As it is called on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Table => "table",
            Self::Poll => "poll",
            Self::Sockets => "sockets",
            Self::Group => "group",
            Self::Heap => "heap",
            Self::Scale => "scale",
        }
    }
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// As it stands in the report.
    pub name: &'static str,
    /// More of it is better: a rate, not a cost.
    pub more_is_better: bool,
}

/// A unit of which less is better.
pub const fn cost(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: false,
    }
}

/// A unit of which more is better.
pub const fn rate(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: true,
    }
}

/// One figure, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The part of the report it stands in.
    pub section: Section,
    /// What was measured.
    pub name: &'static str,
    /// Members, or connections.
    pub n: u64,
    /// What it came to.
    pub ours: f64,
    /// What it is compared with came to.
    pub other: f64,
    /// What that is.
    pub other_name: &'static str,
    /// What both are counted in.
    pub unit: Unit,
    /// How busy the machine was, processes that ran or waited for a processor, if the figure depends on it in
    /// spite of what it stands beside.
    pub load: Option<f64>,
}

impl Figure {
    /// How many times better ours is, and below 1 how much worse. `None` where one of the two is
    /// nothing, and they are not equal.
    pub fn ratio(&self) -> Option<f64> {
        let ratio = if self.ours == self.other {
            1.0
        } else if self.unit.more_is_better {
            self.ours / self.other
        } else {
            self.other / self.ours
        };
        Some(ratio).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
    }
}

/// Why figures are missing, for the person at the terminal.
#[derive(Debug)]
pub struct Trouble(pub String);

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
