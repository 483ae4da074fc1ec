//! Which process is which: numbers, process ids and addresses.
//!
//! Number 0 is the coordinator; the members follow, 1 to n from the least to the greatest; the
//! attacker, if there is one, comes after them.

use bully::{Addr, Pid};

/// The process id of the member of this number: ascending, with several sharing their days.
pub(crate) fn pid(number: usize) -> Pid {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Pid {
        // A year has so many; the coordinator takes no more.
        days: (number / 12 + 1).min(365),
        id: FIRST_ID + number,
    }
}

/// The same member on the next day: its birthday is a day nearer, or a year away.
pub(crate) fn next_day(pid: Pid) -> Pid {
    let days = if pid.days > 1 { pid.days - 1 } else { 365 };
    Pid { days, ..pid }
}

/// The process id of the forged member of this number: greater than every real one.
pub(crate) fn forged_pid(number: u32) -> Pid {
    Pid {
        days: 365,
        id: FIRST_FORGED_ID + number,
    }
}

/// The number of the member with this process id, whatever its days.
pub(crate) fn number(pid: Pid) -> u32 {
    pid.id.saturating_sub(FIRST_ID)
}

/// The greatest number of members: so many have the coordinator's seven digits below the forged.
pub const MEMBERS_MAX: usize = 100_000;

const FIRST_ID: u32 = 1_000_000;
const FIRST_FORGED_ID: u32 = 9_000_000;

/// Ports of one host; the host of number 0 is 127.0.0.1.
const PORTS: u64 = 40_000;
const FIRST_PORT: u64 = 20_000;
const FIRST_HOST: u64 = 0x7f00_0001;
/// Hosts between two addresses of one process.
const MOVE: u64 = 0x100;

/// Where the process of this number listens after so many moves.
pub(crate) fn addr(number: usize, moves: u8) -> Addr {
    let number = number as u64;
    let host = FIRST_HOST + number / PORTS + MOVE * u64::from(moves);
    Addr(host << 16 | (FIRST_PORT + number % PORTS))
}

/// The process and its moves at an address, or `None` if it is nobody's.
pub(crate) fn at_addr(addr: Addr) -> Option<(usize, u8)> {
    let host = (addr.0 >> 16).checked_sub(FIRST_HOST)?;
    let port = (addr.0 & 0xFFFF).checked_sub(FIRST_PORT)?;
    if port >= PORTS {
        return None;
    }
    let number = host % MOVE * PORTS + port;
    let moves = u8::try_from(host / MOVE).ok()?;
    Some((usize::try_from(number).ok()?, moves))
}

/// An address at which nobody listens, and whose host says so.
pub(crate) fn refusing_addr(number: u32) -> Addr {
    let number = u64::from(number);
    Addr(0x7f80_0000_0000 | ((number / PORTS) << 16) | (number % PORTS))
}

/// An address at which no host is: nothing comes back.
pub(crate) fn silent_addr(number: u32) -> Addr {
    Addr(refusing_addr(number).0 | 0x0040_0000_0000)
}

/// Returns `true` for what [`silent_addr`] makes.
pub(crate) fn is_silent(addr: Addr) -> bool {
    addr.0 & 0xffc0_0000_0000 == 0x7fc0_0000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_has_addresses_of_its_own() {
        for number in [0, 1, 39_999, 40_000, MEMBERS_MAX] {
            for moves in [0, 1, 200] {
                assert_eq!(at_addr(addr(number, moves)), Some((number, moves)));
            }
            assert!(pid(number) < pid(number + 1));
            assert!(pid(number) < forged_pid(0));
        }
        assert_eq!(addr(1, 0), Addr(0x7f00_0001_4e21));
        for number in [0, 1, 1_000, 100_000] {
            let (refusing, silent) = (refusing_addr(number), silent_addr(number));
            assert!(is_silent(silent) && !is_silent(refusing));
            assert_eq!((at_addr(refusing), at_addr(silent)), (None, None));
        }
    }
}
