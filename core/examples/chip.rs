//! A chip's program, on this machine: a node on a serial line that is a piece of memory.
//!
//! `cargo run -p bully --example chip --features postcard`
//!
//! The first half is what a chip runs. The second stands for the gateway, which on a real line is the
//! program `bully gateway`: it answers the chip's JOIN, announces a greater member, and after ten
//! seconds refuses connections to that member.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bully::wire::{ACCEPTED_FROM, Decoder, Encoder, Frame, Hello, Received, VERSION, message_max};
use bully::{
    Addr, Buffers, Config, Exchange, Gone, Incoming, Instant, Line, Link, Member, Node, Pid, Reply,
    Request, Roster,
};

const MEMBERS: usize = 8;
const EXCHANGES: usize = 4;
const BYTES: usize = message_max(MEMBERS);

/// What a chip has: a node, and a line to the gateway.
struct Chip {
    node: Node<MEMBERS, EXCHANGES>,
    link: Link<'static, Pipe>,
}

impl Chip {
    /// A node, once the gateway has reported where others reach it.
    fn start(link: &mut Link<'static, Pipe>, seed: u64) -> Option<Node<MEMBERS, EXCHANGES>> {
        link.turn();
        let gateway = link.gateway()?;
        let pid = Pid {
            days: 120,
            id: 1_234_567,
        };
        let mut config = Config::new(Member {
            pid,
            addr: gateway.addr,
        });
        config.directory = Some(gateway.directory);
        config.seed = seed;
        Some(Node::new(config))
    }

    fn turn(&mut self, now: Instant) {
        while let Some(event) = self.node.poll(now, &mut self.link) {
            println!("{:>6} ms  {event:?}", now.as_micros() / 1_000);
        }
        // A chip sleeps here, until `node.poll_at()` or an interrupt of the line, and not at all
        // while `link.is_busy()`.
    }
}

fn main() {
    let (chip_end, gateway_end) = pipe();
    // On a chip: a static, taken once.
    let buffers = Box::leak(Box::new(Buffers::<MEMBERS, EXCHANGES, BYTES>::new()));
    let mut link = Link::new(chip_end, buffers);
    let mut gateway = Gateway::new(gateway_end);

    let mut now = Instant::ZERO;
    let node = loop {
        gateway.turn(now);
        if let Some(node) = Chip::start(&mut link, 7) {
            break node;
        }
    };
    let mut chip = Chip { node, link };
    let mut led_by = Vec::new();
    while now < Instant::from_micros(20_000_000) {
        chip.turn(now);
        gateway.turn(now);
        if led_by.last() != Some(&chip.node.leader()) {
            led_by.push(chip.node.leader());
        }
        now = now + core::time::Duration::from_millis(1);
    }
    let me = chip.node.roster().members()[0].pid;
    let leaders: Vec<_> = led_by.into_iter().flatten().collect();
    assert_eq!(leaders, [GREATER.pid, me], "it follows, and then leads");
    println!("{:?}", chip.link.counts());
}

/// A greater member, which fails after ten seconds.
const GREATER: Member = Member {
    pid: Pid {
        days: 300,
        id: 7_654_321,
    },
    addr: Addr(3),
};

/// The gateway at the other end, with one member behind it.
struct Gateway {
    line: Pipe,
    encoder: Encoder,
    decoder: Decoder<'static>,
    session: u8,
    announces: bool,
}

impl Gateway {
    fn new(line: Pipe) -> Self {
        let bytes = vec![0; 4_096].leak();
        let list = vec![GREATER; 64].leak();
        Self {
            line,
            encoder: Encoder::new(),
            decoder: Decoder::new(bytes, list),
            session: 0,
            announces: false,
        }
    }

    fn turn(&mut self, now: Instant) {
        let alive = now < Instant::from_micros(10_000_000);
        if core::mem::take(&mut self.announces) {
            let list = [GREATER];
            let list = Roster::new(&list).unwrap_or(Roster::EMPTY);
            let accepted = Exchange(ACCEPTED_FROM);
            self.send(&Frame::Input(accepted, Incoming::Accepted));
            let request = Incoming::Request(Request::Coordinator(list));
            self.send(&Frame::Input(accepted, request));
        }
        let mut byte = [0];
        while self.line.read(&mut byte) == 1 {
            if self.decoder.push(byte[0]) == Some(Received::Frame) {
                self.receive(alive);
            }
        }
    }

    fn receive(&mut self, alive: bool) {
        let Some(frame) = self.decoder.frame() else {
            return;
        };
        let (exchange, answer) = match frame {
            Frame::Lost => return self.hello(),
            Frame::Open(exchange, _, Request::Join(me)) => {
                let list = [me, GREATER];
                let list = Roster::new(&list).unwrap_or(Roster::EMPTY);
                self.send(&Frame::Input(exchange, Incoming::Sent));
                let answer = Incoming::Reply(Reply::Members(list));
                return self.send(&Frame::Input(exchange, answer));
            }
            Frame::Open(exchange, _, request) if alive => {
                self.announces = matches!(request, Request::Election(_));
                (exchange, Incoming::Reply(Reply::Ok(Roster::EMPTY)))
            }
            Frame::Open(exchange, ..) => (exchange, Incoming::Gone(Gone::Refused)),
            _ => return,
        };
        if alive {
            self.send(&Frame::Input(exchange, Incoming::Sent));
        }
        self.send(&Frame::Input(exchange, answer));
    }

    fn hello(&mut self) {
        self.session += 1;
        self.encoder.begin(self.session);
        self.decoder.begin(self.session);
        self.send(&Frame::Hello(Hello {
            version: VERSION,
            instance: 1,
            addr: Addr(1),
            directory: Addr(2),
        }));
    }

    fn send(&mut self, frame: &Frame<'_>) {
        let mut bytes = [0; 1_024];
        if let Ok(length) = self.encoder.encode(frame, &mut bytes) {
            self.line.write(&bytes[..length]);
        }
    }
}

/// One end of a line made of memory.
struct Pipe {
    inward: Rc<RefCell<VecDeque<u8>>>,
    outward: Rc<RefCell<VecDeque<u8>>>,
}

fn pipe() -> (Pipe, Pipe) {
    let (a, b) = (Rc::default(), Rc::default());
    let end = |inward: &Rc<_>, outward: &Rc<_>| Pipe {
        inward: Rc::clone(inward),
        outward: Rc::clone(outward),
    };
    (end(&a, &b), end(&b, &a))
}

impl Line for Pipe {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let mut inward = self.inward.borrow_mut();
        let count = into.len().min(inward.len());
        for (place, byte) in into.iter_mut().zip(inward.drain(..count)) {
            *place = byte;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.outward.borrow_mut().extend(from);
        from.len()
    }
}
