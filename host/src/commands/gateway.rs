//! `bully gateway`: a chip's sockets.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};

use bully::wire::VERSION;
use bully::{Instant, Pid};

use super::control::ControlArgs;
use super::record::unwritable;
use super::wire::{WireArgs, find_directory, host_and_port, port};
use super::{Failure, Stop, duration, files, look_up};
use crate::control::{Listed, Snapshot, View};
use crate::gateway::{
    Bridge, Chip, Doing, EXCHANGES_MAX, GatewayEvent, MEMBERS_MAX, Memory, Standing,
};
use crate::log::{Event, HostPort, Log, LogArgs, OnError, Trace};
use crate::names::{self, Names};
use crate::net::{LineEvent, LineTo, Poll, Serial, Tcp};

/// Let a chip on a serial line take part in a group
///
/// Has the sockets of one chip that runs the core's `Link`, and translates its messages to pickles.
/// Its listener is closed until the chip answers, and again when the chip has been silent for 2 s, so
/// that the other members see a failed member.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The chip's line: a serial device and its speed (115200 by default), or a TCP or Unix socket that
    /// listens; it is opened again whenever it breaks
    #[arg(long, value_name = "/dev/TTY[:BAUD]|tcp:HOST:PORT|unix:PATH", value_parser = link)]
    link: Link,

    /// Where the group coordinator is: a name or an address, and a port
    #[arg(long, num_args = 2, value_names = ["HOST", "PORT"], required = true)]
    gcd: Vec<String>,

    #[command(flatten)]
    wire: WireArgs,

    /// End after this time: 5s, 500ms, 2m, 1h; a plain number is seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// At the end, ask the chip for the recording in its memory and write it to this file, for bully
    /// replay; its firmware must record (feature record of the core)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    #[command(flatten)]
    control: ControlArgs,

    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  bully gateway --link /dev/ttyACM0 --gcd localhost 23600          a board on USB
  bully gateway --link /dev/ttyUSB0:921600 --gcd localhost 23600   a faster one
  bully gateway --link unix:/tmp/chip --gcd localhost 23600        a chip in an emulator:
      qemu-system-arm ... -serial unix:/tmp/chip,server=on,wait=off

  bully gateway --link /dev/ttyACM0 --gcd localhost 23600 --record chip.byr
                                           at Ctrl-C the chip's recording is written

Exit status: 0 after Ctrl-C or --for, 1 after an error of the system or without the recording that
--record asks for, 2 for wrong usage.";

/// What `--link` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    #[cfg(unix)]
    Device(PathBuf, u32),
    Tcp(String, u16),
    #[cfg(unix)]
    Unix(PathBuf),
}

/// The speed that boards come with.
#[cfg(unix)]
const BAUD: u32 = 115_200;

/// The owners of sockets: the network, and the line.
const NET: usize = 0;
const LINE: usize = 1;

