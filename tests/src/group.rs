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
    Messages, Net, Node, Phase, Pid, Reply, Request,
};

use crate::owned::{Answer, Message, News};
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

/// What is under way.
#[derive(Debug)]
enum Flight {
    /// A connection with its message.
    Call {
        from: End,
        to: Addr,
        message: Message,
    },
    /// Anything on a connection that stands.
    News { to: End, news: News },
}

/// Everything between the machines.
#[derive(Debug)]
struct Fabric {
    now: Instant,
    dice: Dice,
    delay: (u64, u64),
    serial: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    doors: BTreeMap<Addr, Door>,
    /// Ends of one connection; the other end may be gone already.
    peers: BTreeMap<End, End>,
}

/// Who listens at an address.
#[derive(Debug, Default)]
struct Door {
    open: bool,
    /// Takes what comes, and says nothing, for there is no machine behind.
    silent: bool,
    inbox: VecDeque<(Exchange, News)>,
    ends: Vec<End>,
}

impl Door {
    fn end(&self, exchange: Exchange) -> Option<End> {
        self.ends.iter().find(|end| end.1 == exchange).copied()
    }
}

impl Fabric {
    fn send(&mut self, flight: Flight) {
        let (shortest, longest) = self.delay;
        let mut delay = shortest + self.dice.below(longest - shortest + 1);
        // An end takes the longest way, so that it overtakes nothing.
        if let Flight::News {
            news: News::Done | News::Gone(_),
            ..
        } = flight
        {
            delay = longest;
        }
        self.serial += 1;
        let at = self.now + Duration::from_micros(delay);
        self.flights.insert((at, self.serial), flight);
    }

    fn news(&mut self, to: End, news: News) {
        self.send(Flight::News { to, news });
    }

    /// Tells an end something, if it is still open; whether it is.
    fn here(&mut self, end: End, news: News) -> bool {
        let door = self
            .doors
            .get_mut(&end.0)
            .filter(|door| door.ends.contains(&end));
        door.is_some_and(|door| {
            door.inbox.push_back((end.1, news));
            true
        })
    }

    /// A new end at `addr`, under the lowest number that is free: numbers are used again as soon
    /// as the law allows.
    fn begin(&mut self, addr: Addr) -> End {
        self.serial += 1;
        let door = self.doors.get_mut(&addr).expect("a machine has a door");
        let number = (0..)
            .map(Exchange)
            .find(|number| door.end(*number).is_none());
        let end = (
            addr,
            number.expect("there are always numbers left"),
            self.serial,
        );
        door.ends.push(end);
        end
    }

    fn end(&self, addr: Addr, exchange: Exchange) -> End {
        let end = self.doors.get(&addr).and_then(|door| door.end(exchange));
        end.expect("the core uses what it has opened or been told of")
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::News { to, news } => {
                if matches!(news, News::Done | News::Gone(_)) {
                    self.peers.remove(&to);
                }
                self.here(to, news);
            }
            Flight::Call { from, to, message } => {
                let door = self.doors.get(&to).filter(|door| door.open);
                let Some(silent) = door.map(|door| door.silent) else {
                    self.here(from, News::Gone(Gone::Refused));
                    return;
                };
                let calling = self.here(from, News::Sent);
                if silent {
                    return;
                }
                let end = self.begin(to);
                self.here(end, News::Accepted);
                self.here(end, News::Request(message));
                if calling {
                    self.peers.insert(from, end);
                    self.peers.insert(end, from);
                } else {
                    self.here(end, News::Done);
                }
            }
        }
    }

    /// Closes one end; the other one learns of it.
    fn close(&mut self, end: End, gone: Option<Gone>) {
        if let Some(other) = self.peers.remove(&end)
            && self.peers.remove(&other).is_some()
        {
            self.news(other, gone.map_or(News::Done, News::Gone));
        }
    }
}

/// The network as one machine sees it.
#[derive(Debug)]
pub struct Port {
    fabric: Rc<RefCell<Fabric>>,
    addr: Addr,
    telling: Option<News>,
}

impl Net for Port {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let mut fabric = self.fabric.borrow_mut();
        let from = fabric.begin(self.addr);
        let message = request.into();
        fabric.send(Flight::Call { from, to, message });
        Ok(from.1)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let mut fabric = self.fabric.borrow_mut();
        let (exchange, news) = fabric.doors.get_mut(&self.addr)?.inbox.pop_front()?;
        Some((exchange, self.telling.insert(news).lend()))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let mut fabric = self.fabric.borrow_mut();
        let end = fabric.end(self.addr, on);
        if let Some(asker) = fabric.peers.get(&end).copied() {
            fabric.news(asker, News::Reply(Answer::from(reply)));
            fabric.here(end, News::Sent);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let mut fabric = self.fabric.borrow_mut();
        let end = fabric.end(self.addr, exchange);
        fabric.close(end, None);
        let door = fabric
            .doors
            .get_mut(&self.addr)
            .expect("a machine has a door");
        door.ends.retain(|open| *open != end);
        door.inbox.retain(|(of, _)| *of != exchange);
    }

