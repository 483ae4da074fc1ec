//! The border between a core and its network, watched from both sides.

use std::collections::BTreeMap;

use bully::{Addr, Event, Exchange, Full, Incoming, Member, Net, Reply, Request, Roster};

use crate::owned::Kind;

/// A network that passes everything on to another one, and panics at the first breach of the laws
/// of [`Net`], by whichever side, or of what a core owes to its peers.
///
/// What only the caller can see, that a node plays dead behind an open door, is told with
/// [`note`](Self::note).
#[derive(Debug)]
pub struct Checked<N> {
    net: N,
    law: Law,
}

/// Who uses a network.
#[derive(Clone, Copy, Debug)]
enum User {
    /// A member, with duties towards its peers.
    Member(Member),
    /// A group coordinator, which is nobody's peer.
    Directory,
    /// Whoever keeps to the laws of [`Net`], and says what they like.
    Anybody,
}

/// What is known of the two sides.
#[derive(Debug)]
struct Law {
    /// Who uses this network.
    user: User,
    exchanges_max: usize,
    talks: BTreeMap<Exchange, Talk>,
    listening: bool,
    dead: bool,
}

/// How far an exchange has got.
#[derive(Clone, Copy, Debug)]
struct Talk {
    opened_by_us: bool,
    /// What was asked, by us or by them, if anything yet.
    asked: Option<Kind>,
    sent: bool,
    replied: bool,
    over: bool,
}

impl<N: Net> Checked<N> {
    /// Watches a node: who it is, and how many exchanges it has room for.
    pub fn node(net: N, me: Member, exchanges_max: usize) -> Self {
        Self::new(net, User::Member(me), exchanges_max)
    }

    /// Watches a group coordinator, which opens no exchange but PROBE.
    pub fn directory(net: N, exchanges_max: usize) -> Self {
        Self::new(net, User::Directory, exchanges_max)
    }

    /// Watches anybody: the laws of [`Net`] alone.
    pub fn anybody(net: N, exchanges_max: usize) -> Self {
        Self::new(net, User::Anybody, exchanges_max)
    }

    fn new(net: N, user: User, exchanges_max: usize) -> Self {
        Self {
            net,
            law: Law {
                user,
                exchanges_max,
                talks: BTreeMap::new(),
                listening: true,
                dead: false,
            },
        }
    }

    /// Takes note of what the node told: it opens nothing between `Failed` and `Recovered`.
    pub fn note(&mut self, event: Event) {
        match event {
            Event::Failed { .. } => self.law.dead = true,
            Event::Recovered => self.law.dead = false,
            _ => {}
        }
    }

    /// How many exchanges are open.
    pub fn open_exchanges(&self) -> usize {
        self.law.talks.len()
    }

    /// Whether the door is open.
    pub fn is_listening(&self) -> bool {
        self.law.listening
    }

    /// The network behind.
    pub fn inner(&self) -> &N {
        &self.net
    }

    /// The network behind.
    pub fn inner_mut(&mut self) -> &mut N {
        &mut self.net
    }
}

impl<N: Net> Net for Checked<N> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let kind = self.law.may_open(to, request);
        let opened = self.net.open(to, request);
        if let Ok(exchange) = opened {
            self.law.begins(exchange, Some(kind));
        }
        opened
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.law.within_bounds(0);
        let (exchange, incoming) = self.net.recv()?;
        self.law.hears(exchange, incoming);
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.law.may_reply(on, reply);
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        let known = self.law.talks.remove(&exchange);
        assert!(
            known.is_some(),
            "the core closes {exchange:?}, which is not open"
        );
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        self.law.listening = on;
        self.net.set_listening(on);
    }
}

/// The core's duties.
impl Law {
    fn may_open(&self, to: Addr, request: Request<'_>) -> Kind {
        self.within_bounds(1);
        let me = match self.user {
            User::Member(me) => me,
            User::Directory => {
                let kind = kind(request);
                assert_eq!(
                    kind,
                    Kind::Probe,
                    "a group coordinator opens no other exchange"
                );
                return kind;
            }
            User::Anybody => return kind(request),
        };
        assert!(to != me.addr, "{me:?} opens an exchange to itself");
        assert!(
            self.listening && !self.dead,
            "{me:?} opens an exchange while playing dead"
        );
        match request {
            Request::Join(member) => {
                assert_eq!(member, me, "JOIN for somebody else");
                Kind::Join
            }
            Request::Election(roster) => {
                ascending(roster);
                assert!(
                    roster.members().contains(&me),
                    "ELECTION without its sender"
                );
                assert!(
                    roster
                        .members()
                        .iter()
                        .any(|member| member.addr == to && member.pid > me.pid),
                    "{me:?} sends ELECTION to {to:?}, where nobody greater is known"
                );
                Kind::Election
            }
            Request::Coordinator(roster) => {
                ascending(roster);
                assert!(!roster.is_empty(), "an empty COORDINATOR");
                assert_eq!(
                    roster.greatest(),
                    Some(me.pid),
                    "COORDINATOR names another than its sender"
                );
                assert!(
                    roster.members().contains(&me),
                    "COORDINATOR with another address"
                );
                Kind::Coordinator
            }
            Request::Probe(roster) => {
                ascending(roster);
                Kind::Probe
            }
        }
    }

