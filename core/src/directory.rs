//! The group coordinator, whom everyone asks to JOIN: the same kind of machine as a node.

use heapless::Vec;

use crate::net::{Exchange, Gone, Incoming, Net, Refusal, Reply, Request};
use crate::roster::{Member, Roster};
use crate::sort::insert;
use crate::time::{Instant, Span};

/// The group coordinator (GCD), with slots for `MEMBERS` members and `EXCHANGES` connections.
///
/// It answers JOIN with everyone who ever joined, the newcomer among them. As the published
/// coordinator does, it checks the lab's ranges (days 1 to 365, ids of seven digits), and a member
/// takes the place of one with the same id, whatever its days, and of one at the same address. It
/// forgets nobody else until the table is full. Then a newcomer takes the slot of a member whose listener refuses
/// connections, or does not accept one within 1 s; it waits up to 2 s while the coordinator looks
/// for one, and is refused if every listener accepts. At least 1 member and 4 exchanges; fewer do
/// not compile.
///
/// # How it looks
///
/// It sends PROBE to members in turn, at most `EXCHANGES / 4` at once, and only while somebody
/// waits for a slot. PROBE is the message that harms nobody: it asks for an OK and nothing else.
/// ELECTION would start an election, COORDINATOR name a leader, and a connection that is closed
/// without a message, or an ELECTION that is closed before its answer, ends some of the lab's
/// programs. A connection that is accepted is therefore kept until the answer has come, or for 3 s.
/// Members of our own kind start an election when they are probed without leading; so nobody is
/// probed again for 60 s after all were found to accept, and newcomers are refused at once meanwhile.
#[derive(Debug)]
pub struct Directory<const MEMBERS: usize, const EXCHANGES: usize> {
    /// Ascending.
    members: Vec<Member, MEMBERS>,
    members_max: usize,
    one_address: bool,
    revision: u32,
    slots: Vec<Slot, EXCHANGES>,
    search: Search,
    /// How much more input is taken before deadlines have their turn.
    input_left: usize,
    /// There may be more input than that.
    input_pending: bool,
    now: Instant,
}

/// What a [`Directory`] reports to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DirectoryEvent {
    /// A member joined, or asked again.
    Joined {
        /// Who, and where.
        member: Member,
        /// How many members there are now.
        members: u32,
        /// The member of the same id that was listed before. `None`: a newcomer. The same as
        /// `member`: it only asked who is there. The same pid at another address: it was started
        /// anew, or two programs run with one pid, which cannot be distinguished here; if both live,
        /// each of them replaces the other again and again. The answer to it has named both.
        before: Option<Member>,
    },
    /// A member is not listed any more: its listener refuses, and a newcomer needed the slot.
    Removed {
        /// Who, and where it was listed.
        member: Member,
    },
    /// A request was refused. The table is as it was.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// One open exchange.
#[derive(Clone, Copy, Debug)]
struct Slot {
    exchange: Exchange,
    stage: Stage,
    /// When this stage has lasted too long.
    deadline: Instant,
}

/// What an exchange is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A client has connected; its message is pending.
    Connected,
    /// A client wants to join; it waits for a slot.
    Joining(Member),
    /// A client has its answer.
    Answered,
    /// A PROBE is on its way to a member; it has not accepted the connection yet.
    Probing(Member),
    /// A member has accepted; its answer is awaited for its own sake.
    Accepted,
}

/// What the network reports, as far as a coordinator reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Connected,
    Join(Member),
    /// A message that is not served.
    Unserved(Refusal),
    Sent,
    /// An answer to a PROBE, whatever it says.
    Reply,
    ListenerRefused,
    /// The exchange is over, in order.
    Done,
    Broken,
}

