//! A member with its own TCP/IP at a tap device: what a chip runs, on this machine, among unmodified
//! Python peers on hosts of their own.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use bully::{Addr, Config, Event, Member, Node, Pid};
use bully_lan::Memory;
use bully_pickle::Ipv4;
use bully_pickle::writer::Forms;
use bully_tests::process::{LIMIT, Process, Processes};
use serde_json::{Value, json};
use smoltcp::iface::{Interface, SocketStorage};
use smoltcp::phy::{Medium, TunTapInterface, wait};
use smoltcp::time::{Duration as NetDuration, Instant as NetInstant};
use smoltcp::wire::{EthernetAddress, IpCidr};

use crate::lan::{Lan, start_gcd};

const SOCKETS: usize = 12;
const EXCHANGES: usize = 8;
const PORT: u16 = 23_600;

/// The member, in a thread of its own. Dropped, it is gone like a chip without power.
struct Tapped {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Tapped {
    /// Starts the member on a host of its own. Fails if there are no tap devices here.
    fn start(lan: &Lan, host: usize, pid: Pid, gcd: Addr) -> io::Result<Self> {
        static TAPS: AtomicU32 = AtomicU32::new(0);
        let number = TAPS.fetch_add(1, Ordering::Relaxed);
        let device = format!("tap{}-{number}", std::process::id());
        let ends = Arc::new(AtomicBool::new(false));
        let events = Arc::new(Mutex::new(Vec::new()));
        let (opened, is_open) = mpsc::channel();
        let (plugged, is_plugged) = mpsc::channel();
        let program = Program {
            device: device.clone(),
            ip: lan.ip(host),
            pid,
            gcd,
            ends: Arc::clone(&ends),
            events: Arc::clone(&events),
        };
        // The device stays with the thread that has opened it.
        let thread = thread::spawn(move || program.run(&opened, &is_plugged));
        is_open.recv().expect("the thread says so")?;
        lan.plug(&device);
        plugged.send(()).expect("the thread waits");
        Ok(Self {
            ends,
            thread: Some(thread),
            events,
        })
    }

    /// Whom it follows, or that it leads itself.
    fn leader(&self) -> Option<Pid> {
        let events = self.events.lock().expect("nobody panics with it");
        let leader = |event: &Event| match event {
            Event::Leader { leader, .. } => Some(*leader),
            _ => None,
        };
        events.iter().rev().find_map(leader)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            thread::panicking() || ended.is_some_and(|ended| ended.is_ok()),
            "it panicked"
        );
    }
}

/// What the thread runs.
struct Program {
    device: String,
    ip: Ipv4Addr,
    pid: Pid,
    gcd: Addr,
    ends: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Program {
    /// The member's whole life: as on a chip, but for the device and the clock.
    fn run(self, opened: &Sender<io::Result<()>>, is_plugged: &Receiver<()>) {
        let mut tap = match TunTapInterface::new(&self.device, Medium::Ethernet) {
            Ok(tap) => tap,
            Err(error) => return opened.send(Err(error)).expect("the test waits"),
        };
        opened.send(Ok(())).expect("the test waits");
        if is_plugged.recv().is_err() {
            return;
        }
        let fd = tap.as_raw_fd();
        let started = Instant::now();
        let micros = || started.elapsed().as_micros() as u64;
        let chance = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let chance = chance.expect("the clock is set").as_nanos() as u64;
        let mac = EthernetAddress([2, 0, 0, 0, 0, self.ip.octets()[3]]);
        let mut config = smoltcp::iface::Config::new(mac.into());
        config.random_seed = chance;
        let mut interface = Interface::new(config, &mut tap, NetInstant::ZERO);
        interface.update_ip_addrs(|addrs| {
            let cidr = IpCidr::new(self.ip.into(), 24);
            addrs.push(cidr).expect("there is capacity");
        });
        let mut memory = Box::<Memory<SOCKETS, 1_536, 536>>::default();
        let mut storage = [const { SocketStorage::EMPTY }; SOCKETS];
        let config = bully_lan::Config {
            port: PORT,
            exchanges: EXCHANGES,
            forms: Forms::default(),
            keyed: None,
            loopback: None,
            first_port: 49_152 + (chance % 16_000) as u16,
        };
        let mut net = bully_lan::Lan::new(interface, tap, config, &mut memory, &mut storage);
        let me = Member {
            pid: self.pid,
            addr: Ipv4::addr(self.ip, PORT).expect("a port above 0"),
        };
        let mut config = Config::new(me);
        config.directory = Some(self.gcd);
        config.seed = chance;
        let mut node = Box::new(Node::<32, EXCHANGES>::new(config));
        while !self.ends.load(Ordering::Relaxed) {
            let now = micros();
            net.turn(NetInstant::from_micros(now as i64));
            while let Some(event) = node.poll(bully::Instant::from_micros(now), &mut net) {
                self.events
                    .lock()
                    .expect("nobody panics with it")
                    .push(event);
            }
            let now = micros();
            net.flush(NetInstant::from_micros(now as i64));
            if !net.is_pending() {
                let node_at = node.poll_at().map(bully::Instant::as_micros);
                let net_at = net.poll_at().map(|at| at.total_micros() as u64);
                // No longer, to see whether it is to end.
                let until = node_at.into_iter().chain(net_at).min().unwrap_or(u64::MAX);
                let micros = until.saturating_sub(now).min(20_000);
                wait(fd, Some(NetDuration::from_micros(micros)))
                    .expect("the device can be waited for");
            }
        }
    }
}

/// The peer on each host: the days to its birthday say which.
fn pid(host: usize) -> Value {
    json!([10 * host, 1_000_000 + host])
}

fn start_peer(processes: &Processes, lan: &Lan, host: usize, gcd_port: u16) -> Process {
    let mut command = lan.command(host, "python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py"));
    command.args([
        &lan.addr(1),
        &gcd_port.to_string(),
        &pid(host)[1].to_string(),
    ]);
    command.args(["--days", &pid(host)[0].to_string()]);
    command.args(["--listen", &lan.addr(host), "--for", "3600"]);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    processes.spawn(format!("peer {host}"), &mut command)
}

