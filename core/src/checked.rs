//! The border between a machine of this crate and its network, watched from both sides.

use core::hash::{Hash, Hasher};

use heapless::Vec;

use crate::event::Event;
use crate::net::{Exchange, Full, Incoming, Net, Reply, Request};
use crate::roster::{Addr, Member, Roster};

/// A [`Net`] that passes everything on to another one, and panics at the first breach of the rules
/// of [`Net`], by whichever side, or of what a member of a group is to do for the others.
///
/// For tests: of a [`Net`] of your own, and of changes to this crate. `EXCHANGES` is that of the
/// [`Node`](crate::Node) or [`Directory`](crate::Directory) that uses the network. A message of a
/// panic begins with who broke a rule, the core or the network, and the rule's number or letter in
/// the documentation of [`Net`]. Nothing is allocated.
///
/// ```
/// # use bully::*;
/// # struct MyNet;
/// # impl Net for MyNet {
/// #     fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> { Err(Full) }
/// #     fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> { None }
/// #     fn reply(&mut self, _: Exchange, _: Reply<'_>) {}
/// #     fn close(&mut self, _: Exchange) {}
/// #     fn set_listening(&mut self, _: bool) {}
/// # }
/// # let my_net = MyNet;
/// # let me = Member { pid: Pid { days: 120, id: 1_234_567 }, addr: Addr(1) };
/// let mut node = Node::<32, 8>::new(Config::new(me));
/// let mut net = Checked::<_, 8>::node(my_net, me);
/// while let Some(event) = node.poll(Instant::ZERO, &mut net) {
///     net.note(event);
/// }
/// ```
#[derive(Debug)]
pub struct Checked<N, const EXCHANGES: usize> {
    net: N,
    user: User,
    exchanges: Table<EXCHANGES>,
    listening: bool,
    failed: bool,
    resigned: bool,
    /// The list that was lent last, of those that are part of a table.
    lent: Option<Lent>,
}

/// Who uses a network.
#[derive(Clone, Copy, Debug)]
enum User {
    /// A member, with duties towards its peers.
    Member(Member),
    /// A group coordinator, which is nobody's peer.
    Directory,
    /// Whoever keeps the rules of [`Net`], and sends what they like.
    Anybody,
}

/// The name of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Election,
    Coordinator,
    Probe,
    Unfit,
}

/// How far an exchange has got.
#[derive(Clone, Copy, Debug)]
struct Progress {
    exchange: Exchange,
    opened_by_us: bool,
    /// What was asked, by us or by them, if anything yet.
    asked: Option<Kind>,
    sent: bool,
    replied: bool,
    over: bool,
}

/// What a list that is part of a table held at this revision, up to this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lent {
    revision: u32,
    len: usize,
    digest: u64,
}

/// The open exchanges: as many as the core has slots for, and the newest, which the core may close
/// instead of giving it a slot.
#[derive(Debug)]
struct Table<const EXCHANGES: usize> {
    slots: Vec<Progress, EXCHANGES>,
    newest: Option<Progress>,
}

impl<N: Net, const EXCHANGES: usize> Checked<N, EXCHANGES> {
    /// Watches the network of the node that is `me`.
    pub const fn node(net: N, me: Member) -> Self {
        Self::new(net, User::Member(me))
    }

    /// Watches the network of a group coordinator, which sends PROBE and nothing else.
    pub const fn directory(net: N) -> Self {
        Self::new(net, User::Directory)
    }

    /// Watches the network of any other program: the rules of [`Net`] alone.
    pub const fn anybody(net: N) -> Self {
        Self::new(net, User::Anybody)
    }

    const fn new(net: N, user: User) -> Self {
        Self {
            net,
            user,
            exchanges: Table {
                slots: Vec::new(),
                newest: None,
            },
            listening: true,
            failed: false,
            resigned: false,
            lent: None,
        }
    }

    /// Takes note of what the node has reported: between [`Event::Failed`] and [`Event::Recovered`]
    /// it must open no exchange, and after [`Event::Resigned`] none but COORDINATOR without itself.
    pub const fn note(&mut self, event: Event) {
        match event {
            Event::Failed { .. } => self.failed = true,
            Event::Recovered => self.failed = false,
            Event::Resigned { .. } => self.resigned = true,
            _ => {}
        }
    }

    /// How many exchanges are open.
    pub fn open_exchanges(&self) -> usize {
        self.exchanges.slots.len() + usize::from(self.exchanges.newest.is_some())
    }

    /// Returns `true` if the listener is open: see [`Net::set_listening`].
    pub const fn is_listening(&self) -> bool {
        self.listening
    }

    /// The network behind.
    pub const fn inner(&self) -> &N {
        &self.net
    }

    /// The network behind. What is opened or closed there directly is not watched.
    pub const fn inner_mut(&mut self) -> &mut N {
        &mut self.net
    }
}

