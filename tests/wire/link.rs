//! A chip's end of the line, with the test as its gateway.

use core::cell::RefCell;
use std::rc::Rc;

use bully::wire::{
    ACCEPTED_FROM, Decoder, Encoder, FRAME_SHORT_MAX, Frame, Hello, Ready, Received, VERSION,
    message_max,
};
use bully::{
    Addr, Buffers, Exchange, Full, Gateway, Gone, Incoming, Io, Line, Link, Member, Net, Pid,
    Refusal, Reply, Request, Roster,
};
use bully_tests::random::Random;

const ME: Addr = Addr(1);
const GCD: Addr = Addr(2);
const PEER: Addr = Addr(3);

const MEMBERS: usize = 8;
const EXCHANGES: usize = 4;
type Memory = Buffers<MEMBERS, EXCHANGES, { message_max(MEMBERS) }>;

const LIST: [Member; 3] = {
    const fn member(days: u32) -> Member {
        let pid = Pid { days, id: 1 };
        Member {
            pid,
            addr: Addr(days as u64),
        }
    }
    [member(4), member(5), member(6)]
};

fn list() -> Roster<'static> {
    Roster::new(&LIST).expect("it ascends").with_revision(1)
}

/// Both directions of a line, and how many more bytes it takes.
#[derive(Clone, Debug)]
struct Wire(Rc<RefCell<Pipes>>);

#[derive(Debug)]
struct Pipes {
    inward: Vec<u8>,
    outward: Vec<u8>,
    takes: usize,
}

impl Line for Wire {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let inward = &mut self.0.borrow_mut().inward;
        let count = into.len().min(inward.len());
        for (place, byte) in into.iter_mut().zip(inward.drain(..count)) {
            *place = byte;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let mut pipes = self.0.borrow_mut();
        let count = from.len().min(pipes.takes);
        pipes.takes -= count;
        pipes.outward.extend(&from[..count]);
        count
    }
}

/// A gateway played by the test.
struct Played {
    wire: Wire,
    encoder: Encoder,
    decoder: Decoder<'static>,
    session: u8,
}

impl Played {
    fn new() -> Self {
        let pipes = Pipes {
            inward: Vec::new(),
            outward: Vec::new(),
            takes: usize::MAX,
        };
        Self {
            wire: Wire(Rc::new(RefCell::new(pipes))),
            encoder: Encoder::new(),
            decoder: Decoder::new(vec![0; 2_000].leak(), vec![LIST[0]; 64].leak()),
            session: 0,
        }
    }

    /// A link to it, in a session.
    fn joined() -> (Self, Link<'static, Wire>) {
        let mut gateway = Self::new();
        let mut link = Link::new(gateway.wire.clone(), Box::leak(Box::new(Memory::new())));
        gateway.hello();
        link.turn();
        assert_eq!(gateway.received(), ["Lost", &ready(true)]);
        (gateway, link)
    }

    fn say(&mut self, frame: &Frame<'_>) {
        let mut bytes = vec![0; 2_000];
        let length = self.encoder.encode(frame, &mut bytes).expect("it fits");
        self.wire.0.borrow_mut().inward.extend(&bytes[..length]);
    }

    fn report(&mut self, number: u32, incoming: Incoming<'_>) {
        self.say(&Frame::Input(Exchange(number), incoming));
    }

    fn hello(&mut self) {
        self.session += 1;
        self.encoder.begin(self.session);
        self.decoder.begin(self.session);
        self.say(&Frame::Hello(Hello {
            version: VERSION,
            instance: 9,
            addr: ME,
            directory: GCD,
        }));
    }

    /// What the chip has said since, and whether something was missing.
    fn received(&mut self) -> Vec<String> {
        let bytes = core::mem::take(&mut self.wire.0.borrow_mut().outward);
        let mut received = Vec::new();
        for byte in bytes {
            match self.decoder.push(byte) {
                Some(Received::Frame) => {
                    let frame = self.decoder.frame().expect("it is sound");
                    received.push(format!("{frame:?}"));
                }
                Some(Received::Gap) => received.push("a gap".to_owned()),
                None => {}
            }
        }
        received
    }

    /// How many bytes the line takes from now on.
    fn takes(&mut self, bytes: usize) {
        self.wire.0.borrow_mut().takes = bytes;
    }
}

fn ready(listening: bool) -> String {
    let ready = Ready {
        version: VERSION,
        members_max: MEMBERS as u16,
        exchanges_max: EXCHANGES as u16,
        listening,
    };
    format!("{:?}", Frame::Ready(ready))
}

fn text(frame: &Frame<'_>) -> String {
    // A revision is the sender's own affair.
    format!("{frame:?}").replace("revision: Some(1)", "revision: None")
}

