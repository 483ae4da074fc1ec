//! The network as one node sees it, with the laws of both sides asserted.
//!
//! `bully::Checked` cannot be copied along with a world; here the ends of the connections are part of
//! the state.

use std::collections::VecDeque;

use bully::{Addr, Exchange, Full, Gone, Incoming, Member, Net, Origin, Reply, Request, Roster};
use bully_tests::owned::Kind;
use bully_tests::people::{DIRECTORY, at as member_at, member};

/// How many connections a node has room for; some searches let it run out of them.
pub(crate) const EXCHANGES: usize = 6;

/// How many members there are at most.
pub(crate) const MEMBERS: usize = 5;

/// How many processes may be named: members, and those that a forger makes up.
const PLACES: usize = MEMBERS + FORGED.len();

/// A process by its place: a member, a forged one, or the coordinator.
pub(crate) type Place = u8;

/// A forged process at an address that refuses connections.
const REFUSING: Place = MEMBERS as u8;

/// A forged process at an address that accepts connections, and never answers.
pub(crate) const SILENT: Place = REFUSING + 1;

/// A forged process at the address of the least member.
const BORROWED: Place = SILENT + 1;

/// All who do not exist; each is greater than every member.
pub(crate) const FORGED: [Place; 3] = [REFUSING, SILENT, BORROWED];

/// The group coordinator's place.
pub(crate) const COORDINATOR: Place = PLACES as u8;

/// A list of members, and who sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct List {
    /// A bit for each place.
    pub(crate) members: u8,
    /// The sender, whether it knows the group to be larger than tables, and whether it leads.
    pub(crate) origin: Option<(Place, bool, bool)>,
}

impl List {
    /// These alone, from an unknown sender.
    pub(crate) fn of(places: &[Place]) -> Self {
        let members = places.iter().fold(0, |list, place| list | 1 << place);
        Self {
            members,
            origin: None,
        }
    }

    pub(crate) const fn contains(self, place: Place) -> bool {
        self.members & (1 << place) != 0
    }
}

/// An end of a connection: where, and its number there.
pub(crate) type Tip = (Place, u8);

/// Who is at `place`: the greater the place, the greater the member.
pub(crate) const fn at(place: Place) -> Member {
    match place {
        BORROWED => member_at(place as u32 + 1, at(0).addr.0),
        _ => member(place as u32 + 1),
    }
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flight {
    /// A message on a connection that nobody has accepted yet. Whoever sent it may have given up.
    Call {
        from: Place,
        back: Option<u8>,
        to: Place,
        kind: Kind,
        list: List,
    },
    /// A message on a connection that has been accepted.
    Request { to: Tip, kind: Kind, list: List },
    /// The coordinator's list, or OK.
    Answer { to: Tip, members: bool, list: List },
    /// The end of a connection, in order or not; it comes after all else on it.
    Over { to: Tip, reset: bool },
}

impl Flight {
    /// The end that learns of it, if there is one yet.
    pub(crate) const fn to(&self) -> Option<Tip> {
        match *self {
            Self::Call { .. } => None,
            Self::Request { to, .. } | Self::Answer { to, .. } | Self::Over { to, .. } => Some(to),
        }
    }
}

/// What a node knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) number: u8,
    pub(crate) ours: bool,
    /// The other end, while there is one to answer to.
    pub(crate) peer: Option<Tip>,
    pub(crate) asked: Option<Kind>,
    pub(crate) sent: bool,
    pub(crate) replied: bool,
    pub(crate) over: bool,
}

impl End {
    const fn new(number: u8, ours: bool) -> Self {
        Self {
            number,
            ours,
            peer: None,
            asked: None,
            sent: false,
            replied: false,
            over: false,
        }
    }
}

/// What is reported to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Accepted,
    Sent,
    Request(Kind, List),
    Answer { members: bool, list: List },
    Done,
    Gone(Gone),
}