    fn may_reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.within_bounds(0);
        assert!(
            self.listening || matches!(self.user, User::Anybody),
            "an answer while the door is closed"
        );
        let talk = self
            .talks
            .get_mut(&on)
            .unwrap_or_else(|| panic!("the core answers on {on:?}, which is not open"));
        assert!(!talk.opened_by_us, "the core answers its own message");
        assert!(!talk.replied, "the core answers twice on {on:?}");
        let fits = match (talk.asked, reply) {
            (Some(Kind::Election | Kind::Probe), Reply::Ok(roster))
            | (Some(Kind::Join), Reply::Members(roster)) => {
                ascending(roster);
                true
            }
            (Some(_), Reply::Refused(_)) => !matches!(self.user, User::Member(_)),
            _ => false,
        };
        assert!(fits, "{reply:?} as the answer to {:?}", talk.asked);
        talk.replied = true;
    }

    /// Whether there is room for `more`.
    fn within_bounds(&self, more: usize) {
        assert!(
            self.talks.len() + more <= self.exchanges_max,
            "the core holds more exchanges than it has room for"
        );
    }
}

/// The network's duties.
impl Law {
    fn begins(&mut self, exchange: Exchange, asked: Option<Kind>) {
        let talk = Talk {
            opened_by_us: asked.is_some(),
            asked,
            sent: false,
            replied: false,
            over: false,
        };
        let before = self.talks.insert(exchange, talk);
        assert!(
            before.is_none(),
            "the network gives out {exchange:?}, which is open"
        );
    }

    fn hears(&mut self, exchange: Exchange, incoming: Incoming<'_>) {
        if incoming == Incoming::Accepted {
            return self.begins(exchange, None);
        }
        let talk = self
            .talks
            .get_mut(&exchange)
            .unwrap_or_else(|| panic!("{incoming:?} of {exchange:?}, which is not open"));
        assert!(!talk.over, "{incoming:?} of {exchange:?} after its end");
        match incoming {
            Incoming::Accepted => {}
            Incoming::Sent => {
                let due = if talk.opened_by_us {
                    !talk.sent
                } else {
                    talk.replied && !talk.sent
                };
                assert!(due, "Sent on {exchange:?}, where nothing was to be sent");
                talk.sent = true;
            }
            Incoming::Request(request) => {
                assert!(!talk.opened_by_us, "a message where an answer belongs");
                assert!(talk.asked.is_none(), "a second message on {exchange:?}");
                talk.asked = Some(kind(request));
            }
            Incoming::Unfit(_) => {
                assert!(!talk.opened_by_us, "a message where an answer belongs");
                assert!(talk.asked.is_none(), "a second message on {exchange:?}");
                talk.asked = Some(Kind::Unfit);
            }
            Incoming::Reply(reply) => {
                assert!(talk.opened_by_us, "an answer to what was not asked");
                assert!(!talk.replied, "a second answer on {exchange:?}");
                let fits = match reply {
                    Reply::Ok(roster) => {
                        ascending(roster);
                        matches!(talk.asked, Some(Kind::Election | Kind::Probe))
                    }
                    Reply::Members(roster) => {
                        ascending(roster);
                        talk.asked == Some(Kind::Join)
                    }
                    Reply::Refused(_) => talk.asked == Some(Kind::Join),
                };
                assert!(fits, "{reply:?} as the answer to {:?}", talk.asked);
                talk.replied = true;
            }
            Incoming::Done | Incoming::Gone(_) => talk.over = true,
        }
    }
}

fn kind(request: Request<'_>) -> Kind {
    match request {
        Request::Join(_) => Kind::Join,
        Request::Election(roster) => {
            ascending(roster);
            Kind::Election
        }
        Request::Coordinator(roster) => {
            ascending(roster);
            Kind::Coordinator
        }
        Request::Probe(roster) => {
            ascending(roster);
            Kind::Probe
        }
    }
}

fn ascending(roster: Roster<'_>) {
    assert!(
        roster.members().windows(2).all(|pair| pair[0] < pair[1]),
        "a list out of order: {roster:?}"
    );
}