impl<N: Net, const EXCHANGES: usize> Net for Checked<N, EXCHANGES> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        self.exchanges.settle();
        assert!(
            !self.exchanges.slots.is_full(),
            "core, rule a: it opens an exchange more than the {EXCHANGES} it has slots for"
        );
        if let Some(roster) = list_of(request) {
            self.may_lend(roster);
        }
        match self.user {
            User::Member(me) => self.may_send(me, to, request),
            User::Directory => assert!(
                matches!(request, Request::Probe(_)),
                "core, rule e: a group coordinator sends {request:?}"
            ),
            User::Anybody => {}
        }
        let opened = self.net.open(to, request);
        if let Ok(exchange) = opened {
            self.exchanges.begin(exchange, Some(Kind::from(request)));
        }
        opened
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.exchanges.settle();
        let (exchange, incoming) = self.net.recv()?;
        self.exchanges.receive(exchange, incoming);
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.exchanges.settle();
        if let Reply::Ok(roster) | Reply::Members(roster) = reply {
            self.may_lend(roster);
        }
        assert!(
            self.listening || self.resigned || matches!(self.user, User::Anybody),
            "core, rule f: an answer while its listener is closed"
        );
        self.exchanges.reply(on, reply, self.user);
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        assert!(
            self.exchanges.remove(exchange),
            "core, rule b: it closes {exchange:?}, which is not open"
        );
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.listening = on;
        self.net.set_listening(on);
    }
}

/// What the core must keep.
impl<N, const EXCHANGES: usize> Checked<N, EXCHANGES> {
    /// A member sends `request` to `to`.
    fn may_send(&self, me: Member, to: Addr, request: Request<'_>) {
        assert!(
            to != me.addr,
            "core, rule d: {me:?} opens an exchange with itself"
        );
        let mine = |roster: Roster<'_>| roster.members().contains(&me);
        // A leader that resigns has closed its listener when it announces the others.
        let resigns = matches!(request, Request::Coordinator(list) if !mine(list));
        assert!(
            resigns || !self.failed && !self.resigned && self.listening,
            "core, rule f: {me:?} opens an exchange while it feigns failure, or has resigned"
        );
        if let Some(origin) = list_of(request).and_then(|list| list.origin()) {
            assert!(origin.pid == me.pid, "core, rule e: another's origin");
        }
        // In a large group lists are composed; a gateway numbers those of its chip all the same.
        let large = |list: Roster<'_>| list.origin().is_some_and(|origin| origin.large);
        let composed = |list: Roster<'_>| list.revision().is_none() || large(list);
        match request {
            Request::Join(member) => {
                assert!(member == me, "core, rule e: JOIN for {member:?}");
            }
            Request::Election(list) => {
                assert!(mine(list), "core, rule e: ELECTION without its sender");
                let asked = |member: &Member| member.addr == to && member.pid > me.pid;
                // A composed list need not hold whom it is sent to.
                assert!(
                    composed(list) || list.members().iter().any(asked),
                    "core, rule e: {me:?} sends ELECTION to {to:?}, where nobody greater is known"
                );
            }
            Request::Coordinator(list) => {
                assert!(!list.is_empty(), "core, rule e: an empty COORDINATOR");
                // A composed list may name another leader, whom its sender follows.
                assert!(
                    composed(list)
                        || list.greatest() == Some(me.pid) && mine(list)
                        || !self.listening,
                    "core, rule e: {me:?} announces {:?} with its table",
                    list.greatest()
                );
            }
            Request::Probe(_) => {}
        }
    }

    /// A list is lent to the network.
    fn may_lend(&mut self, list: Roster<'_>) {
        ascending(list, "core, rule g");
        let len = list.len();
        let Some(revision) = list.revision() else {
            assert!(
                len <= COMPOSED_MAX || matches!(self.user, User::Anybody),
                "core, rule g: a composed list of {len} members"
            );
            return;
        };
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        list.members().hash(&mut hasher);
        let lent = Lent {
            revision,
            len,
            digest: hasher.finish(),
        };
        if let Some(last) = self.lent.replace(lent)
            && (last.revision, last.len) == (revision, len)
        {
            assert!(
                last == lent,
                "core, rule g: the same revision and length, and other members"
            );
        }
    }
}

/// The greatest length of a list that is not part of a table: the most that a member whose group is
/// larger than its table puts into a message.
const COMPOSED_MAX: usize = 16;

impl<const EXCHANGES: usize> Table<EXCHANGES> {
    /// The core goes on: the newest exchange has a slot, or was closed.
    fn settle(&mut self) {
        if let Some(newest) = self.newest.take() {
            assert!(
                self.slots.push(newest).is_ok(),
                "core, rule a: it keeps an exchange more than the {EXCHANGES} it has slots for"
            );
        }
    }

    fn find(&mut self, exchange: Exchange) -> Option<&mut Progress> {
        let mut open = self.slots.iter_mut().chain(&mut self.newest);
        open.find(|open| open.exchange == exchange)
    }

