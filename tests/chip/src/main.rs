//! The firmware: a member of the group on a microcontroller, whose serial line leads to a gateway.
//!
//! Who it is comes with the command line, as `DAYS ID [stack]`, and what happens is reported on the
//! console; both are semihosting, which on a board of metal and plastic needs a debugger.
//!
//! ```console
//! $ cargo run --release --target thumbv7m-none-eabi -- -append '300 1234567'
//! $ bully gateway --gcd localhost 23600 --link tcp:127.0.0.1:23650
//! ```

#![no_std]
#![no_main]

use bully::wire::message_max;
use bully::{Buffers, Config, Event, Link, Member, Node, Pid};
use bully_chip::recording::{self, Recording};
use bully_chip::serial::{self, Serial};
use bully_chip::{EXCHANGES, MEMBERS, board, stack};
use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use semihosting::experimental::env::args;
use semihosting::{eprintln, println, process};

type Memory = Buffers<MEMBERS, EXCHANGES, { message_max(MEMBERS) }>;

/// What the command line says.
struct Arguments {
    pid: Pid,
    /// Tells how deep the stack has been, whenever it was deeper than before.
    stack: bool,
}

#[entry]
fn main() -> ! {
    board::start();
    let Some(arguments) = read_arguments() else {
        eprintln!("no process id: -append 'DAYS ID [stack]'");
        process::exit(2)
    };
    let mut memory = Memory::new();
    loop {
        live(&arguments, &mut memory);
    }
}

/// The member's life, as long as its addresses mean anything.
fn live(arguments: &Arguments, memory: &mut Memory) {
    let mut link = Link::new(Serial, memory);
    let gateway = loop {
        link.turn();
        match link.gateway() {
            Some(gateway) => break gateway,
            None => wfi(),
        }
    };
    let mut config = Config::new(Member {
        pid: arguments.pid,
        addr: gateway.addr,
    });
    config.directory = Some(gateway.directory);
    let mut node = Node::<MEMBERS, EXCHANGES>::new(config);
    println!("Listening {{ {gateway:?} }}");
    let mut banks: recording::Memory = [0; _];
    let mut recording = Recording::new(&mut banks);

    let mut deepest = stack::start();
    stack::paint();
    while link.gateway() == Some(gateway) {
        while let Some(event) = turn(&mut node, &mut link, &mut recording) {
            println!("{event:?}");
        }
        if link.is_asked_for_recording() {
            recording.end(&node);
            if link.hand_out(recording.banks()) {
                recording.start_anew();
            }
        }
        if arguments.stack && stack::deepest() < deepest {
            deepest = stack::deepest();
            println!("Stack {{ bytes: {} }}", stack::start() - deepest);
        }
        // A tick ends each sleep, so that an interrupt just before one costs a millisecond at most.
        let waits = || node.poll_at().is_none_or(|at| board::now() < at);
        while !serial::has_come() && waits() {
            wfi();
            if link.is_busy() || link.is_asked_for_recording() {
                break;
            }
        }
    }
}

/// What there is to do, up to the next event. Here `tests/chip/panics` begins to look.
#[inline(never)]
fn turn(
    node: &mut Node<MEMBERS, EXCHANGES>,
    link: &mut Link<'_, Serial>,
    recording: &mut Recording<'_>,
) -> Option<Event> {
    recording.poll(node, board::now(), link)
}

/// The process id and what follows it; the name of the program comes first.
fn read_arguments() -> Option<Arguments> {
    let args = &args::<1_024>().ok()?;
    let mut words = args.into_iter().map_while(Result::ok).skip(1);
    Some(Arguments {
        pid: Pid {
            days: words.next()?.parse().ok()?,
            id: words.next()?.parse().ok()?,
        },
        stack: words.next() == Some("stack"),
    })
}