/// The search for a member that does not listen any more.
#[derive(Debug)]
struct Search {
    /// Who was probed last; the next one follows it in the table.
    last: Option<Member>,
    /// How many are still to be probed before everybody has been.
    left: usize,
    /// Everybody accepted: nobody is probed again before then.
    pause_until: Instant,
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Default for Directory<MEMBERS, EXCHANGES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Directory<MEMBERS, EXCHANGES> {
    /// At most half of the exchanges wait for a slot in the table, and a quarter probe: what is
    /// left is for clients that have yet to say what they want.
    const JOINING_MAX: usize = EXCHANGES / 2;
    const PROBING_MAX: usize = EXCHANGES / 4;

    /// As much input as it takes to answer everybody who can be connected.
    const INPUT_MAX: usize = 4 * EXCHANGES;

    /// Returns a coordinator that knows nobody.
    pub const fn new() -> Self {
        Self::limited(MEMBERS)
    }

    /// Returns a coordinator that knows nobody and is full with `members_max` members, or with
    /// `MEMBERS` if that is less. With 0 it takes 1.
    pub const fn limited(members_max: usize) -> Self {
        const {
            assert!(MEMBERS >= 1, "a coordinator without a slot is of no use");
            assert!(
                EXCHANGES >= 4,
                "a client that connects, two that wait, and a PROBE"
            );
        }
        let members_max = match members_max {
            0 => 1,
            within if within <= MEMBERS => within,
            _ => MEMBERS,
        };
        Self {
            members: Vec::new(),
            members_max,
            one_address: false,
            revision: 0,
            slots: Vec::new(),
            search: Search {
                last: None,
                left: 0,
                pause_until: Instant::ZERO,
            },
            input_left: Self::INPUT_MAX,
            input_pending: false,
            now: Instant::ZERO,
        }
    }

    /// Its answers are to name each process once, since on its wire they cannot do otherwise.
    ///
    /// By default a member that joins at another address than it is listed at is answered with both:
    /// two programs with one process id learn of each other by that.
    #[must_use]
    pub const fn with_one_address(mut self) -> Self {
        self.one_address = true;
        self
    }

    /// Goes on up to the next event, and returns it; `None` when there is nothing more to do until
    /// the network has input or [`poll_at`](Self::poll_at) has come.
    pub fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<DirectoryEvent> {
        self.now = self.now.max(now);
        loop {
            if let Some(event) = self.serve_joining(net) {
                return Some(event);
            }
            let event = if self.input_left > 0
                && let Some((exchange, input)) = receive(net)
            {
                self.input_left -= 1;
                self.react(exchange, input, net)
            } else if let Some(slot) = self.earliest().filter(|slot| slot.deadline <= self.now) {
                self.expire(slot, net)
            } else {
                self.input_pending = self.input_left == 0;
                self.input_left = Self::INPUT_MAX;
                return None;
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// When [`poll`](Self::poll) must be called again even if the network stays silent.
    pub fn poll_at(&self) -> Option<Instant> {
        if self.input_pending {
            return Some(self.now);
        }
        self.earliest().map(|slot| slot.deadline)
    }

    /// Everyone who has joined.
    pub fn roster(&self) -> Roster<'_> {
        Roster::of_table(&self.members, self.revision)
    }

    fn react(
        &mut self,
        exchange: Exchange,
        input: Input,
        net: &mut dyn Net,
    ) -> Option<DirectoryEvent> {
        let stage = match input {
            Input::Connected => {
                self.accept(exchange, net);
                return None;
            }
            _ => self.slot(exchange)?.stage,
        };
        match (stage, input) {
            (Stage::Connected, Input::Join(member)) => self.receive_join(exchange, member, net),
            (Stage::Connected, Input::Unserved(refusal)) => {
                Some(self.refuse(exchange, refusal, net))
            }
            (Stage::Probing(_), Input::Sent) => {
                self.enter(exchange, Stage::Accepted, ANSWER_WITHIN);
                None
            }
            (Stage::Probing(member), Input::ListenerRefused) => {
                self.close(exchange, net);
                self.give_way(member)
            }
            (Stage::Answered, Input::Done) => {
                self.enter(exchange, Stage::Answered, ANSWER_LINGER);
                None
            }
            (Stage::Probing(_) | Stage::Accepted, Input::Reply)
            | (_, Input::Done | Input::Broken | Input::ListenerRefused) => {
                self.close(exchange, net);
                None
            }
            _ => None,
        }
    }

    fn accept(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if self.free_slot(net) {
            let deadline = self.now + MESSAGE_WITHIN;
            self.push(exchange, Stage::Connected, deadline);
        } else {
            net.close(exchange);
        }
    }

    fn receive_join(
        &mut self,
        exchange: Exchange,
        member: Member,
        net: &mut dyn Net,
    ) -> Option<DirectoryEvent> {
        if !DAYS.contains(&member.pid.days) || !IDS.contains(&member.pid.id) {
            return Some(self.refuse(exchange, Refusal::Pid, net));
        }
        if self.fits(member) {
            return Some(self.join(exchange, member, net));
        }
        let joining = |stage| matches!(stage, Stage::Joining(_));
        if self.now < self.search.pause_until || self.count(joining) >= Self::JOINING_MAX {
            return Some(self.refuse(exchange, Refusal::Full, net));
        }
        if self.search.left == 0 {
            self.search.left = self.members.len();
        }
        self.enter(exchange, Stage::Joining(member), JOIN_WITHIN);
        None
    }

    /// Goes on for whoever has waited longest for a slot.
    fn serve_joining(&mut self, net: &mut dyn Net) -> Option<DirectoryEvent> {
        let joining = self.slots.iter().filter_map(|slot| match slot.stage {
            Stage::Joining(member) => Some((slot.deadline, slot.exchange, member)),
            _ => None,
        });
        let (_, exchange, member) = joining.min_by_key(|(deadline, ..)| *deadline)?;
        if self.fits(member) {
            return Some(self.join(exchange, member, net));
        }
        self.probe_next(net);
        let probing = |stage| matches!(stage, Stage::Probing(_));
        if self.search.left == 0 && self.count(probing) == 0 {
            self.search.pause_until = self.now + SEARCH_PAUSE;
            return Some(self.refuse(exchange, Refusal::Full, net));
        }
        None
    }

    /// Sends PROBE to as many of the next members as may be probed at once.
    fn probe_next(&mut self, net: &mut dyn Net) {
        let probing = |stage| matches!(stage, Stage::Probing(_) | Stage::Accepted);
        while self.search.left > 0 && self.count(probing) < Self::PROBING_MAX {
            if !self.free_slot(net) {
                return;
            }
            let last = self.search.last;
            let follows = |member: &&Member| last.is_none_or(|last| **member > last);
            let next = self.members.iter().find(follows);
            let Some(next) = next.or(self.members.first()).copied() else {
                return;
            };
            // On a wire whose PROBE carries a list, one with nothing new to the member.
            let list = Roster::new(core::slice::from_ref(&next)).unwrap_or(Roster::EMPTY);
            let Ok(exchange) = net.open(next.addr, Request::Probe(list)) else {
                // It is tried again at the next poll, for as long as somebody waits.
                return;
            };
            let deadline = self.now + ACCEPT_WITHIN;
            self.push(exchange, Stage::Probing(next), deadline);
            self.search.last = Some(next);
            self.search.left -= 1;
        }
    }

    /// `member` does not listen: its slot is free if somebody waits for one.
    fn give_way(&mut self, member: Member) -> Option<DirectoryEvent> {
        let joining = |stage| matches!(stage, Stage::Joining(_));
        let needed = self.members.len() >= self.members_max && self.count(joining) > 0;
        let at = self.members.binary_search(&member).ok();
        let at = at.filter(|_| needed)?;
        self.members.remove(at);
        self.revision = self.revision.wrapping_add(1);
        // Somebody who waits still has a whole round to hope for.
        self.search.left = self.members.len();
        Some(DirectoryEvent::Removed { member })
    }

    /// An exchange has been in its stage for too long.
    fn expire(&mut self, slot: Slot, net: &mut dyn Net) -> Option<DirectoryEvent> {
        if let Stage::Joining(_) = slot.stage {
            return Some(self.refuse(slot.exchange, Refusal::Full, net));
        }
        self.close(slot.exchange, net);
        match slot.stage {
            Stage::Probing(member) => self.give_way(member),
            _ => None,
        }
    }

    /// Returns `true` if there is a slot for `member`, be it that of an entry it replaces.
    fn fits(&self, member: Member) -> bool {
        let replaces = |old: &Member| replaces(member, old);
        self.members.len() < self.members_max || self.members.iter().any(replaces)
    }

    /// Lists `member`, for which there is a slot, and answers with everyone who is listed.
    fn join(&mut self, exchange: Exchange, member: Member, net: &mut dyn Net) -> DirectoryEvent {
        let known = |old: &&Member| old.pid.id == member.pid.id;
        let before = self.members.iter().find(known).copied();
        if before != Some(member) {
            self.members.retain(|old| !replaces(member, old));
            // Cannot fail: there was a slot, or there is now.
            let _ = insert(&mut self.members, member);
            self.revision = self.revision.wrapping_add(1);
        }
        let former = before.filter(|old| old.pid == member.pid && old.addr != member.addr);
        let former = former.filter(|_| !self.one_address);
        if let Some(former) = former
            && insert(&mut self.members, former)
        {
            net.reply(exchange, Reply::Members(self.roster()));
            self.members.retain(|old| *old != former);
            self.revision = self.revision.wrapping_add(1);
        } else {
            net.reply(exchange, Reply::Members(self.roster()));
        }
        self.enter(exchange, Stage::Answered, MESSAGE_WITHIN);
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        DirectoryEvent::Joined {
            member,
            members,
            before,
        }
    }

    fn refuse(
        &mut self,
        exchange: Exchange,
        refusal: Refusal,
        net: &mut dyn Net,
    ) -> DirectoryEvent {
        net.reply(exchange, Reply::Refused(refusal));
        self.enter(exchange, Stage::Answered, MESSAGE_WITHIN);
        DirectoryEvent::Refused { refusal }
    }

    /// From now on `exchange` is in this stage, for at most so long.
    fn enter(&mut self, exchange: Exchange, stage: Stage, within: Span) {
        let deadline = self.now + within;
        if let Some(slot) = self.slot(exchange) {
            slot.stage = stage;
            slot.deadline = deadline;
        }
    }

    fn slot(&mut self, exchange: Exchange) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.exchange == exchange)
    }

    /// The slot whose deadline comes first.
    fn earliest(&self) -> Option<Slot> {
        self.slots.iter().min_by_key(|slot| slot.deadline).copied()
    }

    fn count(&self, which: impl Fn(Stage) -> bool) -> usize {
        self.slots.iter().filter(|slot| which(slot.stage)).count()
    }

    /// Adds an exchange; not all slots are taken.
    fn push(&mut self, exchange: Exchange, stage: Stage, deadline: Instant) {
        let slot = Slot {
            exchange,
            stage,
            deadline,
        };
        let pushed = self.slots.push(slot);
        debug_assert!(pushed.is_ok(), "a slot got lost");
    }

    /// Frees a slot if all are taken. Returns `false` if nobody may give way.
    fn free_slot(&mut self, net: &mut dyn Net) -> bool {
        if self.slots.is_full()
            && let Some(evictable) = self.evictable()
        {
            self.close(evictable, net);
        }
        !self.slots.is_full()
    }

    /// Who gives way to a new exchange: the client that has been silent longest, or else one that
    /// has its answer.
    fn evictable(&self) -> Option<Exchange> {
        [Stage::Connected, Stage::Answered]
            .iter()
            .find_map(|stage| {
                let slots = self.slots.iter().filter(|slot| slot.stage == *stage);
                let slot = slots.min_by_key(|slot| slot.deadline);
                slot.map(|slot| slot.exchange)
            })
    }

    fn close(&mut self, exchange: Exchange, net: &mut dyn Net) {
        if let Some(at) = self.slots.iter().position(|slot| slot.exchange == exchange) {
            self.slots.swap_remove(at);
            net.close(exchange);
        }
    }
}

/// The next input, without the lists in it.
fn receive(net: &mut dyn Net) -> Option<(Exchange, Input)> {
    let (exchange, incoming) = net.recv()?;
    let input = match incoming {
        Incoming::Accepted => Input::Connected,
        Incoming::Request(Request::Join(member)) => Input::Join(member),
        Incoming::Unfit(refusal) => Input::Unserved(refusal),
        Incoming::Request(_) => Input::Unserved(Refusal::Unexpected),
        Incoming::Sent => Input::Sent,
        Incoming::Reply(_) => Input::Reply,
        Incoming::Gone(Gone::Refused) => Input::ListenerRefused,
        Incoming::Done => Input::Done,
        Incoming::Gone(_) => Input::Broken,
    };
    Some((exchange, input))
}

/// By the published coordinator's rules a member takes the place of the same id, with whatever
/// days, and of another process at the same address.
fn replaces(member: Member, old: &Member) -> bool {
    old.pid.id == member.pid.id || old.addr == member.addr
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

/// How long a newcomer waits for a slot: below the 3 s that our own nodes wait for the answer.
const JOIN_WITHIN: Span = Span::from_millis(2_000);

/// How long a member has to accept a PROBE's connection: so that within [`JOIN_WITHIN`] hosts that
/// are off are found out.
const ACCEPT_WITHIN: Span = Span::from_millis(1_000);

/// How long it has to answer: the lab's programs take up to 2.5 s, and one that is cut off before
/// may end.
const ANSWER_WITHIN: Span = Span::from_millis(3_000);

/// How long nobody is probed after everybody was found to accept: a group in which each of a
/// thousand members starts an election because of it has that once a minute.
const SEARCH_PAUSE: Span = Span::from_millis(60_000);
