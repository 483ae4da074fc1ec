//! Groups of members with their own TCP/IP on an Ethernet in memory, in virtual time. `Checked` stands
//! between each of them and its network.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bully::{Addr, Checked, Directory, Instant, Member, Node, Pid};
use bully_lan::{Config, Lan, Memory};
use bully_pickle::Ipv4;
use bully_pickle::message::Keyed;
use bully_pickle::writer::Forms;
use smoltcp::iface::{Interface, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

const SOCKETS: usize = 12;
const EXCHANGES: usize = 8;
const PORT: u16 = 40_001;

/// What happens to frames, in thousandths.
#[derive(Clone, Copy, Default)]
struct Faults {
    lost: u64,
    doubled: u64,
    late: u64,
}

/// The Ethernet: each frame arrives after a millisecond, at everybody that it is for.
struct Hub {
    now: u64,
    queues: Vec<VecDeque<(u64, Vec<u8>)>>,
    plugged: Vec<bool>,
    faults: Faults,
    random: u64,
    frames: u64,
}

impl Hub {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn send(&mut self, from: usize, frame: Vec<u8>) {
        self.frames += 1;
        if !self.plugged[from] {
            return;
        }
        // The last byte of an address is its owner's place; broadcast is for all.
        let to_all = frame[0] & 1 == 1;
        for to in 0..self.queues.len() {
            if to == from || !self.plugged[to] || !to_all && usize::from(frame[5]) != to {
                continue;
            }
            if self.below(1_000) < self.faults.lost {
                continue;
            }
            let copies = 1 + u64::from(self.below(1_000) < self.faults.doubled);
            for _ in 0..copies {
                let late = if self.below(1_000) < self.faults.late {
                    1_000 * (1 + self.below(20))
                } else {
                    0
                };
                self.queues[to].push_back((self.now + 1_000 + late, frame.clone()));
            }
        }
    }

    fn receive(&mut self, at: usize) -> Option<Vec<u8>> {
        let now = self.now;
        let queue = &mut self.queues[at];
        let due = queue.iter().position(|(due, _)| *due <= now)?;
        queue.remove(due).map(|(_, frame)| frame)
    }
}

struct Port {
    hub: Rc<RefCell<Hub>>,
    at: usize,
}

struct Received(Vec<u8>);
struct Sending<'a>(&'a Port);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.hub.borrow_mut().send(self.0.at, frame);
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: NetInstant) -> Option<(Received, Sending<'_>)> {
        let frame = self.hub.borrow_mut().receive(self.at)?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: NetInstant) -> Option<Sending<'_>> {
        Some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}

type Net = Lan<'static, Port>;

enum Program {
    Member(Box<Node<32, EXCHANGES>>, Box<Checked<Net, EXCHANGES>>),
    Coordinator(Box<Directory<32, EXCHANGES>>, Box<Checked<Net, EXCHANGES>>),
    Off,
}

struct Group {
    hub: Rc<RefCell<Hub>>,
    programs: Vec<Program>,
    boots: u64,
}

fn addr(at: usize) -> Addr {
    Ipv4::addr([10, 9, 0, at as u8 + 1].into(), PORT).expect("a port above 0")
}

fn member(at: usize) -> Member {
    Member {
        pid: Pid {
            days: 10 * at as u32,
            id: 1_000_000 + at as u32,
        },
        addr: addr(at),
    }
}

impl Group {
    /// A coordinator and so many places for members, none of which is on.
    fn new(members: usize, seed: u64, faults: Faults, keyed: Keyed) -> Self {
        let hub = Hub {
            now: 1_000,
            queues: vec![VecDeque::new(); members + 1],
            plugged: vec![true; members + 1],
            faults,
            random: seed | 1,
            frames: 0,
        };
        let mut group = Self {
            hub: Rc::new(RefCell::new(hub)),
            programs: (0..=members).map(|_| Program::Off).collect(),
            boots: seed,
        };
        let net = Checked::directory(group.lan(0, keyed));
        group.programs[0] = Program::Coordinator(Box::default(), Box::new(net));
        group
    }

    fn lan(&mut self, at: usize, keyed: Keyed) -> Net {
        self.boots += 1;
        let hub = Rc::clone(&self.hub);
        let now = NetInstant::from_micros(hub.borrow().now as i64);
        let mut port = Port { hub, at };
        let mac = EthernetAddress([2, 0, 0, 0, 0, at as u8]);
        let mut config = smoltcp::iface::Config::new(mac.into());
        config.random_seed = self.boots;
        let mut interface = Interface::new(config, &mut port, now);
        interface.update_ip_addrs(|addrs| {
            let ip = IpAddress::v4(10, 9, 0, at as u8 + 1);
            addrs.push(IpCidr::new(ip, 24)).expect("there is capacity");
        });
        // Few in one test, and gone with it.
        let memory: &'static mut Memory<SOCKETS, 2_048, 536> = Box::leak(Box::default());
        let storage = Box::leak(Box::new([SocketStorage::EMPTY; SOCKETS]));
        let config = Config {
            port: PORT,
            exchanges: EXCHANGES,
            forms: Forms {
                keyed,
                ..Forms::default()
            },
            keyed: (at == 0).then_some(keyed),
            loopback: None,
            first_port: 49_152 + (self.boots * 97 % 16_000) as u16,
        };
        Lan::new(interface, port, config, memory, storage)
    }

