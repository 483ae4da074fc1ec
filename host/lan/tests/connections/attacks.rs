//! An outsider on the same network, who sends whatever frames there are: the member neither panics nor
//! breaks the rules of `Net`, and serves honest peers afterwards.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, TcpControl, TcpPacket,
    TcpSeqNumber,
};

use crate::peer::{Break, End, MEMBER, PEER, PEER_PORT, PORT, PROBE, Pair, frame};

/// Longer than the member believes an ARP answer: 60 s.
const ARP_FORGOTTEN_MS: u64 = 70_000;

/// Each takes 70 s of virtual time.
const SEEDS: u64 = 10;
/// Frames for each seed.
const FRAMES: usize = 1_500;

/// Where things stand in a frame with IPv4 and TCP, both without options.
const SOURCE_MAC: usize = 6;
const IP: usize = 14;
const SOURCE_IP: usize = IP + 12;
const TCP: usize = IP + 20;
const FLAGS: usize = TCP + 13;
const TCP_WINDOW: usize = TCP + 14;

impl Pair {
    fn below(&mut self, bound: usize) -> usize {
        self.hub.borrow_mut().below(bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// Returns `true` once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn put(&mut self, frame: Vec<u8>) {
        self.hub.borrow_mut().send(PEER, frame);
    }

    /// A frame of no form at all, to the member or to all.
    fn noise(&mut self) -> Vec<u8> {
        let len = self.below(1_600);
        let mut bytes = self.bytes(len.max(6));
        let to = if self.once_in(2) {
            [0xFF; 6]
        } else {
            [2, 0, 0, 0, 0, MEMBER as u8]
        };
        bytes[..6].copy_from_slice(&to);
        if self.once_in(2) && bytes.len() > IP {
            // IPv4, ARP, IPv6, a VLAN.
            let kinds = [[8, 0], [8, 6], [0x86, 0xDD], [0x81, 0]];
            bytes[12..IP].copy_from_slice(&kinds[self.below(kinds.len())]);
        }
        bytes
    }

    /// An ARP packet with any operation and any addresses, of which some are the member's or the peer's.
    fn arp(&mut self) -> Vec<u8> {
        let mut bytes = vec![0xFF; 6];
        bytes.extend([2, 0, 0, 0, 0, PEER as u8, 8, 6, 0, 1, 8, 0, 6, 4, 0]);
        bytes.push(self.below(4) as u8);
        for _ in 0..2 {
            let mac = self.bytes(6);
            bytes.extend(mac);
            let host = [1, 2, 3, 255, self.byte()][self.below(5)];
            let address = if self.once_in(6) {
                self.address()
            } else {
                [10, 9, 0, host]
            };
            bytes.extend(address);
        }
        bytes
    }

    /// Another protocol over IPv4: ICMP, IGMP, UDP, or none.
    fn datagram(&mut self) -> Vec<u8> {
        let mut bytes = frame(PEER, &self.end(PORT), TcpControl::None, true, 1_024, &[]);
        let len = self.below(80);
        bytes.truncate(TCP);
        let payload = self.bytes(len);
        bytes.extend(payload);
        bytes[IP + 3] = (20 + len) as u8;
        bytes[IP + 9] = [1, 2, 17, self.byte()][self.below(4)];
        if self.once_in(3) {
            let from = self.address();
            bytes[SOURCE_IP..SOURCE_IP + 4].copy_from_slice(&from);
        }
        repair(&mut bytes);
        bytes
    }

    /// An end of a connection that there may be.
    fn end(&mut self, to: u16) -> End {
        let sequence = TcpSeqNumber(7_000_000 + self.below(64) as i32 - 8);
        End {
            port: 30_000 + self.below(40) as u16,
            to,
            sequence,
            expects: TcpSeqNumber(self.below(1 << 31) as i32),
        }
    }

    /// A segment with any flags, sometimes with options, of a connection that there may be, or to the
    /// ports that the member connects from.
    fn segment(&mut self, known: &[End]) -> Vec<u8> {
        let mut end = match known.len() {
            0 => self.end(PORT),
            count => known[self.below(count)],
        };
        if self.once_in(4) {
            end = self.end(PORT);
        } else if self.once_in(8) {
            let to = 50_000 + self.below(8) as u16;
            end = self.end(to);
            end.port = PEER_PORT;
        }
        end.sequence += self.below(4) * self.below(40);
        let controls = [
            TcpControl::None,
            TcpControl::Psh,
            TcpControl::Fin,
            TcpControl::Syn,
            TcpControl::Rst,
        ];
        let control = controls[self.below(controls.len())];
        let window = [0, 1, 536, u16::MAX][self.below(4)];
        let len = [0, 1, 20, 536, 1_400][self.below(5)];
        let payload = if self.once_in(2) {
            self.bytes(len)
        } else {
            PROBE.to_vec()
        };
        let acknowledges = !self.once_in(4);
        let mut bytes = frame(PEER, &end, control, acknowledges, window, &payload);
        if self.once_in(3) {
            bytes[FLAGS] = self.byte();
        }
        if self.once_in(6) {
            // Where the data begin: some of them are options now.
            bytes[TCP + 12] = self.byte() & 0xF0;
        }
        bytes
    }

    /// A first segment from anywhere.
    fn syn(&mut self) -> Vec<u8> {
        let end = self.end(PORT);
        let mut bytes = frame(PEER, &end, TcpControl::Syn, false, 8_192, &[]);
        let (mac, host) = (self.byte(), self.byte());
        bytes[SOURCE_MAC + 5] = mac;
        bytes[SOURCE_IP + 3] = host;
        bytes[TCP] = self.byte();
        if self.once_in(8) {
            let from = self.address();
            bytes[SOURCE_IP..SOURCE_IP + 4].copy_from_slice(&from);
        }
        repair(&mut bytes);
        bytes
    }

    /// An address that no host has, or that of the member or the peer.
    fn address(&mut self) -> [u8; 4] {
        let addresses = [
            [0; 4],
            [255; 4],
            [10, 9, 0, 255],
            [10, 9, 0, 1],
            [10, 9, 0, 2],
            [127, 0, 0, 1],
            [224, 0, 0, 1],
        ];
        addresses[self.below(addresses.len())]
    }

    /// Changes a frame, mostly so that its sums are still right.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len().min(80));
            // Else it is another's.
            if at >= 6 {
                bytes[at] = self.byte();
            }
        }
        match self.below(16) {
            0 => bytes.truncate(self.below(bytes.len()).max(6)),
            1 => {
                let more = self.below(600);
                let more = self.bytes(more);
                bytes.extend(more);
            }
            _ => {}
        }
        if !self.once_in(4) {
            repair(bytes);
        }
    }

    /// Connects as it should be, and leaves the connection as it is.
    fn abandoned(&mut self) -> End {
        let mut end = self.end(PORT);
        let bytes = frame(PEER, &end, TcpControl::Syn, false, 8_192, &[]);
        self.put(bytes);
        end.sequence += 1;
        for segment in self.run(5) {
            if segment.to == end.port && segment.control == TcpControl::Syn {
                end.expects = segment.sequence + 1;
            }
        }
        self.acknowledge(&end);
        end
    }
}

