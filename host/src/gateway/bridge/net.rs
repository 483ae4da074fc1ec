//! What the network brings.

use bully::wire::Frame;
use bully::{Exchange, Full, Incoming, Instant, Net, Reply, Roster};

use super::Bridge;
use crate::gateway::calls::{Arrived, INBOUND_MAX, Inbound, Outbound, Outgoing};
use crate::gateway::kept::{News, cut};
use crate::gateway::session::MEMBERS_MAX;

impl Bridge<'_> {
    /// Takes one piece of news; whether there was one.
    pub(super) fn hear(&mut self, now: Instant, net: &mut dyn Net) -> bool {
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
            News::Ok(origin) => Incoming::Reply(Reply::Ok(Roster::EMPTY.with_origin(origin))),
            News::Members(mut list) => {
                let left_out = cut(&mut list.members, self.session.told_max(), false);
                self.note_cut(left_out);
                self.held.told(&list.members);
                Incoming::Reply(Reply::Members(self.told.lend(&list)))
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