/// A new end under the lowest number that is free: numbers are used again as soon as the law allows.
pub(crate) fn begin(ends: &mut Vec<End>, ours: bool) -> u8 {
    let at = ends
        .iter()
        .zip(0..)
        .position(|(end, number)| end.number != number)
        .unwrap_or(ends.len());
    let number = u8::try_from(at).expect("a handful of connections");
    ends.insert(at, End::new(number, ours));
    number
}

/// The network for one node during one step.
pub(crate) struct Port<'a> {
    pub(crate) me: Place,
    pub(crate) ends: &'a mut Vec<End>,
    pub(crate) flights: &'a mut Vec<Flight>,
    pub(crate) inbox: VecDeque<(u8, Input)>,
    /// Whether an answer ends its connection for the answerer: see `rules::Grain`.
    pub(crate) answer_ends: bool,
    /// Ends whose other end was closed.
    pub(crate) orphaned: Vec<Tip>,
    lent: [Member; PLACES],
}

impl<'a> Port<'a> {
    pub(crate) fn new(
        me: Place,
        ends: &'a mut Vec<End>,
        flights: &'a mut Vec<Flight>,
        answer_ends: bool,
    ) -> Self {
        Self {
            me,
            ends,
            flights,
            inbox: VecDeque::new(),
            answer_ends,
            orphaned: Vec::new(),
            lent: [at(0); PLACES],
        }
    }

    pub(crate) fn report(&mut self, number: u8, input: Input) {
        self.inbox.push_back((number, input));
    }

    fn end(&mut self, number: u8) -> Option<&mut End> {
        self.ends.iter_mut().find(|end| end.number == number)
    }

    fn send(&mut self, flight: Flight) {
        let at = self.flights.partition_point(|other| *other < flight);
        self.flights.insert(at, flight);
    }
}