/// All that a link reports, in words.
fn inputs(link: &mut Link<'_, Wire>) -> Vec<String> {
    let input_of_link = core::iter::from_fn(|| {
        link.recv()
            .map(|(exchange, incoming)| format!("{} {incoming:?}", exchange.0))
    });
    input_of_link.take(100).collect()
}

#[test]
fn a_session_begins_when_the_gateway_says_hello() {
    let mut gateway = Played::new();
    let mut memory = Memory::new();
    let mut link = Link::new(gateway.wire.clone(), &mut memory);
    assert_eq!(gateway.received(), ["Lost"], "it asks for one");
    assert_eq!(link.gateway(), None);
    link.set_listening(false);
    gateway.hello();
    link.turn();
    let expected = Gateway {
        instance: 9,
        addr: ME,
        directory: GCD,
    };
    assert_eq!(link.gateway(), Some(expected));
    assert_eq!(gateway.received(), [ready(false)]);
    gateway.say(&Frame::Ping);
    link.set_listening(true);
    assert_eq!(inputs(&mut link), [""; 0]);
    assert_eq!(gateway.received(), ["Listening(true)", "Pong"]);
}

#[test]
fn nobody_is_reached_without_a_gateway() {
    let mut gateway = Played::new();
    let mut memory = Memory::new();
    let mut link = Link::new(gateway.wire.clone(), &mut memory);
    gateway.received();
    let exchange = link
        .open(PEER, Request::Probe(list()))
        .expect("there is room");
    assert_eq!(inputs(&mut link), [format!("{} Gone(Reset)", exchange.0)]);
    link.close(exchange);
    assert_eq!(gateway.received(), [""; 0]);
}

#[test]
fn what_the_node_does_reaches_the_gateway_and_back() {
    let (mut gateway, mut link) = Played::joined();
    let election = Request::Election(list());
    let exchange = link.open(PEER, election).expect("there is room");
    assert!(exchange.0 < ACCEPTED_FROM);
    assert_eq!(
        gateway.received(),
        [text(&Frame::Open(exchange, PEER, election))]
    );
    gateway.report(exchange.0, Incoming::Sent);
    gateway.report(exchange.0, Incoming::Reply(Reply::Ok(Roster::EMPTY)));
    gateway.report(exchange.0, Incoming::Done);
    assert_eq!(inputs(&mut link).len(), 3);
    // Nothing follows the end.
    gateway.report(exchange.0, Incoming::Gone(Gone::Reset));
    assert_eq!(inputs(&mut link), [""; 0]);
    link.close(exchange);
    assert_eq!(gateway.received(), [text(&Frame::Close(exchange))]);

    let theirs = Exchange(ACCEPTED_FROM + 7);
    gateway.report(theirs.0, Incoming::Accepted);
    gateway.report(theirs.0, Incoming::Request(election));
    let expected = [
        format!("{} Accepted", theirs.0),
        format!("{} {:?}", theirs.0, Incoming::Request(election))
            .replace("revision: Some(1)", "revision: None"),
    ];
    assert_eq!(inputs(&mut link), expected);
    link.reply(theirs, Reply::Ok(list()));
    link.close(theirs);
    let reply = Frame::Reply(theirs, Reply::Ok(list()));
    assert_eq!(
        gateway.received(),
        [text(&reply), text(&Frame::Close(theirs))]
    );
}

#[test]
fn places_are_limited_and_come_back() {
    let (mut gateway, mut link) = Played::joined();
    let open = |link: &mut Link<'_, Wire>| link.open(PEER, Request::Probe(list()));
    let opened: Vec<_> = (0..EXCHANGES)
        .map(|_| open(&mut link).expect("room"))
        .collect();
    assert_eq!(open(&mut link), Err(Full));
    gateway.received();
    // Whoever connects meanwhile is rejected at once.
    gateway.report(ACCEPTED_FROM, Incoming::Accepted);
    assert_eq!(inputs(&mut link), [""; 0]);
    assert_eq!(
        gateway.received(),
        [text(&Frame::Close(Exchange(ACCEPTED_FROM)))]
    );
    link.close(opened[1]);
    let again = open(&mut link).expect("there is room");
    assert!(
        !opened.contains(&again),
        "a number rests before it comes again"
    );
}

