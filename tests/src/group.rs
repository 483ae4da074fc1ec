//! A group of nodes and their coordinator on a small network in memory, in virtual time.
//!
//! Every message takes a time of its own, drawn from one seed; nothing else is left to chance, so
//! a run can be repeated. Every machine stands behind a [`Checked`].

use core::cell::RefCell;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bully::{
    Addr, Checked, Config, Directory, Event, Exchange, Full, Gone, Incoming, Instant, Member,
    Messages, Net, Node, Origin, Phase, Pid, Reply, Request,
};

use crate::owned::{Answer, Input, Message};
use crate::people::DIRECTORY;

/// Chance for tests: xorshift64*, unlike the core's own.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for this seed.
    pub const fn new(seed: u64) -> Self {
        // The state must not be zero; an odd factor keeps seeds apart.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Anything.
    pub const fn any(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.any() % end
    }
}

/// One end of a connection: where, its number there, and a serial, for numbers are used again.
type End = (Addr, Exchange, u64);

/// What an end receives, and what its list says of the sender.
#[derive(Debug)]
struct Received {
    input: Input,
    origin: Option<Origin>,
}

impl From<Input> for Received {
    fn from(input: Input) -> Self {
        Self {
            input,
            origin: None,
        }
    }
}

impl Received {
    fn lend(&mut self) -> Incoming<'_> {
        let origin = self.origin;
        match self.input.lend() {
            Incoming::Request(Request::Election(list)) => {
                Incoming::Request(Request::Election(list.with_origin(origin)))
            }
            Incoming::Request(Request::Coordinator(list)) => {
                Incoming::Request(Request::Coordinator(list.with_origin(origin)))
            }
            Incoming::Request(Request::Probe(list)) => {
                Incoming::Request(Request::Probe(list.with_origin(origin)))
            }
            Incoming::Reply(Reply::Ok(list)) => {
                Incoming::Reply(Reply::Ok(list.with_origin(origin)))
            }
            other => other,
        }
    }
}

/// What is under way.
#[derive(Debug)]
enum Flight {
    /// A connection with its message.
    Call {
        from: End,
        to: Addr,
        message: Received,
    },
    /// Anything on a connection that stands.
    Input { to: End, input: Received },
}

/// Everything between the machines.
#[derive(Debug)]
struct Fabric {
    now: Instant,
    /// Lists say who has sent them.
    origins: bool,
    dice: Dice,
    delay: (u64, u64),
    serial: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    listeners: BTreeMap<Addr, Listener>,
    /// Ends of one connection; the other end may be gone already.
    peers: BTreeMap<End, End>,
}

/// Who listens at an address.
#[derive(Debug, Default)]
struct Listener {
    open: bool,
    /// Accepts what comes, and answers nothing, for there is no machine behind.
    silent: bool,
    inbox: VecDeque<(Exchange, Received)>,
    ends: Vec<End>,
}

impl Listener {
    fn end(&self, exchange: Exchange) -> Option<End> {
        self.ends.iter().find(|end| end.1 == exchange).copied()
    }
}

impl Fabric {
    fn send(&mut self, flight: Flight) {
        let (shortest, longest) = self.delay;
        let mut delay = shortest + self.dice.below(longest - shortest + 1);
        // An end takes the longest way, so that it overtakes nothing.
        if let Flight::Input { input, .. } = &flight
            && matches!(input.input, Input::Done | Input::Gone(_))
        {
            delay = longest;
        }
        self.serial += 1;
        let at = self.now + Duration::from_micros(delay);
        self.flights.insert((at, self.serial), flight);
    }

    fn input(&mut self, to: End, input: impl Into<Received>) {
        let input = input.into();
        self.send(Flight::Input { to, input });
    }

