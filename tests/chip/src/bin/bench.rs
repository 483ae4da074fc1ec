//! What a `poll` costs on this core: instructions and stack. `tests/chip/bench` starts it so that
//! every instruction takes the same time.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::time::Duration;

use bully::wire::{ACCEPTED_FROM, Encoder, Frame, Hello, VERSION, message_max};
use bully::{
    Addr, Buffers, Config, Exchange, Full, Incoming, Instant, Line, Link, Member, Net, Node, Pid,
    Reply, Request, Roster,
};
use bully_chip::{EXCHANGES, MEMBERS, stack};
use cortex_m::Peripherals;
use cortex_m::asm::delay;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use heapless::{Deque, Vec};
use semihosting::{println, process};

/// Everybody: the process with `n` days listens at `n`.
static GROUP: [Member; MEMBERS] = {
    let mut group = [member(1); MEMBERS];
    let mut at = 1;
    while at < MEMBERS {
        group[at] = member(at as u32 + 1);
        at += 1;
    }
    group
};

const DIRECTORY: Addr = Addr(0);
const PROBE_GAP: Duration = Duration::from_millis(500);
const GREATEST: u32 = MEMBERS as u32;
/// How many exchanges a node opens at once: a quarter of the places is kept for others.
const SIDE_MAX: u32 = (EXCHANGES - EXCHANGES / 4) as u32;
const MESSAGE_MAX: usize = message_max(MEMBERS);

const fn member(days: u32) -> Member {
    Member {
        pid: Pid { days, id: 1 },
        addr: Addr(days as u64),
    }
}

/// A network whose input the scenes give.
trait Scripted: Net {
    fn tell(&mut self, exchange: Exchange, incoming: Incoming<'static>);
}

/// One that costs next to nothing.
struct Bare {
    news: Deque<(Exchange, Incoming<'static>), 32>,
    next: u32,
}

impl Scripted for Bare {
    fn tell(&mut self, exchange: Exchange, incoming: Incoming<'static>) {
        let told = self.news.push_back((exchange, incoming));
        assert!(told.is_ok(), "no room for news");
    }
}

impl Net for Bare {
    fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> {
        self.next += 1;
        Ok(Exchange(self.next))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.news.pop_front()
    }

    fn reply(&mut self, _: Exchange, _: Reply<'_>) {}

    fn close(&mut self, _: Exchange) {}

    fn set_listening(&mut self, _: bool) {}
}

/// The chip's own: a link, with a gateway that speaks by the script.
struct Wired<'a> {
    link: Link<'a, End<'a>>,
    gateway: Encoder,
    line: &'a Pipe,
}

/// What the gateway has said. What the chip says is not kept.
type Pipe = RefCell<Deque<u8, { 2 * MESSAGE_MAX }>>;

/// The chip's end of it.
struct End<'a>(&'a Pipe);

impl Line for End<'_> {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let mut said = self.0.borrow_mut();
        let came = core::iter::from_fn(|| said.pop_front());
        into.iter_mut()
            .zip(came)
            .map(|(place, byte)| *place = byte)
            .count()
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.len()
    }
}

impl<'a> Wired<'a> {
    fn new<const BYTES: usize>(
        buffers: &'a mut Buffers<MEMBERS, EXCHANGES, BYTES>,
        line: &'a Pipe,
    ) -> Self {
        line.borrow_mut().clear();
        let mut wired = Self {
            link: Link::new(End(line), buffers),
            gateway: Encoder::new(),
            line,
        };
        wired.gateway.begin(1);
        wired.say(&Frame::Hello(Hello {
            version: VERSION,
            instance: 1,
            addr: member(1).addr,
            directory: DIRECTORY,
        }));
        wired.link.turn();
        assert!(wired.link.gateway().is_some(), "the gateway was not heard");
        wired
    }

    fn say(&mut self, frame: &Frame<'_>) {
        let mut bytes = [0; MESSAGE_MAX];
        let length = self.gateway.encode(frame, &mut bytes).expect("it fits");
        let mut said = self.line.borrow_mut();
        for byte in &bytes[..length] {
            said.push_back(*byte).expect("no room on the line");
        }
    }
}

impl Scripted for Wired<'_> {
    fn tell(&mut self, exchange: Exchange, incoming: Incoming<'static>) {
        self.say(&Frame::Input(exchange, incoming));
    }
}

