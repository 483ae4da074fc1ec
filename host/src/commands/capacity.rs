//! The capacities of a member, as the command line gives them.

use crate::machine::{CAPACITIES, CONNECTIONS};

/// How many members fit the table of a node by itself. A lab group has fewer than a hundred; this is
/// enough for a whole year's students, and costs 19 bytes each.
pub(crate) const MEMBERS_MAX: usize = 1_024;

/// How many connections a node has open at once by itself. Everyone in a lab group can be written
/// to in one round, and a member stays far below the usual limit of 1,024 descriptors.
pub(crate) const EXCHANGES_MAX: usize = 64;

/// How many members and connections fit; both are bounds that hold whatever comes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Capacities {
    /// How many members fit its table, itself included: 4, 8, 16, 64, 256, 1024 or 4096
    ///
    /// In a larger group the table keeps the neighbours, the greatest and a random sample; the log says
    /// how many are left out.
    #[arg(long, value_name = "N", value_parser = capacity, default_value_t = MEMBERS_MAX)]
    pub(crate) capacity: usize,

    /// How many connections it has at once: 16, 64, 256 or 1024
    ///
    /// A quarter is reserved for each direction. A connection that does not fit is accepted, and the
    /// one that is needed least is closed for it: the one that has been silent longest.
    #[arg(long, value_name = "C", value_parser = connections, default_value_t = EXCHANGES_MAX)]
    pub(crate) connections: usize,
}

/// Reads the size of a table. It is not rounded: who asks for 100 would get something else.
pub(crate) fn capacity(text: &str) -> Result<usize, String> {
    one_of(&CAPACITIES, text).ok_or_else(|| sizes("tables", &CAPACITIES, "members"))
}

fn connections(text: &str) -> Result<usize, String> {
    one_of(&CONNECTIONS, text).ok_or_else(|| sizes("nodes", &CONNECTIONS, "connections"))
}

fn one_of(sizes: &[usize], text: &str) -> Option<usize> {
    text.parse().ok().filter(|size| sizes.contains(size))
}

fn sizes(what: &str, sizes: &[usize], of: &str) -> String {
    let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
    format!("{what} are built for {} {of}", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for size in CAPACITIES {
            assert_eq!(capacity(&size.to_string()), Ok(size));
        }
        for size in CONNECTIONS {
            assert_eq!(connections(&size.to_string()), Ok(size));
        }
        let message = capacity("100").expect_err("no such table");
        assert!(message.contains("64, 256"), "{message}");
        let message = connections("4").expect_err("no such node");
        assert!(message.contains("16, 64"), "{message}");
    }
}