#[test]
fn a_member_with_its_own_tcp_ip_leads_is_missed_and_follows_among_python_peers() {
    const TEST: &str =
        "tap::a_member_with_its_own_tcp_ip_leads_is_missed_and_follows_among_python_peers";
    let Some(lan) = Lan::new(TEST, 4) else {
        return;
    };
    let processes = Processes::new();
    let gcd = start_gcd(&processes, &lan);
    let port = gcd.port();
    let gcd = Ipv4::addr(lan.ip(1), port).expect("a port above 0");
    // One after the other: programs true to the letter that start at once may never agree.
    let mut peers: Vec<Process> = Vec::new();
    let follow = |peers: &[Process], marks: &[usize], leader: &Value| {
        for (peer, mark) in peers.iter().zip(marks) {
            peer.wait_since(*mark, &format!("leader {leader}"), |line| {
                line["event"] == "leader" && line["leader"] == *leader
            });
        }
    };
    for host in 2..=4 {
        let marks: Vec<_> = peers.iter().map(Process::mark).chain([0]).collect();
        peers.push(start_peer(&processes, &lan, host, port));
        follow(&peers, &marks, &pid(host));
    }
    let marks = |peers: &[Process]| -> Vec<_> { peers.iter().map(Process::mark).collect() };
    let agrees = |tapped: &Tapped, days, id| {
        let leader = Some(Pid { days, id });
        processes.wait_until("the member's leader", LIMIT, || tapped.leader() == leader);
    };

    let before = marks(&peers);
    let greatest = Pid {
        days: 300,
        id: 1_000_100,
    };
    let tapped = match Tapped::start(&lan, 100, greatest, gcd) {
        Ok(tapped) => tapped,
        Err(why) => {
            // Not by a macro, which the test harness would keep to itself.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED hosts::{TEST}: no tap devices here: {why}"
            );
            return;
        }
    };
    follow(&peers, &before, &json!([greatest.days, greatest.id]));
    agrees(&tapped, greatest.days, greatest.id);

    let before = marks(&peers);
    drop(tapped);
    follow(&peers, &before, &pid(4));
    // The peers' longest wait within an election has passed.
    thread::sleep(Duration::from_secs(5));

    let least = Pid {
        days: 5,
        id: 1_000_101,
    };
    let tapped = Tapped::start(&lan, 101, least, gcd).expect("a tap device, as before");
    agrees(&tapped, 40, 1_000_004);
    let before = marks(&peers[..2]);
    peers[2].kill();
    follow(&peers[..2], &before, &pid(3));
    agrees(&tapped, 30, 1_000_003);
}
