//! Which member is which: numbers, process ids and addresses.
//!
//! Number 0 is the coordinator; the members follow, 1 to n from the least to the greatest.

use bully::{Addr, Pid};

/// The process id of the member of this number: ascending, with several sharing their days.
pub(crate) fn pid(number: usize) -> Pid {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Pid {
        days: number / 12 + 1,
        id: 1_000_000 + number,
    }
}

/// The number of the member with this process id.
pub(crate) fn number(pid: Pid) -> u32 {
    pid.id.saturating_sub(1_000_000)
}

/// Where the process of this number listens: 127.0.0.1, and a port of its own.
pub(crate) fn addr(number: usize) -> Addr {
    Addr(0x7f00_0001_0000 | (20_000 + number as u64))
}

/// The number of the process at an address; none has the number of an address that belongs to nobody.
pub(crate) fn number_at(addr: Addr) -> usize {
    ((addr.0 & 0xFFFF) as usize).saturating_sub(20_000)
}