/// Serves the chip until it is stopped.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.wire.listen().check()?;
    let (gcd_host, gcd_port) = host_and_port(&args.gcd)?;
    let line_to = args.link.find()?;

    let scarce = files::for_exchanges(EXCHANGES_MAX);
    let mut poll = Poll::new().map_err(|error| Failure::system(&error))?;
    let stop = Stop::new(&poll, args.limit)?;
    let clock = poll.clock();
    let mut log = Log::open(args.log, "gateway", OnError::GoOn, &poll)
        .map_err(|error| Failure::system(&error))?;
    let control = args.control.open(&poll, &mut log)?;
    if let Some(file) = &args.record {
        // What cannot be written is better known now.
        std::fs::write(file, []).map_err(|error| unwritable(file, &error))?;
    }

    let mut tcp = Tcp::bind(&poll, NET, args.wire.tcp(EXCHANGES_MAX)).map_err(|error| {
        Failure::bind(
            args.wire.bind,
            &error,
            "--bind 127.0.0.1:0 takes a free one",
        )
    })?;
    let directory = find_directory(tcp.names_mut(), gcd_host, gcd_port)?;
    let warnings = args.wire.listen().warnings(tcp.names(), directory);
    for warning in warnings.into_iter().chain(scarce) {
        log.remark(&format!("warning: {warning}"));
    }
    log.heading();
    let addr = tcp.addr();
    let address = HostPort(tcp.names().host(addr).into(), names::port(addr));
    let listening = Event::Listening {
        address,
        capacity: MEMBERS_MAX,
        connections: EXCHANGES_MAX,
    };
    log.emit(clock.now(), None, &listening);

    let mut memory = Memory::new();
    let chip = Chip {
        instance: rand::random(),
        addr,
        directory,
    };
    let mut bridge = Bridge::new(&mut memory, chip);
    let mut line = Serial::new(&poll, LINE, line_to.clone());
    let mut trace = Trace::new(None, Some(directory), None, clock);
    let mut standing = Standing::default();
    // Until when the chip's recording is awaited, once the end has come.
    let mut awaited: Option<Instant> = None;
    let mut recording: Option<Result<(), Failure>> = None;
    let mut chip_ready = false;
    loop {
        let now = clock.now();
        while let Some(event) = line.turn(now) {
            log.emit(now, None, &event_of_line(&line_to, event));
        }
        loop {
            let now = clock.now();
            let event = if log.has_messages() {
                let mut watched = trace.watch(&mut tcp);
                let mut net = standing.follow(&mut watched, now);
                let event = bridge.poll(now, &mut net, &mut line);
                log.messages(&mut trace);
                event
            } else {
                bridge.poll(now, &mut standing.follow(&mut tcp, now), &mut line)
            };
            let Some(event) = event else { break };
            match event {
                GatewayEvent::ChipReady { .. } => chip_ready = true,
                GatewayEvent::ChipLost { .. } => chip_ready = false,
                _ => {}
            }
            if let (GatewayEvent::Recorded { .. }, Some(file)) = (event, &args.record) {
                recording = Some(write(file, &bridge.take_recording()));
            }
            log.emit(clock.now(), None, &event_of_chip(event));
        }
        while let Some(note) = tcp.note() {
            let event = Event::noted(note, tcp.names());
            log.emit(clock.now(), None, &event);
        }
        bridge.sweep(tcp.names_mut());
        let now = clock.now();
        log.turn(now);
        control.turn(|listed| Snapshot {
            t: now.as_micros() as f64 / 1e6,
            time: log.unix_seconds(now),
            views: standing
                .view(now)
                .filter(|_| chip_ready)
                .into_iter()
                .collect(),
            listed: listed.then(|| self::listed(&standing, tcp.names())),
        });
        let ends = stop.signalled() || stop.expired(now) || control.resigns();
        if ends && args.record.is_some() && awaited.is_none() && bridge.ask_for_recording() {
            awaited = Some(now + RECORDING_WITHIN);
        }
        let waits = recording.is_none() && awaited.is_some_and(|until| now < until) && chip_ready;
        if ends && !waits {
            if log.has_messages() {
                trace.finish_sending(&mut tcp);
                trace.finish(&mut tcp);
                log.messages(&mut trace);
            }
            log.emit(clock.now(), None, &Event::Stopped);
            // A chip's member outlives its log.
            log.close(clock.now(), stop.signalled());
            return match (&args.record, recording) {
                (None, _) => Ok(()),
                (Some(_), Some(written)) => written,
                (Some(file), None) => Err(no_recording(file)),
            };
        }
        let due = [Some(bridge.poll_at()), line.until(), awaited];
        let due = due.into_iter().flatten().min();
        // While the line is behind, the network's input is left where it is.
        let due = if bridge.is_backed_up() {
            due
        } else {
            tcp.until(due)
        };
        // A signal that has come ends no wait for the recording.
        let due = if awaited.is_some() { due } else { stop.or(due) };
        poll.wait(due, |ready| match ready.owner {
            NET => tcp.ready(ready),
            _ => line.ready(ready),
        })
        .map_err(|error| Failure::system(&error))?;
    }
}

/// How long a chip may take to hand out its recording: 50 KB at 115,200 baud.
const RECORDING_WITHIN: Duration = Duration::from_secs(10);

/// Writes what the chip has handed out.
fn write(file: &Path, recording: &[u8]) -> Result<(), Failure> {
    if recording.is_empty() {
        return Err(no_recording(file));
    }
    std::fs::write(file, recording).map_err(|error| unwritable(file, &error))
}

fn no_recording(file: &Path) -> Failure {
    Failure::new(
        format!(
            "{} is empty: no chip has handed out a recording",
            file.display()
        ),
        "is a chip at the line, and its core built with feature record?",
    )
}

