//! `bully node`: one member of a group.

use core::time::Duration;
use std::path::PathBuf;

use bully::{Config, Feign, FeignMode, Member, Pid};
use clap::ValueEnum;

use super::birthday::{self, Birthday};
use super::capacity::Capacities;
use super::control::{ControlArgs, Controlled};
use super::member::{HANDOVER_MAX, Joining, LocalMember};
use super::record::{self, Recording};
use super::wire::{WireArgs, find_directory, port};
use super::{Failure, Stop, drawn_seed, duration, files, open, seed};
use crate::control::Snapshot;
use crate::log::{Event, HostPort, Log, LogArgs, OnError};
use crate::net::{Poll, Tcp};

/// Join a group and take part in its elections
///
/// Joins the group whose coordinator (GCD) is at GCD_HOST:GCD_PORT as the process
/// (days to the birthday, SU_ID), and stays in it until Ctrl-C. While the coordinator cannot be reached
/// it keeps trying. If it is the leader when it stops, it first announces the next one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Host of the group coordinator: a name or an address, `localhost` for this one
    #[arg(env = "BULLY_GCD_HOST", hide_env_values = true)]
    gcd_host: String,

    /// Port of the group coordinator, 1 to 65535
    #[arg(env = "BULLY_GCD_PORT", hide_env_values = true, value_parser = port)]
    gcd_port: u16,

    /// Your student id, seven digits
    #[arg(env = "BULLY_SU_ID", hide_env_values = true, value_parser = su_id)]
    su_id: u32,

    /// Your birthday, YYYY-MM-DD or MM-DD; a birthday today is 365 days away
    #[arg(env = "BULLY_BIRTHDAY", hide_env_values = true, value_parser = Birthday::parse, conflicts_with = "days")]
    birthday: Option<Birthday>,

    /// Days to the birthday, 1 to 365, instead of BIRTHDAY
    #[arg(long, value_name = "N", value_parser = days, allow_negative_numbers = true)]
    days: Option<u32>,

    #[command(flatten)]
    wire: WireArgs,

    /// Feign failure now and then: refuse connections, or accept and ignore them [default: never]
    ///
    /// A failure comes 0 to 10 s after the start or the last recovery and lasts 1 to 4 s.
    #[arg(long, value_name = "HOW")]
    feign: Option<Mode>,

    /// Do not probe the leader; its failure goes unnoticed until another member starts an election
    #[arg(long)]
    no_probe: bool,

    /// Stop at once; otherwise a leader announces the next one first, which takes up to 400 ms
    #[arg(long)]
    no_handover: bool,

    /// Follow the assignment to the letter, without the rules that prevent message storms
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    capacities: Capacities,

    /// Seed of everything random, so that a run can be repeated [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Record what the member receives, for bully replay; an existing FILE is overwritten
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Maximum size of the recording, 64KB or more; its older half is moved to FILE.old
    #[arg(long, value_name = "SIZE", value_parser = record::bytes, default_value = record::LEN_MAX, requires = "record")]
    record_max: u64,

    #[command(flatten)]
    control: ControlArgs,

    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  bully node localhost 23600 1234567 04-01        the coordinator is on this machine
  bully node localhost 23600 1234567 --days 112   with 112 days to the birthday
  bully node localhost 23600 1234567 04-01 --feign close --log json
  bully node localhost 23600 1234567 04-01 --record member.byr

Exit status: 0 after Ctrl-C or --for, 1 if the group was never joined, 2 for wrong usage.";

/// How to feign failure
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

/// Takes part until it is stopped.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let pid = Pid {
        days: args.days()?,
        id: args.su_id,
    };
    args.wire.listen().check()?;
    let scarce = files::for_exchanges(args.capacities.connections);
    let (mut poll, stop, mut log) = open(args.limit, args.log, OnError::GoOn, scarce)?;
    let clock = poll.clock();
    let control = args.control.open(&poll, &mut log)?;
    let outcome = take_part(args, pid, &mut poll, &stop, &control, &mut log);
    // A member outlives its log.
    log.close(clock.now(), stop.signalled());
    outcome
}

