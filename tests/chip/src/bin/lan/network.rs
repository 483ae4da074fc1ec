//! The network over the controller, and when to look at it.

use core::mem::MaybeUninit;

use bully::Instant;
use bully_chip::ethernet::{self, Ethernet};
use bully_chip::{EXCHANGES, board};
use bully_lan::{Config, Lan, Memory};
use bully_pickle::writer::Forms;
use cortex_m::asm::wfi;
use smoltcp::iface::{Interface, SocketStorage};
use smoltcp::wire::EthernetAddress;

use crate::lend::lend;
use crate::settings::Settings;

/// Two more listen, and two may linger.
const SOCKETS: usize = EXCHANGES + 4;
/// With DHCP it has a socket of its own.
const SLOTS: usize = SOCKETS + cfg!(feature = "dhcp") as usize;
/// A list of 32 members in any form but protocol 0's.
const RECEIVE: usize = 1_536;
/// One segment anywhere.
const SEND: usize = 536;

pub(crate) type Network = Lan<'static, &'static mut Ethernet>;

/// Starts the controller and the network over it.
#[inline(never)]
pub(crate) fn start(
    place: &'static mut MaybeUninit<Network>,
    settings: &Settings,
    mac: [u8; 6],
) -> &'static mut Network {
    let mut device = lend!(Ethernet, Ethernet::new());
    let memory = lend!(Memory<SOCKETS, RECEIVE, SEND>, Memory::new());
    // Not all zeros: as a static with its value it would lie in the flash too.
    let storage = lend!(
        [MaybeUninit<SocketStorage<'static>>; SLOTS],
        [const { MaybeUninit::uninit() }; SLOTS]
    );
    for place in &mut *storage {
        place.write(SocketStorage::EMPTY);
    }
    // SAFETY: each has just been written.
    let storage = unsafe { &mut *(&raw mut *storage).cast::<[SocketStorage<'static>; SLOTS]>() };
    device.start(mac);
    let mut config = smoltcp::iface::Config::new(EthernetAddress(mac).into());
    config.random_seed = settings.seed.into();
    let interface = Interface::new(config, &mut device, time(board::now()));
    let config = Config {
        port: settings.port,
        exchanges: EXCHANGES,
        forms: Forms::default(),
        keyed: None,
        loopback: settings.loopback,
        first_port: 49_152 + (settings.seed % 16_000) as u16,
    };
    place.write(Lan::new(interface, device, config, memory, storage))
}

/// Sleeps until the network or the node has something to do.
pub(crate) fn sleep(lan: &mut Network, node: Option<Instant>) {
    let network = lan
        .poll_at()
        .map(|at| Instant::from_micros(at.total_micros().unsigned_abs()));
    let next = node.into_iter().chain(network).min();
    ethernet::wake_at_next();
    // A tick ends each sleep, so that an interrupt just before one costs a millisecond at most.
    while !lan.is_pending() && !ethernet::has_come() && next.is_none_or(|at| board::now() < at) {
        wfi();
    }
}

pub(crate) fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now.as_micros().cast_signed())
}
