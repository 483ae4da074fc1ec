//! Groups of members with their own TCP/IP on an Ethernet in memory, in virtual time. `Checked` stands
//! between each of them and its network.

mod ethernet;

use core::cell::RefCell;
use std::rc::Rc;

use bully::{Addr, Checked, Directory, Event, Instant, Loss, Member, Node, Pid};
use bully_lan::{Config, Lan, Memory};
use bully_pickle::Ipv4;
use bully_pickle::message::Keyed;
use bully_pickle::writer::Forms;
use smoltcp::iface::{Interface, SocketSet, SocketStorage};
use smoltcp::socket::Socket;
use smoltcp::time::Instant as NetInstant;

use ethernet::{Faults, Hub, Port};

const SOCKETS: usize = 12;
const EXCHANGES: usize = 8;
const PORT: u16 = 40_001;

type Net = Lan<'static, Port>;

enum Program {
    Member(Box<Node<32, EXCHANGES>>, Box<Checked<Net, EXCHANGES>>),
    Coordinator(Box<Directory<32, EXCHANGES>>, Box<Checked<Net, EXCHANGES>>),
    /// The program has ended and its host is there: it refuses connections.
    Killed(Box<Interface>, Port),
    Off,
}

struct Group {
    hub: Rc<RefCell<Hub>>,
    programs: Vec<Program>,
    boots: u64,
    /// When a leader was first found to refuse connections.
    refused_at: Option<u64>,
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
        let mut group = Self {
            hub: Hub::new(members + 1, seed, faults),
            programs: (0..=members).map(|_| Program::Off).collect(),
            boots: seed,
            refused_at: None,
        };
        let net = Checked::directory(group.lan(0, keyed));
        group.programs[0] = Program::Coordinator(Box::default(), Box::new(net));
        group
    }

    fn lan(&mut self, at: usize, keyed: Keyed) -> Net {
        self.boots += 1;
        let hub = Rc::clone(&self.hub);
        let mut port = Port { hub, at };
        let interface = port.interface(self.boots);
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

    /// Ends the program: its host resets its connections and refuses others from now on.
    fn kill(&mut self, at: usize) {
        let now = NetInstant::from_micros(self.hub.borrow().now as i64);
        if let Program::Member(_, net) = &mut self.programs[at] {
            let lan = net.inner_mut();
            for (_, socket) in lan.sockets_mut().iter_mut() {
                let Socket::Tcp(socket) = socket;
                socket.abort();
            }
            lan.flush(now);
        }
        let mut port = Port {
            hub: Rc::clone(&self.hub),
            at,
        };
        let interface = port.interface(self.boots);
        self.programs[at] = Program::Killed(Box::new(interface), port);
    }

    /// Cuts the power: nothing is sent.
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
                        let refused = Loss::Refused;
                        if matches!(event, Event::LeaderLost { how, .. } if how == refused) {
                            self.refused_at.get_or_insert(micros);
                        }
                    }
                    net
                }
                Program::Coordinator(directory, net) => {
                    net.inner_mut().turn(net_now);
                    while directory.poll(now, &mut **net).is_some() {}
                    net
                }
                Program::Killed(interface, port) => {
                    interface.poll(net_now, port, &mut SocketSet::new(&mut [][..]));
                    continue;
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

    /// Starts members 1 to `count`, and runs until all follow the greatest. Returns how many
    /// milliseconds that took.
    fn start_all(&mut self, count: usize, within_ms: u64) -> u64 {
        for at in 1..=count {
            self.start(at);
        }
        self.until_agreed(count, within_ms)
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
        let took = group.start_all(8, 2_000);
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
    group.start_all(5, 2_000);
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
        group.start_all(5, 30_000);
        group.power_off(5);
        group.until_agreed(4, 30_000);
        group.start(5);
        group.until_agreed(5, 30_000);
    }
}

#[test]
fn within_50_ms_of_the_first_refused_probe_the_next_member_leads_and_all_follow_it() {
    let mut slowest = 0;
    for seed in 100..120 {
        let mut group = Group::new(8, seed, Faults::default(), Keyed::Pid);
        group.start_all(8, 2_000);
        group.run(3_000);
        group.kill(8);
        group.until_agreed(7, 10_000);
        let now = group.hub.borrow().now;
        let refused_at = group.refused_at.expect("somebody's PROBE was refused");
        let took = (now - refused_at) / 1_000;
        assert!(
            took <= 50,
            "seed {seed}: {took} ms after the first refused PROBE"
        );
        slowest = slowest.max(took);
    }
    println!("at most {slowest} ms after the first refused PROBE");
}