    fn start(&mut self, at: usize) {
        let me = member(at);
        let mut config = bully::Config::new(me);
        config.directory = Some(addr(0));
        config.seed ^= self.boots;
        let net = Checked::node(self.lan(at, Keyed::Address), me);
        self.hub.borrow_mut().queues[at].clear();
        self.hub.borrow_mut().plugged[at] = true;
        self.programs[at] = Program::Member(Box::new(Node::new(config)), Box::new(net));
    }

    /// Cuts the power: nobody is told.
    fn power_off(&mut self, at: usize) {
        self.programs[at] = Program::Off;
        self.hub.borrow_mut().plugged[at] = false;
    }

    /// A millisecond.
    fn step(&mut self) {
        let micros = {
            let mut hub = self.hub.borrow_mut();
            hub.now += 1_000;
            hub.now
        };
        let (now, net_now) = (
            Instant::from_micros(micros),
            NetInstant::from_micros(micros as i64),
        );
        for program in &mut self.programs {
            let net = match program {
                Program::Member(node, net) => {
                    net.inner_mut().turn(net_now);
                    while let Some(event) = node.poll(now, &mut **net) {
                        net.note(event);
                    }
                    net
                }
                Program::Coordinator(directory, net) => {
                    net.inner_mut().turn(net_now);
                    while directory.poll(now, &mut **net).is_some() {}
                    net
                }
                Program::Off => continue,
            };
            net.inner_mut().flush(net_now);
            // What is pending is fetched in the next step, which is not far.
            assert!(net.open_exchanges() <= EXCHANGES + 1);
        }
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }

    /// Whom each member that is on follows.
    fn leaders(&self) -> Vec<(usize, Option<Pid>)> {
        let leader = |(at, program): (usize, &Program)| match program {
            Program::Member(node, _) => Some((at, node.leader())),
            _ => None,
        };
        self.programs
            .iter()
            .enumerate()
            .filter_map(leader)
            .collect()
    }

    fn agree_on(&self, at: usize) -> bool {
        let leader = Some(member(at).pid);
        self.leaders().iter().all(|(_, follows)| *follows == leader)
    }

    /// Runs until all follow `at`, and returns how many milliseconds that took.
    fn until_agreed(&mut self, at: usize, within_ms: u64) -> u64 {
        for millis in 0..within_ms {
            if self.agree_on(at) {
                return millis;
            }
            self.step();
        }
        panic!(
            "after {within_ms} ms not all follow {at}: {:?}",
            self.leaders()
        );
    }
}

#[test]
fn eight_members_on_eight_addresses_agree_whatever_the_coordinator_s_keys() {
    for keyed in [Keyed::Address, Keyed::Pid] {
        let mut group = Group::new(8, 1, Faults::default(), keyed);
        for at in 1..=8 {
            group.start(at);
        }
        let took = group.until_agreed(8, 2_000);
        group.run(5_000);
        assert!(group.agree_on(8), "{:?}", group.leaders());
        println!("{keyed:?}: agreed after {took} ms");
    }
}

#[test]
fn a_member_that_joins_late_follows_and_the_greatest_takes_over() {
    let mut group = Group::new(6, 2, Faults::default(), Keyed::Pid);
    for at in [2, 3, 5] {
        group.start(at);
    }
    group.until_agreed(5, 2_000);
    group.start(1);
    group.until_agreed(5, 1_000);
    group.start(6);
    group.until_agreed(6, 1_000);
}

#[test]
fn a_leader_without_power_is_missed_and_comes_back() {
    let mut group = Group::new(5, 3, Faults::default(), Keyed::Address);
    for at in 1..=5 {
        group.start(at);
    }
    group.until_agreed(5, 2_000);
    group.run(3_000);
    group.power_off(5);
    // A PROBE every 0.5 to 3 s, silent twice; then an election.
    group.until_agreed(4, 10_000);
    group.start(5);
    group.until_agreed(5, 2_000);
}

#[test]
fn groups_agree_though_frames_are_lost_doubled_and_late() {
    let faults = Faults {
        lost: 20,
        doubled: 20,
        late: 50,
    };
    for seed in 10..30 {
        let mut group = Group::new(5, seed, faults, Keyed::Pid);
        for at in 1..=5 {
            group.start(at);
        }
        group.until_agreed(5, 30_000);
        group.power_off(5);
        group.until_agreed(4, 30_000);
        group.start(5);
        group.until_agreed(5, 30_000);
    }
}
