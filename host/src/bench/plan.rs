//! What there is to measure.

use bully_bench::{Job, Section};

use super::{group, heap, sockets, wire};

/// All that there is to do for `sections`, in the order of the report; for none of them: for all.
pub(crate) fn plan(sections: &[Section], quick: bool) -> Vec<Job> {
    let wanted = |section: &Section| sections.is_empty() || sections.contains(section);
    let jobs = |section| match section {
        Section::Wire => wire::jobs(),
        Section::Sockets => sockets::jobs(quick),
        Section::Group => group::jobs(quick),
        Section::Heap => heap::jobs(),
        others => bully_bench::jobs(others, quick),
    };
    Section::ALL
        .into_iter()
        .filter(wanted)
        .flat_map(jobs)
        .collect()
}
