//! Live groups over TCP, each in a process of its own, so that its memory is its own.
//!
//! n members start 1 ms apart; when all agree, one more joins that is less than all; then the
//! leader is killed. Each time the messages are counted up to a second after everybody is right,
//! without PROBEs and their OKs. They stand beside what the assignment's rules come to where all
//! messages take the same time; the memory, beside that of a Python process. Times depend on what
//! else the machine has to do: they say how busy it was, and stand beside as many bare exchanges,
//! which were made just before and just after and suffer from it too; that of the leader's end,
//! beside the wait for the first PROBE besides.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::time::Instant;

use bully::{Addr, Config, Directory, Instant as CoreInstant, Member, Node, Pid};
use serde::{Deserialize, Serialize};

use super::child;
use super::sockets::bare;
use crate::load::load;
use crate::net::{Agenda, Poll, Ready, Tcp, TcpConfig};
use bully_bench::{Bench, Job, Section, Trouble, cost, members};

/// How many members, and in how many groups one after the other: chance has a part in each.
const GROUPS: [(usize, usize); 3] = [(10, 5), (100, 5), (1_000, 1)];
const GROUPS_QUICK: [(usize, usize); 2] = [(5, 1), (20, 1)];

/// The capacities of a member of `bully lab`.
type LabNode = Node<1_024, 16>;

/// The time between one member's start and the next one's.
const APART: Duration = Duration::from_millis(1);

/// How long to wait for an agreement at most.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long messages are counted after everybody is right.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// How many bare exchanges are timed, to see how long one takes.
const BARE_EXCHANGES: u64 = 200;

pub(super) fn jobs(quick: bool) -> Vec<Job> {
    let groups = if quick { &GROUPS_QUICK[..] } else { &GROUPS };
    let job = |&(count, groups)| {
        let what = format!("{count} members");
        Job::new(Section::Group, what, move |bench| run(bench, count, groups))
    };
    groups.iter().map(job).collect()
}

/// What a process with a group reports to the one that started it.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    cold: Phase,
    lesser: Phase,
    killed: Phase,
    /// The most memory it ever had, in bytes; none where there is no /proc.
    resident: Option<u64>,
}

/// From one thing that happens to the group to everybody being right about it.
#[derive(Debug, Serialize, Deserialize)]
struct Phase {
    seconds: f64,
    /// Up to a second later.
    messages: u64,
    /// Connections up to everybody being right.
    exchanges: u64,
    /// How long a bare exchange took just before and just after, in seconds.
    bare_exchange: f64,
    /// How busy the machine was just after.
    load: Option<f64>,
}

impl Phase {
    /// How long as many bare exchanges take, in seconds.
    fn bare(&self) -> f64 {
        self.bare_exchange * self.exchanges as f64
    }
}

