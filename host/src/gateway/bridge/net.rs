//! Input from the network.

use bully::wire::Frame;
use bully::{Exchange, Full, Incoming, Instant, Net, Origin, Pid, Reply, Roster, thin};

use super::Bridge;
use crate::gateway::calls::{Arrived, INBOUND_MAX, Inbound, Outbound, Outgoing};
use crate::gateway::kept::Input;
use crate::gateway::session::MEMBERS_MAX;

impl Bridge<'_> {
    /// Takes one input. Returns `false` if the network has none.
    pub(super) fn receive(&mut self, now: Instant, net: &mut dyn Net) -> bool {
        let Some((exchange, incoming)) = net.recv() else {
            return false;
        };
        let input = Input::new(incoming);
        let passed = if let Some(at) = self.left.iter().position(|(left, _)| *left == exchange) {
            if matches!(input, Input::Sent | Input::Done | Input::Gone(_)) {
                self.left.remove(at);
                net.close(exchange);
            }
            Ok(())
        } else if let Some(at) = self.inbound.iter().position(|call| call.at == exchange) {
            self.receive_inbound(at, input, net)
        } else if let Input::Accepted = input {
            self.accept(now, exchange, net);
            Ok(())
        } else {
            self.receive_outbound(exchange, input)
        };
        if passed.is_err() {
            self.overrun(now, net);
        }
        true
    }

    /// Somebody has connected. Of those that send nothing, the one that has been silent longest gives way.
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

    fn receive_inbound(&mut self, at: usize, input: Input, net: &mut dyn Net) -> Result<(), Full> {
        let Some(inbound) = self.inbound.get_mut(at) else {
            return Ok(());
        };
        let over = match input {
            Input::Request(mut message) => {
                message.cut(MEMBERS_MAX);
                inbound.stage = Arrived::Waiting(message);
                return Ok(());
            }
            Input::Sent => Incoming::Sent,
            Input::Done => Incoming::Done,
            Input::Gone(gone) => Incoming::Gone(gone),
            // Nothing else is passed on of an exchange that others have opened.
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
        self.session.send(&Frame::Input(Exchange(number), over))
    }

    fn receive_outbound(&mut self, exchange: Exchange, input: Input) -> Result<(), Full> {
        let known = |call: &&mut Outbound| call.at() == Some(exchange);
        let Some(call) = self.outbound.iter_mut().find(known) else {
            return Ok(());
        };
        let number = Exchange(call.number);
        let incoming = match input {
            Input::Sent => {
                call.stage = Outgoing::Open {
                    at: exchange,
                    sent: true,
                };
                Incoming::Sent
            }
            // A member does not use the list in an OK.
            Input::Ok(origin) => Incoming::Reply(Reply::Ok(Roster::EMPTY.with_origin(origin))),
            Input::Members(mut list) => {
                let listed = list.members.len();
                let me = call.joins.unwrap_or(Pid { days: 0, id: 0 });
                let kept = thin(me, &mut list.members, self.session.list_max());
                list.members.truncate(kept);
                let left_out = listed - kept;
                if left_out > 0 {
                    // Who is not in it is a member all the same.
                    list.origin = Some(Origin {
                        pid: me,
                        large: true,
                        leads: false,
                    });
                }
                self.note_cut(left_out);
                self.held.pass(&list.members);
                Incoming::Reply(Reply::Members(self.to_chip.lend(&list)))
            }
            Input::Refused(refusal) => Incoming::Reply(Reply::Refused(refusal)),
            Input::Done => {
                call.stage = Outgoing::Over(Some(exchange));
                Incoming::Done
            }
            Input::Gone(gone) => {
                call.stage = Outgoing::Over(Some(exchange));
                Incoming::Gone(gone)
            }
            Input::Accepted | Input::Request(_) => return Ok(()),
        };
        self.session.send(&Frame::Input(number, incoming))
    }
}
