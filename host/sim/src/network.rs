//! The simulated network: how long and whether messages take, and the connections they travel on.

use core::time::Duration;

use bully::Instant;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};

use crate::scenario::{Cut, Delay, Hold, Kind, Partition, Scenario};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) process: usize,
    pub(crate) exchange: u32,
}

/// A connection; an end that is closed is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn {
    /// Its number in the trace: connections are counted from 1.
    pub(crate) serial: u64,
    pub(crate) opener: Option<End>,
    pub(crate) target: Option<End>,
    /// The process at the far end, open or not.
    pub(crate) to: usize,
    pub(crate) from: usize,
    /// What it was opened to say.
    pub(crate) asks: Kind,
    /// An answer has arrived.
    pub(crate) answered: bool,
    /// It waits to be accepted.
    pub(crate) queued: bool,
    /// When the latest input that is on its way arrives, at either end.
    pub(crate) latest: [Instant; 2],
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Opener,
    Target,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Target,
            Self::Target => Self::Opener,
        }
    }
}

impl Conn {
    pub(crate) fn end(&self, side: Side) -> Option<End> {
        match side {
            Side::Opener => self.opener,
            Side::Target => self.target,
        }
    }

    pub(crate) fn latest(&mut self, side: Side) -> &mut Instant {
        let [opener, target] = &mut self.latest;
        match side {
            Side::Opener => opener,
            Side::Target => target,
        }
    }

    pub(crate) fn close(&mut self, side: Side) {
        match side {
            Side::Opener => self.opener = None,
            Side::Target => self.target = None,
        }
    }
}

/// The name of a connection in [`Conns`]; it is never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId {
    index: u32,
    generation: u32,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    conns: Vec<(u32, Option<Conn>)>,
    free: Vec<u32>,
}

