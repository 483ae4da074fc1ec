//! Who and where the member is. The words before the equals signs are the command line's.

use core::net::Ipv4Addr;

use bully::{Addr, FeignMode, Instant, Pid};

/// Who and where the member is.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `pid=DAYS,ID`
    pub(crate) pid: Pid,
    /// `gcd=IP:PORT`: the coordinator.
    pub(crate) directory: Addr,
    /// `port=PORT`: where to listen.
    pub(crate) port: u16,
    /// `ip=IP/PREFIX` and `gateway=IP`; without the first, DHCP says.
    pub(crate) fixed: Option<Fixed>,
    /// `reached=IP`: the address at which others reach it, if that is not its own.
    pub(crate) reached: Option<Ipv4Addr>,
    /// `loopback=IP`: the machine that 127.0.0.0/8 stands for.
    pub(crate) loopback: Option<Ipv4Addr>,
    /// `feign=close|ignore`: feigns failure now and then, as the assignment says.
    pub(crate) feign: Option<FeignMode>,
    /// `seed=NUMBER`: must differ at each start. It is the core's and smoltcp's, and makes the first
    /// port. Without it: the time, and the Ethernet address.
    pub(crate) seed: u32,
    /// `record=SECONDS`: with feature `record`, when to end the recording and show it.
    pub(crate) records_until: Option<Instant>,
}

/// An address that does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    pub(crate) ip: Ipv4Addr,
    /// How many of its bits are the network's.
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
}
