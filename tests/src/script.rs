//! One node against a network that the test plays, in virtual time.
//!
//! A test says how peers behave ([`Script::habit`]) or speaks for them itself
//! ([`Script::report`]), lets time pass ([`Script::wait`]) and looks at what the node did
//! ([`Script::take`] and the `expect_` methods). Whatever happens happens under
//! [`Checked`], and `poll_at` is held to its word all the time.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::{
    Addr, Checked, Config, Event, Exchange, Full, Gone, Incoming, Instant, Member, Net, Node,
    Phase, Pid, Reply, Request,
};

use crate::owned::{Answer, Input, Kind, Message};
use crate::people::{DIRECTORY, config};

/// A script with as much room as most tests need.
pub type Lab = Script<16, 16>;

/// What a peer does when the node connects to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Takes the message and leaves the rest to the test. What everyone does by default.
    Silent,
    /// OK to ELECTION and to PROBE, at once.
    Answers,
    /// OK to ELECTION and to PROBE, after a while.
    Late(Duration),
    /// OK to ELECTION at once; does not know PROBE.
    NoProbe,
    /// Nobody listens there.
    Refuses,
    /// Takes the message and breaks off.
    Resets,
    /// Takes any message, even COORDINATOR, and never closes.
    Keeps,
    /// Never even takes the message.
    Hangs,
    /// Takes the message and closes without a word.
    Closes,
    /// Takes the message and answers with what is none.
    Garbage,
    /// Answers JOIN with this list.
    Directory(Vec<Member>),
}

/// An exchange that the node opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When.
    pub at: Instant,
    /// Its number.
    pub exchange: Exchange,
    /// To whom.
    pub to: Addr,
    /// With which message.
    pub message: Message,
}

/// The played network.
#[derive(Debug, Default)]
pub struct Wire {
    now: Instant,
    next_exchange: u32,
    next_input: u64,
    /// What is reported, in this order.
    input: BTreeMap<(Instant, u64), (Exchange, Input)>,
    lent: Option<Input>,
    habits: BTreeMap<Addr, Habit>,
    full: bool,
    slow_readers: bool,
    opened: Vec<Opened>,
    replies: Vec<(Instant, Exchange, Answer)>,
    closed: BTreeMap<Exchange, Instant>,
    recv_in_a_row: u32,
}

impl Wire {
    /// A number that was never used.
    pub fn number(&mut self) -> Exchange {
        self.next_exchange += 1;
        Exchange(self.next_exchange)
    }

    /// Tells this `after` a while.
    pub fn report(&mut self, after: Duration, exchange: Exchange, input: Input) {
        self.next_input += 1;
        self.input
            .insert((self.now + after, self.next_input), (exchange, input));
    }

    /// How the one at `addr` behaves from now on.
    pub fn habit(&mut self, addr: Addr, habit: Habit) {
        self.habits.insert(addr, habit);
    }

    /// Returns `true` if this exchange was open and is not any more.
    pub fn is_closed(&self, exchange: Exchange) -> bool {
        self.closed.contains_key(&exchange)
    }

    /// How much input waits to be taken.
    pub fn pending(&self) -> usize {
        self.input.len()
    }

    /// Every exchange that was opened, the oldest first.
    pub fn opened(&self) -> &[Opened] {
        &self.opened
    }

    /// What was answered on this exchange, and when.
    pub fn answer_on(&self, exchange: Exchange) -> Option<(Instant, Answer)> {
        let found = self.replies.iter().find(|(_, on, _)| *on == exchange)?;
        Some((found.0, found.2.clone()))
    }

    fn has_input(&self) -> bool {
        self.input
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= self.now)
    }

    /// What the habit of the one at `to` makes of a message.
    fn behave(&mut self, to: Addr, exchange: Exchange, kind: Kind) {
        let at_once = Duration::ZERO;
        let habit = self.habits.get(&to).cloned().unwrap_or(Habit::Silent);
        match habit {
            Habit::Hangs => return,
            Habit::Refuses => return self.report(at_once, exchange, Input::Gone(Gone::Refused)),
            _ => self.report(at_once, exchange, Input::Sent),
        }
        let ok = matches!(kind, Kind::Election | Kind::Probe);
        let last = match habit {
            Habit::Answers if ok => Input::Reply(Answer::Ok),
            Habit::NoProbe if kind == Kind::Election => Input::Reply(Answer::Ok),
            Habit::Late(after) if ok => {
                return self.report(after, exchange, Input::Reply(Answer::Ok));
            }
            Habit::Resets => Input::Gone(Gone::Reset),
            Habit::Closes => Input::Done,
            Habit::Garbage if kind != Kind::Coordinator => Input::Gone(Gone::Malformed),
            Habit::Directory(members) if kind == Kind::Join => {
                Input::Reply(Answer::Members(members))
            }
            Habit::Keeps => return,
            _ if kind == Kind::Coordinator => Input::Done,
            _ => return,
        };
        self.report(at_once, exchange, last);
    }
}

