//! The board lm3s6965evb: a Cortex-M3 at 50 MHz. Names of registers are the data sheet's.

#![expect(
    unsafe_code,
    reason = "where the registers lie, and how cortex-m-rt wants its handler"
)]

use bully::Instant;
use cortex_m::Peripherals;
use cortex_m::asm::delay;
use cortex_m::interrupt::free;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;

use crate::registers::Registers;
use crate::{clock, ring};

/// The frequency of the processor, of SysTick and of the timer.
const HZ: u32 = 50_000_000;

/// SysTick counts down from here and starts over, every 336 ms. It is the clock: what measures the time must
/// not be an interrupt that may come late, as it does in an emulator on a busy machine.
const SYSTICK_MAX: u32 = (1 << 24) - 1;

// SAFETY: the memory map of the data sheet; neither DMA nor flash programming is behind these.
const SYSCTL: Registers = unsafe { Registers::at(0x400F_E000) };
const RIS: usize = 0x050;
const PLL_LOCKED: u32 = 1 << 6;
const RCC: usize = 0x060;
const RCC_SYSDIV_4: u32 = 3 << 23 | 1 << 22; // of the PLL's 200 MHz
const RCC_PWRDN: u32 = 1 << 13;
const RCC_BYPASS: u32 = 1 << 11;
const RCC_XTAL_8_MHZ: u32 = 0xE << 6;
const RCC_OSCSRC_INTERNAL: u32 = 1 << 4;
/// How long the crystal may take to start, in cycles of the internal oscillator: 44 ms.
const CRYSTAL_STARTS: u32 = 1 << 19;
const RCGC1: usize = 0x104;
const RCGC1_UART0: u32 = 1 << 0;
const RCGC1_TIMER0: u32 = 1 << 16;
const RCGC2: usize = 0x108;
const RCGC2_GPIOA: u32 = 1 << 0;
#[cfg(feature = "lan")]
mod lan {
    pub(super) const RCGC2_EPHY: u32 = 1 << 30;
    pub(super) const RCGC2_EMAC: u32 = 1 << 28;
    pub(super) const RCGC2_GPIOF: u32 = 1 << 5; // the connector's two lamps
    pub(super) const USER0: usize = 0x1E0;
    pub(super) const USER1: usize = 0x1E4;
}
#[cfg(feature = "lan")]
use lan::{RCGC2_EMAC, RCGC2_EPHY, RCGC2_GPIOF, USER0, USER1};

// SAFETY: as above.
const GPIOA: Registers = unsafe { Registers::at(0x4000_4000) };
const AFSEL: usize = 0x420;
const DEN: usize = 0x51C;
const PINS_OF_UART0: u32 = 0b11;

// SAFETY: as above.
const UART0: Registers = unsafe { Registers::at(0x4000_C000) };
const UART0_IRQ: i16 = 5;
const DR: usize = 0x000;
const FR: usize = 0x018;
const FR_TXFF: u32 = 1 << 5;
const FR_RXFE: u32 = 1 << 4;
const IBRD: usize = 0x024;
const FBRD: usize = 0x028;
const LCRH: usize = 0x02C;
const LCRH_8N1_FIFO: u32 = 0b11 << 5 | 1 << 4;
const CTL: usize = 0x030;
const CTL_ENABLED: u32 = 1 << 9 | 1 << 8 | 1 << 0;
const IM: usize = 0x038;
const ICR: usize = 0x044;
const RECEIVED: u32 = 1 << 6 | 1 << 4; // the FIFO is filling, or has not been emptied for a while

// SAFETY: as above.
const TIMER0: Registers = unsafe { Registers::at(0x4003_0000) };
const TIMER0_IRQ: i16 = 19;
const TAMR: usize = 0x004;
const TAMR_PERIODIC: u32 = 2;
const TIMER_CTL: usize = 0x00C;
const TIMER_CTL_ENABLED: u32 = 1 << 0;
const TIMER_IMR: usize = 0x018;
const TIMER_ICR: usize = 0x024;
const TIMED_OUT: u32 = 1 << 0;
const TAILR: usize = 0x028;

// SAFETY: the architecture's system control space.
const SCS: Registers = unsafe { Registers::at(0xE000_E000) };
const ISER: usize = 0x100;

