//! What there is to measure, and what has come of it.

use core::fmt;
use core::net::Ipv4Addr;

use bully::{Addr, Member, Pid};

use crate::figure::{Figure, Section, Trouble, Unit};
use crate::plots::Picture;
use crate::python::Python;

/// A run of the bench: what it works with, and what has come of it and not been reported yet.
pub struct Bench {
    /// Fewer rounds and smaller groups are wanted.
    pub quick: bool,
    /// CPython to compare with; `None` if there is none.
    pub python: Option<Python>,
    /// What has been measured and not been taken yet.
    pub figures: Vec<Figure>,
    /// What has been drawn besides the figures, and not been taken yet.
    pub pictures: Vec<Picture>,
    /// What else the person at the terminal should know.
    pub remarks: Vec<String>,
}

impl Bench {
    /// Starts one; `quick` takes fewer rounds and smaller groups.
    pub fn new(quick: bool, python: Option<Python>) -> Self {
        Self {
            quick,
            python,
            figures: Vec::new(),
            pictures: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Returns `true` if there is a Python to compare with.
    pub fn has_python(&self) -> bool {
        self.python.is_some()
    }

    /// Adds a figure: its section, name and n, ours, and whose the other is.
    pub fn add(
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
    pub fn at_load(&mut self, load: Option<f64>) {
        if let Some(figure) = self.figures.last_mut() {
            figure.load = load;
        }
    }
}

type Work = dyn FnOnce(&mut Bench) -> Result<(), Trouble>;

/// A few figures that are measured together.
pub struct Job {
    /// What, for the person who waits.
    pub what: String,
    /// It measures the [heap](crate::heap): it fails in a program whose allocator does not count.
    pub counts_heap: bool,
    work: Box<Work>,
}

impl Job {
    /// A job of `section` that does `work`.
    pub fn new(
        section: Section,
        what: impl fmt::Display,
        work: impl FnOnce(&mut Bench) -> Result<(), Trouble> + 'static,
    ) -> Self {
        Self {
            what: format!("{}: {what}", section.name()),
            counts_heap: false,
            work: Box::new(work),
        }
    }

    /// The same for work that measures the heap.
    pub fn counting_heap(
        section: Section,
        what: impl fmt::Display,
        work: impl FnOnce(&mut Bench) -> Result<(), Trouble> + 'static,
    ) -> Self {
        Self {
            counts_heap: true,
            ..Self::new(section, what, work)
        }
    }

    /// Measures, and adds to the figures of `bench`.
    ///
    /// # Errors
    ///
    /// What the system would not do. Figures that were finished stay.
    pub fn run(self, bench: &mut Bench) -> Result<(), Trouble> {
        (self.work)(bench)
    }
}

/// `count` members of the lab's ranges, ascending, on as few hosts as have ports for them.
pub fn members(count: usize) -> Vec<Member> {
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

/// As the program's network has it.
fn address(ip: Ipv4Addr, port: u32) -> Addr {
    Addr(u64::from(ip.to_bits()) << 16 | u64::from(port))
}
