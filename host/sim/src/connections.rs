//! Connections: what a process wants done, and what comes of it.

use bully::{Addr, Gone, Instant};

use crate::identity::{at_addr, is_silent};
use crate::message::{Action, Input, Message};
use crate::network::{Conn, ConnId, End, Fate, SYN_AGAIN, Side};
use crate::outcome::Contact;
use crate::process::Process;
use crate::scenario::{Failure, Kind};
use crate::simulation::{SimEvent, Simulation};
use crate::trace::{TraceEvent, TraceMessage};

/// The number of whoever is at an address that is nobody's and refuses.
const NOBODY: usize = usize::MAX;

/// The number of whoever is at an address at which there is no host.
const NOWHERE: usize = usize::MAX - 1;

/// How many connections wait to be accepted at most; to the others nothing comes back, and they try
/// again after [`SYN_AGAIN`], as Linux does.
const BACKLOG_MAX: usize = 128;

impl Simulation<'_> {
    pub(crate) fn perform(&mut self, number: usize, action: Action) {
        match action {
            Action::Open {
                exchange,
                to,
                message,
            } => self.open(number, Some(exchange), to, message),
            Action::Reply { exchange, message } => {
                let Some(slot) = self.slots.get_mut(number) else {
                    return;
                };
                slot.port.deliver(exchange, Input::Sent);
                slot.port.deliver(exchange, Input::Done);
                let Some(conn) = slot.conns.get(&exchange).copied() else {
                    return;
                };
                self.reply(conn, message);
            }
            Action::Close { exchange } => {
                let Some(slot) = self.slots.get_mut(number) else {
                    return;
                };
                if let Some(conn) = slot.conns.remove(&exchange) {
                    let here = End {
                        process: number,
                        exchange,
                    };
                    let opener = self.conns.get(conn).and_then(|conn| conn.opener);
                    let side = match opener == Some(here) {
                        true => Side::Opener,
                        false => Side::Target,
                    };
                    self.close(conn, side, Input::Done);
                }
                self.accept_backlog(number);
            }
            Action::Listen(on) => {
                if let Some(slot) = self.slots.get_mut(number) {
                    slot.listening = on;
                }
                if !on {
                    self.drop_backlog(number, true);
                }
            }
        }
    }

    /// Opens a connection with a message; without an exchange nobody waits for what comes of it.
    pub(crate) fn open(
        &mut self,
        from: usize,
        exchange: Option<u32>,
        addr: Addr,
        message: Message,
    ) {
        let to = self.number_at(addr);
        let kind = message.kind();
        let bytes = self.bytes(&message);
        if exchange.is_some() {
            self.record.outcome.exchanges += 1;
            self.record.count(kind, None, bytes);
            self.check_cost(from);
            if to >= self.slots.len() || matches!(self.process(to), Some(Process::Attacker)) {
                *self.strays.entry(addr).or_default() += 1;
                self.record.outcome.attack.answered_bytes += bytes;
            }
        }
        self.conns_made += 1;
        let conn = self.conns.insert(Conn {
            serial: self.conns_made,
            opener: exchange.map(|exchange| End {
                process: from,
                exchange,
            }),
            target: None,
            from,
            to,
            asks: kind,
            answered: false,
            queued: false,
            latest: [Instant::ZERO; 2],
        });
        if let Some(exchange) = exchange
            && let Some(slot) = self.slots.get_mut(from)
        {
            slot.conns.insert(exchange, conn);
        }
        let (at, fate) = self.way(kind, from, to);
        self.tell_sent(conn, &message, None, fate);
        // Across a partition nothing arrives, and nothing comes back.
        if fate != Fate::Cut && to != NOWHERE {
            let message = (fate != Fate::Lost).then_some(message);
            self.queue.push(at, SimEvent::Arrive(conn, message));
        }
    }

    fn reply(&mut self, id: ConnId, message: Message) {
        let Some(Conn { from, to, asks, .. }) = self.conns.get(id).copied() else {
            return;
        };
        let kind = message.kind();
        let bytes = match message {
            Message::Refused(_) => 0,
            _ => self.bytes(&message),
        };
        self.record.count(kind, Some(asks), bytes);
        self.check_cost(to);
        let (at, fate) = self.way(kind, to, from);
        self.tell_sent(id, &message, Some(asks), fate);
        if matches!(fate, Fate::Arrives | Fate::Late) {
            self.send(id, Side::Opener, Input::Reply(message), at);
        }
    }

    pub(crate) fn bytes(&mut self, message: &Message) -> u64 {
        let name = message.kind().name();
        let measure = self.measure;
        let bytes = || message.with_list(|list| measure(name, list)) as u64;
        let Message::Members(list) = message else {
            return bytes();
        };
        let version = list.version();
        match self.measured {
            Some((measured, bytes)) if measured == version => bytes,
            _ => self.measured.insert((version, bytes())).1,
        }
    }

    fn process(&self, number: usize) -> Option<&Process> {
        self.slots.get(number).map(|slot| &slot.process)
    }

    /// The number of the process that an address belongs to now.
    fn number_at(&self, addr: Addr) -> usize {
        let belongs = |(number, moves): &(usize, u8)| {
            let slot = self.slots.get(*number);
            slot.is_some_and(|slot| slot.moves == *moves)
        };
        match at_addr(addr).filter(belongs) {
            Some((number, _)) => number,
            None if is_silent(addr) => NOWHERE,
            None => NOBODY,
        }
    }

    /// When a message sent now arrives, and what becomes of it.
    fn way(&mut self, kind: Kind, from: usize, to: usize) -> (Instant, Fate) {
        let (delay, fate) = self
            .fault_model
            .way(&mut self.rng, self.now, kind, (from, to));
        let at = self.now + delay;
        if matches!(fate, Fate::Lost | Fate::Late) {
            self.fault(at);
            self.agreement.interfere(at, kind != Kind::Coordinator);
        }
        (at, fate)
    }

    /// Sends something to one end; nothing on a connection overtakes what was sent before it.
    pub(crate) fn send(&mut self, id: ConnId, side: Side, input: Input, at: Instant) {
        if let Some(conn) = self.conns.get_mut(id) {
            let latest = conn.latest(side);
            *latest = at.max(*latest);
            self.queue.push(*latest, SimEvent::Deliver(id, side, input));
        }
    }

    /// Closes one end; the other end learns of it, if it is still there.
    fn close(&mut self, id: ConnId, side: Side, input: Input) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.close(side);
        if side == Side::Opener && conn.asks == Kind::Probe && !conn.answered {
            self.record.probe_failed(self.now);
        }
        let (from, to) = match side {
            Side::Opener => (conn.from, conn.to),
            Side::Target => (conn.to, conn.from),
        };
        if conn.end(side.other()).is_some() {
            if self.fault_model.reaches(self.now, from, to) {
                let at = self.now + self.fault_model.delay(&mut self.rng);
                self.send(id, side.other(), input, at);
            }
        } else if !conn.queued {
            self.conns.remove(id);
        }
    }

    /// Breaks all connections of a process that ends; if its host vanishes, nothing is sent.
    pub(crate) fn break_all(&mut self, number: usize, how: Failure) {
        self.drop_backlog(number, how == Failure::Ends);
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        for id in core::mem::take(&mut slot.conns).into_values() {
            for side in [Side::Opener, Side::Target] {
                let Some(conn) = self.conns.get_mut(id) else {
                    continue;
                };
                if conn.end(side).is_none_or(|end| end.process != number) {
                    continue;
                }
                match how {
                    Failure::Ends => self.close(id, side, Input::Gone(Gone::Reset)),
                    Failure::Vanishes => {
                        conn.close(side);
                        if conn.end(side.other()).is_none() && !conn.queued {
                            self.conns.remove(id);
                        }
                    }
                }
            }
        }
    }

    /// A connection arrives with its message, if there is somebody to take it.
    pub(crate) fn arrive(&mut self, id: ConnId, message: Option<Message>) {
        let Some(conn) = self.conns.get(id).copied() else {
            return;
        };
        if !self.fault_model.reaches(self.now, conn.from, conn.to) {
            return;
        }
        let slot = self.slots.get(conn.to);
        if slot.is_some_and(|slot| slot.vanished) {
            return;
        }
        if matches!(self.process(conn.to), Some(Process::Attacker)) {
            return self.attacker_answers(id, conn.asks);
        }
        // Nobody refuses either.
        let Some(slot) = self.slots.get_mut(conn.to).filter(|slot| slot.listening) else {
            let at = self.now + self.fault_model.delay(&mut self.rng);
            self.send(id, Side::Opener, Input::Gone(Gone::Refused), at);
            if conn.opener.is_none() {
                self.conns.remove(id);
            }
            return;
        };
        if slot.backlog.len() >= BACKLOG_MAX {
            let at = self.now + SYN_AGAIN;
            self.queue.push(at, SimEvent::Arrive(id, message));
            return;
        }
        slot.backlog.push_back((id, message));
        if let Some(conn) = self.conns.get_mut(id) {
            conn.queued = true;
        }
        // The opener knows at once that it has arrived: the way back only costs events.
        let opener = self.deliver(id, Side::Opener, Input::Sent);
        self.accept_backlog(conn.to);
        self.turn(conn.to);
        if let Some(opener) = opener {
            self.turn(opener);
        }
    }

    /// Accepts waiting connections while there is room; the caller lets the process have its turn.
    pub(crate) fn accept_backlog(&mut self, number: usize) {
        loop {
            let Some(slot) = self.slots.get_mut(number) else {
                return;
            };
            if slot.paused || slot.backlog.is_empty() {
                return;
            }
            let Some(exchange) = slot.port.accept() else {
                return;
            };
            let Some((id, message)) = slot.backlog.pop_front() else {
                return;
            };
            slot.conns.insert(exchange, id);
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            conn.queued = false;
            conn.target = Some(End {
                process: number,
                exchange,
            });
            let conn = *conn;
            if let Some(message) = message {
                self.tell_arrived(&conn, &message, None);
                self.note_contact(&conn);
                let deaf = conn.asks == Kind::Probe && self.scenario.mute.contains(&number);
                if !deaf && let Some(slot) = self.slots.get_mut(number) {
                    slot.port.deliver(exchange, Input::Request(message));
                }
            }
            if conn.opener.is_none()
                && let Some(slot) = self.slots.get_mut(number)
            {
                slot.port.deliver(exchange, Input::Done);
            }
        }
    }

    /// Forgets the connections that wait to be accepted; if `tells`, their openers learn of it.
    fn drop_backlog(&mut self, number: usize, tells: bool) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        for (id, _) in core::mem::take(&mut slot.backlog) {
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            conn.queued = false;
            if conn.opener.is_none() {
                self.conns.remove(id);
            } else if tells {
                let at = self.now + self.fault_model.delay(&mut self.rng);
                self.send(id, Side::Opener, Input::Gone(Gone::Reset), at);
            }
        }
    }

    /// Puts something into the port at one end; whose that is.
    pub(crate) fn deliver(&mut self, id: ConnId, side: Side, input: Input) -> Option<usize> {
        let conn = self.conns.get_mut(id)?;
        conn.answered |= matches!(input, Input::Reply(_));
        let conn = *conn;
        let end = conn.end(side)?;
        match &input {
            Input::Reply(message) => {
                self.tell_arrived(&conn, message, Some(conn.asks));
                self.note_contact(&conn);
            }
            Input::Gone(gone) => {
                if conn.asks == Kind::Probe && !conn.answered {
                    self.record.probe_failed(self.now);
                }
                if *gone == Gone::Refused {
                    let message = self.trace_message(&conn, conn.asks, None);
                    self.tell(end.process, || TraceEvent::Refused(message));
                }
            }
            _ => {}
        }
        let slot = self.slots.get_mut(end.process)?;
        slot.port.deliver(end.exchange, input);
        Some(end.process)
    }

    /// Notes the first message that says that somebody is back or a partition has healed.
    fn note_contact(&mut self, conn: &Conn) {
        if conn.from == 0 || conn.to == 0 {
            return;
        }
        let tells = match self.record.contact_awaited() {
            None => return,
            Some(Contact::With(number)) => conn.from == number || conn.to == number,
            Some(Contact::Across(at)) => {
                let before = Instant::from_micros(at.as_micros().saturating_sub(1));
                !self.fault_model.reaches(before, conn.from, conn.to)
                    || !self.fault_model.reaches(before, conn.to, conn.from)
            }
        };
        if tells {
            self.record.contact(self.now);
        }
    }

    fn trace_message(&self, conn: &Conn, kind: Kind, answers: Option<Kind>) -> TraceMessage {
        let to = (conn.to < self.slots.len()).then_some(conn.to);
        let (from, to) = match (answers, to) {
            (Some(_), to) => (to.unwrap_or_default(), Some(conn.from)),
            (None, to) => (conn.from, to),
        };
        TraceMessage {
            exchange: conn.serial,
            from,
            to,
            kind,
            answers,
            members: 0,
            greatest: None,
            bytes: 0,
            refusal: None,
        }
    }

    fn with_content(
        &mut self,
        conn: &Conn,
        message: &Message,
        answers: Option<Kind>,
    ) -> TraceMessage {
        TraceMessage {
            bytes: match message {
                Message::Refused(_) => 0,
                _ => self.bytes(message),
            },
            members: message.len(),
            greatest: message.greatest(),
            refusal: match message {
                Message::Refused(refusal) => Some(*refusal),
                _ => None,
            },
            ..self.trace_message(conn, message.kind(), answers)
        }
    }

    fn tell_sent(&mut self, id: ConnId, message: &Message, answers: Option<Kind>, fate: Fate) {
        if self.observer.is_some()
            && let Some(conn) = self.conns.get(id).copied()
        {
            let message = self.with_content(&conn, message, answers);
            self.tell(message.from, || TraceEvent::Sent(message, fate));
        }
    }

    fn tell_arrived(&mut self, conn: &Conn, message: &Message, answers: Option<Kind>) {
        if self.observer.is_some() {
            let message = self.with_content(conn, message, answers);
            let to = message.to.unwrap_or_default();
            self.tell(to, || TraceEvent::Arrived(message));
        }
    }
}
