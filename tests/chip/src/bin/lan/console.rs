//! What happens, on the emulator's console.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicUsize, Ordering};

use bully::{Event, Instant};
use bully_chip::stack;
use semihosting::{eprintln, print, println, process};

/// The member listens.
pub(crate) fn listening(ip: Ipv4Addr, port: u16) {
    println!("Listening {{ ip: {ip}, port: {port} }}");
}

/// Something happened, with the milliseconds since the start before it.
pub(crate) fn report(now: Instant, event: Event) {
    println!("{:6} {event:?}", now.as_micros() / 1_000);
}

/// Reports the stack if it was never so deep.
pub(crate) fn report_stack() {
    static DEEPEST: AtomicUsize = AtomicUsize::new(0);
    let depth = stack::start() - stack::deepest();
    if depth > DEEPEST.load(Ordering::Relaxed) {
        DEEPEST.store(depth, Ordering::Relaxed);
        println!("Stack {{ bytes: {depth} }}");
    }
}

/// The recording, in hex, 32 bytes a line.
pub(crate) fn report_recording(banks: [&[u8]; 2]) {
    for bytes in banks.iter().flat_map(|bank| bank.chunks(32)) {
        print!("Recorded ");
        for byte in bytes {
            print!("{byte:02x}");
        }
        println!();
    }
    println!("RecordingEnded");
}

/// The lease of the address ended, or another one was given.
pub(crate) fn report_change() {
    println!("AddressChanged");
}

/// Says what was expected, and ends the emulator with 2.
pub(crate) fn fail(expected: &str) -> ! {
    eprintln!("expected {expected}");
    process::exit(2)
}