    /// Removes an exchange. Returns `false` if it is not open.
    fn remove(&mut self, exchange: Exchange) -> bool {
        if self.newest.is_some_and(|new| new.exchange == exchange) {
            self.newest = None;
            return true;
        }
        let at = self.slots.iter().position(|old| old.exchange == exchange);
        at.is_some_and(|at| {
            self.slots.swap_remove(at);
            true
        })
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>, user: User) {
        let Some(open) = self.find(on) else {
            panic!("core, rule c: it answers on {on:?}, which is not open");
        };
        assert!(
            !open.opened_by_us,
            "core, rule c: it answers its own message"
        );
        assert!(!open.replied, "core, rule c: it answers twice on {on:?}");
        let fits = match (open.asked, reply) {
            (Some(Kind::Election | Kind::Probe), Reply::Ok(_))
            | (Some(Kind::Join), Reply::Members(_)) => true,
            (Some(_), Reply::Refused(_)) => !matches!(user, User::Member(_)),
            _ => false,
        };
        assert!(
            fits,
            "core, rule c: {reply:?} as the answer to {:?}",
            open.asked
        );
        open.replied = true;
    }
}

/// What the network must keep.
impl<const EXCHANGES: usize> Table<EXCHANGES> {
    fn begin(&mut self, exchange: Exchange, asked: Option<Kind>) {
        assert!(
            self.find(exchange).is_none(),
            "network, rule 3: {exchange:?} is given out, and is open already"
        );
        let progress = Progress {
            exchange,
            opened_by_us: asked.is_some(),
            asked,
            sent: false,
            replied: false,
            over: false,
        };
        self.newest = Some(progress);
    }

    fn receive(&mut self, exchange: Exchange, incoming: Incoming<'_>) {
        if incoming == Incoming::Accepted {
            return self.begin(exchange, None);
        }
        let Some(open) = self.find(exchange) else {
            panic!("network, rule 6: {incoming:?} of {exchange:?}, which is not open");
        };
        assert!(
            !open.over,
            "network, rule 5: {incoming:?} of {exchange:?} after its end"
        );
        match incoming {
            Incoming::Accepted => {}
            Incoming::Sent => {
                assert!(
                    !open.sent && (open.opened_by_us || open.replied),
                    "network, rule 4: Sent on {exchange:?}, where nothing is to be sent"
                );
                open.sent = true;
            }
            Incoming::Request(request) => {
                if let Some(list) = list_of(request) {
                    ascending(list, "network, rule 9");
                }
                open.asked(Kind::from(request));
            }
            Incoming::Unfit(_) => open.asked(Kind::Unfit),
            Incoming::Reply(reply) => open.replied(reply),
            Incoming::Done | Incoming::Gone(_) => open.over = true,
        }
    }
}

impl Progress {
    /// The peer's message was received.
    fn asked(&mut self, kind: Kind) {
        let exchange = self.exchange;
        assert!(
            !self.opened_by_us,
            "network, rule 4: a request on {exchange:?}, where an answer is awaited"
        );
        assert!(
            self.asked.is_none(),
            "network, rule 4: a second request on {exchange:?}"
        );
        self.asked = Some(kind);
    }

    /// The peer's answer was received.
    fn replied(&mut self, reply: Reply<'_>) {
        let exchange = self.exchange;
        assert!(
            self.opened_by_us,
            "network, rule 4: an answer on {exchange:?}, where a request is awaited"
        );
        assert!(
            !self.replied,
            "network, rule 4: a second answer on {exchange:?}"
        );
        let fits = match reply {
            Reply::Ok(list) => {
                ascending(list, "network, rule 9");
                matches!(self.asked, Some(Kind::Election | Kind::Probe))
            }
            Reply::Members(list) => {
                ascending(list, "network, rule 9");
                self.asked == Some(Kind::Join)
            }
            Reply::Refused(_) => self.asked == Some(Kind::Join),
        };
        assert!(
            fits,
            "network, rule 7: {reply:?} as the answer to {:?}",
            self.asked
        );
        // It implies that the request was sent.
        (self.sent, self.replied) = (true, true);
    }
}

impl From<Request<'_>> for Kind {
    fn from(request: Request<'_>) -> Self {
        match request {
            Request::Join(_) => Self::Join,
            Request::Election(_) => Self::Election,
            Request::Coordinator(_) => Self::Coordinator,
            Request::Probe(_) => Self::Probe,
        }
    }
}

/// The list that `request` carries.
const fn list_of(request: Request<'_>) -> Option<Roster<'_>> {
    match request {
        Request::Join(_) => None,
        Request::Election(list) | Request::Coordinator(list) | Request::Probe(list) => Some(list),
    }
}

fn ascending(list: Roster<'_>, rule: &str) {
    assert!(
        list.members().is_sorted_by(|a, b| a < b),
        "{rule}: a list out of order: {list:?}"
    );
}

/// FNV-1a: enough to tell two lists apart.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
