//! Who and where the member is, as constants: a product has them from its own settings.

use core::net::Ipv4Addr;

use bully::{Addr, FeignMode, Pid};

use crate::address::Fixed;

/// Who and where the member is.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) pid: Pid,
    pub(crate) directory: Addr,
    pub(crate) port: u16,
    /// `None`: DHCP says.
    pub(crate) fixed: Option<Fixed>,
    /// The address at which others reach it, if that is not its own.
    pub(crate) reached: Option<Ipv4Addr>,
    /// The machine that 127.0.0.0/8 stands for.
    pub(crate) loopback: Option<Ipv4Addr>,
    pub(crate) feign: Option<FeignMode>,
    /// Must differ at each start.
    pub(crate) seed: u32,
}

/// The settings, which differ from chip to chip by the Ethernet address. The seed is to be drawn from
/// what differs at each start: a counter in flash, or the noise of an ADC.
#[inline(never)]
pub(crate) fn read(mac: [u8; 6]) -> Arguments {
    let [_, _, a, b, c, d] = mac;
    let number = u32::from_le_bytes([a, b, c, d]);
    Arguments {
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
    }
}
