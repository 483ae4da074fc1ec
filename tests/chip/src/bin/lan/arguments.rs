//! Who and where the member is, from the command line of the emulator.

use core::net::SocketAddrV4;
use core::str::FromStr;
use core::time::Duration;

use bully::{FeignMode, Instant, Pid};
use bully_pickle::Ipv4;
use semihosting::experimental::env::args;
use semihosting::sys::arm_compat::{sys_elapsed, sys_time};

use crate::console;
use crate::settings::{Fixed, Settings};

/// How the command line is written.
const USAGE: &str = "-append 'pid=DAYS,ID gcd=IP:PORT port=PORT [ip=IP/PREFIX] [gateway=IP] \
                     [reached=IP] [loopback=IP] [feign=close|ignore] [seed=NUMBER] [record=SECONDS]'";

/// Reads the command line, or ends the emulator.
#[inline(never)]
pub(crate) fn read(mac: [u8; 6]) -> Settings {
    match parse(mac) {
        Some(settings) => settings,
        None => console::fail(USAGE),
    }
}

fn parse(mac: [u8; 6]) -> Option<Settings> {
    let mut pid = None;
    let (mut directory, mut port) = (None, None);
    let (mut ip, mut gateway) = (None, None);
    let (mut reached, mut loopback) = (None, None);
    let mut feign = None;
    let mut records_until = None;
    let mut seed = drawn_seed(mac);
    let args = &args::<1_024>().ok()?;
    // The name of the program comes first.
    for word in args.into_iter().map_while(Result::ok).skip(1) {
        let (name, value) = word.split_once('=')?;
        match name {
            "pid" => {
                let (days, id) = pair(value, ',')?;
                pid = Some(Pid { days, id });
            }
            "gcd" => {
                let at: SocketAddrV4 = value.parse().ok()?;
                directory = Ipv4::addr(*at.ip(), at.port());
            }
            "port" => port = Some(value.parse().ok()?),
            "ip" => ip = Some(pair(value, '/')?),
            "gateway" => gateway = Some(value.parse().ok()?),
            "reached" => reached = Some(value.parse().ok()?),
            "loopback" => loopback = Some(value.parse().ok()?),
            "feign" if value == "close" => feign = Some(FeignMode::Close),
            "feign" if value == "ignore" => feign = Some(FeignMode::Ignore),
            "record" => {
                let seconds = value.parse().ok()?;
                records_until = Some(Instant::ZERO + Duration::from_secs(seconds));
            }
            "seed" => seed = value.parse().ok()?,
            _ => return None,
        }
    }
    let fixed = ip.map(|(ip, prefix)| Fixed {
        ip,
        prefix,
        gateway,
    });
    if fixed.is_none() && !cfg!(feature = "dhcp") {
        return None;
    }
    Some(Settings {
        pid: pid?,
        directory: directory?,
        port: port?,
        fixed,
        reached,
        loopback,
        feign,
        seed,
        records_until,
    })
}

fn pair<A: FromStr, B: FromStr>(value: &str, between: char) -> Option<(A, B)> {
    let (a, b) = value.split_once(between)?;
    Some((a.parse().ok()?, b.parse().ok()?))
}

/// Another number at each start, and on each of several chips that start at once.
fn drawn_seed(mac: [u8; 6]) -> u32 {
    let [_, _, a, b, c, d] = mac;
    let seconds = sys_time().unwrap_or(0) as u32;
    // Nanoseconds since the emulator started: how long that took is chance.
    let elapsed = sys_elapsed().unwrap_or(0) as u32;
    (seconds ^ u32::from_le_bytes([a, b, c, d])).wrapping_mul(0x9E37_79B9) ^ elapsed
}