impl Net for Port<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let me = at(self.me);
        assert!(
            self.ends.len() < EXCHANGES,
            "more exchanges than there is room for"
        );
        assert_ne!(to, me.addr, "an exchange with itself");
        let (kind, list) = match request {
            Request::Join(member) => {
                assert_eq!(member, me, "JOIN for somebody else");
                assert_eq!(to, DIRECTORY, "JOIN to a member");
                (Kind::Join, List::default())
            }
            Request::Election(roster) => {
                let greater = |member: &Member| member.addr == to && member.pid > me.pid;
                // A composed list need not hold whom it is sent to.
                assert!(
                    roster.revision().is_none() || roster.members().iter().any(greater),
                    "ELECTION to somebody lesser"
                );
                let list = list(roster);
                assert!(list.contains(self.me), "ELECTION without its sender");
                (Kind::Election, list)
            }
            Request::Coordinator(roster) => {
                assert!(!roster.is_empty(), "an empty COORDINATOR");
                // A composed list may name another leader, whom its sender follows.
                assert!(
                    roster.revision().is_none() || roster.members().last() == Some(&me),
                    "it announces somebody else with its table"
                );
                (Kind::Coordinator, list(roster))
            }
            Request::Probe(roster) => (Kind::Probe, sender(roster)),
        };
        let to = (0..COORDINATOR)
            .find(|place| at(*place).addr == to)
            .unwrap_or(COORDINATOR);
        assert!(
            to < COORDINATOR || kind == Kind::Join,
            "{kind:?} to nobody, or to the coordinator"
        );
        let number = begin(self.ends, true);
        let end = self.end(number).expect("it has just started");
        end.asked = Some(kind);
        self.send(Flight::Call {
            from: self.me,
            back: Some(number),
            to,
            kind,
            list,
        });
        Ok(Exchange(u32::from(number)))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (number, input) = self.inbox.pop_front()?;
        let end = self.end(number).expect("input of what is open");
        assert!(!end.over, "{input:?} after the end");
        match input {
            Input::Accepted => assert!(!end.ours && end.asked.is_none()),
            Input::Sent => {
                assert!(
                    !end.sent && (end.ours || end.replied),
                    "nothing was to be sent"
                );
                end.sent = true;
            }
            Input::Request(kind, _) => {
                assert!(!end.ours && end.asked.is_none(), "a second message");
                end.asked = Some(kind);
            }
            Input::Answer { .. } => {
                assert!(
                    end.ours && end.sent && !end.replied,
                    "an answer out of turn"
                );
                end.replied = true;
            }
            Input::Done | Input::Gone(_) => end.over = true,
        }
        let incoming = match input {
            Input::Accepted => Incoming::Accepted,
            Input::Sent => Incoming::Sent,
            Input::Request(Kind::Election, list) => {
                Incoming::Request(Request::Election(lend(&mut self.lent, list)))
            }
            Input::Request(Kind::Coordinator, list) => {
                Incoming::Request(Request::Coordinator(lend(&mut self.lent, list)))
            }
            Input::Request(_, list) => {
                Incoming::Request(Request::Probe(lend(&mut self.lent, list)))
            }
            Input::Answer { members, list } => {
                let list = lend(&mut self.lent, list);
                Incoming::Reply(if members {
                    Reply::Members(list)
                } else {
                    Reply::Ok(list)
                })
            }
            Input::Done => Incoming::Done,
            Input::Gone(gone) => Incoming::Gone(gone),
        };
        Some((Exchange(u32::from(number)), incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let answer_ends = self.answer_ends;
        let end = self.end(on.0 as u8).expect("an answer on what is open");
        assert!(!end.ours && !end.replied, "an answer out of turn");
        assert!(
            matches!(end.asked, Some(Kind::Election | Kind::Probe)),
            "an answer to {:?}",
            end.asked
        );
        let Reply::Ok(roster) = reply else {
            panic!("{reply:?} from a member");
        };
        end.replied = true;
        let (number, over) = (end.number, end.over);
        let Some(to) = end.peer else { return };
        self.send(Flight::Answer {
            to,
            members: false,
            list: sender(roster),
        });
        if !over {
            self.report(number, Input::Sent);
            if answer_ends {
                self.report(number, Input::Done);
            }
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let number = exchange.0 as u8;
        let at = self.ends.iter().position(|end| end.number == number);
        let end = self.ends.remove(at.expect("only what is open is closed"));
        self.inbox.retain(|(of, _)| *of != number);
        let mine = (self.me, number);
        self.flights.retain(|flight| flight.to() != Some(mine));
        for flight in self.flights.iter_mut() {
            // What has been sent still arrives, but there is nobody to answer to.
            if let Flight::Call { from, back, .. } = flight
                && (*from, *back) == (self.me, Some(number))
            {
                *back = None;
            }
        }
        self.flights.sort_unstable();
        self.orphaned.extend(end.peer);
    }

    fn set_listening(&mut self, _: bool) {
        panic!("nobody plays dead here");
    }
}

/// A list as bits; it must be in order, and of processes that were named.
fn list(roster: Roster<'_>) -> List {
    assert!(
        roster.members().windows(2).all(|pair| pair[0] < pair[1]),
        "a list out of order"
    );
    let members = roster.members().iter().fold(0, |list, member| {
        let place = (0..COORDINATOR).find(|place| at(*place) == *member);
        list | 1 << place.expect("a process that was named")
    });
    List {
        members,
        ..sender(roster)
    }
}

/// Who sent a list, without its members: those of PROBE and OK need not be delivered.
fn sender(roster: Roster<'_>) -> List {
    let origin = roster.origin().map(|origin| {
        let place = (0..COORDINATOR).find(|place| at(*place).pid == origin.pid);
        let place = place.expect("a process that was named");
        (place, origin.large, origin.leads)
    });
    List { members: 0, origin }
}

/// Bits as a list.
fn lend(into: &mut [Member; PLACES], list: List) -> Roster<'_> {
    let mut len = 0;
    for place in (0..COORDINATOR).filter(|place| list.contains(*place)) {
        into[len] = at(place);
        len += 1;
    }
    let origin = list.origin.map(|(place, large, leads)| Origin {
        pid: at(place).pid,
        large,
        leads,
    });
    let roster = Roster::new(&into[..len]).expect("places are ascending");
    roster.with_origin(origin)
}
