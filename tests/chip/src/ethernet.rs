//! The Ethernet controller of the LM3S6965, polled, as smoltcp's device. Names of registers are the
//! data sheet's.

#![expect(unsafe_code, reason = "where the registers lie")]

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::registers::Registers;

// SAFETY: the memory map of the data sheet; the controller has a FIFO and no DMA.
const MAC: Registers = unsafe { Registers::at(0x4004_8000) };
const RIS: usize = 0x00; // written, it acknowledges
const ALL: u32 = 0x7F;
const IM: usize = 0x04;
const RXINT: u32 = 1 << 0;
const RCTL: usize = 0x08;
const RCTL_RSTFIFO: u32 = 1 << 4;
const RCTL_BADCRC: u32 = 1 << 3; // drops frames with a wrong checksum
const RCTL_AMUL: u32 = 1 << 1;
const RCTL_RXEN: u32 = 1 << 0;
const TCTL: usize = 0x0C;
const TCTL_DUPLEX: u32 = 1 << 4;
const TCTL_CRC: u32 = 1 << 2;
const TCTL_PADEN: u32 = 1 << 1;
const TCTL_TXEN: u32 = 1 << 0;
const DATA: usize = 0x10;
const IA0: usize = 0x14;
const IA1: usize = 0x18;
const NP: usize = 0x34;
const TR: usize = 0x38;
const TR_NEWTX: u32 = 1 << 0;

/// The interrupt of the controller.
pub(crate) const IRQ: i16 = 42;

/// The longest frame, without its checksum: a datagram that every host takes (RFC 791). Peers send no
/// longer segments than it announces; 1,514 would cost 1.8 KiB of RAM and save a long list a segment.
const FRAME_MAX: usize = HEADER + 576;
/// Destination, source and type.
const HEADER: usize = 14;
/// What stands before a received frame, its length, and after it, its checksum.
const LENGTH: usize = 2;
const CHECKSUM: usize = 4;

/// The controller, with a frame each way.
#[derive(Debug)]
pub struct Ethernet {
    received: [u8; FRAME_MAX],
    sent: [u8; FRAME_MAX],
}

impl Ethernet {
    /// A controller that has not been started.
    pub const fn new() -> Self {
        Self {
            received: [0; FRAME_MAX],
            sent: [0; FRAME_MAX],
        }
    }

    /// Starts to receive, at this address and at broadcast ones.
    pub fn start(&mut self, mac: [u8; 6]) {
        let [a, b, c, d, e, f] = mac;
        MAC.write(IM, 0);
        MAC.write(IA0, u32::from_le_bytes([a, b, c, d]));
        MAC.write(IA1, u32::from_le_bytes([e, f, 0, 0]));
        MAC.write(RCTL, RCTL_RSTFIFO);
        MAC.write(TCTL, TCTL_DUPLEX | TCTL_CRC | TCTL_PADEN | TCTL_TXEN);
        MAC.write(RIS, ALL);
        MAC.write(RCTL, RCTL_BADCRC | RCTL_AMUL | RCTL_RXEN);
        wake_at_next();
    }
}

impl Ethernet {
    /// Takes the next frame out of the controller, and returns its length.
    fn take(&mut self) -> usize {
        // The length, itself and the checksum included, and the first two bytes of the frame.
        let first = MAC.read(DATA);
        let len = usize::from(first as u16).saturating_sub(LENGTH + CHECKSUM);
        let [_, _, a, b] = first.to_le_bytes();
        let mut places = self.received.iter_mut();
        let mut put = |byte| {
            if let Some(place) = places.next() {
                *place = byte;
            }
        };
        put(a);
        put(b);
        for _ in 0..(len + CHECKSUM).saturating_sub(2).div_ceil(4) {
            for byte in MAC.read(DATA).to_le_bytes() {
                put(byte);
            }
        }
        len
    }
}

impl Default for Ethernet {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns `true` if a frame waits.
pub fn has_come() -> bool {
    MAC.read(NP) != 0
}

/// Lets the next frame interrupt a sleep.
pub fn wake_at_next() {
    MAC.write(RIS, RXINT);
    MAC.write(IM, RXINT);
}

/// A frame has come. To have woken up is enough: the loop takes it.
pub(crate) fn interrupt() {
    MAC.write(IM, 0);
    MAC.write(RIS, RXINT);
}

impl Device for &mut Ethernet {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        while has_come() {
            let len = self.take();
            // What is longer than a frame may be was taken out and is dropped.
            if (HEADER..=FRAME_MAX).contains(&len) {
                let frame = self.received.get(..len).unwrap_or(&[]);
                return Some((Received(frame), Sending(&mut self.sent)));
            }
        }
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        (MAC.read(TR) & TR_NEWTX == 0).then_some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// A frame that has come.
#[derive(Debug)]
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A frame that is about to be sent.
#[derive(Debug)]
pub struct Sending<'a>(&'a mut [u8; FRAME_MAX]);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = self.0.get_mut(..len).unwrap_or(&mut []);
        let result = f(frame);
        while MAC.read(TR) & TR_NEWTX != 0 {}
        // The length but for the header, then the frame, four bytes at a time.
        let [low, high] = (frame.len().saturating_sub(HEADER) as u16).to_le_bytes();
        let (first, rest) = frame.split_at_checked(2).unwrap_or_default();
        let byte = |of: &[u8], at: usize| of.get(at).copied().unwrap_or(0);
        MAC.write(
            DATA,
            u32::from_le_bytes([low, high, byte(first, 0), byte(first, 1)]),
        );
        for word in rest.chunks(4) {
            let bytes = [byte(word, 0), byte(word, 1), byte(word, 2), byte(word, 3)];
            MAC.write(DATA, u32::from_le_bytes(bytes));
        }
        MAC.write(TR, TR_NEWTX);
        result
    }
}