#[test]
fn what_the_line_does_not_take_waits_and_loses_nothing() {
    let (mut gateway, mut link) = Played::joined();
    for number in 0..2 {
        gateway.report(ACCEPTED_FROM + number, Incoming::Accepted);
        gateway.report(
            ACCEPTED_FROM + number,
            Incoming::Request(Request::Probe(Roster::EMPTY)),
        );
    }
    assert_eq!(inputs(&mut link).len(), 4);
    gateway.takes(0);
    let mut opened = 0;
    let mut frames = Vec::new();
    while let Ok(exchange) = link.open(PEER, Request::Probe(list())) {
        frames.push(text(&Frame::Open(exchange, PEER, Request::Probe(list()))));
        link.close(exchange);
        frames.push(text(&Frame::Close(exchange)));
        opened += 1;
        assert!(opened < 100, "there is no end to its room");
    }
    assert!(opened >= 2);
    assert!(link.is_busy());
    // Listening, answers and closings cannot fail: they are remembered.
    link.set_listening(false);
    for number in 0..2 {
        link.reply(Exchange(ACCEPTED_FROM + number), Reply::Ok(list()));
        link.close(Exchange(ACCEPTED_FROM + number));
    }
    // Nothing is received that could not be answered.
    gateway.say(&Frame::Ping);
    assert_eq!(inputs(&mut link), [""; 0]);
    // The line takes a few bytes now and then.
    for _ in 0..1_000 {
        gateway.takes(5);
        assert_eq!(inputs(&mut link), [""; 0]);
    }
    assert!(!link.is_busy());
    let received = gateway.received();
    for frame in &frames[..frames.len() - 1] {
        assert!(received.contains(frame), "{frame}");
    }
    for number in 0..2 {
        let exchange = Exchange(ACCEPTED_FROM + number);
        let at = |wanted: &str| received.iter().position(|frame| frame.starts_with(wanted));
        let reply = at(&format!("Reply({exchange:?}, Ok"));
        assert!(
            reply.is_some() && reply < at(&text(&Frame::Close(exchange))),
            "{received:?}"
        );
    }
    for once in ["Listening(false)", "Pong"] {
        assert_eq!(received.iter().filter(|frame| *frame == once).count(), 1);
    }
    assert!(!received.contains(&"a gap".to_owned()));
}

#[test]
fn a_new_session_leaves_everything_open_in_doubt() {
    let (mut gateway, mut link) = Played::joined();
    let ours = link.open(PEER, Request::Probe(list())).expect("room");
    let over = link.open(PEER, Request::Probe(list())).expect("room");
    gateway.report(over.0, Incoming::Gone(Gone::Refused));
    gateway.report(ACCEPTED_FROM, Incoming::Accepted);
    assert_eq!(inputs(&mut link).len(), 2);
    gateway.received();
    gateway.hello();
    let mut input_of_link = inputs(&mut link);
    input_of_link.sort_unstable();
    let expected = [
        format!("{} Gone(Reset)", ours.0),
        format!("{ACCEPTED_FROM} Gone(Reset)"),
    ];
    assert_eq!(input_of_link, expected);
    assert_eq!(gateway.received(), [ready(true)]);
    // What the new session does not know of need not be closed in it.
    for exchange in [ours, over, Exchange(ACCEPTED_FROM)] {
        link.close(exchange);
    }
    assert_eq!(gateway.received(), [""; 0]);
    gateway.report(ACCEPTED_FROM, Incoming::Accepted);
    assert_eq!(
        inputs(&mut link),
        [format!("{ACCEPTED_FROM} Accepted")],
        "its number is free"
    );
}

#[test]
fn a_lost_frame_ends_the_session_and_a_repeated_one_does_not() {
    let (mut gateway, mut link) = Played::joined();
    let ours = link.open(PEER, Request::Probe(list())).expect("room");
    gateway.received();
    gateway.report(ours.0, Incoming::Sent);
    let sent = gateway.wire.0.borrow().inward.clone();
    gateway.wire.0.borrow_mut().inward.extend(&sent);
    assert_eq!(inputs(&mut link), [format!("{} Sent", ours.0)], "once");
    assert_eq!(link.counts().stale, 1);

    gateway.report(ours.0, Incoming::Done);
    let damaged = gateway.wire.0.borrow().inward.len() / 2;
    gateway.wire.0.borrow_mut().inward[damaged] ^= 0x10;
    assert_eq!(inputs(&mut link), [""; 0], "it may have been noise");
    gateway.say(&Frame::Ping);
    assert_eq!(inputs(&mut link), [format!("{} Gone(Reset)", ours.0)]);
    assert_eq!(gateway.received(), ["Lost"]);
    let counts = link.counts();
    assert_eq!((counts.corrupt, counts.gaps), (1, 1));
    // Whatever goes on in the old session is answered in the same way, until a new one begins.
    gateway.say(&Frame::Ping);
    assert_eq!(inputs(&mut link), [""; 0]);
    assert_eq!(gateway.received(), ["Lost"]);
    gateway.hello();
    assert_eq!(inputs(&mut link), [""; 0]);
    assert_eq!(gateway.received(), [ready(true)]);
}

