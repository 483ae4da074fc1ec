//! The firmware with its own TCP/IP: a member of the group on a microcontroller with Ethernet.
//!
//! With feature `console` its command line says who and where it is ([`arguments`]), and it reports what
//! happens; both are semihosting. Without, it is what a product would flash: it says nothing, and who it
//! is are constants.

#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "large statics are lent, not moved through the stack"
)]

mod address;
#[cfg_attr(not(feature = "console"), path = "constants.rs")]
mod arguments;
#[cfg_attr(not(feature = "console"), path = "silent.rs")]
mod console;
mod lend;
mod network;
mod settings;

use core::mem::MaybeUninit;
use core::net::Ipv4Addr;

use bully::{Config, Event, Feign, Node};
use bully_chip::recording::{self, Recording};
use bully_chip::{EXCHANGES, MEMBERS, board, stack};
use bully_pickle::Ipv4;
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;

use address::Address;
use lend::lend;
use network::Network;
use settings::Settings;

type Member = Node<MEMBERS, EXCHANGES>;

#[entry]
fn main() -> ! {
    stack::paint();
    board::start();
    board::start_ethernet();
    let mac = board::mac();
    let settings = lend!(Option<Settings>, None);
    let settings = settings.insert(arguments::read(mac));
    let lan = lend!(MaybeUninit<Network>, MaybeUninit::uninit());
    let lan = network::start(lan, settings, mac);
    let mut address = Address::new(lan, settings.fixed);
    loop {
        lan.turn(network::time(board::now()));
        if !address.is_awaited(lan) {
            break;
        }
        network::sleep(lan, None);
    }
    let node = lend!(MaybeUninit<Member>, MaybeUninit::uninit());
    let node = start_node(node, settings, address.ip());
    console::listening(address.ip(), settings.port);
    let mut recording = Recording::new(lend!(recording::Memory, [0; _]));
    loop {
        while let Some(event) = turn(node, lan, &mut recording) {
            console::report(board::now(), event);
        }
        if settings
            .records_until
            .is_some_and(|until| board::now() >= until)
        {
            settings.records_until = None;
            recording.end(node);
            console::report_recording(recording.banks());
        }
        lan.flush(network::time(board::now()));
        if address.has_changed(lan) {
            // A member is known by its address: with another it is another member.
            console::report_change();
            SCB::sys_reset();
        }
        console::report_stack();
        let until = [node.poll_at(), settings.records_until];
        network::sleep(lan, until.into_iter().flatten().min());
    }
}

/// Makes the member, which others reach at `ip`.
#[inline(never)]
fn start_node(
    place: &'static mut MaybeUninit<Member>,
    settings: &Settings,
    ip: Ipv4Addr,
) -> &'static mut Member {
    let ip = settings.reached.unwrap_or(ip);
    let Some(addr) = Ipv4::addr(ip, settings.port) else {
        console::fail("a port above 0");
    };
    let mut config = Config::new(bully::Member {
        pid: settings.pid,
        addr,
    });
    config.directory = Some(settings.directory);
    config.seed ^= u64::from(settings.seed);
    config.feign = settings.feign.map(Feign::new);
    place.write(Node::new(config))
}

/// What there is to do, up to the next event. Here `tests/chip/panics` begins to look.
#[inline(never)]
fn turn(node: &mut Member, lan: &mut Network, recording: &mut Recording<'_>) -> Option<Event> {
    lan.turn(network::time(board::now()));
    recording.poll(node, board::now(), lan)
}
