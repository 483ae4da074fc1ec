//! An Ethernet in memory, in virtual time.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// What happens to frames, in thousandths.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
}

/// The Ethernet: each frame arrives after a millisecond, at everybody that it is for.
pub(crate) struct Hub {
    pub(crate) now: u64,
    pub(crate) queues: Vec<VecDeque<(u64, Vec<u8>)>>,
    pub(crate) plugged: Vec<bool>,
    faults: Faults,
    random: u64,
}

impl Hub {
    /// An Ethernet with so many places, all of them plugged.
    pub(crate) fn new(places: usize, seed: u64, faults: Faults) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            now: 1_000,
            queues: vec![VecDeque::new(); places],
            plugged: vec![true; places],
            faults,
            random: seed | 1,
        }))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    pub(crate) fn send(&mut self, from: usize, frame: Vec<u8>) {
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

    pub(crate) fn receive(&mut self, at: usize) -> Option<Vec<u8>> {
        let now = self.now;
        let queue = &mut self.queues[at];
        let due = queue.iter().position(|(due, _)| *due <= now)?;
        queue.remove(due).map(|(_, frame)| frame)
    }
}

/// A place on it, as a device.
pub(crate) struct Port {
    pub(crate) hub: Rc<RefCell<Hub>>,
    pub(crate) at: usize,
}

impl Port {
    /// An interface at a place, with the address 10.9.0.(place + 1).
    pub(crate) fn interface(&mut self, seed: u64) -> Interface {
        let at = self.at as u8;
        let now = NetInstant::from_micros(self.hub.borrow().now as i64);
        let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, at]).into());
        config.random_seed = seed;
        let mut interface = Interface::new(config, self, now);
        interface.update_ip_addrs(|addrs| {
            let ip = IpCidr::new(IpAddress::v4(10, 9, 0, at + 1), 24);
            addrs.push(ip).expect("there is capacity");
        });
        interface
    }
}

pub(crate) struct Received(Vec<u8>);
pub(crate) struct Sending<'a>(&'a Port);

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
