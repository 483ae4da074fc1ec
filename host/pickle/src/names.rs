//! `(host, port)` as the one number that the core compares.

use core::net::Ipv4Addr;

use bully::Addr;

/// Turns hosts into numbers and back: the upper 48 bits of an [`Addr`] are the host's, the lower 16
/// the port.
///
/// Equal hosts must have equal numbers for as long as anybody holds one.
pub trait Names {
    /// A host as it is written.
    type Host<'a>: AsRef<str>
    where
        Self: 'a;

    /// Returns what the addresses on `host` have in common: an address with port 0. `None` if there is
    /// no capacity for another host or it cannot be one.
    fn base(&mut self, host: &str) -> Option<u64>;

    /// Returns the host of an address.
    fn host(&self, addr: Addr) -> Self::Host<'_>;
}

/// The longest host that is read, in bytes. A DNS name has at most 253.
pub const HOST_BYTES_MAX: usize = 255;

/// Returns the port of an address, 1 to 65,535.
pub const fn port(addr: Addr) -> u16 {
    (addr.0 & 0xFFFF) as u16
}

/// Returns a number that is the same for all addresses on a host, and for no other's.
pub(crate) const fn host_key(addr: Addr) -> u64 {
    addr.0 >> 16
}

/// IPv4 addresses alone, in no memory: `localhost` and the empty text are 127.0.0.1, other names
/// are no hosts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ipv4;

impl Ipv4 {
    /// Returns the number of an IPv4 address and a port; `None` if the port is 0.
    pub fn addr(ip: Ipv4Addr, port: u16) -> Option<Addr> {
        (port > 0).then_some(Addr(u64::from(ip.to_bits()) << 16 | u64::from(port)))
    }

    /// Returns the IPv4 address of such a number.
    pub const fn ip(addr: Addr) -> Ipv4Addr {
        Ipv4Addr::from_bits((addr.0 >> 16) as u32)
    }
}

impl Names for Ipv4 {
    type Host<'a> = Ipv4Text;

    fn base(&mut self, host: &str) -> Option<u64> {
        let ip = match host {
            "" | "localhost" => Ipv4Addr::LOCALHOST,
            host => parse(host)?,
        };
        Some(u64::from(ip.to_bits()) << 16)
    }

    fn host(&self, addr: Addr) -> Ipv4Text {
        let mut text = Ipv4Text {
            bytes: [0; 15],
            len: 0,
        };
        for (at, octet) in Self::ip(addr).octets().into_iter().enumerate() {
            if at > 0 {
                text.push(b'.');
            }
            if octet >= 100 {
                text.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                text.push(b'0' + octet / 10 % 10);
            }
            text.push(b'0' + octet % 10);
        }
        text
    }
}

/// Four numbers of 0 to 255 without leading zeros, as the standard library has it; its parser is 600
/// bytes more on a chip.
fn parse(host: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = host.as_bytes().split(|byte| *byte == b'.');
    for octet in &mut octets {
        let digits = parts.next()?;
        if digits.is_empty() || digits.len() > 1 && digits.starts_with(b"0") {
            return None;
        }
        for digit in digits {
            let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
            *octet = u8::checked_add(u8::checked_mul(*octet, 10)?, digit)?;
        }
    }
    parts.next().is_none().then(|| octets.into())
}

/// An IPv4 address as text.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Text {
    bytes: [u8; 15],
    len: usize,
}

impl Ipv4Text {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

impl AsRef<str> for Ipv4Text {
    fn as_ref(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}
