//! Between a network and the chip that uses it from afar.

mod line;
mod net;

use core::time::Duration;
use std::collections::VecDeque;

use bully::wire::{ACCEPTED_FROM, Counts, Frame, Hello, Ready, VERSION};
use bully::{Addr, Exchange, Full, Incoming, Instant, Line, Net};

use super::calls::{Arrived, Inbound, LEFT_MAX, Outbound, Outgoing, inbound_max, next_number};
use super::held::Held;
use super::kept::{Latest, Message};
use super::session::{Lost, Memory, Session};
use crate::names::{self, Names};

/// What a chip has to know of the network that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Drawn anew whenever the gateway starts: then no address from before means anything.
    pub instance: u32,
    /// Where others reach the chip.
    pub addr: Addr,
    /// The group coordinator.
    pub directory: Addr,
}

/// Something to be reported to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// A chip has answered, and is served from now on.
    ChipReady {
        /// The longest list it takes, in members.
        members: u16,
        /// How many exchanges it has slots for.
        exchanges: u16,
    },
    /// The session with it has ended. Unless it is [`Lost::Silent`] the next one is asked for at
    /// once, and the listener stays as it is.
    ChipLost {
        /// Why.
        why: Lost,
    },
    /// A chip has answered that speaks another version of the format, and is not served.
    OtherVersion {
        /// The chip's; ours is [`VERSION`].
        theirs: u8,
    },
    /// The chip has handed out its recording, of so many bytes: see [`Bridge::take_recording`].
    Recorded {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A list is longer than the chip takes. Reported when more are left out than ever before.
    ListCut {
        /// How many members were left out of it.
        left_out: u32,
    },
}

/// A gateway's one chip: its calls of a [`Net`] and the input of that, in frames on a [`Line`].
///
/// [`poll`](Self::poll) it when the line or the network has input, and when
/// [`poll_at`](Self::poll_at) has come. Nothing blocks, nothing grows without bound, and there is
/// no clock inside.
///
/// A chip learns of somebody who has connected only when their message is there: idle connections
/// take none of its few slots.
#[derive(Debug)]
pub struct Bridge<'b> {
    session: Session<'b>,
    /// The chip's capacities, while a session is under way.
    ready: Option<Ready>,
    /// The chip wants a listener.
    listening: bool,
    /// What the network's listener was last set to.
    set_to: Option<bool>,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    /// Exchanges of earlier sessions, until what was sent has arrived, or then.
    left: VecDeque<(Exchange, Instant)>,
    number: u32,
    /// The last list that was passed to the chip, and the last one it sent.
    to_chip: Latest,
    from_chip: Latest,
    held: Held,
    held_wanted: bool,
    left_out_max: usize,
    /// What was reported of a line that brings no session.
    other_version: Option<u8>,
    echoes: bool,
    /// The network was full; it is asked again then.
    full_until: Option<Instant>,
    /// What the chip has handed out of its recording, and how many bytes follow.
    recording: Vec<u8>,
    recording_left: Option<u32>,
    events: VecDeque<GatewayEvent>,
    chunk: [u8; CHUNK],
    chunk_at: usize,
    chunk_len: usize,
    /// There was more to do than is done in one poll.
    more: bool,
}

/// The longest recording that is taken from a chip, in bytes: several times the memory of most.
pub(super) const RECORDING_MAX: usize = 1 << 20;

/// How many bytes are taken from the line at once.
const CHUNK: usize = 512;

/// How much is done in one poll, in frames and inputs: a flood must not keep the caller from the rest
/// of its work.
const STEPS_MAX: usize = 256;

/// How many bytes are taken in one poll: noise is no frame.
const BYTES_MAX: usize = 1 << 16;

/// How long somebody who connected may wait for the chip, or take for the message: as long as a
/// node leaves them, [`message_within`](bully::Config::message_within).
const INBOUND_WITHIN: Duration = Duration::from_millis(8_000);

/// How long an exchange of an earlier session is kept for its last bytes.
const LEFT_WITHIN: Duration = Duration::from_millis(1_000);

