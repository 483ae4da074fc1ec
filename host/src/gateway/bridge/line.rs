//! Frames from the chip.

use bully::wire::{ACCEPTED_FROM, Frame};
use bully::{Addr, Exchange, Gone, Incoming, Instant, Line, Net, Reply};

use super::{Bridge, GatewayEvent, LEFT_WITHIN, RECORDING_MAX};
use crate::gateway::calls::{Arrived, Inbound, OUTBOUND_MAX, Outbound, Outgoing};
use crate::gateway::kept::{List, Message};
use crate::gateway::session::{Lost, Step};

impl Bridge<'_> {
    /// Reads up to the next frame that matters.
    pub(super) fn read(
        &mut self,
        now: Instant,
        line: &mut dyn Line,
        bytes: &mut usize,
    ) -> Option<Step> {
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

    pub(super) fn take(&mut self, now: Instant, step: Step, net: &mut dyn Net) {
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
    pub(super) fn overrun(&mut self, now: Instant, net: &mut dyn Net) {
        let lost = self.session.lose(now, Lost::Overrun);
        self.take(now, lost, net);
    }

    /// Does what the chip's last frame asks for; `None` if no chip may send it.
    fn obey(&mut self, now: Instant, net: &mut dyn Net) -> Option<()> {
        match self.session.frame()? {
            Frame::Listening(on) => self.listening = on,
            Frame::Open(exchange, to, request) => {
                let slots = usize::from(self.ready?.exchanges_max);
                let known = self.outbound.iter().any(|call| call.number == exchange.0);
                let is_legal = !known && exchange.0 < ACCEPTED_FROM;
                if !is_legal || self.outbound.len() >= slots {
                    return None;
                }
                let message = Message::new(request);
                self.open(now, exchange.0, to, message, net);
            }
            Frame::Reply(exchange, Reply::Ok(list)) => {
                let list = List::from(list);
                let known = |inbound: &&mut Inbound| inbound.number() == Some(exchange.0);
                let inbound = self.inbound.iter_mut().find(known)?;
                match &inbound.stage {
                    Arrived::Passed(number, message) if message.awaits_ok() => {
                        inbound.stage = Arrived::Answered(*number, false);
                    }
                    // They broke it off meanwhile.
                    Arrived::Over(_) => return Some(()),
                    _ => return None,
                }
                // A chip whose buffer is full leaves the list out.
                let roster = match list.members.as_slice() {
                    [] => self.from_chip.again().with_origin(list.origin),
                    _ => self.from_chip.lend(&list),
                };
                net.reply(inbound.at, Reply::Ok(roster));
                self.held.has_table(&list.members);
            }
            Frame::Close(exchange) if exchange.0 < ACCEPTED_FROM => {
                let known = |call: &Outbound| call.number == exchange.0;
                let at = self.outbound.iter().position(known)?;
                if let Some(at) = self.outbound.swap_remove(at).at() {
                    net.close(at);
                }
            }
            Frame::Close(exchange) => self.close_inbound(exchange.0, net)?,
            Frame::Recorded(left, bytes) => {
                let length = u32::try_from(bytes.len()).ok()?;
                let follows = self
                    .recording_left
                    .is_none_or(|before| before == left + length);
                let fits = self.recording.len() + bytes.len() + left as usize <= RECORDING_MAX;
                if !follows || !fits || (length == 0 && left > 0) {
                    return None;
                }
                self.recording.extend_from_slice(bytes);
                self.recording_left = Some(left).filter(|left| *left > 0);
                if left == 0 {
                    let bytes = self.recording.len();
                    self.events.push_back(GatewayEvent::Recorded { bytes });
                }
            }
            // A member has no other answer, and only gateways send the rest.
            _ => return None,
        }
        Some(())
    }

    fn open(&mut self, now: Instant, number: u32, to: Addr, message: Message, net: &mut dyn Net) {
        if let Message::Election(list) | Message::Probe(list) = &message {
            self.held.has_table(&list.members);
        }
        let joins = match &message {
            Message::Join(member) => Some(member.pid),
            _ => None,
        };
        let broken = |call: &&Outbound| matches!(call.stage, Outgoing::Over(None));
        let under_way = self.outbound.iter().filter(|call| !broken(call));
        let stage = if under_way.count() >= OUTBOUND_MAX {
            let gone = Frame::Input(Exchange(number), Incoming::Gone(Gone::Reset));
            if self.session.send(&gone).is_err() {
                return self.overrun(now, net);
            }
            Outgoing::Over(None)
        } else {
            // It is opened by `offer`, as soon as there is a slot.
            if let Message::Probe(list) = &message
                && list.members.is_empty()
            {
                let again = self.from_chip.again().with_origin(list.origin);
                Outgoing::Waiting(to, Message::Probe(again.into()))
            } else {
                Outgoing::Waiting(to, message)
            }
        };
        self.outbound.push(Outbound {
            number,
            joins,
            stage,
        });
    }

    fn close_inbound(&mut self, number: u32, net: &mut dyn Net) -> Option<()> {
        let known = |inbound: &Inbound| inbound.number() == Some(number);
        let at = self.inbound.iter().position(known)?;
        let others = self.passed_count() - 1 + self.outbound.len();
        let no_slot = others >= usize::from(self.ready?.exchanges_max);
        let inbound = self.inbound.get_mut(at)?;
        match &mut inbound.stage {
            // What it has opened meanwhile took the last slot: it has not even seen this one.
            Arrived::Passed(_, message) if no_slot => {
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

    /// All that the chip had open is lost.
    fn end_session(&mut self, now: Instant, why: Lost, net: &mut dyn Net) {
        let is_reported = match why {
            Lost::Silent => true,
            Lost::Echo => !core::mem::replace(&mut self.echoes, true),
            _ => self.ready.is_some(),
        };
        self.ready = None;
        if is_reported {
            self.events.push_back(GatewayEvent::ChipLost { why });
        }
        if why == Lost::Silent {
            self.listening = false;
        }
        self.held.lost();
        let until = now + LEFT_WITHIN;
        for call in self.outbound.drain(..) {
            match call.stage {
                // What the chip has sent has yet to arrive.
                Outgoing::Open { at, sent: false } => self.left.push_back((at, until)),
                Outgoing::Open { at, .. } | Outgoing::Over(Some(at)) => net.close(at),
                Outgoing::Waiting(..) | Outgoing::Over(None) => {}
            }
        }
        let left = &mut self.left;
        self.inbound.retain_mut(|inbound| {
            match &mut inbound.stage {
                Arrived::Silent | Arrived::Waiting(_) => return true,
                Arrived::Passed(_, message) => {
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
