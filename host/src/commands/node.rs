//! `bully node`: one member of a group.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bully::{Config, Feign, FeignMode, Member, Pid};
use clap::ValueEnum;

use super::birthday::{self, Birthday};
use super::log::{Format, Log};
use super::member::{Joining, LocalMember};
use super::room::Room;
use super::told::{Place, Told, printable};
use super::{Failure, Stop, drawn_seed, duration, is_here, look_up, seed};
use crate::names::{HOST_BYTES_MAX, Names};
use crate::net::{Poll, Tcp, TcpConfig};
use crate::pickle::message::Keyed;
use crate::pickle::writer::{Forms, OkForm, ProbeForm};

/// Join a group and take part in its elections
///
/// Joins the group whose coordinator (GCD) is at GCD_HOST:GCD_PORT as the process
/// (days to the birthday, SU_ID), and stays in it until Ctrl-C. If the coordinator is away it keeps
/// trying.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Machine of the group coordinator: a name or an address, `localhost` for this one
    gcd_host: String,

    /// Port of the group coordinator, 1 to 65535
    #[arg(value_parser = port)]
    gcd_port: u16,

    /// Your student id, seven digits
    #[arg(value_parser = su_id)]
    su_id: u32,

    /// Your birthday, YYYY-MM-DD or MM-DD; a birthday today is 365 days away
    #[arg(value_parser = Birthday::parse, conflicts_with = "days")]
    birthday: Option<Birthday>,

    /// Days to the birthday, 1 to 365, instead of BIRTHDAY
    #[arg(long, value_name = "N", value_parser = days, allow_negative_numbers = true)]
    days: Option<u32>,

    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT", value_parser = bind, default_value = "127.0.0.1:0")]
    bind: SocketAddr,

    /// Host to tell the others instead of the address listened on [default: that of --bind]
    #[arg(long, value_name = "HOST", value_parser = advertise)]
    advertise: Option<String>,

    /// Play dead now and then: refuse connections, or accept and ignore them [default: never]
    ///
    /// A failure comes 0 to 10 s after the start or the last recovery and lasts 1 to 4 s.
    #[arg(long, value_name = "HOW")]
    feign: Option<Mode>,

    /// Do not probe the leader; a failed one goes unnoticed until somebody else elects
    #[arg(long)]
    no_probe: bool,

    /// Follow the assignment to the letter, without the rules that prevent message storms
    #[arg(long)]
    strict: bool,

    /// Keys of the member lists that are sent: as the coordinator's, the address, or the process id
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    keyed_by: KeyedBy,

    /// Form of the OK that is sent: 'OK', ('OK', None) or ('OK', members)
    #[arg(long, value_name = "FORM", default_value = "text")]
    ok: OkWord,

    /// What goes with a PROBE: ('PROBE', None) or ('PROBE', members)
    #[arg(long, value_name = "FORM", default_value = "none")]
    probe: Probe,

    #[command(flatten)]
    room: Room,

    /// Seed of everything random, so that a run can be repeated [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Form of the log
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: Format,
}

const EXAMPLES: &str = "\
Examples:
  bully node localhost 23600 1234567 04-01        the coordinator is on this machine
  bully node localhost 23600 1234567 --days 112   the same, 112 days before the birthday
  bully node localhost 23600 1234567 04-01 --feign close --log json

Exit status: 0 after Ctrl-C or --for, 1 if the group was never joined, 2 for wrong usage.";

/// How to play dead
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Mode {
    /// Refuse connections
    Close,
    /// Accept connections and answer nothing
    Ignore,
}

