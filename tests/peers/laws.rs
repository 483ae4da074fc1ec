//! The laws between core and network, watched on real sockets: groups in this process, every
//! machine behind a [`Checked`] that panics at the first breach by either side.

use core::time::Duration;
use std::net::TcpStream;
use std::time::Instant;

use bully::{Checked, Config, Directory, Event, Feign, FeignMode, Member, Node, Phase, Pid};
use bully_host::net::{Poll, Tcp, TcpConfig};
use bully_host::pickle::message::Keyed;
use bully_tests::process::LIMIT;

/// Few, so that they run out.
const EXCHANGES: usize = 6;

struct Group {
    poll: Poll,
    gcd: (Directory<64, EXCHANGES>, Checked<Tcp, EXCHANGES>),
    members: Vec<(Node<64, EXCHANGES>, Checked<Tcp, EXCHANGES>)>,
    failures: usize,
    recoveries: usize,
}

impl Group {
    fn new(size: usize, feign: Option<FeignMode>) -> Self {
        let poll = Poll::new().expect("the system has one");
        let bind = |owner, gcd: bool| {
            let config = TcpConfig {
                exchanges: EXCHANGES,
                keyed: gcd.then_some(Keyed::Address),
                local_only: gcd,
                ..TcpConfig::default()
            };
            Tcp::bind(&poll, owner, config).expect("some port is free")
        };
        let gcd = bind(size, true);
        let directory = gcd.addr();
        let members = (0..size).map(|number| {
            let tcp = bind(number, false);
            // The greatest is the first to come: whoever comes later has somebody to ask.
            let id = u32::try_from(size - number).expect("a small group");
            let me = Member {
                pid: Pid {
                    days: id,
                    id: 1_000_000 + id,
                },
                addr: tcp.addr(),
            };
            let mut config = Config::new(me);
            config.directory = Some(directory);
            // Failures of a tenth of the assignment's: as many breaches could show in less time.
            config.feign = feign.map(|mode| Feign {
                mode,
                after: (Duration::ZERO, Duration::from_secs(1)),
                length: (Duration::from_millis(100), Duration::from_millis(400)),
            });
            (Node::new(config), Checked::node(tcp, me))
        });
        Self {
            members: members.collect(),
            gcd: (Directory::new(), Checked::directory(gcd)),
            poll,
            failures: 0,
            recoveries: 0,
        }
    }

    fn turn(&mut self) {
        let clock = self.poll.clock();
        let (gcd, net) = &mut self.gcd;
        while gcd.poll(net.inner().now(), net).is_some() {}
        let mut until = net.inner().until(gcd.poll_at());
        for (node, net) in &mut self.members {
            while let Some(event) = node.poll(net.inner().now(), net) {
                net.note(event);
                self.failures += usize::from(matches!(event, Event::Failed { .. }));
                self.recoveries += usize::from(event == Event::Recovered);
            }
            until = until
                .into_iter()
                .chain(net.inner().until(node.poll_at()))
                .min();
        }
        // Whatever the machines wait for, the test looks in now and then.
        let soon = clock.now() + Duration::from_millis(50);
        let until = until.map_or(soon, |until| until.min(soon));
        let (members, gcd) = (&mut self.members, &mut self.gcd.1);
        self.poll
            .wait(Some(until), |ready| match members.get_mut(ready.owner) {
                Some((_, net)) => net.inner_mut().ready(ready),
                None => gcd.inner_mut().ready(ready),
            })
            .expect("the system lets us wait");
    }

    fn turn_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + LIMIT;
        while !done(self) {
            assert!(Instant::now() < limit, "never: {what}");
            self.turn();
        }
    }

    /// Whether all who are up name the greatest of them.
    fn agreed(&self) -> bool {
        let up = || {
            let up = |(node, _): &&(Node<64, EXCHANGES>, _)| node.phase() != Phase::Failed;
            self.members.iter().filter(up)
        };
        let greatest = up().next().map(|(_, net)| net.inner().addr());
        let leads = |addr| {
            let (node, _) = self
                .members
                .iter()
                .find(|(_, net)| Some(net.inner().addr()) == addr)?;
            node.leader()
        };
        leads(greatest).is_some_and(|pid| up().all(|(node, _)| node.leader() == Some(pid)))
    }
}

#[test]
fn hold_while_members_join_and_run_out_of_exchanges() {
    let mut group = Group::new(20, None);
    group.turn_until("all agree", Group::agreed);
    let members = &group.members;
    let sent = members
        .iter()
        .map(|(node, _)| node.counters().sent.election);
    assert!(sent.sum::<u64>() > 0, "nobody asked anybody");
    // Full, not broken: places were made by closing what waits for nothing.
    let crowded = members.iter().map(|(node, _)| node.counters().crowded_out);
    assert!(crowded.sum::<u64>() > 0, "nobody ran out of exchanges");
}

#[test]
fn hold_while_members_play_dead() {
    for mode in [FeignMode::Close, FeignMode::Ignore] {
        let mut group = Group::new(5, Some(mode));
        group.turn_until("many failures and recoveries", |group| {
            group.failures >= 20 && group.recoveries >= 20
        });
        group.turn_until("all who are up agree", Group::agreed);
    }
}

#[test]
fn hold_while_strangers_come_and_go() {
    let mut group = Group::new(3, None);
    group.turn_until("all agree", Group::agreed);
    let port = bully_host::names::port(group.members[0].1.inner().addr());
    let mut held = Vec::new();
    for round in 0..40 {
        let client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        match round % 4 {
            // Says nothing and stays; there are more of these than exchanges.
            0 => held.push(client),
            1 => std::io::Write::write_all(&mut &client, b"garbage").expect("it is read"),
            2 => std::io::Write::write_all(&mut &client, b"\x80\x02X\x05\x00\x00\x00PROBEq")
                .expect("it is read"),
            _ => drop(client),
        }
        group.turn();
    }
    let probes = group.members[0].0.counters().received.probe;
    group.turn_until("the leader is still probed", |group| {
        group.members[0].0.counters().received.probe > probes + 2 && group.agreed()
    });
}
