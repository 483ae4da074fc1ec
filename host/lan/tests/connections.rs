//! Connections with a peer that resets, ends, repeats and reorders as it likes, segment by segment, in
//! virtual time. `Checked` stands between the member and its network.

mod ethernet;

use core::cell::RefCell;
use std::rc::Rc;

use bully::{Checked, Config, Event, Instant, Member, Node, Pid};
use bully_lan::{Lan, Memory};
use bully_pickle::writer::{self, Forms};
use bully_pickle::{Buffer, Ipv4};
use smoltcp::iface::SocketStorage;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};

use ethernet::{Faults, Hub, Port};

const SOCKETS: usize = 12;
const EXCHANGES: usize = 8;
const PORT: u16 = 40_001;
/// Where the peer listens, which the member takes for its coordinator.
const PEER_PORT: u16 = 23_600;
const PEER: usize = 0;
const MEMBER: usize = 1;
/// How often each way to break off is tried: more than there are sockets, so that one that is not given
/// back is missed.
const TIMES: usize = 20;

/// A segment that came, as far as the peer looks at it.
#[derive(Clone, Debug)]
struct Segment {
    from: u16,
    to: u16,
    control: TcpControl,
    sequence: TcpSeqNumber,
    payload: Vec<u8>,
}

/// The peer's end of a connection.
#[derive(Clone, Copy, Debug)]
struct End {
    port: u16,
    to: u16,
    /// What it sends next, and what it expects.
    sequence: TcpSeqNumber,
    expects: TcpSeqNumber,
}

/// How the peer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Reset,
    End,
    Vanish,
}

const BREAKS: [Break; 3] = [Break::Reset, Break::End, Break::Vanish];

/// A member on the network, and a peer that writes each segment itself.
struct Pair {
    hub: Rc<RefCell<Hub>>,
    node: Box<Node<32, EXCHANGES>>,
    net: Checked<Lan<'static, Port>, EXCHANGES>,
    events: Vec<Event>,
    ports: u16,
}

fn mac(at: usize) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 0, at as u8])
}

fn ip(at: usize) -> Ipv4Address {
    Ipv4Address::new(10, 9, 0, at as u8 + 1)
}