/// How soon a network that was full is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Using it.
impl<'b> Bridge<'b> {
    /// A bridge for `chip` that has received nothing of it. Its listener is closed from the first poll on.
    pub fn new(memory: &'b mut Memory, chip: Chip) -> Self {
        let hello = Hello {
            version: VERSION,
            instance: chip.instance,
            addr: chip.addr,
            directory: chip.directory,
        };
        // A chip may be in a session with the gateway before us: do not begin with its number.
        let [number, ..] = chip.instance.to_le_bytes();
        Self {
            session: Session::new(memory, hello, number),
            ready: None,
            listening: false,
            set_to: None,
            outbound: Vec::new(),
            inbound: Vec::new(),
            left: VecDeque::new(),
            number: ACCEPTED_FROM,
            to_chip: Latest::default(),
            from_chip: Latest::default(),
            held: Held::default(),
            held_wanted: false,
            left_out_max: 0,
            other_version: None,
            echoes: false,
            full_until: None,
            recording: Vec::new(),
            recording_left: None,
            events: VecDeque::new(),
            chunk: [0; CHUNK],
            chunk_at: 0,
            chunk_len: 0,
            more: false,
        }
    }

    /// Goes on up to the next event; `None` when there is nothing to do until the
    /// line takes or gives bytes, the network has input, or [`poll_at`](Self::poll_at) has come.
    pub fn poll(
        &mut self,
        now: Instant,
        net: &mut dyn Net,
        line: &mut dyn Line,
    ) -> Option<GatewayEvent> {
        self.more = false;
        let mut bytes = BYTES_MAX;
        for _ in 0..STEPS_MAX {
            if let Some(step) = self.session.turn(now) {
                self.take(now, step, net);
            }
            self.let_go(now, net);
            self.offer(now, net);
            self.set_listening(net);
            self.session.flush(line);
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if let Some(step) = self.read(now, line, &mut bytes) {
                self.take(now, step, net);
            } else if bytes == 0 {
                break;
            } else if self.session.is_backed_up() || !self.receive(now, net) {
                return None;
            }
        }
        self.more = true;
        None
    }

    /// When to poll next, whatever happens on line and network.
    pub fn poll_at(&self) -> Instant {
        if self.more {
            return Instant::ZERO;
        }
        let left = self.left.iter().map(|(_, until)| *until);
        let inbound = self.inbound.iter().filter_map(Inbound::until);
        let others = left.chain(inbound).chain(self.full_until);
        others.fold(self.session.turn_at(), Instant::min)
    }

    /// Returns `true` if the input of the network waits until the line has taken more bytes.
    pub fn is_backed_up(&self) -> bool {
        self.session.is_backed_up()
    }

    /// What was received over the line so far.
    pub fn counts(&self) -> Counts {
        self.session.counts()
    }

    /// The number of the session that is under way or asked for, 1 to 255.
    pub fn session(&self) -> u8 {
        self.session.number()
    }

    /// Asks the chip for its recording: [`GatewayEvent::Recorded`] is the answer, and a chip that records
    /// nothing gives none. Returns `false` if no chip is there to be asked.
    pub fn ask_for_recording(&mut self) -> bool {
        self.recording.clear();
        self.recording_left = None;
        self.ready.is_some() && self.session.send(&Frame::Record).is_ok()
    }

    /// Takes the recording that was handed out last.
    pub fn take_recording(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.recording)
    }

    /// How many exchanges are held for the chip or left open for their last bytes.
    pub fn exchanges(&self) -> usize {
        self.outbound.len() + self.inbound.len() + self.left.len()
    }

    /// Forgets hosts that the chip has no address of, when `names` are half full.
    pub fn sweep(&mut self, names: &mut Names) {
        self.held_wanted = names.hosts() > names::HOSTS_MAX / 2;
        if self.held_wanted {
            let waiting = self.inbound.iter().filter_map(|inbound| inbound.message());
            let listed = waiting.flat_map(Message::members).map(|member| member.addr);
            names.sweep(self.held.addrs().chain(listed));
        }
    }
}

