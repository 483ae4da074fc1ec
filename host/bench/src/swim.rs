//! Groups of foca, which implements SWIM, on a network like that of the simulator: what large groups
//! stand beside.
//!
//! SWIM answers another question, who is there, and an election needs no more than that: the greatest
//! who is there leads. Its settings are those that foca has for a local network of that size.

use core::cmp::{Ordering, Reverse};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BinaryHeap;

use bully::Member;
use foca::{
    Config, Foca, Identity, Member as Known, NoCustomBroadcast, Notification, PostcardCodec,
    Runtime, Timer,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::job::members;

/// Messages take between these, as in the simulator by default, in microseconds.
const DELAY: (u64, u64) = (500, 1_500);

/// A member as foca knows it: what ours have, and a number for each start of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Peer {
    days: u32,
    id: u32,
    addr: u64,
    life: u16,
}

impl From<Member> for Peer {
    fn from(member: Member) -> Self {
        Self {
            days: member.pid.days,
            id: member.pid.id,
            addr: member.addr.0,
            life: 0,
        }
    }
}

impl Identity for Peer {
    type Addr = u64;

    fn renew(&self) -> Option<Self> {
        Some(Self {
            life: self.life + 1,
            ..*self
        })
    }

    fn addr(&self) -> u64 {
        self.addr
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.life > other.life
    }
}

type Instance = Foca<Peer, PostcardCodec, StdRng, NoCustomBroadcast>;

/// What one instance wants done.
#[derive(Default)]
struct Wishes {
    messages: Vec<(Peer, Vec<u8>)>,
    timers: Vec<(Duration, Timer<Peer>)>,
    down: Vec<Peer>,
}

impl Runtime<Peer> for Wishes {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        if let Notification::MemberDown(peer) = notification {
            self.down.push(*peer);
        }
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.messages.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
}

enum Event {
    Message(Vec<u8>),
    Timer(Timer<Peer>),
}

/// An event that is due, in microseconds, at an instance; `serial` orders what is due together.
struct Due {
    at: u64,
    serial: u64,
    instance: usize,
    event: Event,
}

impl Due {
    fn key(&self) -> (u64, u64) {
        (self.at, self.serial)
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

/// A group of foca in virtual time; its members are those of [`members`].
pub(crate) struct Swim {
    peers: Vec<Peer>,
    instances: Vec<Instance>,
    up: Vec<bool>,
    slow: Vec<u64>,
    queue: BinaryHeap<Reverse<Due>>,
    rng: StdRng,
    now: u64,
    serial: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Who was taken for gone, once for each instance that did.
    pub(crate) alarms: Vec<usize>,
}

impl Swim {
    /// `count` members that know each other from the start.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let peers: Vec<Peer> = members(count).into_iter().map(Peer::from).collect();
        let mut swim = Self {
            instances: (0..count).map(|at| instance(&peers, at, seed)).collect(),
            up: vec![true; count],
            slow: vec![0; count],
            peers,
            queue: BinaryHeap::new(),
            rng: StdRng::seed_from_u64(seed),
            now: 0,
            serial: 0,
            messages: 0,
            bytes: 0,
            alarms: Vec::new(),
        };
        for at in 0..count {
            let mut wishes = Wishes::default();
            let others = swim.peers.iter().filter(|peer| **peer != swim.peers[at]);
            let others = others.copied().map(Known::alive);
            // Cannot fail: nothing is decoded.
            let _ = swim.instances[at].apply_many(others, false, &mut wishes);
            swim.fulfil(at, wishes);
        }
        swim
    }

    /// Messages and answers of so many members, drawn at random, take that much longer.
    pub(crate) fn slow_down(&mut self, members: usize, longer: Duration) {
        for _ in 0..members {
            let at = self.rng.random_range(0..self.slow.len());
            self.slow[at] = longer.as_micros() as u64;
        }
    }

    /// The greatest member ends.
    pub(crate) fn crash_greatest(&mut self) {
        if let Some(last) = self.up.last_mut() {
            *last = false;
        }
    }

    /// Now, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Lets time pass until `done` says so of the group, at most so long.
    pub(crate) fn run(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + time.as_micros() as u64;
        while let Some(Reverse(due)) = self.queue.peek()
            && due.at <= end
        {
            let Some(Reverse(due)) = self.queue.pop() else {
                break;
            };
            self.now = due.at;
            let at = due.instance;
            if !self.up[at] {
                continue;
            }
            let mut wishes = Wishes::default();
            // What it does not take it reports, and goes on.
            let _ = match due.event {
                Event::Message(data) => self.instances[at].handle_data(&data, &mut wishes),
                Event::Timer(timer) => self.instances[at].handle_timer(timer, &mut wishes),
            };
            self.fulfil(at, wishes);
            if done(self) {
                return;
            }
        }
        self.now = end;
    }

    fn fulfil(&mut self, at: usize, wishes: Wishes) {
        for (to, data) in wishes.messages {
            self.messages += 1;
            self.bytes += data.len() as u64;
            let found = self.peers.iter().position(|peer| peer.addr == to.addr);
            let Some(instance) = found else {
                continue;
            };
            let delay = self.rng.random_range(DELAY.0..=DELAY.1) + self.slow[at];
            self.push(self.now + delay, instance, Event::Message(data));
        }
        for (after, timer) in wishes.timers {
            let due = self.now + after.as_micros() as u64;
            self.push(due, at, Event::Timer(timer));
        }
        for peer in wishes.down {
            if let Some(whom) = self.peers.iter().position(|other| other.addr == peer.addr) {
                self.alarms.push(whom);
            }
        }
    }

    fn push(&mut self, at: u64, instance: usize, event: Event) {
        self.serial += 1;
        let serial = self.serial;
        self.queue.push(Reverse(Due {
            at,
            serial,
            instance,
            event,
        }));
    }
}

/// An instance that knows nobody yet.
fn instance(peers: &[Peer], at: usize, seed: u64) -> Instance {
    let size = u32::try_from(peers.len()).ok().and_then(NonZeroU32::new);
    let config = Config::new_lan(size.unwrap_or(NonZeroU32::MIN));
    let rng = StdRng::seed_from_u64(seed << 32 | at as u64);
    Foca::new(peers[at], config, rng, PostcardCodec)
}

/// An instance that knows `count` members, as it is after its start.
pub(crate) fn knowing(count: usize) -> impl Sized {
    let peers: Vec<Peer> = members(count).into_iter().map(Peer::from).collect();
    let mut knowing = instance(&peers, 0, 1);
    let others = peers.iter().skip(1).copied().map(Known::alive);
    // Cannot fail: nothing is decoded.
    let _ = knowing.apply_many(others, false, Wishes::default());
    knowing
}