impl Net for Wire {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if self.full {
            return Err(Full);
        }
        let exchange = self.number();
        let message = Message::from(request);
        self.behave(to, exchange, message.kind());
        let at = self.now;
        self.opened.push(Opened {
            at,
            exchange,
            to,
            message,
        });
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.recv_in_a_row += 1;
        assert!(self.recv_in_a_row < 100_000, "one poll goes on for ever");
        if !self.has_input() {
            return None;
        }
        let (_, (exchange, input)) = self.input.pop_first()?;
        Some((exchange, self.lent.insert(input).lend()))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.replies.push((self.now, on, Answer::from(reply)));
        if !self.slow_readers {
            self.report(Duration::ZERO, on, Input::Sent);
            self.report(Duration::ZERO, on, Input::Done);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        self.input.retain(|_, (of, _)| *of != exchange);
        self.closed.insert(exchange, self.now);
    }

    fn set_listening(&mut self, _: bool) {}
}

/// A node, the network played to it, and the time.
#[derive(Debug)]
pub struct Script<const MEMBERS: usize, const EXCHANGES: usize> {
    /// The node, to be looked at.
    pub node: Node<MEMBERS, EXCHANGES>,
    me: Member,
    net: Checked<Wire, EXCHANGES>,
    events: Vec<(Instant, Event)>,
    taken: usize,
}

/// Setting up.
impl<const MEMBERS: usize, const EXCHANGES: usize> Script<MEMBERS, EXCHANGES> {
    /// A node that has not been polled yet: there is time to give its peers their habits.
    pub fn asleep(config: Config) -> Self {
        let me = config.me;
        Self {
            node: Node::new(config),
            me,
            net: Checked::node(Wire::default(), me),
            events: Vec::new(),
            taken: 0,
        }
    }

    /// A node that has just started.
    pub fn node(config: Config) -> Self {
        let mut lab = Self::asleep(config);
        lab.wait(0);
        lab
    }

    /// A node that has just joined these and begins its first election.
    pub fn joined(config: Config, others: &[Member]) -> Self {
        let mut lab = Self::node(config);
        lab.expect_join();
        lab.members(others);
        lab
    }

    /// A node in a settled group: it follows the greatest of `others`, the last election is long
    /// over, and nothing is open. What was said before does not show.
    pub fn following(config: Config, others: &[Member]) -> Self {
        let mut lab = Self::joined(config, others);
        for asked in lab.take(Kind::Election) {
            lab.ok(asked.exchange);
        }
        lab.coordinator(others);
        lab.wait(400);
        lab.forget();
        lab
    }

    /// A node that leads these, the last election being long over.
    pub fn leading(config: Config, others: &[Member]) -> Self {
        let mut lab = Self::joined(config, others);
        lab.wait(800);
        assert_eq!(
            lab.node.phase(),
            Phase::Leading,
            "somebody greater is among {others:?}"
        );
        lab.forget();
        lab
    }

    /// How the one at `addr` behaves from now on.
    pub fn habit(&mut self, addr: Addr, habit: Habit) {
        self.net.inner_mut().habit(addr, habit);
    }

    /// Whether the network has no room for another exchange from now on.
    pub fn full(&mut self, full: bool) {
        self.net.inner_mut().full = full;
    }

    /// Whether those who ask leave the answer unread from now on.
    pub fn slow_readers(&mut self, slow: bool) {
        self.net.inner_mut().slow_readers = slow;
    }

    /// Everything up to now is of no interest.
    pub fn forget(&mut self) {
        self.taken = self.net.inner().opened.len();
        self.events.clear();
    }
}

/// Time.
impl<const MEMBERS: usize, const EXCHANGES: usize> Script<MEMBERS, EXCHANGES> {
    /// What time it is.
    pub fn now(&self) -> Instant {
        self.net.inner().now
    }

