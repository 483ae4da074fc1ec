#![doc = include_str!("../README.md")]

mod baseline;
mod figure;
pub mod heap;
mod job;
pub mod measure;
mod plots;
mod poll;
mod python;
mod report;
mod scale;
mod script;
mod swim;
mod table;

pub use self::figure::{Figure, Section, Trouble, Unit, cost, rate};
pub use self::job::{Bench, Job, members};
pub use self::plots::{Curve, Picture, plot};
pub use self::python::Python;
pub use self::report::{CSV_HEADING, csv, json, text, text_heading};

/// What there is to do for a section of which this package measures all: the core and groups in
/// virtual time. Of the others, which are about sockets and the wire, nothing: their jobs stand
/// beside what they measure.
pub fn jobs(section: Section, quick: bool) -> Vec<Job> {
    match section {
        Section::Table => table::jobs(),
        Section::Poll => poll::jobs(),
        Section::Scale => scale::jobs(quick),
        Section::Wire | Section::Sockets | Section::Group | Section::Heap => Vec::new(),
    }
}