/// Makes the sums of a frame right, as far as it has any.
fn repair(bytes: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(bytes) else {
        return;
    };
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return;
    }
    let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else {
        return;
    };
    packet.fill_checksum();
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    if packet.next_header() == IpProtocol::Tcp
        && let Ok(mut segment) = TcpPacket::new_checked(packet.payload_mut())
    {
        segment.fill_checksum(&from, &to);
    }
}

#[test]
fn whatever_frames_come_the_member_serves_honest_peers_afterwards() {
    for seed in 1..=SEEDS {
        let mut pair = Pair::seeded(seed % 2 == 0, seed);
        let mut known: Vec<End> = Vec::new();
        for _ in 0..FRAMES {
            if pair.once_in(60) {
                let end = pair.abandoned();
                known.push(end);
            }
            let mut bytes = match pair.below(10) {
                0 => pair.noise(),
                1 => pair.arp(),
                2 => pair.datagram(),
                3 | 4 => pair.syn(),
                _ => pair.segment(&known),
            };
            if pair.once_in(3) {
                pair.spoil(&mut bytes);
            }
            pair.put(bytes);
            if pair.once_in(4) {
                let millis = pair.below(20);
                pair.run(millis as u64);
            }
        }
        pair.run(ARP_FORGOTTEN_MS);
        // A seed that fails is in the output of the test.
        println!("seed {seed}: {} connections, then quiet", known.len());
        if seed % 2 == 1 {
            pair.has_recovered();
        } else {
            // It goes on to ask for its coordinator.
            pair.is_served();
        }
    }
}