    /// Lets time pass, polling whenever it is due and whenever there is input; then polls.
    pub fn wait(&mut self, millis: u64) {
        self.wait_micros(millis * 1_000);
    }

    /// The same to the microsecond.
    pub fn wait_micros(&mut self, micros: u64) {
        let until = self.now() + Duration::from_micros(micros);
        loop {
            self.poll();
            let input = self
                .net
                .inner()
                .input
                .first_key_value()
                .map(|((at, _), _)| *at);
            let next = [self.node.poll_at(), input].into_iter().flatten().min();
            match next {
                Some(next) if next <= until => self.net.inner_mut().now = next,
                _ => break,
            }
        }
        self.net.inner_mut().now = until;
        self.poll();
    }

    /// Waits until `done`, for at most `millis`; whether it came to that.
    pub fn wait_for(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now() + Duration::from_millis(millis);
        while !done(self) && self.now() < until {
            self.wait(10);
        }
        done(self)
    }

    /// Time passes, and nobody polls.
    pub fn sleep(&mut self, millis: u64) {
        let until = self.now() + Duration::from_millis(millis);
        self.net.inner_mut().now = until;
    }

    /// Polls once, and forgets what it reports.
    pub fn poll_once(&mut self) {
        let now = self.now();
        if let Some(event) = self.node.poll(now, &mut self.net) {
            self.net.note(event);
        }
    }

    /// How many inputs wait to be taken.
    pub fn pending(&self) -> usize {
        self.net.inner().pending()
    }

    /// Polls at `now`, which may be earlier than before, until there is nothing more to do.
    pub fn poll_at(&mut self, now: Instant) {
        while let Some(event) = self.node.poll(now, &mut self.net) {
            self.net.inner_mut().recv_in_a_row = 0;
            self.net.note(event);
            let at = self.net.inner().now;
            self.events.push((at, event));
        }
        self.net.inner_mut().recv_in_a_row = 0;
    }

    fn poll(&mut self) {
        let now = self.now();
        self.poll_at(now);
        while self.net.inner().has_input() {
            self.poll_at(now);
        }
        if let Some(at) = self.node.poll_at() {
            assert!(
                at > now,
                "poll_at is {at:?} at {now:?}, with nothing left to do"
            );
        }
    }
}

/// Speaking for the others.
impl<const MEMBERS: usize, const EXCHANGES: usize> Script<MEMBERS, EXCHANGES> {
    /// Reports one input, now.
    pub fn report(&mut self, exchange: Exchange, input: Input) {
        self.net.inner_mut().report(Duration::ZERO, exchange, input);
        self.wait(0);
    }

    /// Somebody connects and says nothing yet.
    pub fn connect(&mut self) -> Exchange {
        let exchange = self.net.inner_mut().number();
        self.report(exchange, Input::Accepted);
        exchange
    }

    /// Somebody connects and says this.
    pub fn receive(&mut self, message: Message) -> Exchange {
        let exchange = self.later(message);
        self.wait(0);
        exchange
    }

    /// Somebody connects and says this, for the next poll.
    pub fn later(&mut self, message: Message) -> Exchange {
        let wire = self.net.inner_mut();
        let exchange = wire.number();
        wire.report(Duration::ZERO, exchange, Input::Accepted);
        wire.report(Duration::ZERO, exchange, Input::Request(message));
        exchange
    }

    /// Somebody sends ELECTION with this list.
    pub fn election(&mut self, members: &[Member]) -> Exchange {
        self.receive(Message::Election(members.to_vec()))
    }

    /// Somebody sends COORDINATOR with this list.
    pub fn coordinator(&mut self, members: &[Member]) -> Exchange {
        self.receive(Message::Coordinator(members.to_vec()))
    }

    /// Somebody sends PROBE.
    pub fn probe(&mut self) -> Exchange {
        self.receive(Message::Probe)
    }

    /// The one asked answers OK.
    pub fn ok(&mut self, exchange: Exchange) {
        self.report(exchange, Input::Reply(Answer::Ok));
    }

    /// The coordinator answers the latest JOIN.
    pub fn members(&mut self, members: &[Member]) {
        let join = self.latest(Kind::Join).expect("no JOIN to answer").exchange;
        self.report(join, Input::Reply(Answer::Members(members.to_vec())));
    }
}