impl Net for Wired<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        self.link.open(to, request)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.link.recv()
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.link.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        self.link.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.link.set_listening(on);
    }
}

/// A network, and what the node has said on it since it was last looked at.
struct Watched<N> {
    net: N,
    opened: Vec<Exchange, EXCHANGES>,
    answered: Vec<Exchange, EXCHANGES>,
}

impl<N: Net> Net for Watched<N> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.net.open(to, request)?;
        self.opened.push(exchange).map_err(|_| Full)?;
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.net.recv()
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.net.reply(on, reply);
        let _ = self.answered.push(on); // as many as there are exchanges
    }

    fn close(&mut self, exchange: Exchange) {
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.net.set_listening(on);
    }
}

/// A node and its network.
struct Stage<N> {
    title: &'static str,
    node: Node<MEMBERS, EXCHANGES>,
    net: Watched<N>,
    now: Instant,
    clock: Clock,
    /// The exchanges that the node opened last.
    last: Vec<Exchange, EXCHANGES>,
    /// The exchange that was opened to it last.
    accepted: Exchange,
}

impl<N: Scripted> Stage<N> {
    fn new(title: &'static str, days: u32, net: N, clock: Clock) -> Self {
        let mut config = Config::new(member(days));
        config.directory = Some(DIRECTORY);
        config.probe_gap = (PROBE_GAP, PROBE_GAP);
        Self {
            title,
            node: Node::new(config),
            net: Watched {
                net,
                opened: Vec::new(),
                answered: Vec::new(),
            },
            now: Instant::ZERO,
            clock,
            last: Vec::new(),
            accepted: Exchange(ACCEPTED_FROM),
        }
    }

    /// Somebody connects and says this.
    fn heard(&mut self, request: Request<'static>) {
        self.accepted.0 += 1;
        let net = &mut self.net.net;
        net.tell(self.accepted, Incoming::Accepted);
        net.tell(self.accepted, Incoming::Request(request));
    }

    /// What the node asked last is answered, by everyone who was asked.
    fn answered(&mut self, reply: Reply<'static>) {
        for exchange in &self.last {
            self.net.net.tell(*exchange, Incoming::Reply(reply));
            self.net.net.tell(*exchange, Incoming::Done);
        }
    }

    /// Everything that the node said has been sent; how many messages that were.
    fn deliver(&mut self) -> u32 {
        let Watched {
            net,
            opened,
            answered,
        } = &mut self.net;
        let messages = opened.len() + answered.len();
        for exchange in &*opened {
            net.tell(*exchange, Incoming::Sent);
        }
        if !opened.is_empty() {
            self.last = core::mem::take(opened);
        }
        for exchange in core::mem::take(answered) {
            net.tell(exchange, Incoming::Sent);
            net.tell(exchange, Incoming::Done);
        }
        messages as u32
    }

    /// Lets time pass, unmeasured.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.node.poll_at().filter(|at| *at <= end) {
            self.now = at;
            turn(&mut self.node, self.now, &mut self.net);
            self.deliver();
        }
        self.now = end;
    }

    /// Goes round the loop until so many messages have been sent, at least once, and returns what
    /// the turns cost.
    #[inline(never)]
    fn measure(&mut self, what: &str, messages: u32) {
        let (mut turns, mut sent) = (0, 0);
        let (mut instructions, mut longest, mut depth) = (0, 0, 0);
        while turns == 0 || sent < messages {
            stack::paint();
            let top = stack::pointer();
            let ticks = Clock::ticks(|| turn(&mut self.node, self.now, &mut self.net));
            depth = depth.max(top - stack::deepest());
            let took = self.clock.instructions(ticks);
            longest = longest.max(took);
            instructions += took;
            turns += 1;
            sent += self.deliver();
            if sent < messages {
                self.now = self.node.poll_at().expect("there is more to say");
            }
        }
        assert_eq!(sent, messages, "{what}");
        let title = self.title;
        println!("{MEMBERS} members: {title}\t{what}\t{turns}\t{instructions}\t{longest}\t{depth}");
    }
}

/// A turn of the loop, in a frame of its own, so that all of `poll` lies below the caller's.
#[inline(never)]
fn turn<N: Net>(node: &mut Node<MEMBERS, EXCHANGES>, now: Instant, net: &mut N) {
    while node.poll(now, net).is_some() {}
}

