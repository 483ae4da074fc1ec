//! `bully gcd`: the group coordinator.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use bully::{Addr, Directory, DirectoryEvent, Instant};
use clap::ValueEnum;

use super::log::{Format, Log};
use super::told::{Place, Told};
use super::{EXCHANGES_MAX, Failure, GCD_PORT, MEMBERS_MAX, Stop, duration};
use crate::names;
use crate::net::{Clock, Poll, Ready, Tcp, TcpConfig};
use crate::pickle::message::Keyed;
use crate::pickle::writer::Forms;

/// Run the group coordinator that nodes join
///
/// Answers JOIN with everybody who ever joined, on this machine only, like the published gcd2.py.
/// It knows up to 1024 members and never forgets one; start it anew for a new group.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Port to listen on, on 127.0.0.1; 0 takes any that is free
    #[arg(default_value_t = GCD_PORT)]
    port: u16,

    /// Keys of the member list that is the answer: the address, or the process id
    #[arg(long, value_name = "WHAT", default_value = "address")]
    keyed_by: KeyedBy,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Form of the log
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: Format,
}

const EXAMPLES: &str = "\
Examples:
  bully gcd                       listens on port 23600
  bully gcd 0 --log json          any free port, told in the first line on stdout
  bully gcd --keyed-by pid        for programs that expect the list of gcd2.py

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
    let mut poll = Poll::new().map_err(|error| Failure::system(&error))?;
    let stop = Stop::new(&poll, args.limit)?;
    let clock = poll.clock();
    let mut log = Log::new(args.log);
    let keyed = match args.keyed_by {
        KeyedBy::Address => Keyed::Address,
        KeyedBy::Pid => Keyed::Pid,
    };
    let mut gcd = LocalGcd::open(&poll, 0, args.port, keyed)?;
    let port = names::port(gcd.addr());
    log.tell(clock.now(), None, &gcd.listening());
    if log.traces() {
        log.remark(&format!(
            "to join, in another shell: bully node localhost {port} SU_ID BIRTHDAY"
        ));
    }
    loop {
        gcd.turn(clock, &mut log, Joins::Told);
        if log.closed() {
            return Ok(());
        }
        let now = clock.now();
        if stop.signalled() || stop.expired(now) {
            log.tell(now, None, &Told::Stopped);
            return Ok(());
        }
        poll.wait(stop.or(gcd.until()), |ready| gcd.ready(ready))
            .map_err(|error| Failure::system(&error))?;
    }
}

/// The coordinator in this process: the machine and its sockets.
#[derive(Debug)]
pub(crate) struct LocalGcd {
    directory: Box<Directory<MEMBERS_MAX, EXCHANGES_MAX>>,
    tcp: Tcp,
}

/// Whether newcomers are told of: in a practice group they tell it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    Told,
    Untold,
}

impl LocalGcd {
    /// Listens on this machine, as owner number `owner` of `poll`.
    pub(crate) fn open(
        poll: &Poll,
        owner: usize,
        port: u16,
        keyed: Keyed,
    ) -> Result<Self, Failure> {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let config = TcpConfig {
            bind,
            advertise: None,
            exchanges: EXCHANGES_MAX,
            forms: Forms {
                keyed,
                ..Forms::default()
            },
            keyed: Some(keyed),
            local_only: true,
        };
        let other = port.checked_add(1).unwrap_or(GCD_PORT).max(GCD_PORT + 1);
        let elsewhere = format!("bully gcd {other} (0 takes any that is free)");
        let tcp = Tcp::bind(poll, owner, config)
            .map_err(|error| Failure::bind(bind, &error, &elsewhere))?;
        Ok(Self {
            directory: Box::new(Directory::new()),
            tcp,
        })
    }

    /// Does all there is to do at present.
    pub(crate) fn turn(&mut self, clock: Clock, log: &mut Log, joins: Joins) {
        while let Some(event) = self.directory.poll(clock.now(), &mut self.tcp) {
            if let DirectoryEvent::Joined { member, members } = event
                && joins == Joins::Told
            {
                let told = Told::LetIn {
                    member: member.pid,
                    address: self.place(member.addr),
                    members,
                };
                log.tell(clock.now(), None, &told);
            }
        }
        for note in self.tcp.notes() {
            let peer = Place(note.peer.ip().to_string(), note.peer.port());
            let why = note.why;
            log.tell(clock.now(), None, &Told::Rejected { peer, why });
        }
        self.tcp.sweep(self.directory.roster());
    }

    /// Takes note of readiness.
    pub(crate) fn ready(&mut self, ready: Ready) {
        self.tcp.ready(ready);
    }

    /// When the next turn is due.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.tcp.until(self.directory.poll_at())
    }

    pub(crate) fn addr(&self) -> Addr {
        self.tcp.addr()
    }

    /// What there is to tell when the door is open.
    fn listening(&self) -> Told {
        Told::Listening {
            address: self.place(self.addr()),
            capacity: MEMBERS_MAX,
            connections: EXCHANGES_MAX,
        }
    }

    fn place(&self, addr: Addr) -> Place {
        Place(self.tcp.names().host(addr).into(), names::port(addr))
    }
}
