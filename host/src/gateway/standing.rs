//! How the chip's member stands, as far as its messages show.

use bully::{Addr, Exchange, Full, Incoming, Instant, Member, Messages, Net, Pid, Reply, Request};

/// What the chip's messages have shown of its member.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Who it is, once it has joined.
    pub me: Option<Pid>,
    /// What it does.
    pub doing: Doing,
    /// Whom it has announced, or was announced to it last.
    pub leader: Option<Pid>,
    /// Since when it has been like that.
    pub since: Instant,
    /// When that leader was last heard from.
    pub confirmed: Option<Instant>,
    /// The longest of the last lists in its messages: its table, or the coordinator's list.
    pub members: Vec<Member>,
    /// Messages it has sent.
    pub sent: Messages,
    /// Messages it has received.
    pub received: Messages,
    /// The exchanges that it opened, with what.
    opened: Vec<(Exchange, Asked)>,
}

/// What a member does, as far as others see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// It has sent JOIN and nothing else yet.
    #[default]
    Joining,
    /// It has sent ELECTION.
    Electing,
    /// Its ELECTION was answered.
    Waiting,
    /// It has learned who leads.
    Following,
    /// It has announced itself.
    Leading,
    /// It has closed its listener.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Join,
    Election,
    Probe,
}

/// A network whose user's standing is followed.
#[derive(Debug)]
pub struct Followed<'a, N: ?Sized> {
    net: &'a mut N,
    standing: &'a mut Standing,
    now: Instant,
}

/// How many exchanges are remembered: as many as a chip can number.
const OPENED_MAX: usize = 1 << 15;

