//! Between a network and the chip that uses it from afar.

use core::time::Duration;
use std::collections::VecDeque;

use bully::wire::{ACCEPTED_FROM, Counts, Frame, Hello, Ready, VERSION};
use bully::{
    Addr, Exchange, Full, Gone, Incoming, Instant, Line, Member, Net, Reply, Request, Roster,
};

use super::calls::{
    Arrived, INBOUND_MAX, Inbound, LEFT_MAX, OUTBOUND_MAX, Outbound, Outgoing, inbound_max,
    next_number,
};
use super::held::Held;
use super::kept::{Latest, Message, News, cut};
use super::session::{Lost, MEMBERS_MAX, Memory, Session, Step};
use crate::names::{self, Names};

/// What a chip is told of its place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Drawn anew whenever the gateway starts: then no address told before means anything.
    pub instance: u32,
    /// Where others reach the chip.
    pub addr: Addr,
    /// The group coordinator.
    pub directory: Addr,
}

/// Something worth telling the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// A chip has answered, and is served from now on.
    ChipReady {
        /// How many members it has room for.
        members: u16,
        /// How many exchanges it has places for.
        exchanges: u16,
    },
    /// The session with it has ended. Unless it is [`Lost::Silent`] the next one is asked for at
    /// once, and the door stays as it is.
    ChipLost {
        /// Why.
        why: Lost,
    },
    /// A chip has answered that speaks another version of the format, and is not served.
    OtherVersion {
        /// The chip's; ours is [`VERSION`].
        theirs: u8,
    },
    /// A list is longer than the chip has room for. Told when more are left out than ever before.
    ListCut {
        /// How many members were left out of it.
        left_out: u32,
    },
}

/// A gateway's one chip: what it asks of a [`Net`], and what it is told, in frames on a [`Line`].
///
/// [`poll`](Self::poll) it when the line or the network has news, and when
/// [`poll_at`](Self::poll_at) has come. Nothing blocks, nothing grows without bound, and there is
/// no clock inside.
///
/// A chip learns of somebody who has connected only when their message is there: idle connections
/// take none of its few places.
#[derive(Debug)]
pub struct Bridge<'b> {
    session: Session<'b>,
    /// What the chip has room for, while a session is under way.
    ready: Option<Ready>,
    /// Whether the chip wants its door open.
    listening: bool,
    /// What the network has been told of the door.
    door: Option<bool>,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    /// Exchanges of earlier sessions, until what was sent has arrived, or then.
    left: VecDeque<(Exchange, Instant)>,
    number: u32,
    told: Latest,
    said: Latest,
    held: Held,
    held_wanted: bool,
    left_out_max: usize,
    /// What has been told of a line that brings no session.
    other_version: Option<u8>,
    echoes: bool,
    /// The network had no room; it is asked again then.
    full_until: Option<Instant>,
    events: VecDeque<GatewayEvent>,
    chunk: [u8; CHUNK],
    chunk_at: usize,
    chunk_len: usize,
    /// There was more to do than is done in one poll.
    more: bool,
}

/// How many bytes are taken from the line at once.
const CHUNK: usize = 512;

/// How much is done in one poll, in frames and news: a flood must not keep the caller from the rest
/// of its work.
const STEPS_MAX: usize = 256;

/// How many bytes are taken in one poll: noise is no frame.
const BYTES_MAX: usize = 1 << 16;

/// How long somebody who connected may wait for the chip, or take for the message: as long as a
/// node leaves them, [`message_within`](bully::Config::message_within).
const INBOUND_WITHIN: Duration = Duration::from_millis(8_000);

/// How long an exchange of an earlier session is kept for its last bytes.
const LEFT_WITHIN: Duration = Duration::from_millis(1_000);

/// How soon a network that had no room is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Using it.
impl<'b> Bridge<'b> {
    /// A bridge for `chip` that has heard nothing of it. Its door is closed from the first poll on.
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
            door: None,
            outbound: Vec::new(),
            inbound: Vec::new(),
            left: VecDeque::new(),
            number: ACCEPTED_FROM,
            told: Latest::default(),
            said: Latest::default(),
            held: Held::default(),
            held_wanted: false,
            left_out_max: 0,
            other_version: None,
            echoes: false,
            full_until: None,
            events: VecDeque::new(),
            chunk: [0; CHUNK],
            chunk_at: 0,
            chunk_len: 0,
            more: false,
        }
    }

    /// Goes on up to the next thing worth telling; `None` when there is nothing to do until the
    /// line takes or gives bytes, the network has news, or [`poll_at`](Self::poll_at) has come.
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
            self.move_door(net);
            self.session.flush(line);
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if let Some(step) = self.read(now, line, &mut bytes) {
                self.take(now, step, net);
            } else if bytes == 0 {
                break;
            } else if self.session.is_backed_up() || !self.hear(now, net) {
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

    /// Whether the network's news wait until the line has taken more bytes.
    pub fn is_backed_up(&self) -> bool {
        self.session.is_backed_up()
    }

    /// What has come over the line so far.
    pub fn counts(&self) -> Counts {
        self.session.counts()
    }

    /// The number of the session that is under way or asked for, 1 to 255.
    pub fn session(&self) -> u8 {
        self.session.number()
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
            Arrived::Waiting(message) | Arrived::Told(_, message) => Some(message),
            _ => None,
        }
    }
}