/// Starts clock, ticks, UART (115,200 baud, 8N1) and their interrupts.
pub fn start() {
    // The crystal starts before the PLL hangs on it, and that has locked before anything does.
    let crystal = RCC_XTAL_8_MHZ | RCC_BYPASS;
    SYSCTL.write(RCC, crystal | RCC_PWRDN | RCC_OSCSRC_INTERNAL);
    delay(CRYSTAL_STARTS);
    SYSCTL.write(RCC, crystal | RCC_SYSDIV_4);
    while SYSCTL.read(RIS) & PLL_LOCKED == 0 {}
    SYSCTL.write(RCC, RCC_XTAL_8_MHZ | RCC_SYSDIV_4);

    SYSCTL.write(RCGC1, RCGC1_UART0 | RCGC1_TIMER0);
    SYSCTL.write(RCGC2, RCGC2_GPIOA);
    let _ = SYSCTL.read(RCGC2); // clocks take three cycles to arrive
    GPIOA.write(AFSEL, PINS_OF_UART0);
    GPIOA.write(DEN, PINS_OF_UART0);

    // 50 MHz / (16 * 115,200) = 27 + 8/64, which is 0.01 % off.
    UART0.write(IBRD, 27);
    UART0.write(FBRD, 8);
    UART0.write(LCRH, LCRH_8N1_FIFO);
    UART0.write(CTL, CTL_ENABLED);
    listen(true);
    TIMER0.write(TAMR, TAMR_PERIODIC);
    TIMER0.write(TAILR, HZ / clock::TICKS_PER_SECOND - 1);
    TIMER0.write(TIMER_IMR, TIMED_OUT);
    TIMER0.write(TIMER_CTL, TIMER_CTL_ENABLED);
    SCS.write(ISER, 1 << UART0_IRQ | 1 << TIMER0_IRQ);

    if let Some(Peripherals { mut SYST, .. }) = Peripherals::take() {
        SYST.set_clock_source(SystClkSource::Core);
        SYST.set_reload(SYSTICK_MAX);
        SYST.clear_current();
        SYST.enable_counter();
        SYST.enable_interrupt();
    }
}

/// The time since the start.
pub fn now() -> Instant {
    let (periods, count) = free(|cs| {
        let count = SYST::get_current();
        // It may have started over just now, before or after that was read.
        if SCB::is_pendst_pending() {
            (clock::periods(cs) + 1, SYST::get_current())
        } else {
            (clock::periods(cs), count)
        }
    });
    let cycles = periods * u64::from(SYSTICK_MAX + 1) + u64::from(SYSTICK_MAX - count);
    Instant::from_micros(cycles / u64::from(HZ / 1_000_000))
}

/// Starts the Ethernet controller's clocks and lets it interrupt.
#[cfg(feature = "lan")]
pub fn start_ethernet() {
    SYSCTL.write(RCGC2, RCGC2_GPIOA | RCGC2_EMAC | RCGC2_EPHY | RCGC2_GPIOF);
    let _ = SYSCTL.read(RCGC2); // clocks take three cycles to arrive
    SCS.write(ISER + 4, 1 << (crate::ethernet::IRQ - 32));
}

/// The Ethernet address that the maker burnt in: three bytes in each of two words.
#[cfg(feature = "lan")]
pub fn mac() -> [u8; 6] {
    let [a, b, c, _] = SYSCTL.read(USER0).to_le_bytes();
    let [d, e, f, _] = SYSCTL.read(USER1).to_le_bytes();
    [a, b, c, d, e, f]
}

/// A byte from the UART, if one has come.
pub(crate) fn take() -> Option<u8> {
    (UART0.read(FR) & FR_RXFE == 0).then(|| UART0.read(DR) as u8)
}

/// Sends a byte unless the FIFO of sixteen is full. Returns `true` if there was room. No interrupt says that
/// there is room again: it takes longer than a tick to empty.
pub(crate) fn put(byte: u8) -> bool {
    let room = UART0.read(FR) & FR_TXFF == 0;
    if room {
        UART0.write(DR, byte.into());
    }
    room
}

/// Whether received bytes interrupt.
pub(crate) fn listen(on: bool) {
    UART0.write(IM, if on { RECEIVED } else { 0 });
}

#[exception]
fn SysTick() {
    free(clock::count);
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    #[cfg(feature = "lan")]
    if irq == crate::ethernet::IRQ {
        return crate::ethernet::interrupt();
    }
    match irq {
        UART0_IRQ => {
            UART0.write(ICR, RECEIVED);
            ring::fill(take, listen);
        }
        // To have woken up is enough.
        TIMER0_IRQ => TIMER0.write(TIMER_ICR, TIMED_OUT),
        _ => panic!("interrupt {irq}"),
    }
}
