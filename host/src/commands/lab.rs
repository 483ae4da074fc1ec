//! `bully lab`: many members in one process, a group of their own or part of one elsewhere.

mod identity;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use bully::{Config, Instant, Member, Messages, Pid};

use identity::{ID_FIRST, ID_MAX, identity};

use super::capacity::{self, Capacities};
use super::control::{ControlArgs, Controlled};
use super::gcd::{Joins, LocalGcd, Settings};
use super::listen::{Listen, advertise, ip};
use super::member::{HANDOVER_MAX, Joining, LocalMember};
use super::node::{Mode, su_id};
use super::record::{self, Recording};
use super::wire::{find_directory, host_and_port};
use super::{
    EXCHANGES_MAX, Failure, MEMBERS_MAX, Stop, drawn_seed, duration, files, open, seed, top,
};
use crate::control::Snapshot;
use crate::load::load;
use crate::log::{Event, Log, LogArgs, OnError, Ports, Summary, pid_text};
use crate::names::{self, Names};
use crate::net::{Agenda, Clock, Poll, Tcp, TcpConfig};
use crate::pickle::writer::Forms;

/// Run a whole group in one process and watch it elect
///
/// Starts a coordinator and N members on free ports of this machine; they talk over real
/// connections. With --gcd they join an existing group instead, so that several machines can form one
/// large group. Ends with a summary on stdout: who leads, and what was sent. If an election is
/// under way when the time of --for is over, the group gets up to 5 s more to finish it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many members, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    members: u16,

    /// How many members fit the table of each, itself included: 4, 8, 16, 64, 256, 1024 or 4096
    #[arg(long, value_name = "N", value_parser = capacity::capacity, default_value_t = MEMBERS_MAX)]
    capacity: usize,

    /// Join the group of the coordinator there, instead of starting one
    #[arg(long, num_args = 2, value_names = ["HOST", "PORT"])]
    gcd: Vec<String>,

    /// With --gcd: address of this machine at which the members listen, each at a free port
    #[arg(long, value_name = "ADDR", value_parser = ip, default_value_t = Ipv4Addr::LOCALHOST.into(), requires = "gcd")]
    bind: IpAddr,

    /// With --gcd: host name or address to send to other members [default: that of --bind]
    #[arg(long, value_name = "HOST", value_parser = advertise, requires = "gcd")]
    advertise: Option<String>,

    /// SU ID of the first member; the others have those that follow. Members of one group must differ
    #[arg(long, value_name = "FROM", value_parser = su_id, default_value_t = ID_FIRST)]
    ids: u32,

    /// End at once: with --gcd, a leader among them does not announce the next one, which otherwise
    /// takes up to 400 ms
    #[arg(long)]
    no_handover: bool,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Members feign failure now and then: refuse connections, or ignore them [default: never]
    ///
    /// Each fails 0 to 10 s after its start or last recovery, for 1 to 4 s.
    #[arg(long, value_name = "HOW")]
    feign: Option<Mode>,

    /// Follow the assignment to the letter, without the rules that prevent message storms
    #[arg(long)]
    strict: bool,

    /// Seed of everything random: of probes and failures, not of the network [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,

    /// Record what each member receives, for bully replay, in files of this directory: DAYS-ID.byr
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Maximum size of each recording, 64KB or more; its older half is moved to FILE.old
    #[arg(long, value_name = "SIZE", value_parser = record::bytes, default_value = record::LEN_MAX, requires = "record")]
    record_max: u64,

    #[command(flatten)]
    control: ControlArgs,

    /// Watch it on the whole terminal, as bully top does, instead of its log
    #[arg(long, conflicts_with_all = ["control", "format"])]
    top: bool,

    /// End at the end of standard input, too: --top starts this command again so
    #[arg(long, hide = true)]
    end_with_input: bool,

    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  bully lab --for 5s                         five members elect
  bully lab --feign close                    leaders come and go, until Ctrl-C
  bully lab --members 30 --for 15s --log json
  bully lab --members 200 --gcd 10.0.0.1 23600 --bind 10.0.0.2 --ids 2000000
                                             200 more in the group of another machine

Exit status: 0 if every member that is up names the greatest member that is up (with --gcd: if all
name the same leader, which is no less than any of them), 1 if not, 2 for wrong usage.";

/// How much longer than `--for` an election may take that is under way at its end: above the
/// 1 s + 3 s that an election takes which falls on a member going silent.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// How many connections each member has at once. A quarter of what a node has by itself: here
/// both ends of each take a descriptor of one process, and a thousand members would have used up
/// any limit. Elections need fewer messages for it, since the greatest are asked first.
const EXCHANGES: usize = 16;

