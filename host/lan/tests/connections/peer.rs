//! A member on the network, and a peer that writes each segment itself.

use core::cell::RefCell;
use std::rc::Rc;

use bully::{Checked, Config, Event, Instant, Member, Node, Pid};
use bully_lan::{Lan, Memory};
use bully_pickle::Ipv4;
use bully_pickle::writer::Forms;
use smoltcp::iface::SocketStorage;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};

use crate::ethernet::{Faults, Hub, Port};

const SOCKETS: usize = 12;
const EXCHANGES: usize = 8;
pub(crate) const PORT: u16 = 40_001;
/// Where the peer listens, which the member takes for its coordinator.
pub(crate) const PEER_PORT: u16 = 23_600;
pub(crate) const PEER: usize = 0;
pub(crate) const MEMBER: usize = 1;

/// A segment that came, as far as the peer looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) control: TcpControl,
    pub(crate) sequence: TcpSeqNumber,
    pub(crate) payload: Vec<u8>,
}

/// The peer's end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) port: u16,
    pub(crate) to: u16,
    /// What it sends next, and what it expects.
    pub(crate) sequence: TcpSeqNumber,
    pub(crate) expects: TcpSeqNumber,
}

/// How the peer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    Reset,
    End,
    Vanish,
}

pub(crate) const BREAKS: [Break; 3] = [Break::Reset, Break::End, Break::Vanish];

/// A member on the network, and a peer that writes each segment itself.
pub(crate) struct Pair {
    pub(crate) hub: Rc<RefCell<Hub>>,
    pub(crate) node: Box<Node<32, EXCHANGES>>,
    pub(crate) net: Checked<Lan<'static, Port>, EXCHANGES>,
    pub(crate) events: Vec<Event>,
    pub(crate) ports: u16,
}

pub(crate) fn mac(at: usize) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 0, at as u8])
}

pub(crate) fn ip(at: usize) -> Ipv4Address {
    Ipv4Address::new(10, 9, 0, at as u8 + 1)
}

impl Pair {
    /// A member that is alone, or has the peer for a coordinator.
    pub(crate) fn new(with_coordinator: bool) -> Self {
        Self::seeded(with_coordinator, 1)
    }

    /// The same, with other random numbers.
    pub(crate) fn seeded(with_coordinator: bool, seed: u64) -> Self {
        let hub = Hub::new(2, seed, Faults::default());
        let mut port = Port {
            hub: Rc::clone(&hub),
            at: MEMBER,
        };
        let interface = port.interface(1);
        let memory: &'static mut Memory<SOCKETS, 1_536, 536> = Box::leak(Box::default());
        let storage = Box::leak(Box::new([SocketStorage::EMPTY; SOCKETS]));
        let config = bully_lan::Config {
            port: PORT,
            exchanges: EXCHANGES,
            forms: Forms::default(),
            keyed: None,
            loopback: None,
            first_port: 50_000,
        };
        let lan = Lan::new(interface, port, config, memory, storage);
        let me = Member {
            pid: Pid {
                days: 100,
                id: 1_000_001,
            },
            addr: Ipv4::addr(ip(MEMBER), PORT).expect("a port above 0"),
        };
        let mut config = Config::new(me);
        config.directory = with_coordinator
            .then(|| Ipv4::addr(ip(PEER), PEER_PORT))
            .flatten();
        Self {
            hub,
            node: Box::new(Node::new(config)),
            net: Checked::node(lan, me),
            events: Vec::new(),
            ports: 30_000,
        }
    }