    fn set_listening(&mut self, on: bool) {
        let mut fabric = self.fabric.borrow_mut();
        fabric
            .doors
            .get_mut(&self.addr)
            .expect("a machine has a door")
            .open = on;
    }
}

/// A node on its seat.
struct Seat<const MEMBERS: usize, const EXCHANGES: usize> {
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

    /// When to poll it next, if the network has no news for it.
    fn poll_at(&self) -> Option<Instant>;
}

/// A group of nodes with their coordinator.
pub struct Group<const MEMBERS: usize, const EXCHANGES: usize> {
    fabric: Rc<RefCell<Fabric>>,
    seats: Vec<Seat<MEMBERS, EXCHANGES>>,
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
            dice: Dice::new(seed),
            delay: (500, 1_500),
            serial: 0,
            flights: BTreeMap::new(),
            doors: BTreeMap::new(),
            peers: BTreeMap::new(),
        }));
        let port = Self::port(&fabric, DIRECTORY);
        Self {
            fabric,
            seats: Vec::new(),
            directory: Directory::new(),
            directory_net: Checked::directory(port),
            departed: Messages::default(),
            guests: Vec::new(),
        }
    }

    /// Takes in a machine that was given a port.
    pub fn invite(&mut self, guest: Rc<RefCell<dyn Guest>>) {
        self.guests.push(guest);
    }

    /// A port for a guest; its door is open.
    pub fn guest_port(&self, addr: Addr) -> Port {
        Self::port(&self.fabric, addr)
    }

    /// Ends what a machine had open without a word, and takes its port away.
    pub fn unplug(&mut self, addr: Addr) {
        let mut fabric = self.fabric.borrow_mut();
        let door = fabric.doors.remove(&addr).unwrap_or_default();
        for end in door.ends {
            fabric.close(end, Some(Gone::Reset));
        }
    }

    fn port(fabric: &Rc<RefCell<Fabric>>, addr: Addr) -> Port {
        let door = Door {
            open: true,
            ..Door::default()
        };
        fabric.borrow_mut().doors.insert(addr, door);
        Port {
            fabric: Rc::clone(fabric),
            addr,
            telling: None,
        }
    }

    /// Starts a node; its seat.
    pub fn start(&mut self, config: Config) -> usize {
        let me = config.me;
        let port = Self::port(&self.fabric, me.addr);
        self.seats.push(Seat {
            me,
            node: Node::new(config),
            net: Checked::node(port, me),
            events: Vec::new(),
            up: true,
        });
        self.seats.len() - 1
    }

    /// Ends a node without a word: its connections break, and new ones are refused.
    pub fn crash(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.up = false;
        add(&mut self.departed, seat.node.counters().sent);
        let addr = seat.me.addr;
        self.unplug(addr);
    }

    /// Puts a host at `addr` that accepts everything and says nothing.
    pub fn silent(&mut self, addr: Addr) {
        let door = Door {
            open: true,
            silent: true,
            ..Door::default()
        };
        self.fabric.borrow_mut().doors.insert(addr, door);
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
                .seats
                .iter()
                .filter(|seat| seat.up)
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
        let has_news = |addr: Addr| {
            let fabric = self.fabric.borrow();
            fabric
                .doors
                .get(&addr)
                .is_some_and(|door| !door.inbox.is_empty())
        };
        for seat in self.seats.iter_mut().filter(|seat| seat.up) {
            let due = |node: &Node<_, _>| node.poll_at().is_some_and(|at| at <= now);
            while has_news(seat.me.addr) || due(&seat.node) {
                while let Some(event) = seat.node.poll(now, &mut seat.net) {
                    seat.net.note(event);
                    seat.events.push((now, event));
                }
                assert!(
                    has_news(seat.me.addr) || !due(&seat.node),
                    "{:?} wants to be polled with nothing to do",
                    seat.me
                );
            }
        }
        for guest in &self.guests {
            let mut guest = guest.borrow_mut();
            if has_news(guest.addr()) || guest.poll_at().is_some_and(|at| at <= now) {
                guest.poll(now);
            }
        }
        while has_news(DIRECTORY) || self.directory.poll_at().is_some_and(|at| at <= now) {
            while self.directory.poll(now, &mut self.directory_net).is_some() {}
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.fabric.borrow().now
    }

    /// A node, to be looked at.
    pub fn node(&self, seat: usize) -> &Node<MEMBERS, EXCHANGES> {
        &self.seats[seat].node
    }

    /// What a node told, and when.
    pub fn events(&self, seat: usize) -> &[(Instant, Event)] {
        &self.seats[seat].events
    }

    /// Whom each node that is up, and does not play dead, takes for the leader.
    pub fn leaders(&self) -> Vec<(Pid, Option<Pid>)> {
        let seats = self.seats.iter();
        seats
            .filter(|seat| seat.up && seat.node.phase() != Phase::Failed)
            .map(|seat| (seat.me.pid, seat.node.leader()))
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
        for seat in self.seats.iter().filter(|seat| seat.up) {
            add(&mut sum, seat.node.counters().sent);
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