/// The time between one member's start and the next one's: nobody starts a group in no time, and
/// the log shows them come one by one.
const APART: Duration = Duration::from_millis(1);

/// How often the status is shown.
const STATUS_EACH: Duration = Duration::from_millis(100);

/// Runs a group until it is stopped.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.check()?;
    if args.top {
        return top::lab();
    }
    let group = files::Group {
        members: args.members.into(),
        coordinator: EXCHANGES_MAX,
        recordings: args.record.iter().len() * usize::from(args.members),
    };
    let scarce = group.raise_limit()?;
    let (mut poll, stop, mut log) = open(args.limit, args.log, OnError::End, scarce)?;
    poll.allow_connections(group.connections_max());
    poll.share_processor();
    if args.end_with_input {
        stop.watch_input(&poll)?;
    }
    let clock = poll.clock();
    let control = args.control.open(&poll, &mut log)?;
    let outcome = practise(args, &mut poll, &stop, &control, &mut log);
    super::close(log, clock.now(), &stop, outcome)
}

fn practise(
    args: &Args,
    poll: &mut Poll,
    stop: &Stop,
    control: &Controlled,
    log: &mut Log,
) -> Result<(), Failure> {
    let clock = poll.clock();
    let seed = args.seed.unwrap_or_else(drawn_seed);
    if args.seed.is_none() || log.is_text() {
        log.remark(&format!("seed {seed} (repeat with --seed {seed})"));
    }
    log.heading();
    let mut lab = Lab::open(args, poll, seed, log)?;
    for member in &mut lab.members {
        member.introduce(clock.now(), log);
    }
    let settled_until = stop.until().map(|until| until + SETTLE_TIME);
    let mut status_at = Instant::ZERO;
    let summary = loop {
        lab.turn(clock, log);
        let now = clock.now();
        log.turn(now);
        if log.ended() {
            return Ok(());
        }
        control.turn(|listed| lab.snapshot(now, log, listed));
        let over = settled_until.is_some_and(|until| until <= now);
        if lab.refused
            || stop.signalled()
            || control.resigns()
            || over
            || (stop.expired(now) && lab.agreed())
        {
            break lab.summary(now);
        }
        let end = if stop.expired(now) {
            settled_until
        } else {
            stop.until()
        };
        if log.watched() && status_at <= now {
            log.status(&lab.status(now));
            status_at = now + STATUS_EACH;
        }
        let status = log.watched().then_some(status_at);
        let until = lab.until().into_iter().chain(end).chain(status).min();
        poll.wait(until, |ready| {
            lab.agenda.hasten(ready.owner, clock.now());
            match lab.members.get_mut(ready.owner) {
                Some(member) => member.ready(ready),
                None => {
                    if let Some(gcd) = &mut lab.gcd {
                        gcd.ready(ready);
                    }
                }
            }
        })
        .map_err(|error| Failure::system(&error))?;
    };
    if lab.gcd.is_none() && !args.no_handover {
        lab.hand_over(poll, log)?;
    }
    lab.finish(log);
    let (agreed, now) = (summary.agreed, clock.now());
    if !log.is_text() {
        // People have the summary, and thirty more lines would push the end off the screen.
        for member in &mut lab.members {
            member.emit(now, Event::Stopped, log);
        }
    }
    log.emit(now, None, &Event::Summary(summary));
    if agreed {
        return Ok(());
    }
    Err(lab.not_joined().unwrap_or_else(|| {
        Failure::new(
            "the members that are up do not all name the greatest of them",
            "an election may have been under way; give the group longer with --for",
        )
    }))
}

impl Args {
    /// Refuses what makes no sense.
    fn check(&self) -> Result<(), Failure> {
        if !self.gcd.is_empty() {
            host_and_port(&self.gcd)?;
        }
        let last = self.ids + u32::from(self.members) - 1;
        if last > ID_MAX {
            let first = ID_MAX + 1 - u32::from(self.members);
            return Err(Failure::usage(
                format!(
                    "the last of {} members would have the SU ID {last}",
                    self.members
                ),
                format!("an SU ID has seven digits; the greatest that fits is --ids {first}"),
            ));
        }
        self.listen().check()
    }

    fn listen(&self) -> Listen<'_> {
        Listen {
            at: SocketAddr::new(self.bind, 0),
            advertise: self.advertise.as_deref(),
        }
    }
}