    /// Lets milliseconds pass; returns the segments that came to the peer.
    pub(crate) fn run(&mut self, millis: u64) -> Vec<Segment> {
        let mut segments = Vec::new();
        for _ in 0..millis {
            self.hub.borrow_mut().now += 1_000;
            let micros = self.hub.borrow().now;
            let now = NetInstant::from_micros(micros as i64);
            self.net.inner_mut().turn(now);
            while let Some(event) = self.node.poll(Instant::from_micros(micros), &mut self.net) {
                self.net.note(event);
                self.events.push(event);
            }
            self.net.inner_mut().flush(now);
            while let Some(frame) = self.receive() {
                segments.extend(self.take(&frame));
            }
        }
        segments
    }

    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        self.hub.borrow_mut().receive(PEER)
    }

    /// Answers an ARP request for the peer; returns a segment. All else is of no interest.
    fn take(&mut self, bytes: &[u8]) -> Option<Segment> {
        let frame = EthernetFrame::new_checked(bytes).expect("a frame");
        if frame.ethertype() == EthernetProtocol::Arp {
            let arp = ArpPacket::new_checked(frame.payload()).expect("ARP");
            let arp = ArpRepr::parse(&arp).expect("sound");
            let ArpRepr::EthernetIpv4 {
                target_protocol_addr,
                ..
            } = arp
            else {
                return None;
            };
            if target_protocol_addr == ip(PEER) {
                self.answer_arp();
            }
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).expect("a datagram");
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let segment = TcpPacket::new_checked(packet.payload()).expect("a segment");
        let checksums = ChecksumCapabilities::default();
        let repr = TcpRepr::parse(&segment, &from, &to, &checksums).expect("sound");
        Some(Segment {
            from: repr.src_port,
            to: repr.dst_port,
            control: repr.control,
            sequence: repr.seq_number,
            payload: repr.payload.to_vec(),
        })
    }

    fn answer_arp(&mut self) {
        let arp = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: mac(PEER),
            source_protocol_addr: ip(PEER),
            target_hardware_addr: mac(MEMBER),
            target_protocol_addr: ip(MEMBER),
        };
        let mut bytes = vec![0; 14 + arp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        header(EthernetProtocol::Arp).emit(&mut frame);
        arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        self.hub.borrow_mut().send(PEER, bytes);
    }

    /// Sends a segment.
    pub(crate) fn send(
        &mut self,
        end: &End,
        control: TcpControl,
        acknowledges: bool,
        payload: &[u8],
    ) {
        let bytes = frame(PEER, end, control, acknowledges, WINDOW, payload);
        self.hub.borrow_mut().send(PEER, bytes);
    }

    /// Sends the first segment of a connection, and returns its end once the member has answered.
    pub(crate) fn connect(&mut self) -> End {
        self.ports += 1;
        let mut end = End {
            port: self.ports,
            to: PORT,
            sequence: TcpSeqNumber(7_000_000),
            expects: TcpSeqNumber(0),
        };
        self.send(&end, TcpControl::Syn, false, &[]);
        end.sequence += 1;
        for _ in 0..1_000 {
            for segment in self.run(1) {
                if segment.to == end.port && segment.control == TcpControl::Syn {
                    end.expects = segment.sequence + 1;
                    return end;
                }
            }
        }
        panic!("nobody answered a SYN for a second");
    }

    /// Sends part of a message, acknowledging what came.
    pub(crate) fn say(&mut self, end: &mut End, part: &[u8]) {
        self.send(end, TcpControl::Psh, true, part);
        end.sequence += part.len();
    }

    pub(crate) fn acknowledge(&mut self, end: &End) {
        self.send(end, TcpControl::None, true, &[]);
    }

    pub(crate) fn break_off(&mut self, end: &mut End, how: Break) {
        match how {
            Break::Reset => self.send(end, TcpControl::Rst, true, &[]),
            Break::End => {
                self.send(end, TcpControl::Fin, true, &[]);
                end.sequence += 1;
            }
            Break::Vanish => {}
        }
    }

    /// What comes on a connection within a second, each byte once.
    pub(crate) fn receive_all(&mut self, end: &mut End) -> Vec<u8> {
        let mut received = Vec::new();
        for _ in 0..1_000 {
            for segment in self.run(1) {
                let is_next = segment.to == end.port && segment.sequence == end.expects;
                if is_next && !segment.payload.is_empty() {
                    end.expects += segment.payload.len();
                    received.extend(segment.payload);
                    self.acknowledge(end);
                }
            }
        }
        received
    }

    /// Sends PROBE as it should be: it is answered with OK.
    pub(crate) fn is_served(&mut self) {
        let mut end = self.connect();
        self.acknowledge(&end);
        self.say(&mut end, PROBE);
        let received = self.receive_all(&mut end);
        assert!(received.windows(2).any(|two| two == b"OK"), "{received:?}");
        self.break_off(&mut end, Break::End);
        self.run(10);
        self.acknowledge(&End {
            expects: end.expects + 1,
            ..end
        });
    }

    /// Lets the longest deadline pass: no exchange is left, and a good peer is served.
    pub(crate) fn has_recovered(&mut self) {
        self.run(30_000);
        assert_eq!(self.net.open_exchanges(), 0);
        self.is_served();
    }
}

pub(crate) fn header(ethertype: EthernetProtocol) -> EthernetRepr {
    EthernetRepr {
        src_addr: mac(PEER),
        dst_addr: mac(MEMBER),
        ethertype,
    }
}

/// `pickle.dumps(('PROBE', None), 2)`
pub(crate) const PROBE: &[u8] = b"\x80\x02X\x05\x00\x00\x00PROBEq\x00N\x86q\x01.";

/// How much the peer can receive.
pub(crate) const WINDOW: u16 = 8_192;

/// A segment of a host's to the member, as a frame.
pub(crate) fn frame(
    host: usize,
    end: &End,
    control: TcpControl,
    acknowledges: bool,
    window: u16,
    payload: &[u8],
) -> Vec<u8> {
    let segment = TcpRepr {
        src_port: end.port,
        dst_port: end.to,
        control,
        seq_number: end.sequence,
        ack_number: acknowledges.then_some(end.expects),
        window_len: window,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let packet = Ipv4Repr {
        src_addr: ip(host),
        dst_addr: ip(MEMBER),
        next_header: IpProtocol::Tcp,
        payload_len: segment.buffer_len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; 14 + 20 + segment.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    header(EthernetProtocol::Ipv4).emit(&mut frame);
    let mut datagram = Ipv4Packet::new_unchecked(frame.payload_mut());
    packet.emit(&mut datagram, &checksums);
    let (from, to) = (IpAddress::Ipv4(ip(host)), IpAddress::Ipv4(ip(MEMBER)));
    let mut whole = TcpPacket::new_unchecked(datagram.payload_mut());
    segment.emit(&mut whole, &from, &to, &checksums);
    bytes
}
