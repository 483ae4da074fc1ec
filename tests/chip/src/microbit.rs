//! The micro:bit: an nRF51822, a Cortex-M0 at 16 MHz. Names of registers are the reference manual's.

#![expect(
    unsafe_code,
    reason = "where the registers lie, and how cortex-m-rt wants its handler"
)]

use core::sync::atomic::{AtomicBool, Ordering};

use bully::Instant;
use cortex_m::interrupt::free;
use cortex_m_rt::exception;

use crate::registers::Registers;
use crate::{clock, ring};

// SAFETY: the memory map of the reference manual; no DMA is behind these.
const CLOCK: Registers = unsafe { Registers::at(0x4000_0000) };
const HFCLKSTART: usize = 0x000;

// SAFETY: as above.
const GPIO: Registers = unsafe { Registers::at(0x5000_0000) };
const OUTSET: usize = 0x508;
const DIRSET: usize = 0x518;
const PIN_CNF: usize = 0x700;
const INPUT: u32 = 0;
const TX_PIN: u32 = 24;
const RX_PIN: u32 = 25;

// SAFETY: as above.
const UART0: Registers = unsafe { Registers::at(0x4000_2000) };
const UART0_IRQ: i16 = 2;
const STARTRX: usize = 0x000;
const STARTTX: usize = 0x008;
const RXDRDY: usize = 0x108;
const TXDRDY: usize = 0x11C;
const ENABLE: usize = 0x500;
const ENABLE_UART: u32 = 4;
const PSELTXD: usize = 0x50C;
const PSELRXD: usize = 0x514;
const RXD: usize = 0x518;
const TXD: usize = 0x51C;
const BAUDRATE: usize = 0x524;
const BAUDRATE_115_200: u32 = 0x01D7_E000;
const RECEIVED: u32 = 1 << 2;
const SENT: u32 = 1 << 7;

// SAFETY: as above.
const TIMER0: Registers = unsafe { Registers::at(0x4000_8000) };
const TIMER0_IRQ: i16 = 8;
const START: usize = 0x000;
const COMPARE0: usize = 0x140;
const SHORTS: usize = 0x200;
const COMPARE0_CLEAR: u32 = 1 << 0;
const COMPARE0_INTERRUPT: u32 = 1 << 16;
const PRESCALER: usize = 0x510;
const CC0: usize = 0x540;

// The same in both.
const INTENSET: usize = 0x304;
const INTENCLR: usize = 0x308;

// SAFETY: the architecture's system control space.
const SCS: Registers = unsafe { Registers::at(0xE000_E000) };
const ISER: usize = 0x100;

/// A byte is on its way out; the UART has room for one.
static SENDING: AtomicBool = AtomicBool::new(false);

/// Starts clock, UART (115,200 baud, 8N1) and their interrupts.
pub fn start() {
    CLOCK.write(HFCLKSTART, 1); // the crystal; until it runs the RC oscillator serves

    GPIO.write(OUTSET, 1 << TX_PIN);
    GPIO.write(DIRSET, 1 << TX_PIN);
    GPIO.write(PIN_CNF + 4 * RX_PIN as usize, INPUT);
    UART0.write(PSELTXD, TX_PIN);
    UART0.write(PSELRXD, RX_PIN);
    UART0.write(BAUDRATE, BAUDRATE_115_200);
    UART0.write(ENABLE, ENABLE_UART);
    UART0.write(STARTTX, 1);
    UART0.write(STARTRX, 1);
    UART0.write(INTENSET, RECEIVED | SENT);

    // A timer, for SysTick stands still while this chip sleeps: 16 MHz / 2^4, anew at every tick.
    TIMER0.write(PRESCALER, 4);
    TIMER0.write(CC0, 1_000_000 / clock::TICKS_PER_SECOND);
    TIMER0.write(SHORTS, COMPARE0_CLEAR);
    TIMER0.write(INTENSET, COMPARE0_INTERRUPT);
    TIMER0.write(START, 1);

    SCS.write(ISER, 1 << UART0_IRQ | 1 << TIMER0_IRQ);
}

/// The time since the start.
pub fn now() -> Instant {
    let ticks = free(clock::periods);
    Instant::from_micros(ticks * (1_000_000 / u64::from(clock::TICKS_PER_SECOND)))
}

/// A byte from the UART, if one has come.
pub(crate) fn take() -> Option<u8> {
    let come = UART0.read(RXDRDY) != 0;
    come.then(|| {
        UART0.write(RXDRDY, 0); // before the byte is taken: the next may follow at once
        UART0.read(RXD) as u8
    })
}

/// Sends a byte unless another is on its way. Returns `true` if there was room. An interrupt says when there
/// is again.
pub(crate) fn put(byte: u8) -> bool {
    let room = !SENDING.load(Ordering::Relaxed);
    if room {
        SENDING.store(true, Ordering::Relaxed);
        UART0.write(TXD, byte.into());
    }
    room
}

/// Whether received bytes interrupt.
pub(crate) fn listen(on: bool) {
    UART0.write(if on { INTENSET } else { INTENCLR }, RECEIVED);
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    match irq {
        UART0_IRQ => {
            if UART0.read(TXDRDY) != 0 {
                UART0.write(TXDRDY, 0);
                SENDING.store(false, Ordering::Relaxed);
            }
            ring::fill(take, listen);
        }
        TIMER0_IRQ => {
            TIMER0.write(COMPARE0, 0);
            free(clock::count);
        }
        _ => panic!("interrupt {irq}"),
    }
}
