//! Who takes part: members that differ in their days alone.

use bully::{Addr, Config, Member, Pid};

/// Where the group coordinator listens in every test.
pub const DIRECTORY: Addr = Addr(1);

/// The process id with `days` days to its birthday, within the lab's ranges.
pub const fn pid(days: u32) -> Pid {
    Pid {
        days,
        id: 1_000_000 + days,
    }
}

/// The member with `days` days to its birthday, at its first address.
pub const fn member(days: u32) -> Member {
    at(days, 40_000 + days as u64)
}

/// The member with `days` days to its birthday, at some other address.
pub const fn at(days: u32, addr: u64) -> Member {
    Member {
        pid: pid(days),
        addr: Addr(addr),
    }
}

/// Several members, in the order given.
pub fn members(days: impl IntoIterator<Item = u32>) -> Vec<Member> {
    days.into_iter().map(member).collect()
}

/// The assignment's figures for this member, with a coordinator to join.
pub const fn config(days: u32) -> Config {
    let mut config = Config::new(member(days));
    config.directory = Some(DIRECTORY);
    config
}

/// The same, to the letter of the assignment.
pub const fn strict(days: u32) -> Config {
    let mut config = config(days);
    config.strict = true;
    config
}
