//! `bully gcd`: the group coordinator.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bully::{Addr, Directory, DirectoryEvent, Instant};
use clap::ValueEnum;

use super::listen::ip;
use super::{EXCHANGES_MAX, Failure, GCD_PORT, Stop, duration, files, open};
use crate::log::{self, Event, HostPort, Log, LogArgs, OnError, Ports, Trace};
use crate::names;
use crate::net::{Clock, Poll, Ready, Tcp, TcpConfig};
use crate::pickle::message::Keyed;
use crate::pickle::writer::Forms;

/// Run the group coordinator that nodes join
///
/// Answers JOIN with everybody who ever joined, like the published gcd2.py. Members of this machine
/// may join, and with --bind those of others. It forgets no member until it is full; then a newcomer
/// replaces a member that refuses connections. Restart it for a new group.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Port to listen on; 0 takes any that is free
    #[arg(default_value_t = GCD_PORT)]
    port: u16,

    /// Address of this machine to listen at, 0.0.0.0 for all of them; unless it is a loopback
    /// address, members on other machines may join
    #[arg(long, value_name = "ADDR", value_parser = ip, default_value_t = Ipv4Addr::LOCALHOST.into())]
    bind: IpAddr,

    /// How many members are listed at most, 1 to 4096
    #[arg(long, value_name = "N", default_value_t = CAPACITY_MAX, value_parser = clap::value_parser!(u16).range(1..=CAPACITY_MAX.into()))]
    capacity: u16,

    /// Keys of the member list in the answer to JOIN: the address, or the process id
    #[arg(long, value_name = "WHAT", default_value = "address")]
    keyed_by: KeyedBy,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  bully gcd                       listens on port 23600
  bully gcd 0 --log json          any free port; the first line on stdout has it
  bully gcd --keyed-by pid        for programs written for the course's gcd2.py
  bully gcd --bind 0.0.0.0        for members on other machines too

Exit status: 0 after Ctrl-C or --for, 1 if it could not listen, 2 for wrong usage.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyedBy {
    /// {(host, port): (days, id)}, as the assignment says
    Address,
    /// {(days, id): (host, port)}, as gcd2.py does
    Pid,
}

/// Coordinates until it is stopped.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let scarce = files::for_exchanges(EXCHANGES_MAX);
    let (mut poll, stop, mut log) = open(args.limit, args.log, OnError::End, scarce)?;
    let clock = poll.clock();
    let outcome = coordinate(args, &mut poll, &stop, &mut log);
    super::close(log, clock.now(), &stop, outcome)
}

fn coordinate(args: &Args, poll: &mut Poll, stop: &Stop, log: &mut Log) -> Result<(), Failure> {
    let clock = poll.clock();
    let mut gcd = LocalGcd::open(poll, 0, args.settings(), None)?;
    log.emit(clock.now(), None, &gcd.listening());
    if log.is_text() {
        args.advise(names::port(gcd.addr()), log);
    }
    loop {
        gcd.turn(clock, log, Joins::Recorded);
        let now = clock.now();
        log.turn(now);
        if log.ended() {
            return Ok(());
        }
        if stop.signalled() || stop.expired(now) {
            gcd.finish_sending(log);
            gcd.finish(log);
            log.emit(clock.now(), None, &Event::Stopped);
            return Ok(());
        }
        let status = log.show_status(now, || gcd.status(now));
        let due = gcd.until().into_iter().chain(status).min();
        poll.wait(stop.or(due), |ready| gcd.ready(ready))
            .map_err(|error| Failure::system(&error))?;
    }
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            at: SocketAddr::new(self.bind, self.port),
            keyed: match self.keyed_by {
                KeyedBy::Address => Keyed::Address,
                KeyedBy::Pid => Keyed::Pid,
            },
            capacity: self.capacity.into(),
        }
    }

    /// Says how to join, and what programs of the course need.
    fn advise(&self, port: u16, log: &mut Log) {
        let join = match self.bind {
            ip if ip == Ipv4Addr::LOCALHOST => {
                format!("bully node localhost {port} SU_ID BIRTHDAY")
            }
            ip if ip.is_loopback() => format!("bully node {ip} {port} SU_ID BIRTHDAY"),
            ip => {
                let host = match ip.is_unspecified() {
                    true => "HOST".to_owned(),
                    false => ip.to_string(),
                };
                format!("bully node {host} {port} SU_ID BIRTHDAY --bind ADDRESS:0")
            }
        };
        log.remark(&format!("to join, in another shell: {join}"));
        if let KeyedBy::Address = self.keyed_by {
            log.remark(
                "lists are keyed by address, as the assignment says; programs written for the \
                 course's own coordinator need --keyed-by pid",
            );
        }
    }
}

/// How a coordinator works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) at: SocketAddr,
    /// How the lists in its answers are keyed.
    pub(crate) keyed: Keyed,
    /// How many members it lists, 1 to [`CAPACITY_MAX`].
    pub(crate) capacity: usize,
}

impl Default for Settings {
    /// A free port of 127.0.0.1, lists as the assignment has them, and all the capacity there is.
    fn default() -> Self {
        Self {
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keyed: Keyed::Address,
            capacity: CAPACITY_MAX.into(),
        }
    }
}