impl Inbound {
    /// Until when it waits for its message, or for the chip.
    fn until(&self) -> Option<Instant> {
        let waits = matches!(self.stage, Arrived::Silent | Arrived::Waiting(_));
        waits.then_some(self.since + INBOUND_WITHIN)
    }

    fn message(&self) -> Option<&Message> {
        match &self.stage {
            Arrived::Waiting(message) | Arrived::Passed(_, message) => Some(message),
            _ => None,
        }
    }
}

/// What time and capacity allow.
impl Bridge<'_> {
    /// Lets go of what has waited long enough.
    fn let_go(&mut self, now: Instant, net: &mut dyn Net) {
        while let Some((exchange, until)) = self.left.front().copied()
            && (until <= now || self.left.len() > LEFT_MAX)
        {
            self.left.pop_front();
            net.close(exchange);
        }
        self.inbound.retain(|inbound| {
            let over = inbound.until().is_some_and(|until| until <= now);
            if over {
                net.close(inbound.at);
            }
            !over
        });
        self.full_until = self.full_until.filter(|until| *until > now);
    }

    /// Does what there was no slot for before.
    fn offer(&mut self, now: Instant, net: &mut dyn Net) {
        if self.full_until.is_none() {
            for outbound in &mut self.outbound {
                let Outgoing::Waiting(to, message) = &outbound.stage else {
                    continue;
                };
                let Incoming::Request(request) = message.lend(&mut self.from_chip) else {
                    continue;
                };
                match net.open(*to, request) {
                    Ok(at) => outbound.stage = Outgoing::Open { at, sent: false },
                    Err(Full) => {
                        self.full_until = Some(now + FULL_PAUSE);
                        break;
                    }
                }
            }
        }
        while let Some(at) = self.next_to_pass() {
            if !self.pass_on(at) {
                self.overrun(now, net);
            }
        }
        if self.held_wanted && self.ready.is_some() && self.held.may_ask() && self.session.ping() {
            self.held.asked();
        }
    }

    /// The next exchange that the chip is to learn of and has a slot for.
    fn next_to_pass(&self) -> Option<usize> {
        let slots = usize::from(self.ready?.exchanges_max);
        let passed = self.passed_count();
        let has_slot = passed < inbound_max(slots) && passed + self.outbound.len() < slots;
        if !has_slot || self.session.is_backed_up() {
            return None;
        }
        let waits = |inbound: &Inbound| matches!(inbound.stage, Arrived::Waiting(_));
        self.inbound.iter().position(waits)
    }

    /// Passes an exchange that others have opened to the chip, with their message. Returns `false`
    /// if too much waits for the line.
    fn pass_on(&mut self, at: usize) -> bool {
        loop {
            self.number = next_number(self.number);
            let taken = |inbound: &Inbound| inbound.number() == Some(self.number);
            if !self.inbound.iter().any(taken) {
                break;
            }
        }
        let exchange = Exchange(self.number);
        let list_max = self.session.list_max();
        let Some(inbound) = self.inbound.get_mut(at) else {
            return true;
        };
        let Arrived::Waiting(message) = &mut inbound.stage else {
            return true;
        };
        let mut message = message.take();
        let left_out = message.cut(list_max);
        self.held.pass(message.members());
        let accepted = Frame::Input(exchange, Incoming::Accepted);
        let sent = self.session.send(&accepted).and_then(|()| {
            let incoming = message.lend(&mut self.to_chip);
            self.session.send(&Frame::Input(exchange, incoming))
        });
        inbound.stage = Arrived::Passed(self.number, message);
        self.note_cut(left_out);
        sent.is_ok()
    }

    fn passed_count(&self) -> usize {
        let numbers = self.inbound.iter().filter_map(Inbound::number);
        numbers.count()
    }

    fn set_listening(&mut self, net: &mut dyn Net) {
        if self.set_to != Some(self.listening) {
            self.set_to = Some(self.listening);
            net.set_listening(self.listening);
        }
    }

    fn note_cut(&mut self, left_out: usize) {
        if left_out > self.left_out_max {
            self.left_out_max = left_out;
            let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
            self.events.push_back(GatewayEvent::ListCut { left_out });
        }
    }
}
