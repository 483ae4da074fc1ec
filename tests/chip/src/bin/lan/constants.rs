//! Who and where the member is, as constants: a product has them from its own settings.

use core::net::Ipv4Addr;

use bully::{Addr, Pid};

use crate::settings::{Fixed, Settings};

/// The settings, which differ from chip to chip by the Ethernet address. The seed is to be drawn from
/// what differs at each start: a counter in flash, or the noise of an ADC.
#[inline(never)]
pub(crate) fn read(mac: [u8; 6]) -> Settings {
    let [_, _, a, b, c, d] = mac;
    let number = u32::from_le_bytes([a, b, c, d]);
    Settings {
        pid: Pid {
            days: 1 + number % 365,
            id: number,
        },
        directory: Addr(0x0A09_0001_5C30), // 10.9.0.1:23600
        port: 40_001,
        fixed: (!cfg!(feature = "dhcp")).then_some(Fixed {
            ip: Ipv4Addr::new(10, 9, 0, d),
            prefix: 24,
            gateway: None,
        }),
        reached: None,
        loopback: None,
        feign: None,
        seed: number,
        records_until: None,
    }
}
