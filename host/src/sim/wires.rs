//! Connections: what a machine wants done, and what comes of it.

use core::time::Duration;

use bully::{Addr, Gone, Instant};

use super::group::{Group, Plan, seat_at};
use super::network::{Conn, End, Fate, Side};
use super::port::{Deed, Letter, News};
use super::scenario::Kind;

impl Group<'_> {
    pub(super) fn perform(&mut self, number: usize, deed: Deed) {
        match deed {
            Deed::Open { slot, to, letter } => self.open(number, slot, to, letter),
            Deed::Reply { slot, letter } => {
                let Some(seat) = self.seats.get_mut(number) else {
                    return;
                };
                seat.port.tell(slot, News::Sent);
                seat.port.tell(slot, News::Done);
                let Some(number) = seat.calls.get(&slot).copied() else {
                    return;
                };
                self.reply(number, letter);
            }
            Deed::Close { slot } => {
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
                self.close(conn, side, News::Done);
            }
            Deed::Listen(on) => {
                if let Some(seat) = self.seats.get_mut(number) {
                    seat.listening = on;
                }
            }
        }
    }

    fn open(&mut self, number: usize, slot: u32, to: Addr, letter: Letter) {
        self.outcome.exchanges += 1;
        let to = seat_at(to);
        let kind = letter.kind();
        self.count(number, &letter, None);
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
        self.say_letter(number, to, &letter, None, fate);
        // Across a partition nothing arrives, and nothing comes back.
        if fate != Fate::Parted {
            let letter = (fate != Fate::Lost).then_some(letter);
            self.agenda.plan(at, Plan::Arrive(number_of_conn, letter));
        }
    }

    fn reply(&mut self, number: u64, letter: Letter) {
        let Some(Conn { from, to, asks, .. }) = self.conns.get(&number).copied() else {
            return;
        };
        let kind = letter.kind();
        self.count(to, &letter, Some(asks));
        let (at, fate) = self.way(kind, to, from);
        self.say_letter(to, from, &letter, Some(asks), fate);
        if matches!(fate, Fate::Arrives | Fate::Late) {
            self.send(number, Side::Opener, News::Reply(letter), at);
        }
    }

    /// When a message sent now arrives, and whether it does.
    fn way(&mut self, kind: Kind, from: usize, to: usize) -> (Instant, Fate) {
        let (delay, fate) = self.weather.way(&mut self.rng, self.now, kind, (from, to));
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
            .is_some_and(|conn| self.weather.parts(self.now, conn.from, conn.to))
    }

    /// Sends news to one end; nothing on a connection overtakes anything before it.
    fn send(&mut self, number: u64, side: Side, news: News, at: Instant) {
        if let Some(conn) = self.conns.get_mut(&number) {
            let latest = conn.latest(side);
            *latest = at.max(*latest);
            self.agenda.plan(*latest, Plan::Tell(number, side, news));
        }
    }

    /// Closes one end; the other end is told, if it is still there.
    pub(super) fn close(&mut self, number: u64, side: Side, news: News) {
        let parted = self.parts(number);
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        conn.close(side);
        if conn.end(side.other()).is_some() {
            if !parted {
                let at = self.now + self.weather.delay(&mut self.rng);
                self.send(number, side.other(), news, at);
            }
        } else {
            self.conns.remove(&number);
        }
    }

    /// A connection arrives with its message, if there is somebody to take it.
    pub(super) fn arrive(&mut self, number: u64, letter: Option<Letter>) {
        let Some(conn) = self.conns.get(&number).copied() else {
            return;
        };
        if self.weather.parts(self.now, conn.from, conn.to) {
            return;
        }
        // Nobody refuses either: what is sent astray is sent to a closed door.
        let Some(seat) = self.seats.get_mut(conn.to).filter(|seat| seat.listening) else {
            let at = self.now + self.weather.delay(&mut self.rng);
            self.send(number, Side::Opener, News::Gone(Gone::Refused), at);
            return;
        };
        let Some(slot) = seat.port.accept() else {
            // It waits outside until somebody leaves.
            let at = self.now + Duration::from_millis(1);
            self.agenda.plan(at, Plan::Arrive(number, letter));
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
        if let Some(letter) = letter
            && !deaf
            && let Some(seat) = self.seats.get_mut(conn.to)
        {
            seat.port.tell(slot, News::Request(letter));
        }
        // The opener knows at once that it has arrived: the way back only costs events.
        let opener = self.tell(number, Side::Opener, News::Sent);
        self.turn(conn.to);
        if let Some(opener) = opener {
            self.turn(opener);
        }
    }

    /// Puts news into the port at one end; whose that is.
    pub(super) fn tell(&mut self, conn: u64, side: Side, news: News) -> Option<usize> {
        let end = self.conns.get(&conn)?.end(side)?;
        let seat = self.seats.get_mut(end.seat)?;
        seat.port.tell(end.slot, news);
        Some(end.seat)
    }
}