    /// Reports something to an end. Returns `true` if it is still open.
    fn here(&mut self, end: End, input: impl Into<Received>) -> bool {
        let listener = self
            .listeners
            .get_mut(&end.0)
            .filter(|listener| listener.ends.contains(&end));
        listener.is_some_and(|listener| {
            listener.inbox.push_back((end.1, input.into()));
            true
        })
    }

    /// A new end at `addr`, under the lowest number that is free: numbers are used again as soon
    /// as the law allows.
    fn begin(&mut self, addr: Addr) -> End {
        self.serial += 1;
        let listener = self
            .listeners
            .get_mut(&addr)
            .expect("a machine has a listener");
        let number = (0..)
            .map(Exchange)
            .find(|number| listener.end(*number).is_none());
        let end = (
            addr,
            number.expect("there are always numbers left"),
            self.serial,
        );
        listener.ends.push(end);
        end
    }

    fn end(&self, addr: Addr, exchange: Exchange) -> End {
        let end = self
            .listeners
            .get(&addr)
            .and_then(|listener| listener.end(exchange));
        end.expect("the core uses what it has opened or seen reported")
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Input { to, input } => {
                if matches!(input.input, Input::Done | Input::Gone(_)) {
                    self.peers.remove(&to);
                }
                self.here(to, input);
            }
            Flight::Call { from, to, message } => {
                let listener = self.listeners.get(&to).filter(|listener| listener.open);
                let Some(silent) = listener.map(|listener| listener.silent) else {
                    self.here(from, Input::Gone(Gone::Refused));
                    return;
                };
                let calling = self.here(from, Input::Sent);
                if silent {
                    return;
                }
                let end = self.begin(to);
                self.here(end, Input::Accepted);
                self.here(end, message);
                if calling {
                    self.peers.insert(from, end);
                    self.peers.insert(end, from);
                } else {
                    self.here(end, Input::Done);
                }
            }
        }
    }

    /// Closes one end; the other one learns of it.
    fn close(&mut self, end: End, gone: Option<Gone>) {
        if let Some(other) = self.peers.remove(&end)
            && self.peers.remove(&other).is_some()
        {
            self.input(other, gone.map_or(Input::Done, Input::Gone));
        }
    }
}

/// The network as one machine sees it.
#[derive(Debug)]
pub struct Port {
    fabric: Rc<RefCell<Fabric>>,
    addr: Addr,
    lent: Option<Received>,
}

impl Net for Port {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let mut fabric = self.fabric.borrow_mut();
        let from = fabric.begin(self.addr);
        let origin = match request {
            Request::Election(list) | Request::Coordinator(list) | Request::Probe(list) => {
                list.origin()
            }
            Request::Join(_) => None,
        };
        let message = Received {
            input: Input::Request(Message::from(request)),
            origin: origin.filter(|_| fabric.origins),
        };
        fabric.send(Flight::Call { from, to, message });
        Ok(from.1)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let mut fabric = self.fabric.borrow_mut();
        let (exchange, input) = fabric.listeners.get_mut(&self.addr)?.inbox.pop_front()?;
        Some((exchange, self.lent.insert(input).lend()))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let mut fabric = self.fabric.borrow_mut();
        let end = fabric.end(self.addr, on);
        if let Some(asker) = fabric.peers.get(&end).copied() {
            let origin = match reply {
                Reply::Ok(list) => list.origin(),
                _ => None,
            };
            let answer = Received {
                input: Input::Reply(Answer::from(reply)),
                origin: origin.filter(|_| fabric.origins),
            };
            fabric.input(asker, answer);
            fabric.here(end, Input::Sent);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let mut fabric = self.fabric.borrow_mut();
        let end = fabric.end(self.addr, exchange);
        fabric.close(end, None);
        let listener = fabric
            .listeners
            .get_mut(&self.addr)
            .expect("a machine has a listener");
        listener.ends.retain(|open| *open != end);
        listener.inbox.retain(|(of, _)| *of != exchange);
    }