impl Conns {
    pub(crate) fn insert(&mut self, conn: Conn) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.conns.push((0, None));
            // Memory ends long before the numbers do.
            u32::try_from(self.conns.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(entry) = self.conns.get_mut(index as usize) {
            generation = entry.0;
            entry.1 = Some(conn);
        }
        ConnId { index, generation }
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<&Conn> {
        let (generation, conn) = self.conns.get(id.index as usize)?;
        conn.as_ref().filter(|_| *generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let (generation, conn) = self.conns.get_mut(id.index as usize)?;
        conn.as_mut().filter(|_| *generation == id.generation)
    }

    pub(crate) fn remove(&mut self, id: ConnId) {
        if self.get(id).is_some()
            && let Some(entry) = self.conns.get_mut(id.index as usize)
        {
            *entry = (id.generation.wrapping_add(1), None);
            self.free.push(id.index);
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives when the network's delay has passed.
    Arrives,
    /// It arrives, later than the network's delay alone would have it.
    Late,
    /// Its connection stands, and it is lost.
    Lost,
    /// Nothing arrives, not even a connection: a partition or a cut link is in between.
    Cut,
}

/// When Linux first repeats a packet that sets up a connection; every time after twice as long.
pub(crate) const SYN_AGAIN: Duration = Duration::from_secs(1);

/// The least time after which Linux repeats any other packet; every time after twice as long.
const RESENT_AFTER: Duration = Duration::from_millis(200);

/// A packet is repeated until the pause would be this long: every wait of the protocol is over then.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Delay, loss, partitions and cut links.
#[derive(Debug)]
pub(crate) struct FaultModel {
    delay: Delay,
    loss: f64,
    loss_until: Option<Duration>,
    packet_loss: f64,
    holds: Vec<Hold>,
    partitions: Vec<Partition>,
    cuts: Vec<Cut>,
    /// How much longer than others' a process's messages take, by its number; empty if none do.
    slow: Vec<Duration>,
}

impl FaultModel {
    /// `slow`: how much longer each process's messages take, by its number; empty if none do.
    pub(crate) fn new(scenario: &Scenario, slow: Vec<Duration>) -> Self {
        Self {
            delay: scenario.delay,
            loss: scenario.loss,
            loss_until: scenario.loss_until,
            packet_loss: scenario.packet_loss,
            holds: scenario.holds.clone(),
            partitions: scenario.partitions.clone(),
            cuts: scenario.cuts.clone(),
            slow,
        }
    }

    /// How long a message of this kind takes, and what becomes of it.
    pub(crate) fn way(
        &self,
        rng: &mut StdRng,
        now: Instant,
        kind: Kind,
        (from, to): (usize, usize),
    ) -> (Duration, Fate) {
        let slower = self.slow.get(from).copied().unwrap_or_default();
        let delay = self.delay(rng).saturating_add(slower);
        let delay = delay.saturating_add(self.resent(rng, kind));
        let at = now.since(Instant::ZERO);
        let held = self.holds.iter().find(|hold| {
            hold.kind.is_none_or(|held| held == kind)
                && hold.from.is_none_or(|held| held == from)
                && hold.to.is_none_or(|held| held == to)
                && (hold.since..hold.until).contains(&at)
        });
        let lossy = self.loss > 0.0 && self.loss_until.is_none_or(|until| at < until);
        let lost = lossy && rng.random_bool(self.loss);
        if !self.reaches(now, from, to) {
            return (delay, Fate::Cut);
        }
        match held.map(|hold| hold.extra) {
            Some(None) => (delay, Fate::Lost),
            _ if lost => (delay, Fate::Lost),
            Some(Some(extra)) => (delay.saturating_add(extra), Fate::Late),
            None => (delay, Fate::Arrives),
        }
    }

    /// How much longer a message takes because its packets, or those that set its connection up, were
    /// lost and sent again.
    fn resent(&self, rng: &mut StdRng, kind: Kind) -> Duration {
        if self.packet_loss <= 0.0 {
            return Duration::ZERO;
        }
        let mut later = Duration::ZERO;
        if !matches!(kind, Kind::Ok | Kind::Members) {
            // There and back; either may be lost.
            later += self.delay(rng) + self.delay(rng);
            let mut again = SYN_AGAIN;
            while again < GIVE_UP
                && (rng.random_bool(self.packet_loss) || rng.random_bool(self.packet_loss))
            {
                later += again;
                again *= 2;
            }
        }
        // A sender waits a round trip longer than the least before it takes a packet for lost.
        let mut again = RESENT_AFTER + self.delay(rng) + self.delay(rng);
        while again < GIVE_UP && rng.random_bool(self.packet_loss) {
            later += again;
            again *= 2;
        }
        later
    }

    /// How long something takes that is no message: a refusal, the end of a connection.
    pub(crate) fn delay(&self, rng: &mut StdRng) -> Duration {
        match self.delay {
            Delay::Const(delay) => delay,
            Delay::Uniform(low, high) => {
                let micros = rng.random_range(micros(low)..=micros(high).max(micros(low)));
                Duration::from_micros(micros)
            }
            Delay::Exp(mean) => {
                // The inverse of the distribution; 53 bits, never zero.
                let drawn = ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                mean.mul_f64(-drawn.ln())
            }
        }
    }

    /// Returns `true` if what `from` sends now can get through to `to`. The coordinator is number 0.
    pub(crate) fn reaches(&self, now: Instant, from: usize, to: usize) -> bool {
        let at = now.since(Instant::ZERO);
        let cut = self.cuts.iter().any(|cut| {
            let same = (cut.from, cut.to_whom) == (from, to);
            let back = !cut.one_way && (cut.to_whom, cut.from) == (from, to);
            (same || back) && (cut.since..cut.to).contains(&at)
        });
        !cut && !self.is_parted(now, from, to)
    }

    /// Returns `true` if a partition is between the two now.
    pub(crate) fn is_parted(&self, now: Instant, one: usize, other: usize) -> bool {
        self.side(now, one) != self.side(now, other)
    }

    /// The side of the partitions that are on now, as a number: two processes with the same one reach
    /// each other.
    pub(crate) fn side(&self, now: Instant, number: usize) -> u64 {
        let at = now.since(Instant::ZERO);
        let on = |partition: &&Partition| (partition.from..partition.to).contains(&at);
        let bit =
            |side: u64, partition: &Partition| side << 1 | u64::from(partition.has_above(number));
        self.partitions.iter().filter(on).fold(0, bit)
    }

    /// Who cannot reach whom now, in words.
    pub(crate) fn links_text(&self, now: Instant, members: usize) -> String {
        let at = now.since(Instant::ZERO);
        let parted = (1..=members).filter(|number| match number {
            1 => self.is_parted(now, 0, 1),
            number => self.is_parted(now, number - 1, *number),
        });
        let parted = parted.map(|number| match number {
            1 => "gcd | 1".to_owned(),
            number => format!("{} | {number}", number - 1),
        });
        let on = self
            .cuts
            .iter()
            .filter(|cut| (cut.since..cut.to).contains(&at));
        let cut = on.map(|cut| {
            let (from, to) = (name(cut.from), name(cut.to_whom));
            format!("{from} {} {to}", if cut.one_way { ">" } else { "-" })
        });
        let all: Vec<String> = parted.chain(cut).collect();
        if all.is_empty() {
            "reaches everyone, and everyone everyone".to_owned()
        } else {
            format!("is cut off: {}", all.join(", "))
        }
    }

    /// Returns `true` if a link between two of the group is cut now.
    pub(crate) fn has_cut(&self, now: Instant) -> bool {
        let at = now.since(Instant::ZERO);
        let mut cuts = self.cuts.iter();
        cuts.any(|cut| (cut.since..cut.to).contains(&at))
    }

    /// A delay that a message hardly ever exceeds, the slowest process's included.
    pub(crate) fn ceiling(&self) -> Duration {
        if self.packet_loss > 0.0 {
            return GIVE_UP;
        }
        let slowest = self.slow.iter().max().copied().unwrap_or_default();
        self.delay.ceiling().saturating_add(slowest)
    }
}

fn name(number: usize) -> String {
    match number {
        0 => "gcd".to_owned(),
        number => number.to_string(),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
