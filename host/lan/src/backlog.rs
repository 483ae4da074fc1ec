//! Who connects while no socket listens.

use smoltcp::phy::Device;

/// A device that can leave connections waiting.
///
/// A TCP stack without a backlog refuses whoever connects while no socket listens, and to a member of
/// the group "refused" means "failed". So the device drops their first segment then: peers send it
/// again after a second. A device that cannot do so may leave the method as it is, and answers a burst
/// of more connections than there are listeners with refusals.
pub trait Backlog: Device {
    /// Drops frames that ask for a connection to `port` from now on, see [`is_connect`]; `None`: no
    /// more.
    fn hold(&mut self, port: Option<u16>) {
        let _ = port;
    }
}

/// Returns `true` if an Ethernet frame carries IPv4 and the first segment of a connection to `port`.
pub fn is_connect(frame: &[u8], port: u16) -> bool {
    const ETHERNET: usize = 14;
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET) else {
        return false;
    };
    let header = usize::from(packet.first().copied().unwrap_or(0) & 0xF) * 4;
    let segment = packet.get(header..).unwrap_or(&[]);
    ethernet.ends_with(&[0x08, 0x00])
        && packet.get(9) == Some(&TCP)
        && segment.get(2..4) == Some(&port.to_be_bytes())
        && segment
            .get(13)
            .is_some_and(|flags| flags & (SYN | ACK) == SYN)
}