/// Starts another process for each group, and adds the medians of what they report.
fn run(bench: &mut Bench, count: usize, groups: usize) -> Result<(), Trouble> {
    let measured = (0..groups).map(|_| started(count));
    let measured = measured.collect::<Result<Vec<_>, _>>()?;
    let median = |of: &dyn Fn(&Measured) -> f64| {
        let mut all: Vec<_> = measured.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let n = count as f64;
    let load = |of: &dyn Fn(&Measured) -> Option<f64>| {
        measured
            .iter()
            .all(|group| of(group).is_some())
            .then(|| median(&|group| of(group).unwrap_or(0.0)))
    };
    let mut add = |name, ours, other, unit, load| {
        bench.add((Section::Group, name, count), ours, other, cost(unit));
        bench.at_load(load);
    };
    let other = ("as many bare exchanges", median(&|group| group.cold.bare()));
    let ours = median(&|group| group.cold.seconds);
    add(
        "cold start",
        ours,
        other,
        "s",
        load(&|group| group.cold.load),
    );
    // Whoever joins announces itself to all who are there, in the best of orders.
    let other = ("n JOIN + n(n-1)/2", 1.0 + (n - 1.0) / 2.0);
    let unit = "messages/member";
    let ours = median(&|group| group.cold.messages as f64 / n);
    add("cold start messages", ours, other, unit, None);
    let other = ("JOIN + n(n+3)", 1.0 + n * (n + 3.0));
    let ours = median(&|group| group.lesser.messages as f64);
    add("a lesser joins", ours, other, "messages", None);
    // The least one is there as well by then.
    let all = n + 1.0;
    let other = median(&|group| group.killed.bare()) + 1.75 / all;
    let other = ("1st PROBE, bare exchanges", other);
    let ours = median(&|group| group.killed.seconds);
    add(
        "leader killed",
        ours,
        other,
        "s",
        load(&|group| group.killed.load),
    );
    // The i-th of them notices: (n - i)^2 + n - 1, on average over i.
    let sum = all * (2.0 * all - 1.0) / 6.0 + all - 1.0;
    let other = ("mean of (n-i)^2 + n-1", sum / n);
    let ours = median(&|group| group.killed.messages as f64 / n);
    add("leader killed messages", ours, other, unit, None);

    if measured.iter().any(|group| group.resident.is_none()) {
        let remark = "resident memory is left out: there is no /proc/self/status";
        bench.remarks.push(remark.to_owned());
    } else if let Some(python) = &bench.python {
        let ours = median(&|group| group.resident.unwrap_or(0) as f64 / n / 1024.0);
        let other = ("a Python process", python.resident() as f64 / 1024.0);
        let figure = (Section::Group, "resident memory", count);
        bench.add(figure, ours, other, cost("KiB/member"));
    }
    Ok(())
}

/// Starts another process with a group, and returns what it measured.
fn started(count: usize) -> Result<Measured, Trouble> {
    let args = ["bench", "--group-of", &count.to_string()];
    child::ask(&std::env::current_exe()?, &args)
}

/// Runs a group of `count` in this process, and returns what was measured, on one line.
///
/// # Errors
///
/// What the system would not do, or that the group did not agree.
pub(crate) fn alone(count: usize) -> Result<String, Trouble> {
    let mut group = Group::open(count)?;
    let cold = group.phase(count, Group::start)?;
    let lesser = group.phase(count + 1, Group::start_least)?;
    let killed = group.phase(count, Group::kill_leader)?;
    let measured = Measured {
        cold,
        lesser,
        killed,
        resident: resident_max(),
    };
    // Numbers always have a JSON form.
    Ok(serde_json::to_string(&measured).unwrap_or_default())
}

/// How long a bare exchange takes at present, in seconds.
fn bare_exchange() -> Result<f64, Trouble> {
    Ok(bare()?(BARE_EXCHANGES)?.as_secs_f64() / BARE_EXCHANGES as f64)
}

/// The most memory this process ever had, in bytes, if the system says.
fn resident_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The coordinator and its members, all in one thread. Member `k` is owner `k` of the poll, and the
/// coordinator comes after them.
struct Group {
    poll: Poll,
    directory: Box<Directory<1_024, 64>>,
    tcp: Tcp,
    /// Ascending. The least comes later than the others; who was killed is none.
    members: Vec<Option<One>>,
    /// When whose next turn is due.
    agenda: Agenda,
    /// What those sent who were killed.
    sent_before: Sent,
}

struct One {
    pid: Pid,
    node: Box<LabNode>,
    tcp: Tcp,
    started: bool,
}

#[derive(Clone, Copy, Default)]
struct Sent {
    /// Without PROBEs and their OKs.
    messages: u64,
    exchanges: u64,
}

impl One {
    fn open(poll: &Poll, owner: usize, pid: Pid, directory: Addr) -> Result<Self, Trouble> {
        let tcp = Tcp::bind(poll, owner, TcpConfig::default())?;
        let me = Member {
            pid,
            addr: tcp.addr(),
        };
        let config = Config {
            directory: Some(directory),
            ..Config::new(me)
        };
        Ok(Self {
            pid,
            node: Box::new(Node::new(config)),
            tcp,
            started: false,
        })
    }

    /// Does all there is to do; returns when the next turn is due.
    fn turn(&mut self) -> Option<CoreInstant> {
        while self.node.poll(self.tcp.now(), &mut self.tcp).is_some() {}
        self.tcp.until(self.node.poll_at())
    }

    fn sent(&self) -> Sent {
        let counters = self.node.counters();
        let (sent, received) = (counters.sent, counters.received);
        let started = sent.join + sent.election + sent.coordinator;
        Sent {
            messages: started + sent.ok.saturating_sub(received.probe),
            exchanges: started + sent.probe,
        }
    }
}

impl Group {
    /// Nobody has started.
    fn open(count: usize) -> Result<Self, Trouble> {
        let mut poll = Poll::new()?;
        poll.share_processor();
        let config = TcpConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            exchanges: 64,
            local_only: true,
            ..TcpConfig::default()
        };
        let tcp = Tcp::bind(&poll, count + 1, config)?;
        let open = |(owner, member): (usize, &Member)| {
            One::open(&poll, owner, member.pid, tcp.addr()).map(Some)
        };
        let pids = members(count + 1);
        let opened = pids
            .iter()
            .enumerate()
            .map(open)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            poll,
            directory: Box::new(Directory::new()),
            tcp,
            members: opened,
            agenda: Agenda::new(count + 2),
            sent_before: Sent::default(),
        })
    }

    /// All but the least are about to start.
    fn start(&mut self) {
        // By their ids, which are in no order that matters to an election.
        let members = self.members.iter_mut().enumerate().skip(1);
        let mut order: Vec<_> = members
            .filter_map(|(owner, one)| Some((owner, one.as_mut()?)))
            .collect();
        order.sort_by_key(|(_, one)| one.pid.id);
        let now = self.poll.clock().now();
        for (turn, (owner, one)) in order.into_iter().enumerate() {
            one.started = true;
            self.agenda.set(owner, Some(now + APART * turn as u32));
        }
    }

    fn start_least(&mut self) {
        if let Some(Some(least)) = self.members.first_mut() {
            least.started = true;
            self.agenda.set(0, Some(self.poll.clock().now()));
        }
    }

    fn kill_leader(&mut self) {
        if let Some(leader) = self.members.last_mut().and_then(Option::take) {
            let sent = leader.sent();
            self.sent_before.messages += sent.messages;
            self.sent_before.exchanges += sent.exchanges;
        }
    }

    /// Lets something happen, and runs until all `up` that are up follow the greatest of them, and a
    /// second longer.
    fn phase(&mut self, up: usize, happens: impl FnOnce(&mut Self)) -> Result<Phase, Trouble> {
        let bare_before = bare_exchange()?;
        happens(self);
        let phase = self.until_right(up)?;
        Ok(Phase {
            bare_exchange: (bare_before + bare_exchange()?) / 2.0,
            load: load(),
            ..phase
        })
    }

    fn until_right(&mut self, up: usize) -> Result<Phase, Trouble> {
        let (before, begin) = (self.sent(), Instant::now());
        while self.right() < up {
            if begin.elapsed() > PATIENCE {
                let right = self.right();
                let seconds = PATIENCE.as_secs();
                return Err(Trouble(format!(
                    "{right} of {up} members are right about who leads after {seconds} s"
                )));
            }
            self.turn(None)?;
        }
        let (right, seconds) = (self.sent(), begin.elapsed().as_secs_f64());
        let end = self.poll.clock().now() + AFTERWARDS;
        while self.poll.clock().now() < end {
            self.turn(Some(end))?;
        }
        Ok(Phase {
            seconds,
            messages: self.sent().messages - before.messages,
            exchanges: right.exchanges - before.exchanges,
            bare_exchange: 0.0,
            load: None,
        })
    }

    fn up(&self) -> impl Iterator<Item = &One> {
        self.members.iter().flatten().filter(|one| one.started)
    }

    /// How many of those that are up name the greatest of them.
    fn right(&self) -> usize {
        let greatest = self.up().last().map(|one| one.pid);
        self.up()
            .filter(|one| one.node.leader() == greatest)
            .count()
    }

    fn sent(&self) -> Sent {
        self.up().fold(self.sent_before, |sum, one| {
            let sent = one.sent();
            Sent {
                messages: sum.messages + sent.messages,
                exchanges: sum.exchanges + sent.exchanges,
            }
        })
    }

    /// Gives a turn to everyone who has something to do, and waits for more.
    fn turn(&mut self, end: Option<CoreInstant>) -> Result<(), Trouble> {
        let clock = self.poll.clock();
        let Self {
            poll,
            directory,
            tcp,
            members,
            agenda,
            ..
        } = self;
        agenda.take_turns(clock, |owner| match members.get_mut(owner) {
            Some(one) => one.as_mut()?.turn(),
            None => {
                while directory.poll(tcp.now(), tcp).is_some() {}
                tcp.until(directory.poll_at())
            }
        });
        let until = agenda.first().into_iter().chain(end).min();
        poll.wait(until, |ready: Ready| {
            let started = match members.get_mut(ready.owner) {
                Some(Some(one)) => {
                    one.tcp.ready(ready);
                    // Before its time it must not be woken by somebody who knows of it.
                    one.started
                }
                Some(None) => false,
                None => {
                    tcp.ready(ready);
                    true
                }
            };
            if started {
                agenda.hasten(ready.owner, clock.now());
            }
        })?;
        Ok(())
    }
}