/// The group. Member `n` is owner `n` of the poll, and the coordinator comes after them.
struct Lab {
    /// `None`: it is elsewhere, and so may other members be.
    gcd: Option<LocalGcd>,
    members: Vec<LocalMember>,
    /// When whose next turn is due.
    agenda: Agenda,
    /// The coordinator has refused somebody, which it would do again.
    refused: bool,
}

/// Where the members find their coordinator.
#[derive(Clone, Copy, Debug)]
struct Directory<'a> {
    host: &'a str,
    port: u16,
    /// Where that host is. It is looked up once for all members.
    ip: IpAddr,
}

impl<'a> Directory<'a> {
    /// Looks up the coordinator of `--gcd`.
    fn elsewhere(args: &'a Args, log: &mut Log) -> Result<Self, Failure> {
        let (host, port) = host_and_port(&args.gcd)?;
        let mut names = Names::new();
        let addr = find_directory(&mut names, host, port)?;
        for warning in args.listen().warnings(&names, addr) {
            log.remark(&format!("warning: {warning}"));
        }
        let ip = names.endpoint(addr).map(|at| at.ip());
        // It has been looked up.
        let ip = ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
        Ok(Self { host, port, ip })
    }
}

impl Lab {
    fn open(args: &Args, poll: &Poll, seed: u64, log: &mut Log) -> Result<Self, Failure> {
        let count = usize::from(args.members);
        // Members of a group elsewhere have peers that are not in this log.
        let ports = args.gcd.is_empty().then(Ports::default);
        let (gcd, directory) = if args.gcd.is_empty() {
            let gcd = LocalGcd::open(poll, count, Settings::default(), ports.clone())?;
            let directory = Directory {
                host: "127.0.0.1",
                port: names::port(gcd.addr()),
                ip: Ipv4Addr::LOCALHOST.into(),
            };
            (Some(gcd), directory)
        } else {
            (None, Directory::elsewhere(args, log)?)
        };
        if let Some(directory) = &args.record {
            record::directory(directory)?;
        }
        let origin = log.unix_origin();
        let members = (0..args.members)
            .map(|number| {
                Self::member(args, poll, number, (seed, origin), directory, ports.clone())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let start = poll.clock().now();
        let mut agenda = Agenda::new(count + 1);
        for number in 0..args.members {
            agenda.set(number.into(), Some(start + u32::from(number) * APART));
        }
        agenda.set(count, Some(start));
        Ok(Self {
            gcd,
            members,
            agenda,
            refused: false,
        })
    }

    fn member(
        args: &Args,
        poll: &Poll,
        number: u16,
        (seed, origin): (u64, u64),
        directory: Directory<'_>,
        ports: Option<Ports>,
    ) -> Result<LocalMember, Failure> {
        let bind = args.listen().at;
        let tcp = TcpConfig {
            bind,
            advertise: args.advertise.clone(),
            exchanges: EXCHANGES,
            forms: Forms::default(),
            keyed: None,
            local_only: false,
        };
        let mut tcp = Tcp::bind(poll, number.into(), tcp)
            .map_err(|error| Failure::bind(bind, &error, "start fewer members"))?;
        let me = Member {
            pid: identity(args.ids + u32::from(number)),
            addr: tcp.addr(),
        };
        tcp.names_mut().know(directory.host, directory.ip);
        let config = Config {
            directory: tcp.names_mut().addr(directory.host, directory.port),
            seed: seed.wrapping_add(number.into()),
            feign: args.feign.map(Mode::feign),
            strict: args.strict,
            ..Config::new(me)
        };
        let capacities = Capacities {
            capacity: args.capacity,
            connections: EXCHANGES,
        };
        let recording = args.record.as_deref();
        let recording = recording
            .map(|directory| Recording::create_in(directory, me.pid, args.record_max))
            .transpose()?
            .map(|recording| (recording, origin));
        LocalMember::new(config, capacities, tcp, poll.clock(), ports, recording)
    }

    /// Gives a turn to those who have something to do.
    fn turn(&mut self, clock: Clock, log: &mut Log) {
        let Self { members, gcd, .. } = self;
        let refused = &mut self.refused;
        self.agenda
            .take_turns(clock, |number| match members.get_mut(number) {
                Some(member) => {
                    member.turn(clock, log);
                    *refused |= matches!(member.joining(), Joining::Refused(_));
                    member.until()
                }
                None => gcd.as_mut().and_then(|gcd| {
                    gcd.turn(clock, log, Joins::Omitted);
                    gcd.until()
                }),
            });
    }

    /// Has the log say what becomes of everything that is under way.
    fn finish(&mut self, log: &mut Log) {
        // What is sent now is not received any more: first all that, and then what that means.
        if let Some(gcd) = &mut self.gcd {
            gcd.finish_sending(log);
        }
        for member in &mut self.members {
            member.finish_sending(log);
        }
        if let Some(gcd) = &mut self.gcd {
            gcd.finish(log);
        }
        for member in &mut self.members {
            member.finish(log);
        }
    }

    /// Leaves a group elsewhere: has the member that leads, if one does, announce the next leader.
    fn hand_over(&mut self, poll: &mut Poll, log: &mut Log) -> Result<(), Failure> {
        let Some(number) = self.members.iter().position(LocalMember::leads) else {
            return Ok(());
        };
        let clock = poll.clock();
        let until = clock.now() + HANDOVER_MAX;
        // The others first: none of them is to take over.
        for member in self.members.iter_mut().filter(|member| !member.leads()) {
            member.resign();
            member.turn(clock, log);
        }
        let Some(leader) = self.members.get_mut(number) else {
            return Ok(());
        };
        leader.resign();
        loop {
            leader.turn(clock, log);
            if leader.has_left() || until <= clock.now() {
                return Ok(());
            }
            let due = leader.until().map_or(until, |due| due.min(until));
            let wait = poll.wait(Some(due), |ready| {
                if ready.owner == number {
                    leader.ready(ready);
                }
            });
            wait.map_err(|error| Failure::system(&error))?;
        }
    }

    /// When the next turn is due.
    fn until(&self) -> Option<Instant> {
        self.agenda.first()
    }

    fn up(&self) -> impl Iterator<Item = &LocalMember> {
        self.members.iter().filter(|member| member.is_up())
    }

    /// Who ought to lead: the greatest that is up, or somebody greater elsewhere who is named here.
    fn greatest(&self) -> Option<Pid> {
        let greatest = self.up().map(LocalMember::pid).max();
        match self.gcd {
            Some(_) => greatest,
            None => self
                .up()
                .map(LocalMember::leader)
                .max()
                .flatten()
                .max(greatest),
        }
    }

    fn agreed(&self) -> bool {
        let greatest = self.greatest();
        self.up().all(|member| member.leader() == greatest)
    }

    /// Why members have not joined, with what to do about it, if there are such.
    fn not_joined(&self) -> Option<Failure> {
        let joining = self.members.iter().map(LocalMember::joining);
        let whys: Vec<_> = joining.filter_map(Joining::failure).collect();
        let (why, tip) = whys.first()?;
        let (count, all) = (whys.len(), self.members.len());
        let what = format!("{count} of {all} members never joined the group: {why}");
        Some(Failure::new(what, tip))
    }

    /// How things stand, in a line.
    fn status(&self, now: Instant) -> String {
        let greatest = self.greatest();
        let named = self.up().filter(|member| member.leader() == greatest);
        let (named, up, all) = (named.count(), self.up().count(), self.members.len());
        let leader = greatest.map_or_else(|| "nobody".to_owned(), pid_text);
        let sent = self.sent();
        let sent = sent.join + sent.election + sent.ok + sent.coordinator + sent.probe;
        let seconds = now.as_micros() as f64 / 1e6;
        format!("{seconds:.1} s: {up} of {all} up, {named} follow {leader}, {sent} messages")
    }

    fn sent(&self) -> Messages {
        let mut messages = Messages::default();
        for sent in self.members.iter().map(|member| member.counters().sent) {
            messages.join += sent.join;
            messages.election += sent.election;
            messages.ok += sent.ok;
            messages.coordinator += sent.coordinator;
            messages.probe += sent.probe;
        }
        messages
    }

    /// How all members stand, and the first one's table, for whoever asks.
    fn snapshot(&self, now: Instant, log: &mut Log, listed: bool) -> Snapshot {
        let first = self.members.first().filter(|_| listed);
        Snapshot {
            t: now.as_micros() as f64 / 1e6,
            time: log.unix_seconds(now),
            views: self.members.iter().map(|member| member.view(now)).collect(),
            listed: first.map(LocalMember::listed),
        }
    }

    fn summary(&self, now: Instant) -> Summary {
        let agreed = self.agreed();
        Summary {
            agreed,
            leader: self.greatest().filter(|_| agreed),
            members: self.members.len(),
            up: self.up().count(),
            messages: self.sent(),
            elapsed_s: now.as_micros() as f64 / 1e6,
            load: load(),
        }
    }
}