fn take_part(
    args: &Args,
    pid: Pid,
    poll: &mut Poll,
    stop: &Stop,
    control: &Controlled,
    log: &mut Log,
) -> Result<(), Failure> {
    let clock = poll.clock();
    let mut tcp =
        Tcp::bind(poll, 0, args.wire.tcp(args.capacities.connections)).map_err(|error| {
            Failure::bind(
                args.wire.bind,
                &error,
                "--bind 127.0.0.1:0 takes a free one",
            )
        })?;
    let directory = find_directory(tcp.names_mut(), &args.gcd_host, args.gcd_port)?;
    for warning in args.wire.listen().warnings(tcp.names(), directory) {
        log.remark(&format!("warning: {warning}"));
    }
    let seed = args.seed.unwrap_or_else(drawn_seed);
    if args.seed.is_none() || log.is_text() {
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
    let recording = args.record.as_deref();
    let recording = recording
        .map(|path| Recording::create(path, args.record_max))
        .transpose()?;
    let recording = recording.map(|recording| (recording, log.unix_origin()));
    let mut member = LocalMember::new(config, args.capacities, tcp, clock, None, recording)?;
    member.introduce(clock.now(), log);
    loop {
        member.turn(clock, log);
        if let Joining::Refused(_) = member.joining() {
            let failure = args.not_joined(member.joining());
            member.finish(log);
            member.emit(clock.now(), Event::Stopped, log);
            return failure;
        }
        let now = clock.now();
        log.turn(now);
        control.turn(|listed| Snapshot {
            t: now.as_micros() as f64 / 1e6,
            time: log.unix_seconds(now),
            views: vec![member.view(now)],
            listed: listed.then(|| member.listed()),
        });
        if stop.signalled() || stop.expired(now) || control.resigns() {
            if !args.no_handover {
                hand_over(&mut member, poll, log)?;
            }
            member.finish_sending(log);
            member.finish(log);
            member.emit(clock.now(), Event::Stopped, log);
            break;
        }
        let status = log.show_status(now, || member.status(now));
        let due = member.until().into_iter().chain(status).min();
        poll.wait(stop.or(due), |ready| member.ready(ready))
            .map_err(|error| Failure::system(&error))?;
    }
    match member.joining() {
        // Whoever is stopped while still asking has been asked to.
        Joining::Trying(_) if stop.signalled() || control.resigns() => Ok(()),
        joining => args.not_joined(joining),
    }
}

/// Has a member that leads announce the next leader, and one that feigns failure give the answers that
/// it owes.
fn hand_over(member: &mut LocalMember, poll: &mut Poll, log: &mut Log) -> Result<(), Failure> {
    if !member.leads() && !member.feigns() {
        return Ok(());
    }
    let clock = poll.clock();
    let until = clock.now() + HANDOVER_MAX;
    member.resign();
    loop {
        member.turn(clock, log);
        log.turn(clock.now());
        if member.has_left() || until <= clock.now() {
            return Ok(());
        }
        let due = member.until().map_or(until, |due| due.min(until));
        poll.wait(Some(due), |ready| member.ready(ready))
            .map_err(|error| Failure::system(&error))?;
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

    /// What becomes of a member that has come so far.
    fn not_joined(&self, joining: &Joining) -> Result<(), Failure> {
        let at = HostPort(self.gcd_host.clone(), self.gcd_port);
        let what = match joining {
            Joining::Refused(_) => format!("the coordinator at {at} does not let us in"),
            _ => "never joined the group".to_owned(),
        };
        match joining.failure() {
            Some((why, tip)) => Err(Failure::new(format!("{what}: {why}"), tip)),
            None => Ok(()),
        }
    }
}

/// Reads an SU ID.
pub(super) fn su_id(text: &str) -> Result<u32, String> {
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