impl Standing {
    /// How the chip's member stands, for whoever asks; `None` before it has joined.
    fn view(&self, now: Instant) -> Option<View> {
        let pair = |pid: Pid| (pid.days, pid.id);
        let state = match self.doing {
            Doing::Joining => "joining",
            Doing::Electing => "electing",
            Doing::Waiting => "waiting",
            Doing::Following => "following",
            Doing::Leading => "leading",
            Doing::Failed => "failed",
        };
        let confirmed = match self.doing {
            Doing::Leading => Some(0.0),
            _ => self.confirmed.map(|at| now.since(at).as_secs_f64()),
        };
        Some(View {
            node: pair(self.me?),
            state: state.to_owned(),
            leader: self.leader.map(pair),
            since_s: now.since(self.since).as_secs_f64(),
            confirmed_s: confirmed.filter(|_| self.leader.is_some()),
            members: self.members.len(),
            sent: self.sent.into(),
            received: self.received.into(),
        })
    }
}

/// The chip's table, for whoever asks.
fn listed(standing: &Standing, names: &Names) -> Vec<Listed> {
    let members = standing.members.iter();
    let listed = members.map(|member| {
        let host = names.host(member.addr).into_owned();
        let pid = (member.pid.days, member.pid.id);
        (pid, host, names::port(member.addr))
    });
    listed.collect()
}

fn event_of_chip(event: GatewayEvent) -> Event {
    match event {
        GatewayEvent::Recorded { bytes } => Event::ChipRecorded { bytes },
        GatewayEvent::ChipReady { members, exchanges } => Event::ChipReady { members, exchanges },
        GatewayEvent::ChipLost { why } => Event::ChipLost { why },
        GatewayEvent::OtherVersion { theirs } => Event::ChipVersion {
            theirs,
            ours: VERSION,
        },
        GatewayEvent::ListCut { left_out } => Event::ListCut { left_out },
    }
}

fn event_of_line(to: &LineTo, event: LineEvent) -> Event {
    let line = to.to_string();
    match event {
        LineEvent::Open => Event::LineOpen { line },
        LineEvent::Lost(why) => Event::LineLost { line, why },
    }
}

impl Link {
    /// Looks up what it names.
    fn find(&self) -> Result<LineTo, Failure> {
        Ok(match self {
            #[cfg(unix)]
            Self::Device(path, baud) => {
                use std::os::unix::fs::FileTypeExt as _;
                let is_other = |file: std::fs::Metadata| !file.file_type().is_char_device();
                // What is not there may come: boards are plugged in.
                if std::fs::metadata(path).is_ok_and(is_other) {
                    return Err(Failure::usage(
                        format!("{} is no serial device", path.display()),
                        "see which there are: ls /dev/tty*; a socket is written unix:PATH",
                    ));
                }
                LineTo::Device {
                    path: path.clone(),
                    baud: *baud,
                }
            }
            Self::Tcp(host, port) => {
                let ip = look_up(host).map_err(|error| {
                    Failure::new(
                        format!("there is no machine called {host:?}: {error}"),
                        "check --link; a chip emulated on this machine is at tcp:localhost:PORT",
                    )
                })?;
                LineTo::Tcp(SocketAddr::new(ip, *port))
            }
            #[cfg(unix)]
            Self::Unix(path) => LineTo::Unix(path.clone()),
        })
    }
}

fn link(text: &str) -> Result<Link, String> {
    if let Some(at) = text.strip_prefix("tcp:") {
        let (host, number) = at.rsplit_once(':').unwrap_or((at, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        return match port(number) {
            Ok(number) if !host.is_empty() => Ok(Link::Tcp(host.to_owned(), number)),
            _ => Err("a host and a port are wanted: tcp:localhost:5555".to_owned()),
        };
    }
    #[cfg(unix)]
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("a socket's path is wanted: unix:/tmp/chip".to_owned())
        } else {
            Ok(Link::Unix(path.into()))
        };
    }
    #[cfg(unix)]
    if text.contains('/') {
        return match text.rsplit_once(':') {
            None => Ok(Link::Device(text.into(), BAUD)),
            Some((path, baud)) => baud
                .parse()
                .ok()
                .filter(|baud| *baud > 0)
                .map(|baud| Link::Device(path.into(), baud))
                .ok_or_else(|| "a speed is in bits a second: /dev/ttyACM0:115200".to_owned()),
        };
    }
    Err("write /dev/ttyACM0, /dev/ttyUSB0:921600, tcp:localhost:5555 or unix:/tmp/chip".to_owned())
}
