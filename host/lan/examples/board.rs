//! A member on a board with Ethernet: all that is the board's own in one file. Here the controller is a
//! pair of queues with nobody at the other end, so that this runs on a PC, in virtual time.
//!
//! ```console
//! $ cargo run --package bully-lan --example board
//! ```

use core::net::Ipv4Addr;
use std::collections::VecDeque;

use bully::{Instant, Member, Node, Pid};
use bully_lan::{Lan, Memory};
use bully_pickle::Ipv4;
use bully_pickle::writer::Forms;
use smoltcp::iface::{Interface, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::{EthernetAddress, IpCidr};

/// 1. The driver. A real one copies frames between the controller's memory and two buffers.
#[derive(Default)]
struct Controller {
    received: VecDeque<Vec<u8>>,
    sent: u32,
}

impl Device for Controller {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        // Frames of 590 bytes carry what every host takes; buffers of 1,514 are not needed.
        capabilities.max_transmission_unit = 590;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sending<'a>(&'a mut u32);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        *self.0 += 1;
        f(&mut vec![0; len])
    }
}

fn main() {
    // 2. Numbers that differ at each start: from a counter in flash, or the noise of an ADC.
    let seed = 4_711_u32;
    let mac = EthernetAddress([0x02, 0, 0, 0, 0, 0x17]);
    let ip = Ipv4Addr::new(192, 168, 1, 23);
    let mut controller = Controller::default();
    let mut config = smoltcp::iface::Config::new(mac.into());
    config.random_seed = seed.into();
    let mut interface = Interface::new(config, &mut controller, smoltcp::time::Instant::ZERO);
    interface.update_ip_addrs(|addrs| {
        let _ = addrs.push(IpCidr::new(ip.into(), 24));
    });

    // 3. Memory. On a chip these are statics: all zeros but the second, which is written at the start.
    let mut memory = Memory::<12, 1_536, 536>::new();
    let mut storage = [SocketStorage::EMPTY; 12];
    let config = bully_lan::Config {
        port: 40_001,
        exchanges: 8,
        forms: Forms::default(),
        keyed: None,
        loopback: None,
        first_port: 49_152 + (seed % 16_000) as u16,
    };
    let mut lan = Lan::new(interface, controller, config, &mut memory, &mut storage);

    // 4. The member.
    let pid = Pid {
        days: 120,
        id: 1_234_567,
    };
    let addr = Ipv4::addr(ip, config.port).expect("a port above 0");
    let mut config = bully::Config::new(Member { pid, addr });
    config.directory = Ipv4::addr(Ipv4Addr::new(192, 168, 1, 1), 23_600);
    config.seed ^= u64::from(seed);
    let mut node = Node::<32, 8>::new(config);

    // 5. The loop. A chip reads its clock, and sleeps until `next` or an interrupt of the controller.
    let mut now = Instant::ZERO;
    while now < Instant::from_micros(5_000_000) {
        let network_now = smoltcp::time::Instant::from_micros(now.as_micros() as i64);
        lan.turn(network_now);
        while let Some(event) = node.poll(now, &mut lan) {
            println!("{:4} ms {event:?}", now.as_micros() / 1_000);
        }
        lan.flush(network_now);
        if lan.is_pending() {
            continue;
        }
        let network = lan.poll_at();
        let network = network.map(|at| Instant::from_micros(at.total_micros() as u64));
        let next = node.poll_at().into_iter().chain(network).min();
        now = next.map_or(now, |next| {
            next.max(Instant::from_micros(now.as_micros() + 1))
        });
    }
    println!("{} frames were sent, to nobody", lan.device_mut().sent);
}
