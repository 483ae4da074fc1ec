//! A network that tells of every message that passes.

use std::collections::HashMap;

use bully::{
    Addr, Exchange, Full, Gone, Incoming, Instant, Member, Net, Pid, Reply, Request, Roster, State,
};

use super::event::pid_text;
use super::text::members_text;
use super::{Log, Passing, Tone};
use crate::names::Names;

/// Any [`Net`] with somebody watching: what passes goes on unchanged, and into the log.
pub(crate) struct Traced<'a> {
    pub(crate) net: &'a mut dyn Net,
    pub(crate) log: &'a mut Log,
    pub(crate) book: &'a mut Book,
    pub(crate) now: Instant,
}

/// What has to be remembered between the messages of one member in order to tell of them.
#[derive(Debug)]
pub(crate) struct Book {
    /// Whose exchanges they are; a chip says so when it joins.
    me: Option<Pid>,
    directory: Option<Addr>,
    /// Whether messages are told that others opened. In a practice group the sender tells.
    of_others: bool,
    revision: Option<u32>,
    pids: HashMap<Addr, Pid>,
    talks: HashMap<Exchange, Talk>,
}

#[derive(Debug)]
struct Talk {
    peer: String,
    state: State,
    since: Instant,
}

impl Book {
    pub(crate) fn new(me: Option<Pid>, directory: Option<Addr>, of_others: bool) -> Self {
        Self {
            me,
            directory,
            of_others,
            revision: None,
            pids: HashMap::new(),
            talks: HashMap::new(),
        }
    }

    /// Learns who is where. Costs nothing unless the table has changed.
    pub(crate) fn learn(&mut self, roster: Roster<'_>) {
        if self.revision != roster.revision() {
            self.revision = roster.revision();
            self.pids.clear();
            let known = roster.members().iter();
            self.pids
                .extend(known.map(|member| (member.addr, member.pid)));
        }
    }

    /// Who is at `addr`; the message to them tells of members met since the table was last seen.
    fn name(&self, addr: Addr, request: &Request<'_>) -> String {
        if self.directory == Some(addr) {
            return "coordinator".to_owned();
        }
        let listed = |roster: &Roster<'_>| {
            let members = roster.members().iter();
            let found = members.rev().find(|member| member.addr == addr);
            found.map(|member: &Member| member.pid)
        };
        let pid = self.pids.get(&addr).copied().or_else(|| match request {
            Request::Election(roster) | Request::Coordinator(roster) | Request::Probe(roster) => {
                listed(roster)
            }
            Request::Join(_) => None,
        });
        // Its owner knows the spelling of a host; here the number has to do.
        pid.map_or_else(|| Names::new().show(addr).to_string(), pid_text)
    }
}

impl Net for Traced<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.net.open(to, request)?;
        if let Request::Join(member) = request {
            self.book.me = Some(member.pid);
        }
        let peer = self.book.name(to, &request);
        let (state, what) = match request {
            Request::Join(_) => (State::SendJoin, String::new()),
            Request::Election(roster) => (State::SendElection, list_text(roster)),
            Request::Coordinator(roster) => (State::SendVictory, list_text(roster)),
            Request::Probe(_) => (State::SendProbe, String::new()),
        };
        // A PROBE is told by its outcome, or the leader's calm life would drown the rest; a JOIN
        // once there is a coordinator to take it.
        if !matches!(state, State::SendProbe | State::SendJoin) {
            let passing = Passing {
                incoming: false,
                peer: &peer,
                state,
                what: &what,
                tone: Tone::Plain,
            };
            self.log.message(self.now, self.book.me, &passing);
        }
        let since = self.now;
        self.book
            .talks
            .insert(exchange, Talk { peer, state, since });
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (exchange, incoming) = self.net.recv()?;
        if incoming == Incoming::Accepted {
            let peer = "somebody".to_owned();
            let (state, since) = (State::WaitingForAnyMessage, self.now);
            self.book
                .talks
                .insert(exchange, Talk { peer, state, since });
        } else if let Some(talk) = self.book.talks.get_mut(&exchange) {
            let theirs = talk.state == State::WaitingForAnyMessage || talk.state == State::SendOk;
            if let Some((what, tone)) = hear(talk.state, &incoming)
                && (self.book.of_others || !theirs)
            {
                let passing = Passing {
                    incoming: incoming != Incoming::Sent,
                    peer: &talk.peer,
                    state: talk.state,
                    what: &what,
                    tone,
                };
                self.log.message(self.now, self.book.me, &passing);
            }
            talk.state = after(talk.state, &incoming);
        }
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.net.reply(on, reply);
        if let Some(talk) = self.book.talks.get_mut(&on) {
            talk.state = State::SendOk;
            if self.book.of_others {
                let passing = Passing {
                    incoming: false,
                    peer: &talk.peer,
                    state: State::SendOk,
                    what: "",
                    tone: Tone::Faint,
                };
                self.log.message(self.now, self.book.me, &passing);
            }
        }
    }

    fn close(&mut self, exchange: Exchange) {
        self.net.close(exchange);
        let Some(talk) = self.book.talks.remove(&exchange) else {
            return;
        };
        let ours = !matches!(
            talk.state,
            State::Quiescent
                | State::WaitingForAnyMessage
                | State::SendOk
                | State::SendJoin
                | State::WaitingForMembers
        );
        if ours {
            let waited = self.now.since(talk.since).as_secs_f64();
            let passing = Passing {
                incoming: true,
                peer: &talk.peer,
                state: talk.state,
                what: &format!("given up after {waited:.1} s"),
                tone: Tone::Trouble,
            };
            self.log.message(self.now, self.book.me, &passing);
        }
    }

    fn set_listening(&mut self, on: bool) {
        self.net.set_listening(on);
    }
}

