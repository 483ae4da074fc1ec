//! A member over a driver of Embassy's, such as that of an STM32 or a W5500: an adapter, and the loop as
//! a task.
//!
//! ```console
//! $ cargo run --package bully-lan --example embassy
//! ```

use core::future::{Future, poll_fn};
use core::net::Ipv4Addr;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use bully::{Instant, Member, Node, Pid};
use bully_lan::{Lan, Memory};
use bully_pickle::Ipv4;
use bully_pickle::writer::Forms;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use smoltcp::iface::{Interface, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium};
use smoltcp::wire::{EthernetAddress, IpCidr};

/// A driver of Embassy's as smoltcp's device.
struct Adapter<D> {
    driver: D,
    /// Whom the driver wakes when a frame has come.
    waker: Waker,
}

impl<D: Driver> Device for Adapter<D> {
    type RxToken<'a>
        = Received<D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(
        &mut self,
        _: smoltcp::time::Instant,
    ) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let mut context = Context::from_waker(&self.waker);
        let (received, answer) = self.driver.receive(&mut context)?;
        Some((Received(received), Sending(answer)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Self::TxToken<'_>> {
        let mut context = Context::from_waker(&self.waker);
        self.driver.transmit(&mut context).map(Sending)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.driver.capabilities().max_transmission_unit;
        capabilities.max_burst_size = self.driver.capabilities().max_burst_size;
        capabilities
    }
}

struct Received<T>(T);

impl<T: embassy_net_driver::RxToken> smoltcp::phy::RxToken for Received<T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        self.0.consume(|frame| f(frame))
    }
}

struct Sending<T>(T);

impl<T: embassy_net_driver::TxToken> smoltcp::phy::TxToken for Sending<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.consume(len, f)
    }
}

/// The member's task. `sleep_until` is `embassy_time::Timer::at`, or never ready for `None`.
async fn live<D: Driver, S: Future>(
    node: &mut Node<32, 8>,
    lan: &mut Lan<'_, Adapter<D>>,
    now: impl Fn() -> Instant,
    sleep_until: impl Fn(Option<Instant>) -> S,
    report: impl Fn(Instant, bully::Event),
) {
    loop {
        // The driver wakes this task from here on.
        poll_fn(|context| {
            lan.device_mut().waker.clone_from(context.waker());
            Poll::Ready(())
        })
        .await;
        lan.turn(network_time(now()));
        while let Some(event) = node.poll(now(), lan) {
            report(now(), event);
        }
        lan.flush(network_time(now()));
        if lan.is_pending() {
            continue;
        }
        let network = lan.poll_at();
        let network = network.map(|at| Instant::from_micros(at.total_micros() as u64));
        let next = node.poll_at().into_iter().chain(network).min();
        // Until then, or until the driver wakes this task.
        let mut timer = pin!(sleep_until(next));
        let mut is_first = true;
        poll_fn(|context| match timer.as_mut().poll(context) {
            Poll::Pending if core::mem::take(&mut is_first) => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }
}

fn network_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now.as_micros() as i64)
}

/// A driver with nobody at the other end.
struct Nobody;

impl Driver for Nobody {
    type RxToken<'a> = Never;
    type TxToken<'a> = Lost;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(Never, Lost)> {
        None
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Lost> {
        Some(Lost)
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([0x02, 0, 0, 0, 0, 0x17])
    }
}

enum Never {}

impl embassy_net_driver::RxToken for Never {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

struct Lost;

impl embassy_net_driver::TxToken for Lost {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut vec![0; len])
    }
}

fn main() {
    let mut device = Adapter {
        driver: Nobody,
        waker: Waker::noop().clone(),
    };
    let HardwareAddress::Ethernet(mac) = device.driver.hardware_address() else {
        unreachable!("it is an Ethernet controller");
    };
    let ip = Ipv4Addr::new(192, 168, 1, 23);
    let config = smoltcp::iface::Config::new(EthernetAddress(mac).into());
    let mut interface = Interface::new(config, &mut device, smoltcp::time::Instant::ZERO);
    interface.update_ip_addrs(|addrs| {
        let _ = addrs.push(IpCidr::new(ip.into(), 24));
    });
    let mut memory = Memory::<12, 1_536, 536>::new();
    let mut storage = [SocketStorage::EMPTY; 12];
    let config = bully_lan::Config {
        port: 40_001,
        exchanges: 8,
        forms: Forms::default(),
        keyed: None,
        loopback: None,
        first_port: 49_152, // must differ at each start
    };
    let mut lan = Lan::new(interface, device, config, &mut memory, &mut storage);
    let pid = Pid {
        days: 120,
        id: 1_234_567,
    };
    let addr = Ipv4::addr(ip, config.port).expect("a port above 0");
    let mut config = bully::Config::new(Member { pid, addr });
    config.directory = Ipv4::addr(Ipv4Addr::new(192, 168, 1, 1), 23_600);
    let mut node = Node::<32, 8>::new(config);

    // In place of an executor: virtual time, and five seconds of it.
    let clock = core::cell::Cell::new(Instant::ZERO);
    let until = Instant::from_micros(5_000_000);
    let sleep_until = |next: Option<Instant>| {
        clock.set(
            next.unwrap_or(until)
                .max(Instant::from_micros(clock.get().as_micros() + 1)),
        );
        core::future::pending::<()>()
    };
    let report = |now: Instant, event| println!("{:4} ms {event:?}", now.as_micros() / 1_000);
    let mut task = pin!(live(
        &mut node,
        &mut lan,
        || clock.get(),
        sleep_until,
        report
    ));
    while clock.get() < until {
        let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}
