//! The network: sockets in a pool, one for each exchange.

use core::net::Ipv4Addr;

use bully::Origin;
use bully_pickle::message::Keyed;
use bully_pickle::writer::Forms;
use smoltcp::iface::{Interface, PollIngressSingleResult, SocketSet, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::HardwareAddress;

use crate::backlog::Backlog;
use crate::connection::Connection;
use crate::encodings::Encodings;
use crate::memory::{Memory, Shared};

/// How many frames are taken in by one [`Lan::turn`]: a flood must not keep a node from its deadlines.
const FRAMES_MAX: usize = 32;

/// The ports that connections are made from, by RFC 6335.
pub(crate) const EPHEMERAL: u16 = 49_152;

/// What a [`Lan`] needs before it listens.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The port to listen at.
    pub port: u16,
    /// How many exchanges the node or coordinator can have at once, as its parameter says. More are not
    /// accepted: it would close them unanswered.
    pub exchanges: usize,
    /// Which forms of the messages to send. What is not chosen follows the coordinator's lists.
    pub forms: Forms,
    /// How lists are keyed when sent; `None`: as the coordinator's first answer to JOIN that shows it,
    /// until then as the latest list received, and before that as `forms` says.
    pub keyed: Option<Keyed>,
    /// The machine that 127.0.0.0/8 stands for in what peers say: the host of an emulator. `None`:
    /// nobody is there, and connections to it are refused.
    pub loopback: Option<Ipv4Addr>,
    /// The port that the first connection is made from, at least 49,152. It must differ at each start:
    /// a peer may still remember the last connection from the same one, and would not answer for a
    /// second.
    pub first_port: u16,
}

/// A [`Net`](bully::Net) over smoltcp's TCP sockets.
///
/// Call [`turn`](Self::turn) when the device has received or [`poll_at`](Self::poll_at) has come, then
/// poll the node until it returns `None`, then [`flush`](Self::flush).
pub struct Lan<'a, D> {
    pub(crate) interface: Interface,
    pub(crate) device: Backlog<'a, D>,
    pub(crate) sockets: SocketSet<'a>,
    pub(crate) connections: &'a mut [Connection],
    pub(crate) shared: Shared<'a>,
    pub(crate) origin: Option<Origin>,
    pub(crate) config: Config,
    pub(crate) next_port: u16,
    pub(crate) listening: bool,
    /// The connection that is looked at next.
    pub(crate) next: usize,
    pub(crate) now: Instant,
    pub(crate) pending: bool,
    /// The connection whose message the reader holds.
    pub(crate) read: Option<usize>,
}

/// Using it.
impl<'a, D: Device> Lan<'a, D> {
    /// A network on `interface` and `device`, which listens from the first turn on. Addresses and
    /// routes of the interface are the caller's, and may [change](Self::interface_mut).
    ///
    /// `storage` is for smoltcp's bookkeeping of the sockets, some 360 bytes each: as many as `memory`
    /// has, and one for each [socket of the caller's](Self::sockets_mut).
    pub fn new<const SOCKETS: usize, const RECEIVE: usize, const SEND: usize>(
        interface: Interface,
        device: D,
        config: Config,
        memory: &'a mut Memory<SOCKETS, RECEIVE, SEND>,
        storage: &'a mut [SocketStorage<'a>],
    ) -> Self {
        let count = storage.len();
        let mut sockets = SocketSet::new(storage);
        let buffers = memory.receive.iter_mut().zip(memory.send.iter_mut());
        let places = memory.connections.iter_mut().zip(buffers).take(count);
        for (connection, (receive, send)) in places {
            let receive = SocketBuffer::new(&mut receive[..]);
            let mut socket = Socket::new(receive, SocketBuffer::new(&mut send[..]));
            // A message is a segment or two: neither its end nor its answer is to wait.
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            *connection = Connection::IDLE;
            connection.handle = Some(sockets.add(socket));
        }
        let connections = memory.connections.get_mut(..SOCKETS.min(count));
        let HardwareAddress::Ethernet(mac) = interface.hardware_addr();
        let device = Backlog::new(device, &mut memory.waiting, mac, config.port);
        Self {
            interface,
            device,
            sockets,
            connections: connections.unwrap_or_default(),
            shared: Shared {
                encodings: Encodings::new(&mut memory.encodings),
                reader: &mut memory.reader,
                members: &mut memory.members,
            },
            origin: None,
            next_port: config.first_port.max(EPHEMERAL),
            config,
            listening: true,
            next: 0,
            now: Instant::ZERO,
            pending: false,
            read: None,
        }
    }

    /// Takes in and gives out what there is.
    pub fn turn(&mut self, now: Instant) {
        self.now = now;
        self.refill_listeners();
        for _ in 0..FRAMES_MAX {
            let (interface, device) = (&mut self.interface, &mut self.device);
            match interface.poll_ingress_single(now, device, &mut self.sockets) {
                PollIngressSingleResult::None => break,
                PollIngressSingleResult::PacketProcessed => {}
                // A connection may have taken a listener: the next frame may want another.
                PollIngressSingleResult::SocketStateChanged => self.refill_listeners(),
            }
        }
        self.give_out();
    }

    /// Gives out what there is, and takes in nothing: that would be input which nobody fetches.
    pub fn flush(&mut self, now: Instant) {
        self.now = now;
        self.refill_listeners();
        self.give_out();
    }

    /// When to take the next [`turn`](Self::turn), should nothing be received before.
    pub fn poll_at(&mut self) -> Option<Instant> {
        let network = self.interface.poll_at(self.now, &self.sockets);
        network.into_iter().chain(self.overdue_at()).min()
    }

    /// Returns `true` if the core has yet to fetch something: the next wait must not block.
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// How many connections could not even wait, since [`BACKLOG`](crate::BACKLOG) did already; their
    /// peers try again.
    pub fn left_out(&self) -> u32 {
        self.device.left_out
    }

    /// The interface, to change its addresses and routes.
    pub fn interface_mut(&mut self) -> &mut Interface {
        &mut self.interface
    }

    /// The sockets, to add one of the caller's own, such as a DHCP client's, and to use it.
    pub fn sockets_mut(&mut self) -> &mut SocketSet<'a> {
        &mut self.sockets
    }

    /// The device.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device.device
    }
}