/// What time and room allow.
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

    /// Does what had no room before.
    fn offer(&mut self, now: Instant, net: &mut dyn Net) {
        if self.full_until.is_none() {
            for outbound in &mut self.outbound {
                let Outgoing::Waiting(to, message) = &outbound.stage else {
                    continue;
                };
                match net.open(*to, message.lend(&mut self.said)) {
                    Ok(at) => outbound.stage = Outgoing::Open { at, sent: false },
                    Err(Full) => {
                        self.full_until = Some(now + FULL_PAUSE);
                        break;
                    }
                }
            }
        }
        while let Some(at) = self.next_to_tell() {
            if !self.tell_anew(at) {
                self.overrun(now, net);
            }
        }
        if self.held_wanted && self.ready.is_some() && self.held.may_ask() && self.session.ping() {
            self.held.asked();
        }
    }

    /// The next exchange that the chip is to learn of and has a place for.
    fn next_to_tell(&self) -> Option<usize> {
        let places = usize::from(self.ready?.exchanges_max);
        let told = self.told_count();
        let has_room = told < inbound_max(places) && told + self.outbound.len() < places;
        if !has_room || self.session.is_backed_up() {
            return None;
        }
        let waits = |inbound: &Inbound| matches!(inbound.stage, Arrived::Waiting(_));
        self.inbound.iter().position(waits)
    }

    /// Tells the chip of an exchange that others have opened, and their message; whether there was
    /// room.
    fn tell_anew(&mut self, at: usize) -> bool {
        loop {
            self.number = next_number(self.number);
            let taken = |inbound: &Inbound| inbound.number() == Some(self.number);
            if !self.inbound.iter().any(taken) {
                break;
            }
        }
        let exchange = Exchange(self.number);
        let told_max = self.session.told_max();
        let Some(inbound) = self.inbound.get_mut(at) else {
            return true;
        };
        let Arrived::Waiting(message) = &mut inbound.stage else {
            return true;
        };
        let mut message = message.take();
        let left_out = message.cut(told_max);
        self.held.told(message.members());
        let accepted = Frame::Told(exchange, Incoming::Accepted);
        let said = self.session.say(&accepted).and_then(|()| {
            let request = Incoming::Request(message.lend(&mut self.told));
            self.session.say(&Frame::Told(exchange, request))
        });
        inbound.stage = Arrived::Told(self.number, message);
        self.note_cut(left_out);
        said.is_ok()
    }

    fn told_count(&self) -> usize {
        let numbers = self.inbound.iter().filter_map(Inbound::number);
        numbers.count()
    }

    fn move_door(&mut self, net: &mut dyn Net) {
        if self.door != Some(self.listening) {
            self.door = Some(self.listening);
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

/// What the line brings.
impl Bridge<'_> {
    /// Reads up to the next frame that matters.
    fn read(&mut self, now: Instant, line: &mut dyn Line, bytes: &mut usize) -> Option<Step> {
        while *bytes > 0 {
            if self.chunk_at == self.chunk_len {
                self.chunk_at = 0;
                self.chunk_len = line.read(&mut self.chunk);
            }
            let byte = self
                .chunk
                .get(self.chunk_at..self.chunk_len)
                .and_then(<[u8]>::first)
                .copied()?;
            self.chunk_at += 1;
            *bytes -= 1;
            if let Some(step) = self.session.push(now, byte) {
                return Some(step);
            }
        }
        None
    }

    fn take(&mut self, now: Instant, step: Step, net: &mut dyn Net) {
        match step {
            Step::Ready(ready) => {
                self.ready = Some(ready);
                self.listening = ready.listening;
                self.other_version = None;
                self.echoes = false;
                self.events.push_back(GatewayEvent::ChipReady {
                    members: ready.members_max,
                    exchanges: ready.exchanges_max,
                });
            }
            Step::OtherVersion(theirs) => {
                if self.other_version != Some(theirs) {
                    self.other_version = Some(theirs);
                    self.events.push_back(GatewayEvent::OtherVersion { theirs });
                }
            }
            Step::Lost(why) => self.end_session(now, why, net),
            Step::Pong => self.held.answered(),
            Step::Frame => {
                if self.obey(now, net).is_none() {
                    let lost = self.session.lose(now, Lost::Nonsense);
                    self.take(now, lost, net);
                }
            }
        }
    }

    /// Too much waits for the line.
    fn overrun(&mut self, now: Instant, net: &mut dyn Net) {
        let lost = self.session.lose(now, Lost::Overrun);
        self.take(now, lost, net);
    }

    /// Does what the chip has just said; `None` if no chip may say that.
    fn obey(&mut self, now: Instant, net: &mut dyn Net) -> Option<()> {
        match self.session.frame()? {
            Frame::Listening(on) => self.listening = on,
            Frame::Open(exchange, to, request) => {
                let places = usize::from(self.ready?.exchanges_max);
                let known = self.outbound.iter().any(|call| call.number == exchange.0);
                let is_sent = !matches!(request, Request::Unfit(_));
                let is_legal = is_sent && !known && exchange.0 < ACCEPTED_FROM;
                if !is_legal || self.outbound.len() >= places {
                    return None;
                }
                let message = Message::new(request);
                self.open(now, exchange.0, to, message, net);
            }
            Frame::Reply(exchange, Reply::Ok(list)) => {
                let list = list.members().to_vec();
                let known = |inbound: &&mut Inbound| inbound.number() == Some(exchange.0);
                let inbound = self.inbound.iter_mut().find(known)?;
                match &inbound.stage {
                    Arrived::Told(number, message) if message.awaits_ok() => {
                        inbound.stage = Arrived::Answered(*number, false);
                    }
                    // They broke it off meanwhile.
                    Arrived::Over(_) => return Some(()),
                    _ => return None,
                }
                // A chip short of room leaves the list out.
                let roster = match list.as_slice() {
                    [] => self.said.again(),
                    list => self.said.number(list),
                };
                net.reply(inbound.at, Reply::Ok(roster));
                self.has_table(&list);
            }
            Frame::Close(exchange) if exchange.0 < ACCEPTED_FROM => {
                let known = |call: &Outbound| call.number == exchange.0;
                let at = self.outbound.iter().position(known)?;
                if let Some(at) = self.outbound.swap_remove(at).at() {
                    net.close(at);
                }
            }
            Frame::Close(exchange) => self.close_inbound(exchange.0, net)?,
            // A member has no other answer, and only gateways say the rest.
            _ => return None,
        }
        Some(())
    }

    fn open(&mut self, now: Instant, number: u32, to: Addr, message: Message, net: &mut dyn Net) {
        if let Message::Election(list) | Message::Probe(list) = &message {
            self.has_table(&list.clone());
        }
        let under_way = self.outbound.iter().filter(|call| call.at().is_some());
        let stage = if under_way.count() >= OUTBOUND_MAX {
            let gone = Frame::Told(Exchange(number), Incoming::Gone(Gone::Reset));
            if self.session.say(&gone).is_err() {
                return self.overrun(now, net);
            }
            Outgoing::Over(None)
        } else {
            // It is opened by `offer`, as soon as there is room.
            if let Message::Probe(list) = &message
                && list.is_empty()
            {
                Outgoing::Waiting(to, Message::Probe(self.said.again().members().to_vec()))
            } else {
                Outgoing::Waiting(to, message)
            }
        };
        self.outbound.push(Outbound { number, stage });
    }

    fn close_inbound(&mut self, number: u32, net: &mut dyn Net) -> Option<()> {
        let known = |inbound: &Inbound| inbound.number() == Some(number);
        let at = self.inbound.iter().position(known)?;
        let others = self.told_count() - 1 + self.outbound.len();
        let no_place = others >= usize::from(self.ready?.exchanges_max);
        let inbound = self.inbound.get_mut(at)?;
        match &mut inbound.stage {
            // What it has opened meanwhile took the last place: it has not even seen this one.
            Arrived::Told(_, message) if no_place => {
                let message = message.take();
                inbound.stage = Arrived::Waiting(message);
            }
            _ => {
                net.close(inbound.at);
                self.inbound.remove(at);
            }
        }
        Some(())
    }

    fn has_table(&mut self, table: &[Member]) {
        if !table.is_empty() {
            self.held.has_table(table);
        }
    }

    /// All that the chip had open is in doubt.
    fn end_session(&mut self, now: Instant, why: Lost, net: &mut dyn Net) {
        let is_news = match why {
            Lost::Silent => true,
            Lost::Echo => !core::mem::replace(&mut self.echoes, true),
            _ => self.ready.is_some(),
        };
        self.ready = None;
        if is_news {
            self.events.push_back(GatewayEvent::ChipLost { why });
        }
        if why == Lost::Silent {
            self.listening = false;
        }
        self.held.lost();
        let until = now + LEFT_WITHIN;
        for call in self.outbound.drain(..) {
            match call.stage {
                // What the chip has said has yet to arrive.
                Outgoing::Open { at, sent: false } => self.left.push_back((at, until)),
                Outgoing::Open { at, .. } | Outgoing::Over(Some(at)) => net.close(at),
                Outgoing::Waiting(..) | Outgoing::Over(None) => {}
            }
        }
        let left = &mut self.left;
        self.inbound.retain_mut(|inbound| {
            match &mut inbound.stage {
                Arrived::Silent | Arrived::Waiting(_) => return true,
                Arrived::Told(_, message) => {
                    let message = message.take();
                    inbound.stage = Arrived::Waiting(message);
                    return true;
                }
                Arrived::Answered(_, false) => left.push_back((inbound.at, until)),
                Arrived::Answered(..) | Arrived::Over(_) => net.close(inbound.at),
            }
            false
        });
    }
}

/// What the network brings.
impl Bridge<'_> {
    /// Takes one piece of news; whether there was one.
    fn hear(&mut self, now: Instant, net: &mut dyn Net) -> bool {
        let Some((exchange, incoming)) = net.recv() else {
            return false;
        };
        let news = News::new(incoming);
        let is_told = if let Some(at) = self.left.iter().position(|(left, _)| *left == exchange) {
            if matches!(news, News::Sent | News::Done | News::Gone(_)) {
                self.left.remove(at);
                net.close(exchange);
            }
            Ok(())
        } else if let Some(at) = self.inbound.iter().position(|call| call.at == exchange) {
            self.hear_inbound(at, news, net)
        } else if let News::Accepted = news {
            self.accept(now, exchange, net);
            Ok(())
        } else {
            self.hear_outbound(exchange, news)
        };
        if is_told.is_err() {
            self.overrun(now, net);
        }
        true
    }

    /// Somebody has connected. Of those who say nothing, whoever has done so longest gives way.
    fn accept(&mut self, now: Instant, at: Exchange, net: &mut dyn Net) {
        if self.inbound.len() >= INBOUND_MAX {
            let silent = |inbound: &Inbound| matches!(inbound.stage, Arrived::Silent);
            let Some(silent) = self.inbound.iter().position(silent) else {
                return net.close(at);
            };
            net.close(self.inbound.remove(silent).at);
        }
        self.inbound.push(Inbound {
            at,
            since: now,
            stage: Arrived::Silent,
        });
    }

    fn hear_inbound(&mut self, at: usize, news: News, net: &mut dyn Net) -> Result<(), Full> {
        let Some(inbound) = self.inbound.get_mut(at) else {
            return Ok(());
        };
        let over = match news {
            News::Request(mut message) => {
                message.cut(MEMBERS_MAX);
                inbound.stage = Arrived::Waiting(message);
                return Ok(());
            }
            News::Sent => Incoming::Sent,
            News::Done => Incoming::Done,
            News::Gone(gone) => Incoming::Gone(gone),
            // Nothing else is told of an exchange that others have opened.
            _ => return Ok(()),
        };
        let Some(number) = inbound.number() else {
            // The chip never knew.
            net.close(self.inbound.remove(at).at);
            return Ok(());
        };
        inbound.stage = match over {
            Incoming::Sent => Arrived::Answered(number, true),
            _ => Arrived::Over(number),
        };
        self.session.say(&Frame::Told(Exchange(number), over))
    }

    fn hear_outbound(&mut self, exchange: Exchange, news: News) -> Result<(), Full> {
        let known = |call: &&mut Outbound| call.at() == Some(exchange);
        let Some(call) = self.outbound.iter_mut().find(known) else {
            return Ok(());
        };
        let number = Exchange(call.number);
        let incoming = match news {
            News::Sent => {
                call.stage = Outgoing::Open {
                    at: exchange,
                    sent: true,
                };
                Incoming::Sent
            }
            // A member makes nothing of the list in an OK.
            News::Ok => Incoming::Reply(Reply::Ok(Roster::EMPTY)),
            News::Members(mut list) => {
                let left_out = cut(&mut list, self.session.told_max(), false);
                self.note_cut(left_out);
                self.held.told(&list);
                Incoming::Reply(Reply::Members(self.told.number(&list)))
            }
            News::Refused(refusal) => Incoming::Reply(Reply::Refused(refusal)),
            News::Done => {
                call.stage = Outgoing::Over(Some(exchange));
                Incoming::Done
            }
            News::Gone(gone) => {
                call.stage = Outgoing::Over(Some(exchange));
                Incoming::Gone(gone)
            }
            News::Accepted | News::Request(_) => return Ok(()),
        };
        self.session.say(&Frame::Told(number, incoming))
    }
}
