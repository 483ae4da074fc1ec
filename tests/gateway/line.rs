//! A serial line in virtual time, with a speed, and with faults on request.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use bully::{Instant, Line};

use crate::watch::{Watch, Way};

/// 115,200 baud: ten bits a byte.
const BYTE_TAKES: Duration = Duration::from_micros(87);

/// How many bytes may be under way in one direction; a writer has to wait for the rest.
const CAPACITY: usize = 512;

/// What happens to the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// So many bytes pass.
    None(u16),
    /// The byte is combined with this one, which is not 0.
    Flip(u8),
    /// The byte is lost.
    Drop,
    /// The byte comes this many times more.
    Repeat(u8),
    /// This byte comes before it.
    Insert(u8),
    /// So many bytes are lost.
    Lose(u16),
    /// So many of the bytes before it come once more.
    Echo(u16),
    /// So many bytes are combined with noise of this seed.
    Noise(u16, u64),
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Wires {
    now: Instant,
    to_chip: Wire,
    to_gateway: Wire,
}

#[derive(Debug)]
struct Wire {
    under_way: VecDeque<(Instant, u8)>,
    free_at: Instant,
    faults: VecDeque<Fault>,
    cut_until: Instant,
    /// The last bytes that were sent.
    recent: VecDeque<u8>,
    watch: Watch,
}

impl Wires {
    pub(crate) fn new() -> Rc<RefCell<Self>> {
        let wire = |way| Wire {
            under_way: VecDeque::new(),
            free_at: Instant::ZERO,
            faults: VecDeque::new(),
            cut_until: Instant::ZERO,
            recent: VecDeque::new(),
            watch: Watch::new(way),
        };
        Rc::new(RefCell::new(Self {
            now: Instant::ZERO,
            to_chip: wire(Way::ToChip),
            to_gateway: wire(Way::ToGateway),
        }))
    }

    fn wire(&mut self, way: Way) -> &mut Wire {
        match way {
            Way::ToChip => &mut self.to_chip,
            Way::ToGateway => &mut self.to_gateway,
        }
    }

    pub(crate) fn watch(&mut self, way: Way) -> &mut Watch {
        &mut self.wire(way).watch
    }

    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// When the next bytes are worth reading: a driver gathers a few.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let first = |wire: &Wire| wire.under_way.front().map(|(at, _)| *at);
        let firsts = first(&self.to_chip)
            .into_iter()
            .chain(first(&self.to_gateway));
        firsts.min().map(|at| at + 4 * BYTE_TAKES)
    }

    /// Something happens to what goes this way, after so many bytes.
    pub(crate) fn spoil_after(&mut self, way: Way, bytes: u16, fault: Fault) {
        let faults = &mut self.wire(way).faults;
        faults.push_back(Fault::None(bytes));
        faults.push_back(fault);
    }

    /// Whether no fault is still to happen.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |wire: &Wire| wire.faults.is_empty() && wire.cut_until <= self.now;
        sound(&self.to_chip) && sound(&self.to_gateway)
    }

    /// What is under way is lost, and what is sent within this time.
    pub(crate) fn cut(&mut self, way: Way, span: Duration) {
        let until = self.now + span;
        let wire = self.wire(way);
        wire.under_way.clear();
        wire.cut_until = until;
    }
}

impl Wire {
    fn write(&mut self, now: Instant, from: &[u8]) -> usize {
        let room = CAPACITY.saturating_sub(self.under_way.len());
        let taken = from.get(..room.min(from.len())).unwrap_or(&[]);
        for byte in taken {
            self.watch.sent(*byte);
            if now >= self.cut_until {
                self.pass(now, *byte);
            }
            self.recent.push_back(*byte);
            if self.recent.len() > 400 {
                self.recent.pop_front();
            }
        }
        taken.len()
    }

    fn pass(&mut self, now: Instant, byte: u8) {
        let Some(fault) = self.faults.pop_front() else {
            return self.put(now, byte);
        };
        match fault {
            Fault::None(0) => self.pass(now, byte),
            Fault::None(left) => {
                self.faults.push_front(Fault::None(left - 1));
                self.put(now, byte);
            }
            Fault::Flip(bits) => self.put(now, byte ^ bits),
            Fault::Drop => {}
            Fault::Repeat(times) => (0..=times).for_each(|_| self.put(now, byte)),
            Fault::Insert(other) => {
                self.put(now, other);
                self.put(now, byte);
            }
            Fault::Lose(count) => {
                if let Some(left) = count.checked_sub(1).filter(|left| *left > 0) {
                    self.faults.push_front(Fault::Lose(left));
                }
            }
            Fault::Echo(count) => {
                let from = self.recent.len().saturating_sub(count.into());
                let again: Vec<u8> = self.recent.range(from..).copied().collect();
                again.into_iter().for_each(|byte| self.put(now, byte));
                self.put(now, byte);
            }
            Fault::Noise(count, seed) => {
                let mut dice = bully_tests::group::Dice::new(seed);
                self.put(now, byte ^ (dice.any() as u8));
                if let Some(left) = count.checked_sub(1).filter(|left| *left > 0) {
                    self.faults.push_front(Fault::Noise(left, dice.any()));
                }
            }
        }
    }

    fn put(&mut self, now: Instant, byte: u8) {
        self.free_at = self.free_at.max(now) + BYTE_TAKES;
        self.under_way.push_back((self.free_at, byte));
    }

    fn read(&mut self, now: Instant, into: &mut [u8]) -> usize {
        let mut count = 0;
        for place in into {
            let Some((_, byte)) = self.under_way.front().copied().filter(|(at, _)| *at <= now)
            else {
                break;
            };
            self.under_way.pop_front();
            self.watch.delivered(byte);
            *place = byte;
            count += 1;
        }
        count
    }
}

/// One end of the line: it reads what goes `to` it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) wires: Rc<RefCell<Wires>>,
    pub(crate) to: Way,
}

impl Line for End {
    fn read(&mut self, into: &mut [u8]) -> usize {
        let mut wires = self.wires.borrow_mut();
        let now = wires.now;
        wires.wire(self.to).read(now, into)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let away = match self.to {
            Way::ToChip => Way::ToGateway,
            Way::ToGateway => Way::ToChip,
        };
        let mut wires = self.wires.borrow_mut();
        let now = wires.now;
        wires.wire(away).write(now, from)
    }
}
