//! One ARP request for each peer that is connected to.
//!
//! smoltcp asks for one neighbour a second, whoever it is: an announcement to eight peers would reach
//! one a second, and a member would take those it cannot ask in time for dead (measured).

use core::net::Ipv4Addr;

use smoltcp::iface::Interface;
use smoltcp::phy::{Device, TxToken as _};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, HardwareAddress, IpAddress,
};

/// Asks who has `ip`, if it is on the interface's own network.
pub(crate) fn ask<D: Device + ?Sized>(
    interface: &Interface,
    device: &mut D,
    now: Instant,
    ip: Ipv4Addr,
) {
    let HardwareAddress::Ethernet(mac) = interface.hardware_addr();
    let is_near = |cidr: &smoltcp::wire::IpCidr| cidr.contains_addr(&IpAddress::Ipv4(ip));
    let (Some(from), true) = (
        interface.ipv4_addr(),
        interface.ip_addrs().iter().any(is_near),
    ) else {
        return;
    };
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: ip,
    };
    let header = EthernetRepr {
        src_addr: mac,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    if let Some(token) = device.transmit(now) {
        token.consume(header.buffer_len() + arp.buffer_len(), |bytes| {
            let mut frame = EthernetFrame::new_unchecked(bytes);
            header.emit(&mut frame);
            arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        });
    }
}
