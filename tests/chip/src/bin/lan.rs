//! The firmware with its own TCP/IP: a member of the group on a microcontroller with Ethernet.
//!
//! Who and where it is comes with the command line, as `DAYS ID IP/PREFIX GATEWAY GCD:PORT PORT
//! ADVERTISED LOOPBACK SEED`, and what happens is told on the console; both are semihosting. An
//! ADVERTISED of 0.0.0.0 is its own address, a LOOPBACK of 0.0.0.0 is none. SEED must differ at each
//! start: it is the core's, smoltcp's, and makes the first port. Silicon takes it from a counter in
//! flash or from the noise of its ADC.

#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "large statics are lent, not moved through the stack"
)]

use core::net::{Ipv4Addr, SocketAddrV4};

use bully::{Addr, Config, Event, Instant, Member, Node, Pid};
use bully_chip::ethernet::{self, Ethernet};
use bully_chip::{EXCHANGES, MEMBERS, board, clock, stack};
use bully_lan::{Lan, Memory, Sockets};
use bully_pickle::Ipv4;
use bully_pickle::writer::Forms;
use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use semihosting::experimental::env::args;
use semihosting::{eprintln, println, process};
use smoltcp::iface::Interface;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// Two more listen.
const SOCKETS: usize = EXCHANGES + 4;
/// A list of 32 members in any form but protocol 0's.
const RECEIVE: usize = 1_536;
/// One segment anywhere.
const SEND: usize = 536;

/// Lends a static.
macro_rules! lend {
    ($kind:ty, $value:expr) => {{
        static mut VALUE: $kind = $value;
        // SAFETY: only `main` names it, which runs once.
        unsafe { &mut *(&raw mut VALUE) }
    }};
}

/// What the command line says.
struct Arguments {
    pid: Pid,
    ip: Ipv4Addr,
    prefix: u8,
    gateway: Ipv4Addr,
    directory: Addr,
    port: u16,
    me: Addr,
    loopback: Option<Ipv4Addr>,
    seed: u32,
}

#[entry]
fn main() -> ! {
    board::start();
    board::start_ethernet();
    let Some(arguments) = read_arguments() else {
        eprintln!("-append 'DAYS ID IP/PREFIX GATEWAY GCD:PORT PORT ADVERTISED LOOPBACK SEED'");
        process::exit(2)
    };
    let device = lend!(Ethernet, Ethernet::new());
    let memory = lend!(Memory<SOCKETS, RECEIVE, SEND>, Memory::new());
    let sockets = lend!(Sockets<'static, SOCKETS>, Sockets::new());
    let mac = board::mac();
    device.start(mac);
    let mut device = device;
    let mut config = smoltcp::iface::Config::new(EthernetAddress(mac).into());
    config.random_seed = arguments.seed.into();
    let mut interface = Interface::new(config, &mut device, network_time(clock::now()));
    interface.update_ip_addrs(|addrs| {
        // There is capacity for one, or smoltcp would be of no use.
        let _ = addrs.push(IpCidr::new(IpAddress::Ipv4(arguments.ip), arguments.prefix));
    });
    let _ = interface
        .routes_mut()
        .add_default_ipv4_route(arguments.gateway);
    let config = bully_lan::Config {
        port: arguments.port,
        forms: Forms::default(),
        keyed: None,
        loopback: arguments.loopback,
        first_port: 49_152 + (arguments.seed % 16_000) as u16,
    };
    let lan = Lan::new(interface, device, config, memory, sockets);
    live(&arguments, lan)
}

/// The member's life.
fn live(arguments: &Arguments, mut lan: Lan<'static, &mut Ethernet>) -> ! {
    let mut config = Config::new(Member {
        pid: arguments.pid,
        addr: arguments.me,
    });
    config.directory = Some(arguments.directory);
    config.seed ^= u64::from(arguments.seed);
    let mut node = Node::<MEMBERS, EXCHANGES>::new(config);
    println!("Listening {{ port: {} }}", arguments.port);
    let mut deepest = stack::start();
    stack::paint();
    loop {
        while let Some(event) = turn(&mut node, &mut lan) {
            println!("{:6} {event:?}", clock::now().as_micros() / 1_000);
        }
        lan.flush(network_time(clock::now()));
        if stack::deepest() < deepest {
            deepest = stack::deepest();
            println!("Stack {{ bytes: {} }}", stack::start() - deepest);
        }
        let network = lan
            .poll_at()
            .map(|at| Instant::from_micros(at.total_micros().unsigned_abs()));
        let next = node.poll_at().into_iter().chain(network).min();
        ethernet::wake_at_next();
        // A tick ends each sleep, so that an interrupt just before one costs a millisecond at most.
        while !lan.is_pending() && !ethernet::has_come() && next.is_none_or(|at| clock::now() < at)
        {
            wfi();
        }
    }
}

/// What there is to do, up to the next event. Here `tests/chip/panics` begins to look.
#[inline(never)]
fn turn(
    node: &mut Node<MEMBERS, EXCHANGES>,
    lan: &mut Lan<'static, &mut Ethernet>,
) -> Option<Event> {
    lan.turn(network_time(clock::now()));
    node.poll(clock::now(), lan)
}

fn network_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now.as_micros().cast_signed())
}

/// The name of the program comes first.
fn read_arguments() -> Option<Arguments> {
    let args = &args::<1_024>().ok()?;
    let mut words = args.into_iter().map_while(Result::ok).skip(1);
    let pid = Pid {
        days: words.next()?.parse().ok()?,
        id: words.next()?.parse().ok()?,
    };
    let (ip, prefix) = words.next()?.split_once('/')?;
    let ip: Ipv4Addr = ip.parse().ok()?;
    let prefix = prefix.parse().ok()?;
    let gateway = words.next()?.parse().ok()?;
    let directory: SocketAddrV4 = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let advertised: Ipv4Addr = words.next()?.parse().ok()?;
    let loopback: Ipv4Addr = words.next()?.parse().ok()?;
    let seed = words.next()?.parse().ok()?;
    let advertised = if advertised.is_unspecified() {
        ip
    } else {
        advertised
    };
    Some(Arguments {
        pid,
        ip,
        prefix,
        gateway,
        directory: Ipv4::addr(*directory.ip(), directory.port())?,
        port,
        me: Ipv4::addr(advertised, port)?,
        loopback: (!loopback.is_unspecified()).then_some(loopback),
        seed,
    })
}
