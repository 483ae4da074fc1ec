//! Connections: what a machine wants done, and what comes of it.

use core::time::Duration;

use bully::{Addr, Gone, Instant};

use crate::identity::number_at;
use crate::network::{Conn, End, Fate, Side};
use crate::port::{Action, Input, Message};
use crate::scenario::Kind;
use crate::simulation::{SimEvent, Simulation};

impl Simulation<'_> {
    pub(crate) fn perform(&mut self, number: usize, action: Action) {
        match action {
            Action::Open { slot, to, message } => self.open(number, slot, to, message),
            Action::Reply { slot, message } => {
                let Some(seat) = self.seats.get_mut(number) else {
                    return;
                };
                seat.port.tell(slot, Input::Sent);
                seat.port.tell(slot, Input::Done);
                let Some(number) = seat.calls.get(&slot).copied() else {
                    return;
                };
                self.reply(number, message);
            }
            Action::Close { slot } => {
                let Some(seat) = self.seats.get_mut(number) else {
                    return;
                };
                let Some(conn) = seat.calls.remove(&slot) else {
                    return;
                };
                let side = match self.conns.get(&conn).and_then(|conn| conn.opener) {
                    Some(End { seat, slot: theirs }) if seat == number && theirs == slot => {
                        Side::Opener
                    }
                    _ => Side::Target,
                };
                self.close(conn, side, Input::Done);
            }
            Action::Listen(on) => {
                if let Some(seat) = self.seats.get_mut(number) {
                    seat.listening = on;
                }
            }
        }
    }

    fn open(&mut self, number: usize, slot: u32, to: Addr, message: Message) {
        self.outcome.exchanges += 1;
        let to = number_at(to);
        let kind = message.kind();
        self.count(number, &message, None);
        let number_of_conn = self.conns_made;
        self.conns_made += 1;
        self.conns.insert(
            number_of_conn,
            Conn {
                opener: Some(End { seat: number, slot }),
                target: None,
                from: number,
                to,
                asks: kind,
                latest: [Instant::ZERO; 2],
            },
        );
        if let Some(seat) = self.seats.get_mut(number) {
            seat.calls.insert(slot, number_of_conn);
        }
        let (at, fate) = self.way(kind, number, to);
        self.trace_message(number, to, &message, None, fate);
        // Across a partition nothing arrives, and nothing comes back.
        if fate != Fate::Parted {
            let message = (fate != Fate::Lost).then_some(message);
            self.queue
                .plan(at, SimEvent::Arrive(number_of_conn, message));
        }
    }

    fn reply(&mut self, number: u64, message: Message) {
        let Some(Conn { from, to, asks, .. }) = self.conns.get(&number).copied() else {
            return;
        };
        let kind = message.kind();
        self.count(to, &message, Some(asks));
        let (at, fate) = self.way(kind, to, from);
        self.trace_message(to, from, &message, Some(asks), fate);
        if matches!(fate, Fate::Arrives | Fate::Late) {
            self.send(number, Side::Opener, Input::Reply(message), at);
        }
    }

    /// When a message sent now arrives, and whether it does.
    fn way(&mut self, kind: Kind, from: usize, to: usize) -> (Instant, Fate) {
        let (delay, fate) = self
            .fault_model
            .way(&mut self.rng, self.now, kind, (from, to));
        let at = self.now + delay;
        if matches!(fate, Fate::Lost | Fate::Late) {
            self.disturb(at);
            self.agreement.interfere(at, kind != Kind::Coordinator);
        }
        (at, fate)
    }

    fn parts(&self, conn: u64) -> bool {
        self.conns
            .get(&conn)
            .is_some_and(|conn| self.fault_model.parts(self.now, conn.from, conn.to))
    }

    /// Sends input to one end; nothing on a connection overtakes anything before it.
    fn send(&mut self, number: u64, side: Side, input: Input, at: Instant) {
        if let Some(conn) = self.conns.get_mut(&number) {
            let latest = conn.latest(side);
            *latest = at.max(*latest);
            self.queue
                .plan(*latest, SimEvent::Tell(number, side, input));
        }
    }

    /// Closes one end; the other end is told, if it is still there.
    pub(crate) fn close(&mut self, number: u64, side: Side, input: Input) {
        let parted = self.parts(number);
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        conn.close(side);
        if conn.end(side.other()).is_some() {
            if !parted {
                let at = self.now + self.fault_model.delay(&mut self.rng);
                self.send(number, side.other(), input, at);
            }
        } else {
            self.conns.remove(&number);
        }
    }

    /// A connection arrives with its message, if there is somebody to take it.
    pub(crate) fn arrive(&mut self, number: u64, message: Option<Message>) {
        let Some(conn) = self.conns.get(&number).copied() else {
            return;
        };
        if self.fault_model.parts(self.now, conn.from, conn.to) {
            return;
        }
        // Nobody refuses either: what is sent astray is sent to a closed door.
        let Some(seat) = self.seats.get_mut(conn.to).filter(|seat| seat.listening) else {
            let at = self.now + self.fault_model.delay(&mut self.rng);
            self.send(number, Side::Opener, Input::Gone(Gone::Refused), at);
            return;
        };
        let Some(slot) = seat.port.accept() else {
            // It waits outside until somebody leaves.
            let at = self.now + Duration::from_millis(1);
            self.queue.plan(at, SimEvent::Arrive(number, message));
            return;
        };
        seat.calls.insert(slot, number);
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.target = Some(End {
                seat: conn.to,
                slot,
            });
        }
        let deaf = conn.asks == Kind::Probe && self.scenario.mute.contains(&conn.to);
        if let Some(message) = message
            && !deaf
            && let Some(seat) = self.seats.get_mut(conn.to)
        {
            seat.port.tell(slot, Input::Request(message));
        }
        // The opener knows at once that it has arrived: the way back only costs events.
        let opener = self.tell(number, Side::Opener, Input::Sent);
        self.turn(conn.to);
        if let Some(opener) = opener {
            self.turn(opener);
        }
    }

    /// Puts input into the port at one end; whose that is.
    pub(crate) fn tell(&mut self, conn: u64, side: Side, input: Input) -> Option<usize> {
        let end = self.conns.get(&conn)?.end(side)?;
        let seat = self.seats.get_mut(end.seat)?;
        seat.port.tell(end.slot, input);
        Some(end.seat)
    }
}
