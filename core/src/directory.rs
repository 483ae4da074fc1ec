//! The group coordinator, whom everyone asks to JOIN: the same kind of machine as a node.

use heapless::Vec;

use crate::net::{Exchange, Incoming, Net, Refusal, Reply, Request};
use crate::roster::{Member, Roster};
use crate::state::{Row, Rows, State};
use crate::time::{Instant, Span};

/// The group coordinator (GCD), with room for `MEMBERS` members and `EXCHANGES` connections.
///
/// It answers JOIN with everyone it has ever heard of, the newcomer among them, and never forgets
/// anyone. It opens no exchange of its own. At least 1 member and 4 exchanges.
#[derive(Debug)]
pub struct Directory<const MEMBERS: usize, const EXCHANGES: usize> {
    members: Vec<Member, MEMBERS>,
    revision: u32,
    rows: Vec<Row, EXCHANGES>,
    now: Instant,
}

/// Something worth telling the coordinator's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DirectoryEvent {
    /// A member joined, or joined again.
    Joined {
        /// Who, and where.
        member: Member,
        /// How many members there are now.
        members: u32,
    },
    /// Somebody was turned down. The table is as it was.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Default for Directory<MEMBERS, EXCHANGES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Directory<MEMBERS, EXCHANGES> {
    /// A coordinator that has heard of nobody.
    pub const fn new() -> Self {
        const {
            assert!(MEMBERS >= 1, "a coordinator without room is of no use");
            assert!(
                EXCHANGES >= 4,
                "each direction keeps a quarter of the places"
            );
        }
        Self {
            members: Vec::new(),
            revision: 0,
            rows: Vec::new(),
            now: Instant::ZERO,
        }
    }

    /// Goes on up to the next thing worth telling, and returns it; `None` when there is nothing
    /// more to do until the network has news or [`poll_at`](Self::poll_at) has come.
    pub fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<DirectoryEvent> {
        self.now = self.now.max(now);
        for _ in 0..4 * EXCHANGES {
            let Some((exchange, incoming)) = net.recv() else {
                break;
            };
            match incoming {
                Incoming::Accepted => self.accept(exchange, net),
                Incoming::Request(request) => {
                    let outcome = match request {
                        Request::Join(member) => self.register(member),
                        Request::Election(_) | Request::Coordinator(_) | Request::Probe(_) => {
                            Err(Refusal::Unexpected)
                        }
                    };
                    return Some(self.answer(exchange, outcome, net));
                }
                Incoming::Unfit(refusal) => return Some(self.answer(exchange, Err(refusal), net)),
                Incoming::Done => self.retire(exchange, net),
                Incoming::Gone(_) => self.close(exchange, net),
                Incoming::Sent | Incoming::Reply(_) => {}
            }
        }
        while let Some(row) = Rows(&mut self.rows).earliest()
            && row.deadline <= self.now
        {
            let overdue = row.exchange;
            self.close(overdue, net);
        }
        None
    }

    /// When [`poll`](Self::poll) must be called again even if the network stays silent.
    pub fn poll_at(&self) -> Option<Instant> {
        self.rows.iter().map(|row| row.deadline).min()
    }

    /// Everyone who has joined.
    pub fn roster(&self) -> Roster<'_> {
        Roster::of_table(&self.members, self.revision)
    }

    /// Takes a member in, by the published coordinator's rules: the same id with other days, or
    /// another process at the same address, replaces the old entry.
    fn register(&mut self, member: Member) -> Result<Member, Refusal> {
        if !DAYS.contains(&member.pid.days) || !IDS.contains(&member.pid.id) {
            return Err(Refusal::Pid);
        }
        let replaced = |old: &Member| old.pid.id == member.pid.id || old.addr == member.addr;
        if self.members.contains(&member) {
            return Ok(member);
        }
        if self.members.is_full() && !self.members.iter().any(replaced) {
            return Err(Refusal::Full);
        }
        self.members.retain(|old| !replaced(old));
        let mut carried = member;
        for place in self.members.iter_mut() {
            if *place > carried {
                core::mem::swap(place, &mut carried);
            }
        }
        // Cannot fail: there was room, or there is now.
        let _ = self.members.push(carried);
        self.revision = self.revision.wrapping_add(1);
        Ok(member)
    }

    fn answer(
        &mut self,
        exchange: Exchange,
        outcome: Result<Member, Refusal>,
        net: &mut dyn Net,
    ) -> DirectoryEvent {
        if let Some(row) = Rows(&mut self.rows).get(exchange) {
            row.state = State::SendOk;
        }
        match outcome {
            Ok(member) => {
                net.reply(exchange, Reply::Members(self.roster()));
                let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
                DirectoryEvent::Joined { member, members }
            }
            Err(refusal) => {
                net.reply(exchange, Reply::Refused(refusal));
                DirectoryEvent::Refused { refusal }
            }
        }
    }

    fn accept(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let mut rows = Rows(&mut self.rows);
        if rows.crowded(false)
            && let Some(expendable) = rows.expendable(false)
        {
            rows.remove(expendable);
            net.close(expendable);
        }
        let deadline = self.now + MESSAGE_WITHIN;
        let placed = rows.push(exchange, State::WaitingForAnyMessage, None, deadline);
        if !placed {
            net.close(exchange);
        }
    }

    /// The answer is out: closes the exchange in a moment, or at once if there was none.
    fn retire(&mut self, exchange: Exchange, net: &mut dyn Net) {
        let until = self.now + ANSWER_LINGER;
        match Rows(&mut self.rows).get(exchange) {
            Some(row) if row.state == State::SendOk => {
                row.state = State::Quiescent;
                row.deadline = until;
            }
            _ => self.close(exchange, net),
        }
    }

    fn close(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if Rows(&mut self.rows).remove(exchange) {
            net.close(exchange);
        }
    }
}

/// The days to a birthday that the published coordinator takes.
const DAYS: core::ops::Range<u32> = 1..366;

/// The SU IDs the published coordinator takes: seven digits.
const IDS: core::ops::Range<u32> = 1_000_000..10_000_000;

/// How long a connection is kept after its answer, unless its slot is needed: one lab node dies of a
/// connection that is gone before it has logged the answer.
const ANSWER_LINGER: Span = Span::from_millis(50);

/// How long a newcomer may take for its JOIN, and for reading the answer: lab nodes were seen idle
/// for 5 s before the first byte.
const MESSAGE_WITHIN: Span = Span::from_millis(8_000);