impl Mode {
    /// The assignment's figures for this mode.
    pub(crate) fn feign(self) -> Feign {
        Feign::new(match self {
            Self::Close => FeignMode::Close,
            Self::Ignore => FeignMode::Ignore,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyedBy {
    /// As the coordinator's answer to JOIN was
    Auto,
    /// {(host, port): (days, id)}, as the assignment says
    Address,
    /// {(days, id): (host, port)}, as most programs do
    Pid,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OkWord {
    /// 'OK', as the assignment says
    Text,
    /// ('OK', None)
    Pair,
    /// ('OK', members)
    Members,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Probe {
    /// ('PROBE', None), as the assignment says
    None,
    /// ('PROBE', members)
    Members,
}

/// Takes part until it is stopped.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let pid = Pid {
        days: args.days()?,
        id: args.su_id,
    };
    args.check_reachable()?;
    let mut poll = Poll::new().map_err(|error| Failure::system(&error))?;
    let stop = Stop::new(&poll, args.limit)?;
    let clock = poll.clock();
    let mut log = Log::new(args.log);

    let mut tcp = Tcp::bind(&poll, 0, args.tcp())
        .map_err(|error| Failure::bind(args.bind, &error, "--bind 127.0.0.1:0 takes a free one"))?;
    let directory = args.find_directory(tcp.names_mut())?;
    for warning in args.warnings(tcp.names(), directory) {
        log.remark(&format!("warning: {warning}"));
    }
    let seed = args.seed.unwrap_or_else(drawn_seed);
    if args.seed.is_none() || log.traces() {
        log.remark(&format!("seed {seed} (repeat with --seed {seed})"));
    }
    log.heading();
    let me = Member {
        pid,
        addr: tcp.addr(),
    };
    let config = Config {
        directory: Some(directory),
        seed,
        feign: args.feign.map(Mode::feign),
        probing: !args.no_probe,
        strict: args.strict,
        ..Config::new(me)
    };
    let mut member = LocalMember::new(config, args.room, tcp, true)?;
    member.introduce(clock.now(), &mut log);
    loop {
        member.turn(clock, &mut log);
        if let Joining::Refused(why) = member.joining() {
            let failure = args.refused(why);
            log.tell(clock.now(), Some(pid), &Told::Stopped);
            return Err(failure);
        }
        if log.closed() {
            return Ok(());
        }
        let now = clock.now();
        if stop.signalled() || stop.expired(now) {
            log.tell(now, Some(pid), &Told::Stopped);
            break;
        }
        poll.wait(stop.or(member.until()), |ready| member.ready(ready))
            .map_err(|error| Failure::system(&error))?;
    }
    match member.joining() {
        Joining::Trying(failure) if !stop.signalled() => {
            let (why, tip) = failure.clone().unwrap_or_else(|| {
                let why = "the coordinator has not answered yet";
                (why.to_owned(), "give it longer with --for".to_owned())
            });
            Err(Failure::new(format!("never joined the group: {why}"), tip))
        }
        _ => Ok(()),
    }
}

impl Args {
    fn days(&self) -> Result<u32, Failure> {
        let from_birthday = |birthday: Birthday| birthday.days_after(birthday::today());
        self.days
            .or(self.birthday.map(from_birthday))
            .ok_or_else(|| {
                let Self {
                    gcd_host: host,
                    gcd_port: port,
                    su_id,
                    ..
                } = self;
                Failure::usage(
                    "your birthday is missing: with SU_ID it makes your process id",
                    format!("bully node {host} {port} {su_id} 04-01, or --days 112 instead of it"),
                )
            })
    }

    /// Turns down what nobody could connect to.
    fn check_reachable(&self) -> Result<(), Failure> {
        let told = match &self.advertise {
            Some(host) => host.parse().ok(),
            None => Some(self.bind.ip()),
        };
        let tip = match self.advertise {
            Some(_) => "give the name or address by which the others reach this machine",
            None => "say by which name or address they can: --advertise HOST",
        };
        match told {
            Some(ip) if ip.is_unspecified() => Err(Failure::usage(
                format!(
                    "{ip} stands for every address of a machine; the others cannot connect to it"
                ),
                tip,
            )),
            _ => Ok(()),
        }
    }

    fn tcp(&self) -> TcpConfig {
        let keyed = match self.keyed_by {
            KeyedBy::Auto => None,
            KeyedBy::Address => Some(Keyed::Address),
            KeyedBy::Pid => Some(Keyed::Pid),
        };
        let defaults = Forms::default();
        let forms = Forms {
            ok: match self.ok {
                OkWord::Text => OkForm::Text,
                OkWord::Pair => OkForm::Pair,
                OkWord::Members => OkForm::Members,
            },
            probe: match self.probe {
                Probe::None => ProbeForm::None,
                Probe::Members => ProbeForm::Members,
            },
            keyed: keyed.unwrap_or(defaults.keyed),
        };
        TcpConfig {
            bind: self.bind,
            advertise: self.advertise.clone(),
            exchanges: self.room.connections,
            forms,
            keyed,
            local_only: false,
        }
    }

    /// Looks the coordinator up: the only time that a name is.
    fn find_directory(&self, names: &mut Names) -> Result<bully::Addr, Failure> {
        let (host, port) = (self.gcd_host.as_str(), self.gcd_port);
        let unknown = |why: &dyn core::fmt::Display| {
            Failure::new(
                format!("there is no machine called {host:?}: {why}"),
                "check the first argument; a coordinator on this machine is at: localhost",
            )
        };
        let too_long = || unknown(&"the name is too long");
        let addr = names.addr(host, port).ok_or_else(too_long)?;
        if names.endpoint(addr).is_none() {
            let ip = look_up(host).map_err(|error| unknown(&error))?;
            if !names.know(host, ip) {
                return Err(too_long());
            }
        }
        Ok(addr)
    }

    /// What will most likely not work, though it may.
    fn warnings(&self, names: &Names, directory: bully::Addr) -> Vec<String> {
        let mut warnings = Vec::new();
        let bound_here = self.bind.ip().is_loopback();
        let advertised = self.advertise.as_ref().map(|host| {
            let found = match host.parse::<IpAddr>() {
                Ok(ip) => Ok(ip),
                Err(_) => look_up(host),
            };
            (host, found)
        });
        match advertised {
            Some((host, Err(why))) => warnings.push(format!(
                "nobody here knows a machine called {host} ({why}); the others may not either"
            )),
            Some((host, Ok(ip))) if bound_here && !ip.is_loopback() => {
                let port = self.bind.port();
                warnings.push(format!(
                    "{} is reached from this machine only; for --advertise {host} add --bind {}:{port}",
                    self.bind.ip(),
                    Ipv4Addr::UNSPECIFIED,
                ));
            }
            None if bound_here => {
                if let Some(at) = names.endpoint(directory)
                    && !is_here(at.ip())
                {
                    warnings.push(format!(
                        "the coordinator is elsewhere and {} is reached from here only; add --bind {}:0 --advertise HOST",
                        self.bind.ip(),
                        Ipv4Addr::UNSPECIFIED,
                    ));
                }
            }
            _ => {}
        }
        warnings
    }

    fn refused(&self, why: &str) -> Failure {
        let at = Place(self.gcd_host.clone(), self.gcd_port);
        let tip = if why.contains("Only local") {
            "run the node on the coordinator's machine, and without --advertise"
        } else {
            "those are the coordinator's own words; mend what it complains of and start again"
        };
        Failure::new(
            format!(
                "the coordinator at {at} does not let us in: {}",
                printable(why)
            ),
            tip,
        )
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

fn su_id(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|id| (1_000_000..10_000_000).contains(id))
        .ok_or_else(|| "an SU ID has seven digits, 1000000 to 9999999".to_owned())
}

fn days(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|days| (1..=birthday::DAYS_MAX).contains(days))
        .ok_or_else(|| "days to a birthday are 1 to 365; for a birthday today give 365".to_owned())
}

fn bind(text: &str) -> Result<SocketAddr, String> {
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    local
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "an address and a port are wanted, 127.0.0.1:0 for instance".to_owned())
}

fn advertise(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > HOST_BYTES_MAX || text.contains(char::is_whitespace) {
        return Err("a machine's name or address is wanted".to_owned());
    }
    if text.contains(':') && text.parse::<IpAddr>().is_err() {
        return Err("only the host is wanted; the port is that of --bind".to_owned());
    }
    Ok(text.to_owned())
}