/// The greatest member, who leads.
fn greatest(mut stage: Stage<impl Scripted>) {
    let everybody = Roster::new(&GROUP).expect("ascending").with_revision(1);
    let others = GREATEST - 1;
    stage.measure("starts: JOIN", 1);
    stage.answered(Reply::Members(everybody));
    stage.measure("hears of everybody, leads: COORDINATOR to all", others);
    stage.measure("hears that all is sent", 0);
    stage.measure("nothing to do", 0);
    stage.heard(Request::Probe(Roster::EMPTY));
    stage.measure("PROBE: OK", 1);
    stage.measure("hears that OK is sent", 0);
    stage.pass(Duration::from_millis(1_000));
    stage.heard(Request::Election(everybody));
    stage.measure("ELECTION: OK, COORDINATOR to all", 1 + others);
}

/// The least member, who follows.
fn least(mut stage: Stage<impl Scripted>) {
    let everybody = Roster::new(&GROUP).expect("ascending").with_revision(1);
    stage.pass(Duration::ZERO);
    stage.answered(Reply::Members(everybody));
    stage.measure("hears of everybody: ELECTION to the greatest", SIDE_MAX);
    stage.answered(Reply::Ok(Roster::EMPTY));
    stage.measure("they say OK: waits for COORDINATOR", 0);
    stage.heard(Request::Coordinator(everybody));
    stage.measure("COORDINATOR with everybody: follows", 0);
    stage.heard(Request::Election(everybody));
    stage.measure("ELECTION with everybody: OK, PROBE to the leader", 2);
    stage.answered(Reply::Ok(Roster::EMPTY));
    stage.measure("OK: the leader lives", 0);
    stage.pass(PROBE_GAP - Duration::from_micros(1));
    stage.now = stage.node.poll_at().expect("the PROBE is due");
    stage.measure("PROBE to the leader", 1);
}

/// SysTick, as a counter of instructions.
#[derive(Clone, Copy)]
struct Clock {
    /// How far it counts in a thousand instructions.
    per_thousand: u32,
    /// How far it counts in none.
    idle: u32,
}

impl Clock {
    /// Starts it and learns its pace from loops of known length; `None` if that is not steady.
    fn start() -> Option<Self> {
        let mut syst = Peripherals::take()?.SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(0xFF_FFFF);
        syst.clear_current();
        syst.enable_counter();
        // `delay` is a loop of two instructions.
        let [none, one, five, nine] =
            [0, 500, 2_500, 4_500].map(|turns| Self::ticks(|| delay(turns)));
        let per_thousand = one - none;
        let steady = |ticks: u32, thousands: u32| {
            ticks.abs_diff(none + thousands * per_thousand) <= thousands
        };
        (per_thousand > 1_000 && steady(five, 5) && steady(nine, 9)).then_some(Self {
            per_thousand,
            idle: Self::ticks(|| ()),
        })
    }

    /// How far it counts meanwhile: down, and not further than once around.
    #[inline(always)]
    fn ticks(work: impl FnOnce()) -> u32 {
        let from = SYST::get_current();
        work();
        from.wrapping_sub(SYST::get_current()) & 0xFF_FFFF
    }

    fn instructions(self, ticks: u32) -> u64 {
        let ticks = u64::from(ticks.saturating_sub(self.idle));
        ticks * 1_000 / u64::from(self.per_thousand)
    }
}

#[entry]
fn main() -> ! {
    let Some(clock) = Clock::start() else {
        println!("instructions take different times here: QEMU needs -icount shift=10");
        process::exit(1)
    };
    let bare = || Bare {
        news: Deque::new(),
        next: 0,
    };
    greatest(Stage::new("node", GREATEST, bare(), clock));
    least(Stage::new("node", 1, bare(), clock));

    let line = Pipe::default();
    let mut buffers = Buffers::<MEMBERS, EXCHANGES, MESSAGE_MAX>::new();
    let wired = Wired::new(&mut buffers, &line);
    greatest(Stage::new("node and link", GREATEST, wired, clock));
    let wired = Wired::new(&mut buffers, &line);
    least(Stage::new("node and link", 1, wired, clock));
    process::exit(0)
}