/// Looking.
impl<const MEMBERS: usize, const EXCHANGES: usize> Script<MEMBERS, EXCHANGES> {
    /// What of this kind was sent since the last [`take`](Self::take) of anything; other messages
    /// of that time are forgotten.
    pub fn take(&mut self, kind: Kind) -> Vec<Opened> {
        let mut all = self.take_all();
        all.retain(|opened| opened.message.kind() == kind);
        all
    }

    /// What was sent since the last time anything was taken.
    pub fn take_all(&mut self) -> Vec<Opened> {
        let all = &self.net.inner().opened;
        let fresh = all[self.taken..].to_vec();
        self.taken = all.len();
        fresh
    }

    /// Every message of this kind there ever was.
    pub fn all(&self, kind: Kind) -> Vec<Opened> {
        let all = self.net.inner().opened.iter();
        all.filter(|opened| opened.message.kind() == kind)
            .cloned()
            .collect()
    }

    /// The latest message of this kind.
    pub fn latest(&self, kind: Kind) -> Option<Opened> {
        self.all(kind).pop()
    }

    /// What the node reported since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).map(|(_, event)| event).collect()
    }

    /// The same, and when.
    pub fn take_timed_events(&mut self) -> Vec<(Instant, Event)> {
        core::mem::take(&mut self.events)
    }

    /// When this exchange was answered, and how.
    pub fn answer_on(&self, exchange: Exchange) -> Option<(Instant, Answer)> {
        self.net.inner().answer_on(exchange)
    }

    /// When the node closed this exchange.
    pub fn closed_at(&self, exchange: Exchange) -> Option<Instant> {
        self.net.inner().closed.get(&exchange).copied()
    }

    /// How many exchanges are open.
    pub fn open_exchanges(&self) -> usize {
        self.net.open_exchanges()
    }

    /// Returns `true` if the node listens.
    pub fn is_listening(&self) -> bool {
        self.net.is_listening()
    }

    /// Who leads, in days.
    pub fn leader(&self) -> Option<u32> {
        self.node.leader().map(|leader| leader.days)
    }

    /// Whom the node knows.
    pub fn roster(&self) -> Vec<Member> {
        self.node.roster().members().to_vec()
    }
}

/// Expecting. Each looks at what was sent since anything was last taken, and takes it.
impl<const MEMBERS: usize, const EXCHANGES: usize> Script<MEMBERS, EXCHANGES> {
    /// One JOIN to the coordinator, and nothing else.
    #[track_caller]
    pub fn expect_join(&mut self) {
        let sent = self.take_all();
        let [join] = sent.as_slice() else {
            panic!("one JOIN was expected, not {sent:?}");
        };
        assert_eq!(
            (join.to, &join.message),
            (DIRECTORY, &Message::Join(self.me))
        );
    }

    /// ELECTION to exactly these, in any order, all with the same list, which is returned; nothing
    /// if they are none.
    #[track_caller]
    pub fn expect_elections(&mut self, to: &[Member]) -> Vec<Member> {
        self.expect(Kind::Election, to)
    }

    /// COORDINATOR to exactly these, in any order, all with the same list, which is returned.
    #[track_caller]
    pub fn expect_coordinators(&mut self, to: &[Member]) -> Vec<Member> {
        self.expect(Kind::Coordinator, to)
    }

    #[track_caller]
    fn expect(&mut self, kind: Kind, to: &[Member]) -> Vec<Member> {
        let sent = self.take(kind);
        let mut found: Vec<Addr> = sent.iter().map(|opened| opened.to).collect();
        let mut wanted: Vec<Addr> = to.iter().map(|member| member.addr).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{kind:?} to the wrong ones");
        let Some(first) = sent.first() else {
            return Vec::new();
        };
        assert!(
            sent.iter().all(|opened| opened.message == first.message),
            "{sent:?}"
        );
        first.message.members().to_vec()
    }

    /// Nothing was sent.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        let sent = self.take_all();
        assert!(sent.is_empty(), "nothing was expected, not {sent:?}");
    }

    /// This one leads.
    #[track_caller]
    pub fn expect_leader(&self, leader: Pid) {
        assert_eq!(
            self.node.leader(),
            Some(leader),
            "in {:?}",
            self.node.phase()
        );
    }
}

/// A node with the lab's figures among these, which it follows the greatest of.
pub fn follower(days: u32, others: &[Member]) -> Lab {
    Lab::following(config(days), others)
}
