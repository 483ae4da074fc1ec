//! Who connects while no socket listens.

use core::net::Ipv4Addr;

use heapless::Deque;
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, RxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol,
    Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// How many connections wait at once for a socket that listens; more try again after a second. So a
/// hundred at once are served in two rounds.
pub const BACKLOG: usize = 64;

/// The first segment of a connection, as far as it is kept. Its options are not: whoever waited is sent
/// segments of 536 bytes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    mac: EthernetAddress,
    ip: Ipv4Addr,
    port: u16,
    sequence: TcpSeqNumber,
}

/// All that wait, in the order in which they came.
pub(crate) type Queue = Deque<Waiting, BACKLOG>;

/// The board's device, and who waits for a socket.
///
/// A TCP stack without a backlog refuses whoever connects while no socket listens, and to a member of
/// the group "refused" means "failed". So a connection's first segment is kept, and is received again
/// once a socket listens.
pub(crate) struct Backlog<'a, D> {
    pub(crate) device: D,
    waiting: &'a mut Queue,
    /// Where others connect to.
    mac: EthernetAddress,
    ip: Ipv4Addr,
    port: u16,
    gate: Gate,
    /// When the last of them was accepted, or nobody waited.
    since: Instant,
    /// How many came while so many waited already.
    pub(crate) left_out: u32,
}

/// What becomes of who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// A socket listens: the longest waiting comes first.
    Open,
    /// They wait.
    Shut,
    /// They are refused.
    Refusing,
}

impl<'a, D> Backlog<'a, D> {
    pub(crate) fn new(device: D, waiting: &'a mut Queue, mac: EthernetAddress, port: u16) -> Self {
        Self {
            device,
            waiting,
            mac,
            ip: Ipv4Addr::UNSPECIFIED,
            port,
            gate: Gate::Open,
            since: Instant::ZERO,
            left_out: 0,
        }
    }

    /// Decides what becomes of whoever connects to `ip`, the interface's address, from now on.
    pub(crate) fn set_gate(&mut self, gate: Gate, ip: Ipv4Addr) {
        self.gate = gate;
        self.ip = ip;
        if gate == Gate::Refusing {
            self.waiting.clear();
        }
    }

    /// Returns `true` if somebody waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Since when somebody waits and none of them was accepted.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.has_waiting().then_some(self.since)
    }
}

impl<D: Device> Device for Backlog<'_, D> {
    type RxToken<'t>
        = Received<'t, D::RxToken<'t>>
    where
        Self: 't;
    type TxToken<'t>
        = D::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        if self.gate == Gate::Open && self.has_waiting() {
            let answer = self.device.transmit(now)?;
            let waiting = self.waiting.pop_front()?;
            self.since = now;
            let frame = waiting.frame(self.mac, self.ip, self.port);
            return Some((Received::Again(frame), answer));
        }
        if !self.has_waiting() {
            self.since = now;
        }
        let (token, answer) = self.device.receive(now)?;
        let keep = (self.gate == Gate::Shut).then_some(Keep {
            waiting: self.waiting,
            left_out: &mut self.left_out,
            ip: self.ip,
            port: self.port,
        });
        Some((Received::New(token, keep), answer))
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.device.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// A frame that came just now, or one that waited.
pub(crate) enum Received<'t, T> {
    New(T, Option<Keep<'t>>),
    Again([u8; FRAME]),
}

impl<T: RxToken> RxToken for Received<'_, T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        match self {
            // An empty frame is dropped.
            Self::New(token, keep) => token.consume(|frame| {
                let is_kept = keep.is_some_and(|mut keep| keep.takes(frame));
                f(if is_kept || is_from_nobody(frame) {
                    &[]
                } else {
                    frame
                })
            }),
            Self::Again(frame) => f(&frame),
        }
    }
}

/// Returns `true` for a datagram from 0.0.0.0, for which smoltcp panics when it answers.
fn is_from_nobody(frame: &[u8]) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        return false;
    };
    let packet = Ipv4Packet::new_checked(frame.payload());
    frame.ethertype() == EthernetProtocol::Ipv4
        && packet.is_ok_and(|packet| packet.src_addr().is_unspecified())
}

/// Where who connects waits.
pub(crate) struct Keep<'t> {
    waiting: &'t mut Queue,
    left_out: &'t mut u32,
    ip: Ipv4Addr,
    port: u16,
}

impl Keep<'_> {
    /// Keeps a frame if it is the first segment of a connection, and returns `true` if so, also if
    /// there is no capacity.
    fn takes(&mut self, frame: &[u8]) -> bool {
        let Some(waiting) = Waiting::of(frame, self.ip, self.port) else {
            return false;
        };
        // Whoever has waited for a second sends it again.
        let is_same = |one: &&mut Waiting| (one.ip, one.port) == (waiting.ip, waiting.port);
        if let Some(known) = self.waiting.iter_mut().find(is_same) {
            *known = waiting;
        } else if self.waiting.push_back(waiting).is_err() {
            *self.left_out = self.left_out.wrapping_add(1);
        }
        true
    }
}

/// Bytes of a frame without options and data: Ethernet, IPv4, TCP.
const FRAME: usize = ETHERNET + 20 + 20;
const ETHERNET: usize = 14;

impl Waiting {
    /// What is kept of a frame, if it carries the first segment of a connection to `ip` and `port`.
    fn of(frame: &[u8], ip: Ipv4Addr, port: u16) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let is_first = packet.frag_offset() == 0 && !packet.more_frags();
        if packet.next_header() != IpProtocol::Tcp || packet.dst_addr() != ip || !is_first {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let begins = segment.syn() && !segment.ack() && !segment.rst();
        let begins = begins && !packet.src_addr().is_unspecified();
        (begins && segment.dst_port() == port).then(|| Self {
            mac: frame.src_addr(),
            ip: packet.src_addr(),
            port: segment.src_port(),
            sequence: segment.seq_number(),
        })
    }

    /// The frame, without options.
    fn frame(self, mac: EthernetAddress, ip: Ipv4Addr, port: u16) -> [u8; FRAME] {
        let mut bytes = [0; FRAME];
        let checksums = ChecksumCapabilities::default();
        let (from, to) = (IpAddress::Ipv4(self.ip), IpAddress::Ipv4(ip));
        let segment = TcpRepr {
            src_port: self.port,
            dst_port: port,
            control: TcpControl::Syn,
            seq_number: self.sequence,
            ack_number: None,
            // It says its own with its next segment, before anything is sent to it.
            window_len: u16::MAX,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let packet = Ipv4Repr {
            src_addr: self.ip,
            dst_addr: ip,
            next_header: IpProtocol::Tcp,
            payload_len: segment.buffer_len(),
            hop_limit: 64,
        };
        let header = EthernetRepr {
            src_addr: self.mac,
            dst_addr: mac,
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        header.emit(&mut frame);
        let mut ip_packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        packet.emit(&mut ip_packet, &checksums);
        let mut tcp_packet = TcpPacket::new_unchecked(ip_packet.payload_mut());
        segment.emit(&mut tcp_packet, &from, &to, &checksums);
        bytes
    }
}