impl Standing {
    /// `net`, as the chip uses it.
    pub fn follow<'a, N: Net + ?Sized>(
        &'a mut self,
        net: &'a mut N,
        now: Instant,
    ) -> Followed<'a, N> {
        Followed {
            net,
            standing: self,
            now,
        }
    }

    fn set(&mut self, doing: Doing, leader: Option<Pid>, now: Instant) {
        if (self.doing, self.leader) != (doing, leader) {
            self.since = now;
        }
        (self.doing, self.leader) = (doing, leader);
    }

    fn sends(&mut self, request: Request<'_>, now: Instant) -> Option<Asked> {
        match request {
            Request::Join(member) => {
                self.sent.join += 1;
                if self.me != Some(member.pid) {
                    *self = Self {
                        me: Some(member.pid),
                        sent: self.sent,
                        received: self.received,
                        since: now,
                        ..Self::default()
                    };
                }
                Some(Asked::Join)
            }
            Request::Election(list) => {
                self.sent.election += 1;
                self.learn(list.members());
                self.set(Doing::Electing, None, now);
                Some(Asked::Election)
            }
            Request::Coordinator(list) => {
                self.sent.coordinator += 1;
                if list.greatest() == self.me {
                    self.set(Doing::Leading, self.me, now);
                }
                None
            }
            Request::Probe(list) => {
                self.sent.probe += 1;
                self.learn(list.members());
                Some(Asked::Probe)
            }
        }
    }

    fn receives(&mut self, exchange: Exchange, incoming: Incoming<'_>, now: Instant) {
        match incoming {
            Incoming::Request(Request::Join(_)) => self.received.join += 1,
            Incoming::Request(Request::Election(_)) => self.received.election += 1,
            Incoming::Request(Request::Probe(_)) => self.received.probe += 1,
            Incoming::Request(Request::Coordinator(list)) => {
                self.received.coordinator += 1;
                self.confirmed = Some(now);
                self.set(Doing::Following, list.greatest(), now);
            }
            Incoming::Reply(Reply::Members(list)) => self.learn(list.members()),
            Incoming::Reply(Reply::Ok(_)) => {
                self.received.ok += 1;
                match self.asked(exchange) {
                    Some(Asked::Election) if self.doing == Doing::Electing => {
                        self.set(Doing::Waiting, None, now);
                    }
                    Some(Asked::Probe) => self.confirmed = Some(now),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn asked(&self, exchange: Exchange) -> Option<Asked> {
        let opened = self.opened.iter().find(|(opened, _)| *opened == exchange);
        opened.map(|(_, asked)| *asked)
    }

    fn learn(&mut self, members: &[Member]) {
        if !members.is_empty() {
            self.members = members.to_vec();
        }
    }
}

impl<N: Net + ?Sized> Net for Followed<'_, N> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let exchange = self.net.open(to, request)?;
        let asked = self.standing.sends(request, self.now);
        if self.standing.opened.len() < OPENED_MAX {
            let opened = asked.map(|asked| (exchange, asked));
            self.standing.opened.extend(opened);
        }
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (exchange, incoming) = self.net.recv()?;
        self.standing.receives(exchange, incoming, self.now);
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        if let Reply::Ok(list) = reply {
            self.standing.sent.ok += 1;
            self.standing.learn(list.members());
        }
        self.net.reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        self.standing
            .opened
            .retain(|(opened, _)| *opened != exchange);
        self.net.close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        match (on, self.standing.doing) {
            (false, _) => self.standing.set(Doing::Failed, None, self.now),
            (true, Doing::Failed) => self.standing.set(Doing::Joining, None, self.now),
            (true, _) => {}
        }
        self.net.set_listening(on);
    }
}

#[cfg(test)]
mod tests {
    use bully::Roster;

    use super::*;

    const fn member(days: u32) -> Member {
        Member {
            pid: Pid { days, id: days },
            addr: Addr(days as u64),
        }
    }

    const LIST: [Member; 3] = [member(1), member(2), member(3)];

    /// A network that takes everything.
    struct Taking(u32, Option<Incoming<'static>>);

    impl Net for Taking {
        fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> {
            self.0 += 1;
            Ok(Exchange(self.0))
        }
        fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
            Some((Exchange(self.0), self.1.take()?))
        }
        fn reply(&mut self, _: Exchange, _: Reply<'_>) {}
        fn close(&mut self, _: Exchange) {}
        fn set_listening(&mut self, _: bool) {}
    }

    #[test]
    fn a_member_is_followed_through_an_election_by_its_messages_alone() {
        let list = |length: usize| Roster::new(&LIST[..length]).expect("they ascend");
        let (mut net, mut standing) = (Taking(0, None), Standing::default());
        let at = Instant::from_micros;
        let mut open = |request, now| {
            let opened = standing.follow(&mut net, now).open(Addr(1), request);
            opened.expect("it takes all");
            (standing.doing, standing.leader)
        };
        assert_eq!(open(Request::Join(LIST[1]), at(1)), (Doing::Joining, None));
        let election = Request::Election(list(3));
        assert_eq!(open(election, at(2)), (Doing::Electing, None));
        let mut hear = |incoming, now| {
            net.1 = Some(incoming);
            let mut followed = standing.follow(&mut net, now);
            assert!(followed.recv().is_some());
            (standing.doing, standing.leader)
        };
        let ok = Incoming::Reply(Reply::Ok(Roster::EMPTY));
        assert_eq!(hear(ok, at(3)), (Doing::Waiting, None));
        let victor = Incoming::Request(Request::Coordinator(list(3)));
        let third = Some(LIST[2].pid);
        assert_eq!(hear(victor, at(4)), (Doing::Following, third));
        assert_eq!(standing.since, at(4));
        let (mut net, now) = (Taking(9, None), at(5));
        let mut followed = standing.follow(&mut net, now);
        followed.set_listening(false);
        assert_eq!((standing.doing, standing.leader), (Doing::Failed, None));
        let mut followed = standing.follow(&mut net, now);
        followed.set_listening(true);
        let own = Request::Coordinator(list(2));
        followed.open(Addr(1), own).expect("it takes all");
        let second = Some(LIST[1].pid);
        assert_eq!((standing.doing, standing.leader), (Doing::Leading, second));
        assert_eq!(standing.members, LIST);
        let (sent, received) = (standing.sent, standing.received);
        assert_eq!((sent.join, sent.election, sent.coordinator), (1, 1, 1));
        assert_eq!((received.ok, received.coordinator), (1, 1));
    }
}