impl Pair {
    /// A member that is alone, or has the peer for a coordinator.
    fn new(with_coordinator: bool) -> Self {
        let hub = Hub::new(2, 1, Faults::default());
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
    fn run(&mut self, millis: u64) -> Vec<Segment> {
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

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.hub.borrow_mut().receive(PEER)
    }

    /// Answers an ARP request; returns a segment.
    fn take(&mut self, bytes: &[u8]) -> Option<Segment> {
        let frame = EthernetFrame::new_checked(bytes).expect("a frame");
        match frame.ethertype() {
            EthernetProtocol::Arp => {
                self.tell_address();
                None
            }
            _ => {
                let packet = Ipv4Packet::new_checked(frame.payload()).expect("a datagram");
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
        }
    }

    fn tell_address(&mut self) {
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

    /// Sends a segment as it is given.
    fn send(&mut self, end: &End, control: TcpControl, acknowledges: bool, payload: &[u8]) {
        let segment = TcpRepr {
            src_port: end.port,
            dst_port: end.to,
            control,
            seq_number: end.sequence,
            ack_number: acknowledges.then_some(end.expects),
            window_len: 8_192,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let packet = Ipv4Repr {
            src_addr: ip(PEER),
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
        let (from, to) = (IpAddress::Ipv4(ip(PEER)), IpAddress::Ipv4(ip(MEMBER)));
        let mut whole = TcpPacket::new_unchecked(datagram.payload_mut());
        segment.emit(&mut whole, &from, &to, &checksums);
        self.hub.borrow_mut().send(PEER, bytes);
    }

    /// Sends the first segment of a connection, and returns its end once the member has answered.
    fn connect(&mut self) -> End {
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
    fn say(&mut self, end: &mut End, part: &[u8]) {
        self.send(end, TcpControl::Psh, true, part);
        end.sequence += part.len();
    }

    fn acknowledge(&mut self, end: &End) {
        self.send(end, TcpControl::None, true, &[]);
    }

    fn break_off(&mut self, end: &mut End, how: Break) {
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
    fn receive_all(&mut self, end: &mut End) -> Vec<u8> {
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
    fn is_served(&mut self) {
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
    fn has_recovered(&mut self) {
        self.run(30_000);
        assert_eq!(self.net.open_exchanges(), 0);
        self.is_served();
    }
}

fn header(ethertype: EthernetProtocol) -> EthernetRepr {
    EthernetRepr {
        src_addr: mac(PEER),
        dst_addr: mac(MEMBER),
        ethertype,
    }
}

/// `pickle.dumps(('PROBE', None), 2)`
const PROBE: &[u8] = b"\x80\x02X\x05\x00\x00\x00PROBEq\x00N\x86q\x01.";

#[test]
fn a_peer_that_breaks_off_at_any_stage_of_its_message_leaves_nothing_behind() {
    let (first, second) = PROBE.split_at(9);
    for how in BREAKS {
        for stage in 0..5 {
            let mut pair = Pair::new(false);
            for _ in 0..TIMES {
                // Stage 0: after the SYN. 1: connected. 2: half a message. 3: a whole one. 4: answered.
                let mut end = pair.connect();
                if stage >= 1 {
                    pair.acknowledge(&end);
                }
                if stage >= 2 {
                    pair.say(&mut end, first);
                }
                if stage >= 3 {
                    pair.say(&mut end, second);
                }
                if stage >= 4 {
                    assert!(
                        !pair.receive_all(&mut end).is_empty(),
                        "{how:?} at stage {stage}"
                    );
                }
                pair.break_off(&mut end, how);
                pair.run(20);
            }
            println!("{how:?} at stage {stage}: {TIMES} times");
            pair.has_recovered();
        }
    }
}

#[test]
fn a_message_whose_segments_come_in_any_order_and_twice_is_answered_once() {
    let pieces = [&PROBE[..5], &PROBE[5..12], &PROBE[12..]];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let mut pair = Pair::new(false);
        let mut end = pair.connect();
        pair.acknowledge(&end);
        let begin = end.sequence;
        for copy in 0..2 {
            for at in order {
                let offset: usize = pieces[..at].iter().map(|piece| piece.len()).sum();
                let at_piece = End {
                    sequence: begin + offset,
                    ..end
                };
                pair.send(&at_piece, TcpControl::Psh, true, pieces[at]);
                if copy == 1 {
                    pair.acknowledge(&at_piece);
                }
            }
        }
        end.sequence = begin + PROBE.len();
        let received = pair.receive_all(&mut end);
        let count = received.windows(2).filter(|two| *two == b"OK").count();
        assert_eq!(count, 1, "{order:?}: {received:?}");
        pair.break_off(&mut end, Break::End);
        pair.has_recovered();
    }
}

#[test]
fn a_coordinator_that_breaks_off_at_any_stage_is_asked_again_and_then_joined() {
    let mut answer = [0; 1_024];
    let mut out = Buffer::new(&mut answer);
    let members = [Member {
        pid: Pid {
            days: 100,
            id: 1_000_001,
        },
        addr: Ipv4::addr(ip(MEMBER), PORT).expect("a port above 0"),
    }];
    let roster = bully::Roster::new(&members).expect("ascending");
    let reply = bully::Reply::Members(roster);
    writer::reply(&mut out, &reply, &Forms::default(), &Ipv4, None);
    let len = out.end().expect("it fits");
    let answer = &answer[..len];
    for how in BREAKS {
        // Stage 0: instead of an answer to the SYN. 1: connected. 2: the message is there. 3: half of the
        // answer. 4: all of it.
        for stage in 0..5 {
            let mut pair = Pair::new(true);
            let mut broken = 0;
            let has_joined = |pair: &Pair| {
                let joined = |event: &Event| matches!(event, Event::Joined { .. });
                pair.events.iter().any(joined)
            };
            let mut open: Option<End> = None;
            for _ in 0..120_000 {
                if has_joined(&pair) {
                    break;
                }
                for segment in pair.run(1) {
                    if segment.to != PEER_PORT {
                        continue;
                    }
                    if segment.control == TcpControl::Syn {
                        let mut end = End {
                            port: PEER_PORT,
                            to: segment.from,
                            sequence: TcpSeqNumber(9_000_000),
                            expects: segment.sequence + 1,
                        };
                        if broken < 2 && stage == 0 {
                            broken += 1;
                            end.sequence = TcpSeqNumber(0);
                            if how != Break::Vanish {
                                pair.send(&end, TcpControl::Rst, true, &[]);
                            }
                            continue;
                        }
                        pair.send(&end, TcpControl::Syn, true, &[]);
                        end.sequence += 1;
                        if broken < 2 && stage == 1 {
                            broken += 1;
                            pair.break_off(&mut end, how);
                            continue;
                        }
                        open = Some(end);
                    } else if !segment.payload.is_empty()
                        && let Some(end) = &mut open
                        && end.to == segment.from
                        && end.expects == segment.sequence
                    {
                        end.expects += segment.payload.len();
                        let mut end = *end;
                        let breaks = broken < 2 && stage >= 2;
                        match (breaks, stage) {
                            (true, 2) => {}
                            (true, 3) => pair.say(&mut end, &answer[..len / 2]),
                            _ => pair.say(&mut end, answer),
                        }
                        if breaks {
                            broken += 1;
                            pair.break_off(&mut end, how);
                        }
                        open = None;
                    }
                }
            }
            assert!(
                has_joined(&pair),
                "{how:?} at stage {stage}: {:?}",
                pair.events
            );
            println!(
                "{how:?} at stage {stage}: joined, {} events",
                pair.events.len()
            );
        }
    }
}

#[test]
fn a_hundred_connections_at_once_are_all_answered_and_none_is_refused() {
    let mut pair = Pair::new(false);
    pair.run(1_000);
    let mut ends: Vec<(End, bool, bool)> = (0..100)
        .map(|n| {
            let end = End {
                port: 31_000 + n,
                to: PORT,
                sequence: TcpSeqNumber(5_000_000 + i32::from(n)),
                expects: TcpSeqNumber(0),
            };
            (end, false, false)
        })
        .collect();
    for millis in 0..12_000 {
        if ends.iter().all(|(_, _, answered)| *answered) {
            println!("all answered after {millis} ms");
            return;
        }
        // As Linux does it, once a second.
        if millis % 1_000 == 0 {
            for (end, _, _) in ends.iter().filter(|(_, connected, _)| !connected) {
                pair.send(end, TcpControl::Syn, false, &[]);
            }
        }
        for segment in pair.run(1) {
            let (end, connected, answered) = &mut ends[usize::from(segment.to - 31_000)];
            let is_reset = segment.control == TcpControl::Rst;
            assert!(*answered || !is_reset, "{end:?} was reset unanswered");
            if segment.control == TcpControl::Syn && !*connected {
                *connected = true;
                end.sequence += 1;
                end.expects = segment.sequence + 1;
                pair.acknowledge(end);
                pair.say(end, PROBE);
            } else if segment.payload.windows(2).any(|two| two == b"OK") && !*answered {
                *answered = true;
                end.expects += segment.payload.len();
                pair.acknowledge(end);
                pair.break_off(end, Break::End);
            }
        }
    }
    let left = ends.iter().filter(|(_, _, answered)| !answered).count();
    panic!("{left} of 100 were not answered within 12 s");
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let mut pair = Pair::new(false);
    for _ in 0..TIMES {
        let end = pair.connect();
        pair.acknowledge(&end);
    }
    pair.is_served();
}