    fn set_listening(&mut self, on: bool) {
        let mut fabric = self.fabric.borrow_mut();
        fabric
            .listeners
            .get_mut(&self.addr)
            .expect("a machine has a listener")
            .open = on;
    }
}

/// A node in its slot.
struct Slot<const MEMBERS: usize, const EXCHANGES: usize> {
    me: Member,
    node: Node<MEMBERS, EXCHANGES>,
    net: Checked<Port, EXCHANGES>,
    events: Vec<(Instant, Event)>,
    up: bool,
}

/// A machine of another make on the same network, behind a [`Port`] of its own.
pub trait Guest {
    /// Where it listens.
    fn addr(&self) -> Addr;

    /// Does all there is to do at present.
    fn poll(&mut self, now: Instant);

    /// When to poll it next, if the network has no input for it.
    fn poll_at(&self) -> Option<Instant>;
}

/// A group of nodes with their coordinator.
pub struct Group<const MEMBERS: usize, const EXCHANGES: usize> {
    fabric: Rc<RefCell<Fabric>>,
    slots: Vec<Slot<MEMBERS, EXCHANGES>>,
    directory: Directory<MEMBERS, EXCHANGES>,
    directory_net: Checked<Port, EXCHANGES>,
    departed: Messages,
    guests: Vec<Rc<RefCell<dyn Guest>>>,
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Group<MEMBERS, EXCHANGES> {
    /// A coordinator that waits for members; messages take between 0.5 and 1.5 ms.
    pub fn new(seed: u64) -> Self {
        let fabric = Rc::new(RefCell::new(Fabric {
            now: Instant::ZERO,
            origins: false,
            dice: Dice::new(seed),
            delay: (500, 1_500),
            serial: 0,
            flights: BTreeMap::new(),
            listeners: BTreeMap::new(),
            peers: BTreeMap::new(),
        }));
        let port = Self::port(&fabric, DIRECTORY);
        Self {
            fabric,
            slots: Vec::new(),
            directory: Directory::new(),
            directory_net: Checked::directory(port),
            departed: Messages::default(),
            guests: Vec::new(),
        }
    }

    /// From now on lists say who has sent them, as those of programs of our own kind do.
    pub fn with_origins(&mut self) {
        self.fabric.borrow_mut().origins = true;
    }

    /// Takes in a machine that was given a port.
    pub fn invite(&mut self, guest: Rc<RefCell<dyn Guest>>) {
        self.guests.push(guest);
    }

    /// A port for a guest; its listener is open.
    pub fn guest_port(&self, addr: Addr) -> Port {
        Self::port(&self.fabric, addr)
    }

    /// Ends what a machine had open without a word, and takes its port away.
    pub fn unplug(&mut self, addr: Addr) {
        let mut fabric = self.fabric.borrow_mut();
        let listener = fabric.listeners.remove(&addr).unwrap_or_default();
        for end in listener.ends {
            fabric.close(end, Some(Gone::Reset));
        }
    }

    fn port(fabric: &Rc<RefCell<Fabric>>, addr: Addr) -> Port {
        let listener = Listener {
            open: true,
            ..Listener::default()
        };
        fabric.borrow_mut().listeners.insert(addr, listener);
        Port {
            fabric: Rc::clone(fabric),
            addr,
            lent: None,
        }
    }

    /// Starts a node, and returns its slot.
    pub fn start(&mut self, config: Config) -> usize {
        let me = config.me;
        let port = Self::port(&self.fabric, me.addr);
        self.slots.push(Slot {
            me,
            node: Node::new(config),
            net: Checked::node(port, me),
            events: Vec::new(),
            up: true,
        });
        self.slots.len() - 1
    }

    /// Ends a node without a word: its connections break, and new ones are refused.
    pub fn crash(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        slot.up = false;
        add(&mut self.departed, slot.node.counters().sent);
        let addr = slot.me.addr;
        self.unplug(addr);
    }

    /// Puts a host at `addr` that accepts everything and says nothing.
    pub fn silent(&mut self, addr: Addr) {
        let listener = Listener {
            open: true,
            silent: true,
            ..Listener::default()
        };
        self.fabric.borrow_mut().listeners.insert(addr, listener);
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) {
        let until = self.now() + span;
        loop {
            self.poll();
            let flight = self
                .fabric
                .borrow()
                .flights
                .first_key_value()
                .map(|((at, _), _)| *at);
            let wake = self
                .slots
                .iter()
                .filter(|slot| slot.up)
                .filter_map(|s| s.node.poll_at());
            let guests = self
                .guests
                .iter()
                .filter_map(|guest| guest.borrow().poll_at());
            let next = wake
                .chain(self.directory.poll_at())
                .chain(flight)
                .chain(guests)
                .min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            let mut fabric = self.fabric.borrow_mut();
            let next = next.max(fabric.now);
            fabric.now = next;
            while let Some(first) = fabric.flights.first_entry()
                && first.key().0 <= next
            {
                let flight = first.remove();
                fabric.land(flight);
            }
        }
        self.fabric.borrow_mut().now = until;
    }

    /// Polls everyone for whom there is something to do.
    fn poll(&mut self) {
        let now = self.now();
        let has_input = |addr: Addr| {
            let fabric = self.fabric.borrow();
            fabric
                .listeners
                .get(&addr)
                .is_some_and(|listener| !listener.inbox.is_empty())
        };
        for slot in self.slots.iter_mut().filter(|slot| slot.up) {
            let due = |node: &Node<_, _>| node.poll_at().is_some_and(|at| at <= now);
            while has_input(slot.me.addr) || due(&slot.node) {
                while let Some(event) = slot.node.poll(now, &mut slot.net) {
                    slot.net.note(event);
                    slot.events.push((now, event));
                }
                assert!(
                    has_input(slot.me.addr) || !due(&slot.node),
                    "{:?} wants to be polled with nothing to do",
                    slot.me
                );
            }
        }
        for guest in &self.guests {
            let mut guest = guest.borrow_mut();
            if has_input(guest.addr()) || guest.poll_at().is_some_and(|at| at <= now) {
                guest.poll(now);
            }
        }
        while has_input(DIRECTORY) || self.directory.poll_at().is_some_and(|at| at <= now) {
            while self.directory.poll(now, &mut self.directory_net).is_some() {}
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.fabric.borrow().now
    }

    /// A node, to be looked at.
    pub fn node(&self, slot: usize) -> &Node<MEMBERS, EXCHANGES> {
        &self.slots[slot].node
    }

    /// What a node reported, and when.
    pub fn events(&self, slot: usize) -> &[(Instant, Event)] {
        &self.slots[slot].events
    }

    /// Whom each node that is up, and does not feign failure, takes for the leader.
    pub fn leaders(&self) -> Vec<(Pid, Option<Pid>)> {
        let slots = self.slots.iter();
        slots
            .filter(|slot| slot.up && slot.node.phase() != Phase::Failed)
            .map(|slot| (slot.me.pid, slot.node.leader()))
            .collect()
    }

    /// Whether every node that is up names the greatest that is up.
    pub fn settled(&self) -> bool {
        let leaders = self.leaders();
        let greatest = leaders.iter().map(|(pid, _)| *pid).max();
        leaders.iter().all(|(_, leader)| *leader == greatest)
    }

    /// Messages sent so far by all nodes there ever were; the coordinator's answers are not among
    /// them.
    pub fn messages(&self) -> Messages {
        let mut sum = self.departed;
        for slot in self.slots.iter().filter(|slot| slot.up) {
            add(&mut sum, slot.node.counters().sent);
        }
        sum
    }
}

fn add(sum: &mut Messages, more: Messages) {
    sum.join += more.join;
    sum.election += more.election;
    sum.ok += more.ok;
    sum.coordinator += more.coordinator;
    sum.probe += more.probe;
}