#[test]
fn noise_takes_bounded_work_and_is_counted() {
    let (mut gateway, mut link) = Played::joined();
    let mut random = Random(9);
    let noise: Vec<u8> = (0..50_000).map(|_| random.number() as u8).collect();
    gateway.wire.0.borrow_mut().inward.extend(&noise);
    let mut turns = 0;
    while link.recv().is_none() && link.is_busy() {
        turns += 1;
    }
    assert!(turns >= 50_000 / message_max(MEMBERS) - 1, "{turns}");
    gateway.say(&Frame::Ping);
    assert_eq!(inputs(&mut link), [""; 0]);
    assert_eq!(gateway.received(), ["Pong"], "it is still in its session");
    assert!(link.counts().corrupt > 100);
}

#[test]
fn a_gateway_of_another_version_is_answered_and_not_believed() {
    let mut gateway = Played::new();
    let mut memory = Memory::new();
    let mut link = Link::new(gateway.wire.clone(), &mut memory);
    gateway.received();
    gateway.encoder.begin(1);
    gateway.decoder.begin(1);
    gateway.say(&Frame::Hello(Hello {
        version: VERSION + 1,
        instance: 9,
        addr: ME,
        directory: GCD,
    }));
    link.turn();
    assert_eq!(link.gateway(), None);
    assert_eq!(gateway.received(), [ready(true)]);
}

#[test]
fn a_list_that_finds_no_room_rejects_its_peer() {
    let (mut gateway, mut link) = Played::joined();
    gateway.report(ACCEPTED_FROM, Incoming::Accepted);
    gateway.report(ACCEPTED_FROM, Incoming::Request(Request::Join(LIST[0])));
    assert_eq!(inputs(&mut link).len(), 2);
    gateway.takes(0);
    while let Ok(exchange) = link.open(PEER, Request::Probe(Roster::EMPTY)) {
        link.close(exchange);
    }
    // Longer than what an answer is sure to find room for.
    let long = [1, 2, 3, 4, 5, 6, 7_u64].map(|at| Member {
        addr: Addr(at << 50),
        ..LIST[0]
    });
    let long = Roster::new(&long).expect("it ascends").with_revision(1);
    link.reply(Exchange(ACCEPTED_FROM), Reply::Members(long));
    gateway.takes(usize::MAX);
    inputs(&mut link);
    let refused = Frame::Reply(Exchange(ACCEPTED_FROM), Reply::Refused(Refusal::Full));
    assert!(gateway.received().contains(&text(&refused)));
}

/// A driver that has the traits of `embedded-io`.
#[derive(Debug)]
struct Driver {
    wire: Wire,
    broken: bool,
}

impl embedded_io::ErrorType for Driver {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::ReadReady for Driver {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.wire.0.borrow().inward.is_empty())
    }
}

impl embedded_io::Read for Driver {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
        match self.broken {
            true => Err(embedded_io::ErrorKind::Other),
            false => Ok(Line::read(&mut self.wire, into)),
        }
    }
}

impl embedded_io::WriteReady for Driver {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.wire.0.borrow().takes > 0)
    }
}

impl embedded_io::Write for Driver {
    fn write(&mut self, from: &[u8]) -> Result<usize, Self::Error> {
        // The trait's write blocks when there is no room at all.
        assert!(self.wire.0.borrow().takes > 0, "it would block");
        match self.broken {
            true => Err(embedded_io::ErrorKind::Other),
            false => Ok(Line::write(&mut self.wire, from)),
        }
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn a_driver_with_the_traits_of_embedded_io_is_a_line_that_never_blocks() {
    let mut gateway = Played::new();
    let mut driver = Io(Driver {
        wire: gateway.wire.clone(),
        broken: false,
    });
    assert_eq!(Line::read(&mut driver, &mut [0; 4]), 0);
    gateway.takes(3);
    assert_eq!(Line::write(&mut driver, b"12345"), 3);
    assert_eq!(Line::write(&mut driver, b"45"), 0);
    gateway.wire.0.borrow_mut().inward.extend(b"abc");
    let mut into = [0; 2];
    assert_eq!(Line::read(&mut driver, &mut into), 2);
    assert_eq!(&into, b"ab");
    driver.0.broken = true;
    gateway.takes(9);
    assert_eq!(Line::read(&mut driver, &mut into), 0);
    assert_eq!(Line::write(&mut driver, b"6"), 0);
    driver.0.broken = false;
    gateway.takes(FRAME_SHORT_MAX);
    let mut memory = Memory::new();
    let _link = Link::new(driver, &mut memory);
    assert_eq!(gateway.received(), ["Lost"]);
}
