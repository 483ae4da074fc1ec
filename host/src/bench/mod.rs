//! What it costs, each figure beside something outside this project, measured in the same run.
//!
//! The machine is shared, so a time by itself means nothing: ours and the other one take turns
//! (`measure`), and what counts is their ratio. A file for each section says what is measured and
//! beside what; `twin` is the book-keeping of a node done with std's collections, `script` a
//! network that tells what it was told to tell, `python` CPython in a process of its own. `report`
//! and `plots` show it.

mod group;
mod heap;
mod measure;
mod plots;
mod poll;
mod python;
mod report;
mod script;
mod sockets;
mod table;
mod twin;
mod wire;

use core::fmt;
use core::net::Ipv4Addr;
use std::io;

use bully::{Addr, Member, Pid};

pub(crate) use self::group::alone as group_alone;
pub(crate) use self::plots::plot;
use self::python::Python;
pub(crate) use self::report::{CSV_HEADING, csv, json, text, text_heading};

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
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
}

impl Section {
    pub(crate) const ALL: [Self; 6] = [
        Self::Wire,
        Self::Table,
        Self::Poll,
        Self::Sockets,
        Self::Group,
        Self::Heap,
    ];

    /// As it is called on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Table => "table",
            Self::Poll => "poll",
            Self::Sockets => "sockets",
            Self::Group => "group",
            Self::Heap => "heap",
        }
    }
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// As it stands in the report.
    pub(crate) name: &'static str,
    /// Whether more of it is better: a rate, not a cost.
    more_is_better: bool,
}

/// A unit of which less is better.
const fn cost(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: false,
    }
}

/// A unit of which more is better.
const fn rate(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: true,
    }
}

/// One figure, and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) section: Section,
    pub(crate) name: &'static str,
    /// Members, or connections.
    pub(crate) n: u64,
    pub(crate) ours: f64,
    pub(crate) other: f64,
    pub(crate) other_name: &'static str,
    pub(crate) unit: Unit,
    /// How busy the machine was, by [`load`](crate::load::load), if the figure depends on it in
    /// spite of what it stands beside.
    pub(crate) load: Option<f64>,
}

impl Figure {
    /// How many times better ours is, and below 1 how much worse. `None` where one of the two is
    /// nothing, and they are not equal.
    pub(crate) fn ratio(&self) -> Option<f64> {
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
pub(crate) struct Trouble(pub(crate) String);

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

/// A run of the bench: what it works with, and what has come of it and not been told yet.
pub(crate) struct Bench {
    quick: bool,
    /// `None` if there is none.
    python: Option<Python>,
    pub(crate) figures: Vec<Figure>,
    /// What else the person at the terminal should know.
    pub(crate) remarks: Vec<String>,
}

impl Bench {
    /// `quick` takes fewer rounds and smaller groups.
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            quick,
            python: Python::start(),
            figures: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Whether there is a Python to compare with.
    pub(crate) fn has_python(&self) -> bool {
        self.python.is_some()
    }

    fn add(
        &mut self,
        (section, name, n): (Section, &'static str, usize),
        ours: f64,
        (other_name, other): (&'static str, f64),
        unit: Unit,
    ) {
        self.figures.push(Figure {
            section,
            name,
            n: n as u64,
            ours,
            other,
            other_name,
            unit,
            load: None,
        });
    }

    /// Says how busy the machine was when the last figure was measured.
    fn at_load(&mut self, load: Option<f64>) {
        if let Some(figure) = self.figures.last_mut() {
            figure.load = load;
        }
    }
}

type Work = dyn FnOnce(&mut Bench) -> Result<(), Trouble>;

/// A few figures that are measured together.
pub(crate) struct Job {
    /// What, for the person who waits.
    pub(crate) what: String,
    work: Box<Work>,
}

impl Job {
    fn new(
        section: Section,
        what: impl fmt::Display,
        work: impl FnOnce(&mut Bench) -> Result<(), Trouble> + 'static,
    ) -> Self {
        Self {
            what: format!("{}: {what}", section.name()),
            work: Box::new(work),
        }
    }

    /// Measures, and adds to the figures of `bench`.
    ///
    /// # Errors
    ///
    /// What the system would not do. Figures that were finished stay.
    pub(crate) fn run(self, bench: &mut Bench) -> Result<(), Trouble> {
        (self.work)(bench)
    }
}

/// All that there is to do for `sections`, in the order of the report.
pub(crate) fn plan(sections: &[Section], quick: bool) -> Vec<Job> {
    let wanted = |section: &Section| sections.is_empty() || sections.contains(section);
    let jobs = |section| match section {
        Section::Wire => wire::jobs(),
        Section::Table => table::jobs(),
        Section::Poll => poll::jobs(),
        Section::Sockets => sockets::jobs(quick),
        Section::Group => group::jobs(quick),
        Section::Heap => heap::jobs(),
    };
    Section::ALL
        .into_iter()
        .filter(wanted)
        .flat_map(jobs)
        .collect()
}

/// `count` members of the lab's ranges, ascending, on as few hosts as have ports for them.
fn members(count: usize) -> Vec<Member> {
    const PORTS: u32 = 50_000;
    let mut members: Vec<_> = (0..count as u32)
        .map(|number| Member {
            pid: Pid {
                // 97 has no factor in common with 365, so a year passes before days repeat.
                days: 1 + 97 * (number + 1) % 365,
                id: 1_000_001 + number,
            },
            addr: address(
                Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number / PORTS),
                10_000 + number % PORTS,
            ),
        })
        .collect();
    members.sort_unstable();
    members
}

/// As [`names`](crate::names) has it.
fn address(ip: Ipv4Addr, port: u32) -> Addr {
    Addr(u64::from(ip.to_bits()) << 16 | u64::from(port))
}
