//! The processes of a group, and what each is given at the start.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bully::{Config, Feign, Instant, Member, Pid};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::identity::{addr, pid};
use crate::message::Message;
use crate::network::ConnId;
use crate::node::{AnyDirectory, AnyNode, CAPACITIES};
use crate::port::Port;
use crate::scenario::{Scenario, Who};

/// A place for a process, by its number, and which process is there.
pub(crate) struct ProcessSlot {
    pub(crate) process: Process,
    pub(crate) port: Port,
    pub(crate) listening: bool,
    /// The connection of each exchange.
    pub(crate) conns: BTreeMap<u32, ConnId>,
    /// Connections that wait to be accepted, and the messages that came on them.
    pub(crate) backlog: VecDeque<(ConnId, Option<Message>)>,
    pub(crate) wake: Option<Instant>,
    /// It is stopped.
    pub(crate) paused: bool,
    /// Its host is gone, too.
    pub(crate) vanished: bool,
    pub(crate) pid: Pid,
    /// How often it has moved to another address.
    pub(crate) moves: u8,
    pub(crate) capacity: usize,
    /// It keeps to the letter.
    pub(crate) plain: bool,
    /// The state it was last seen in, for the trace.
    pub(crate) state: &'static str,
}

pub(crate) enum Process {
    Nobody,
    Coordinator(Box<dyn AnyDirectory>),
    Member(Box<dyn AnyNode>),
    /// Answers OK to everything.
    Attacker,
}

/// The places for all processes: the coordinator, the members, and the attacker.
pub(crate) fn slots(scenario: &Scenario, draws: &mut StdRng) -> Vec<ProcessSlot> {
    let plain = members(scenario, &scenario.plain, draws);
    // Forged members find no end of room in lists without bound. By the letter one that has a thousand
    // of them asks a thousand, for ever: so there is room for as many as there are members.
    let forged = if scenario.attacks.is_empty() {
        0
    } else {
        scenario.members
    };
    let entries = scenario.entries() + forged;
    let all = CAPACITIES.into_iter().find(|it| *it >= entries);
    let mut slot = |number: usize| {
        let place = match scenario.capacities.len() {
            0 | 1 => 0,
            count => draws.random_range(0..count),
        };
        let plain = plain.contains(&number);
        // Lab nodes keep lists without bound.
        let whole = all.filter(|_| plain);
        let drawn = scenario.capacities.get(place).copied();
        ProcessSlot {
            process: Process::Nobody,
            port: Port::default(),
            listening: false,
            conns: BTreeMap::new(),
            backlog: VecDeque::new(),
            wake: None,
            paused: false,
            vanished: false,
            pid: pid(number),
            moves: 0,
            capacity: whole.or(drawn).unwrap_or_default(),
            plain,
            state: "",
        }
    };
    let mut slots: Vec<ProcessSlot> = (0..=scenario.members).map(&mut slot).collect();
    if !scenario.attacks.is_empty() {
        slots.push(slot(scenario.members + 1));
    }
    slots
}

/// How much longer than others' each process's messages take; empty if none do.
pub(crate) fn slow(scenario: &Scenario, draws: &mut StdRng) -> Vec<Duration> {
    let mut slow = Vec::new();
    for slower in &scenario.slow {
        slow.resize(scenario.members + 1, Duration::ZERO);
        for number in members(scenario, &[slower.who], draws) {
            if let Some(delay) = slow.get_mut(number) {
                *delay = delay.saturating_add(slower.delay);
            }
        }
    }
    slow
}

/// The members of whom something is said before anybody is up: a leader is the greatest.
fn members(scenario: &Scenario, whom: &[Who], draws: &mut StdRng) -> Vec<usize> {
    let mut members = Vec::new();
    for who in whom {
        match who {
            Who::Leader => members.push(scenario.members),
            Who::Number(number) => members.push(*number),
            Who::Percent(share) => {
                let mut all: Vec<usize> = (1..=scenario.members).collect();
                all.shuffle(draws);
                all.truncate((all.len() * usize::from(*share)).div_ceil(100));
                members.extend(all);
            }
        }
    }
    members
}

/// What a member needs before it starts.
pub(crate) fn config(scenario: &Scenario, number: usize, slot: &ProcessSlot, seed: u64) -> Config {
    let me = Member {
        pid: slot.pid,
        addr: addr(number, slot.moves),
    };
    Config {
        directory: Some(addr(0, 0)),
        seed,
        feign: scenario.feign.map(|mode| {
            let feign = Feign::new(mode);
            let longest = scenario.feign_gap.unwrap_or(feign.after.1);
            Feign {
                after: (feign.after.0, longest),
                ..feign
            }
        }),
        strict: scenario.strict || slot.plain,
        probing: scenario.prober.is_none_or(|prober| prober == number),
        ..Config::new(me)
    }
}