/// How many members a coordinator can list: as many as a message may have.
const CAPACITY_MAX: u16 = 4_096;

/// The coordinator in this process: the machine and its sockets.
#[derive(Debug)]
pub(crate) struct LocalGcd {
    directory: Box<Directory<{ CAPACITY_MAX as usize }, EXCHANGES_MAX>>,
    capacity: usize,
    tcp: Tcp,
    trace: Trace,
}

/// What the log records of newcomers: in a practice group they do so themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    Recorded,
    Omitted,
}

impl LocalGcd {
    /// Listens, as owner number `owner` of `poll`.
    ///
    /// `ports` are the connections of this process if all members are in it.
    pub(crate) fn open(
        poll: &Poll,
        owner: usize,
        settings: Settings,
        ports: Option<Ports>,
    ) -> Result<Self, Failure> {
        let Settings {
            at,
            keyed,
            capacity,
        } = settings;
        let config = TcpConfig {
            bind: at,
            advertise: None,
            exchanges: EXCHANGES_MAX,
            forms: Forms {
                keyed,
                ..Forms::default()
            },
            keyed: Some(keyed),
            local_only: at.ip().is_loopback(),
        };
        let other = at.port().checked_add(1).unwrap_or(GCD_PORT);
        let elsewhere = format!(
            "bully gcd {} (0 takes any that is free)",
            other.max(GCD_PORT + 1)
        );
        let tcp = Tcp::bind(poll, owner, config)
            .map_err(|error| Failure::bind(at, &error, &elsewhere))?;
        Ok(Self {
            directory: Box::new(match keyed {
                Keyed::Address => Directory::limited(capacity),
                Keyed::Pid => Directory::limited(capacity).with_one_address(),
            }),
            capacity,
            tcp,
            trace: Trace::new(None, None, ports, poll.clock()),
        })
    }

    /// Does all there is to do at present.
    pub(crate) fn turn(&mut self, clock: Clock, log: &mut Log, joins: Joins) {
        loop {
            let now = self.tcp.now();
            let event = if log.has_messages() {
                let event = self
                    .directory
                    .poll(now, &mut self.trace.watch(&mut self.tcp));
                log.messages(&mut self.trace);
                event
            } else {
                self.directory.poll(now, &mut self.tcp)
            };
            let Some(event) = event else { break };
            if joins == Joins::Recorded {
                self.report(event, clock.now(), log);
            }
        }
        while let Some(note) = self.tcp.note() {
            let event = Event::noted(note, self.tcp.names());
            log.emit(clock.now(), None, &event);
        }
        self.tcp.sweep(self.directory.roster());
    }

    /// Before the end: sends what can be sent at once.
    pub(crate) fn finish_sending(&mut self, log: &mut Log) {
        if log.has_messages() {
            self.trace.finish_sending(&mut self.tcp);
            log.messages(&mut self.trace);
        }
    }

    /// Has the log say what becomes of everything that is under way.
    pub(crate) fn finish(&mut self, log: &mut Log) {
        if log.has_messages() {
            self.trace.finish(&mut self.tcp);
            log.messages(&mut self.trace);
        }
    }

    /// Takes note of readiness.
    pub(crate) fn ready(&mut self, ready: Ready) {
        self.tcp.ready(ready);
    }

    /// How things stand, in a line.
    fn status(&self, now: Instant) -> String {
        let (since, roster) = (now.as_micros() / 1_000_000, self.directory.roster());
        let greatest = roster.greatest().map_or_else(String::new, |pid| {
            format!(", the greatest is {}", log::pid_text(pid))
        });
        format!(
            "{since} s: {} of {} listed{greatest}",
            roster.len(),
            self.capacity
        )
    }

    /// When the next turn is due.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.tcp.until(self.directory.poll_at())
    }

    pub(crate) fn addr(&self) -> Addr {
        self.tcp.addr()
    }

    fn report(&self, event: DirectoryEvent, now: Instant, log: &mut Log) {
        match event {
            // It asked who is there, as members do from time to time.
            DirectoryEvent::Joined { member, before, .. } if before == Some(member) => {}
            DirectoryEvent::Joined {
                member,
                members,
                before,
            } => {
                let address = self.place(member.addr);
                let joined = Event::Registered {
                    member: member.pid,
                    address: address.clone(),
                    members,
                };
                log.emit(now, None, &joined);
                if let Some(before) = before.filter(|before| before.pid == member.pid) {
                    let moved = Event::Moved {
                        member: member.pid,
                        address,
                        before: self.place(before.addr),
                    };
                    log.emit(now, None, &moved);
                }
            }
            DirectoryEvent::Removed { member } => {
                let address = self.place(member.addr);
                let member = member.pid;
                log.emit(now, None, &Event::Removed { member, address });
            }
            // The network has said who was refused, and why.
            _ => {}
        }
    }

    /// What the log records once it listens.
    fn listening(&self) -> Event {
        Event::Listening {
            address: self.place(self.addr()),
            capacity: self.capacity,
            connections: EXCHANGES_MAX,
        }
    }

    fn place(&self, addr: Addr) -> HostPort {
        HostPort(self.tcp.names().host(addr).into(), names::port(addr))
    }
}