/// What is to be told of news on an exchange in `state`.
fn hear(state: State, incoming: &Incoming<'_>) -> Option<(String, Tone)> {
    let told = |what: &str, tone| Some((what.to_owned(), tone));
    let routine = match state {
        State::WaitingForProbeOk => Tone::Faint,
        _ => Tone::Plain,
    };
    match incoming {
        Incoming::Sent if state == State::SendJoin => told("", Tone::Plain),
        Incoming::Accepted | Incoming::Sent => None,
        // The member tells it itself, with the reason and what to do.
        Incoming::Reply(Reply::Refused(_)) | Incoming::Done | Incoming::Gone(_)
            if matches!(state, State::SendJoin | State::WaitingForMembers) =>
        {
            None
        }
        Incoming::Request(request) => match request {
            Request::Join(_) => told("JOIN", Tone::Plain),
            Request::Election(roster) => {
                Some((format!("ELECTION, {}", list_text(*roster)), Tone::Plain))
            }
            Request::Coordinator(roster) => {
                let leader = roster
                    .greatest()
                    .map_or_else(|| "nobody".to_owned(), pid_text);
                Some((format!("COORDINATOR {leader}"), Tone::Plain))
            }
            Request::Probe(_) => told("PROBE", Tone::Faint),
        },
        Incoming::Unfit(_) => told("a message not for us", Tone::Trouble),
        Incoming::Reply(reply) => match reply {
            Reply::Ok(_) => told("OK", routine),
            Reply::Members(roster) => Some((list_text(*roster), routine)),
            Reply::Refused(_) => told("a refusal", Tone::Trouble),
        },
        Incoming::Done if awaits(state) => told("closed without answer", Tone::Trouble),
        Incoming::Done => None,
        // Nothing is awaited any more: they may well not read to the end.
        Incoming::Gone(Gone::Reset) if matches!(state, State::Quiescent | State::SendOk) => None,
        Incoming::Gone(gone) => told(
            match gone {
                Gone::Refused => "nobody listens there",
                Gone::Reset => "connection broken off",
                Gone::Malformed => "not a lab message",
            },
            Tone::Trouble,
        ),
    }
}

fn awaits(state: State) -> bool {
    matches!(
        state,
        State::WaitingForOk | State::WaitingForMembers | State::WaitingForProbeOk
    )
}

/// The state after that news.
fn after(state: State, incoming: &Incoming<'_>) -> State {
    match (incoming, state) {
        (Incoming::Sent, State::SendElection) => State::WaitingForOk,
        (Incoming::Sent, State::SendJoin) => State::WaitingForMembers,
        (Incoming::Sent, State::SendProbe) => State::WaitingForProbeOk,
        (Incoming::Sent, _) => State::Quiescent,
        (Incoming::Reply(_) | Incoming::Done | Incoming::Gone(_), _) => State::Quiescent,
        (Incoming::Accepted | Incoming::Request(_) | Incoming::Unfit(_), same) => same,
    }
}

fn list_text(roster: Roster<'_>) -> String {
    members_text(u32::try_from(roster.len()).unwrap_or(u32::MAX))
}