#[test]
fn a_flood_of_first_segments_from_addresses_that_do_not_answer_ends_and_others_are_served() {
    let mut pair = Pair::new(false);
    for round in 0..20_u16 {
        for host in 3..=254 {
            let end = End {
                port: 20_000 + 300 * round + host,
                to: PORT,
                sequence: TcpSeqNumber(1),
                expects: TcpSeqNumber(0),
            };
            let bytes = frame(
                usize::from(host) - 1,
                &end,
                TcpControl::Syn,
                false,
                512,
                &[],
            );
            pair.put(bytes);
        }
        pair.run(100);
    }
    pair.has_recovered();
}

#[test]
fn a_segment_that_claims_to_come_from_the_member_itself_is_answered_to_nobody() {
    let mut pair = Pair::new(false);
    for _ in 0..100 {
        let end = End {
            port: PORT,
            to: PORT,
            sequence: TcpSeqNumber(1),
            expects: TcpSeqNumber(0),
        };
        let mut bytes = frame(MEMBER, &end, TcpControl::Syn, false, 512, &[]);
        bytes[SOURCE_MAC + 5] = MEMBER as u8;
        pair.put(bytes);
        pair.run(1);
    }
    pair.has_recovered();
}

#[test]
fn segments_from_no_host_are_not_answered() {
    let sources = [
        Ipv4Address::UNSPECIFIED,
        Ipv4Address::BROADCAST,
        Ipv4Address::new(224, 0, 0, 1),
        Ipv4Address::new(127, 0, 0, 1),
        Ipv4Address::new(10, 9, 0, 255),
    ];
    let mut pair = Pair::new(false);
    for source in sources {
        for port in 0..20 {
            let end = End {
                port,
                to: PORT,
                sequence: TcpSeqNumber(1),
                expects: TcpSeqNumber(0),
            };
            let mut bytes = frame(PEER, &end, TcpControl::Syn, false, 512, &[]);
            bytes[SOURCE_IP..SOURCE_IP + 4].copy_from_slice(&source.octets());
            repair(&mut bytes);
            pair.put(bytes);
            pair.run(1);
        }
    }
    pair.has_recovered();
}

#[test]
fn a_peer_that_never_makes_room_for_its_answer_is_given_up() {
    for _ in 0..2 {
        let mut pair = Pair::new(false);
        for _ in 0..20 {
            let mut end = pair.connect();
            for piece in [&[][..], PROBE] {
                let mut bytes = frame(PEER, &end, TcpControl::Psh, true, 0, piece);
                bytes[TCP_WINDOW..TCP_WINDOW + 2].fill(0);
                repair(&mut bytes);
                pair.put(bytes);
                end.sequence += piece.len();
            }
            pair.run(20);
        }
        pair.has_recovered();
    }
}

#[test]
fn a_message_of_one_byte_a_segment_is_answered_once() {
    let mut pair = Pair::new(false);
    let mut end = pair.connect();
    pair.acknowledge(&end);
    for byte in PROBE {
        pair.say(&mut end, &[*byte]);
        pair.run(2);
    }
    let received = pair.receive_all(&mut end);
    assert_eq!(received.windows(2).filter(|two| *two == b"OK").count(), 1);
    pair.break_off(&mut end, Break::End);
    pair.has_recovered();
}
