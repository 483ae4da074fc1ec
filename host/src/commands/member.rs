//! One member in this process: its node, its sockets, and what the log records of them.

use core::net::{Ipv4Addr, SocketAddr};
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use bully::{
    Config, ConfigError, Counters, Event, Gone, Instant, JoinFailure, Member, Messages, Phase, Pid,
    State,
};
use bully_record::Recorded;

use super::Failure;
use super::capacity::Capacities;
use super::listen::is_here;
use super::record::{Recording, Watch};
use crate::control::{Listed, View};
use crate::log::{self, HostPort, Log, NoteWriter, Ports, Trace, pid_text, printable};
use crate::machine::{self, AnyNode};
use crate::names;
use crate::net::{Clock, Ready, Tcp};

/// A member that is driven by [`turn`](Self::turn) when [`until`](Self::until) has come or its
/// sockets are ready.
pub(crate) struct LocalMember {
    me: Member,
    node: Driven,
    capacities: Capacities,
    tcp: Tcp,
    trace: Trace,
    /// Where the coordinator is, as the user wrote it.
    directory: Option<HostPort>,
    /// Where that is, as far as it is known.
    directory_at: Option<SocketAddr>,
    swept: Option<u32>,
    joining: Joining,
    recording: Option<Notes>,
    /// Where it stands, whom it follows, and since when.
    stands: (Phase, Option<Pid>, Instant),
    /// When the leader last sent something, and how many messages of the kinds that say so had come.
    confirmed: (Option<Instant>, u64),
}

/// A node, recorded or not.
enum Driven {
    Plain(Box<dyn AnyNode>),
    Recorded(Box<dyn Recorded>),
}

/// What is recorded of the log beside the input of the member.
struct Notes {
    writer: NoteWriter,
    /// What was logged before the recording began.
    early: Vec<(Instant, log::Event)>,
    watch: Watch,
}

impl Deref for Driven {
    type Target = dyn AnyNode;

    fn deref(&self) -> &(dyn AnyNode + 'static) {
        match self {
            Self::Plain(node) => &**node,
            Self::Recorded(node) => &**node,
        }
    }
}

impl DerefMut for Driven {
    fn deref_mut(&mut self) -> &mut (dyn AnyNode + 'static) {
        match self {
            Self::Plain(node) => &mut **node,
            Self::Recorded(node) => &mut **node,
        }
    }
}

/// Which option to change when a configuration cannot work.
fn unworkable(error: ConfigError) -> Failure {
    let tip = match error {
        ConfigError::Zero(field) | ConfigError::Reversed(field) if field.starts_with("feign") => {
            "change --feign, or leave it out"
        }
        _ => "only --feign changes times; this is a fault of the program, please report it",
    };
    Failure::usage(format!("such a member cannot work: {error}"), tip)
}

/// How long a leader that ends waits for its last messages to be taken: peers that never close are
/// not waited for any longer, and whoever has sent SIGTERM sees the end within half a second.
pub(crate) const HANDOVER_MAX: Duration = Duration::from_millis(400);

/// How far a member has come with the coordinator.
#[derive(Clone, Debug)]
pub(crate) enum Joining {
    /// It is in the group.
    Done,
    /// The coordinator has not answered; the last failure, if there was one, and what to do.
    Trying(Option<(String, String)>),
    /// The coordinator's own words.
    Refused(String),
}

impl Joining {
    /// Why the member is not in the group, and what to do about it; `None`: it is.
    pub(crate) fn failure(&self) -> Option<(String, String)> {
        match self {
            Self::Done => None,
            Self::Trying(Some(failure)) => Some(failure.clone()),
            Self::Trying(None) => Some((
                "the coordinator has not answered yet".to_owned(),
                "give it longer with --for".to_owned(),
            )),
            Self::Refused(why) => Some((printable(why), refusal_tip(why).to_owned())),
        }
    }
}

/// What to do when the coordinator has refused a JOIN with these words.
fn refusal_tip(why: &str) -> &'static str {
    if why.contains("Only local") {
        "that coordinator takes members of its own machine only: leave out --bind and --advertise, \
         or start one that takes others: bully gcd --bind 0.0.0.0"
    } else if why.contains("Unreachable listen address") {
        "listen where the others can connect to: --bind with an address of this machine"
    } else if why.contains("The group is full") {
        "start the coordinator with a greater --capacity, or anew: then it knows nobody"
    } else {
        "those are the coordinator's own words; mend what it complains of and start again"
    }
}

impl LocalMember {
    /// A member that has done nothing yet. `ports` are the connections of this process if all
    /// others are in it, and `recording` is where it is recorded, with the
    /// Unix time at the clock's origin in microseconds.
    pub(crate) fn new(
        config: Config,
        capacities: Capacities,
        tcp: Tcp,
        clock: Clock,
        ports: Option<Ports>,
        recording: Option<(Recording, u64)>,
    ) -> Result<Self, Failure> {
        let Capacities {
            capacity,
            connections,
        } = capacities;
        config.check().map_err(unworkable)?;
        let directory = config.directory;
        let place =
            directory.map(|addr| HostPort(tcp.names().host(addr).into(), names::port(addr)));
        let me = config.me;
        let none = || {
            let sizes = format!("{capacity} members and {connections} connections");
            Failure::usage(
                format!("no node is built for {sizes}"),
                "see --help for the sizes there are",
            )
        };
        let (node, recording) = match recording {
            Some((recording, origin)) => {
                let node = recording.node(capacities, config, origin);
                let (node, watch) = node.ok_or_else(none)?;
                let notes = Notes {
                    writer: NoteWriter::default(),
                    early: Vec::new(),
                    watch,
                };
                (Driven::Recorded(node), Some(notes))
            }
            None => {
                let node = machine::node(capacity, connections, config);
                (Driven::Plain(node.ok_or_else(none)?), None)
            }
        };
        Ok(Self {
            me,
            trace: Trace::new(Some(me.pid), directory, ports, clock),
            directory_at: directory.and_then(|addr| tcp.names().endpoint(addr)),
            directory: place,
            node,
            capacities,
            tcp,
            swept: None,
            joining: Joining::Trying(None),
            recording,
            stands: (Phase::Joining, None, clock.now()),
            confirmed: (None, 0),
        })
    }

    /// Records where it listens.
    pub(crate) fn introduce(&mut self, now: Instant, log: &mut Log) {
        let addr = self.me.addr;
        let address = HostPort(self.tcp.names().host(addr).into(), names::port(addr));
        let listening = log::Event::Listening {
            address,
            capacity: self.capacities.capacity,
            connections: self.capacities.connections,
        };
        self.emit(now, listening, log);
    }

    /// Records what happened to it, in the log and beside its recording.
    pub(crate) fn emit(&mut self, at: Instant, event: log::Event, log: &mut Log) {
        let shown = !matches!(event, log::Event::Message(_)) || log.has_messages();
        let is_new = !shown || log.emit(at, Some(self.me.pid), &event);
        let (Some(notes), true) = (&mut self.recording, is_new) else {
            return;
        };
        notes.early.push((at, event));
        if let Driven::Recorded(node) = &mut self.node
            && let Some((bank, polled)) = node.position()
        {
            for (at, event) in notes.early.drain(..) {
                node.note(&notes.writer.note(bank, polled, at, &event));
            }
        }
    }

    /// Records the messages that were seen.
    fn messages(&mut self, log: &mut Log) {
        for message in self.trace.take() {
            self.emit(message.at, log::Event::Message(message), log);
        }
    }

    /// Returns `true` if somebody wants to know of single messages.
    fn is_watched(&self, log: &Log) -> bool {
        log.has_messages() || self.recording.is_some()
    }

    /// Does all there is to do at present.
    pub(crate) fn turn(&mut self, clock: Clock, log: &mut Log) {
        loop {
            let looked = self.tcp.now();
            let before = self.node.state();
            let event = if self.is_watched(log) {
                self.trace.learn(self.node.roster());
                let event = self.node.poll(looked, &mut self.trace.watch(&mut self.tcp));
                self.messages(log);
                event
            } else {
                self.node.poll(looked, &mut self.tcp)
            };
            let (now, state) = (clock.now(), self.node.state());
            if state == State::WaitingForVictor && state != before {
                self.emit(now, log::Event::Waiting, log);
            }
            let Some(event) = event else { break };
            if let Some(recorded) = self.recorded(event) {
                self.emit(now, recorded, log);
            }
        }
        while let Some(note) = self.tcp.note() {
            let event = log::Event::noted(note, self.tcp.names());
            self.emit(clock.now(), event, log);
        }
        let notes = self.recording.as_ref();
        if let Some(failed) = notes.and_then(|notes| notes.watch.failed()) {
            self.recording = None;
            log.remark(&format!("warning: {failed}"));
        }
        self.note_leader(clock.now());
        let revision = self.node.roster().revision();
        if self.swept != revision {
            self.swept = revision;
            self.tcp.sweep(self.node.roster());
        }
    }

    /// Takes note of who leads since when, and of signs of that one's life.
    fn note_leader(&mut self, now: Instant) {
        let (phase, leader) = (self.node.phase(), self.node.leader());
        let received = self.node.counters().received;
        // An OK does not say what it answers, but whoever follows asks nobody but its leader.
        let signs = received.coordinator + received.ok;
        if (phase, leader) != (self.stands.0, self.stands.1) {
            self.stands = (phase, leader, now);
            self.confirmed.0 = leader.map(|_| now);
        } else if signs > self.confirmed.1 && leader.is_some() {
            self.confirmed.0 = Some(now);
        }
        self.confirmed.1 = signs;
    }

    /// How it stands, for whoever asks.
    pub(crate) fn view(&self, now: Instant) -> View {
        let pair = |pid: Pid| (pid.days, pid.id);
        let (phase, leader, since) = self.stands;
        let state = match phase {
            Phase::Joining => "joining",
            Phase::Electing => "electing",
            Phase::Waiting => "waiting",
            Phase::Failed => "failed",
            Phase::Leading => "leading",
            Phase::Following(_) => "following",
            _ => "resigned",
        };
        let confirmed = match phase {
            Phase::Leading => Some(0.0),
            _ => self.confirmed.0.map(|at| now.since(at).as_secs_f64()),
        };
        View {
            node: pair(self.me.pid),
            state: state.to_owned(),
            leader: leader.map(pair),
            since_s: now.since(since).as_secs_f64(),
            confirmed_s: confirmed.filter(|_| leader.is_some()),
            members: self.node.roster().len(),
            sent: self.node.counters().sent.into(),
            received: self.node.counters().received.into(),
        }
    }

    /// Its table, for whoever asks.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let members = self.node.roster().members().iter();
        let listed = members.map(|member| {
            let host = self.tcp.names().host(member.addr).into_owned();
            (
                (member.pid.days, member.pid.id),
                host,
                names::port(member.addr),
            )
        });
        listed.collect()
    }

    /// Before the end: sends what can be sent at once.
    pub(crate) fn finish_sending(&mut self, log: &mut Log) {
        if self.is_watched(log) {
            self.trace.finish_sending(&mut self.tcp);
            self.messages(log);
        }
    }

    /// Has the log say what becomes of everything that is under way.
    pub(crate) fn finish(&mut self, log: &mut Log) {
        if self.is_watched(log) {
            self.trace.finish(&mut self.tcp);
            self.messages(log);
        }
    }

    /// Leaves the group for good: closes the listener and, if it leads, announces the next leader.
    /// That is done once [`has_left`](Self::has_left).
    pub(crate) fn resign(&mut self) {
        self.node.resign();
    }

    /// Returns `true` once nothing is left to do for a member that has resigned.
    pub(crate) fn has_left(&self) -> bool {
        self.node.phase() == Phase::Resigned && self.node.poll_at().is_none()
    }

    /// Returns `true` if it leads.
    pub(crate) fn leads(&self) -> bool {
        self.node.phase() == Phase::Leading
    }

    /// Returns `true` while it feigns failure.
    pub(crate) fn feigns(&self) -> bool {
        self.node.phase() == Phase::Failed
    }

    /// Takes note of readiness.
    pub(crate) fn ready(&mut self, ready: Ready) {
        self.tcp.ready(ready);
    }

    /// How things stand, in a line.
    pub(crate) fn status(&self, now: Instant) -> String {
        let since = now.as_micros() / 1_000_000;
        let stands = match self.node.phase() {
            Phase::Joining => "not in the group yet".to_owned(),
            Phase::Failed => "feigns failure".to_owned(),
            _ => match self.node.leader() {
                Some(leader) if leader == self.me.pid => "leads".to_owned(),
                Some(leader) => format!("follows {}", pid_text(leader)),
                None => "elects".to_owned(),
            },
        };
        let (members, counters) = (self.node.roster().len(), self.node.counters());
        let messages = |counted: Messages| {
            counted.join + counted.election + counted.ok + counted.coordinator + counted.probe
        };
        format!(
            "{since} s: {stands}, {members} known, {} sent, {} received",
            messages(counters.sent),
            messages(counters.received)
        )
    }

    /// When the next turn is due.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.tcp.until(self.node.poll_at())
    }

    pub(crate) fn pid(&self) -> Pid {
        self.me.pid
    }

    pub(crate) fn leader(&self) -> Option<Pid> {
        self.node.leader()
    }

    /// Returns `true` unless it feigns failure.
    pub(crate) fn is_up(&self) -> bool {
        self.node.phase() != Phase::Failed
    }

    pub(crate) fn counters(&self) -> Counters {
        self.node.counters()
    }

    pub(crate) fn joining(&self) -> &Joining {
        &self.joining
    }

    /// Returns what the log records of `event`; `None` for one that this version does not know.
    fn recorded(&mut self, event: Event) -> Option<log::Event> {
        match event {
            Event::JoinFailed { failure, again_in } => {
                let (why, tip) = self.explain(failure);
                self.joining = match failure {
                    JoinFailure::Refused(_) => Joining::Refused(why.clone()),
                    _ => Joining::Trying(Some((why.clone(), tip.clone()))),
                };
                // There is no JOIN without a coordinator.
                let peer = self.directory.clone().unwrap_or(HostPort("?".into(), 0));
                return Some(log::Event::JoinFailed {
                    peer,
                    why,
                    tip,
                    again_in: matches!(self.joining, Joining::Trying(_)).then_some(again_in),
                });
            }
            Event::Joined { .. } => self.joining = Joining::Done,
            Event::PidInUse { addr } => {
                let names = self.tcp.names();
                let address = HostPort(names.host(addr).into(), names::port(addr));
                return Some(log::Event::PidInUse { address });
            }
            _ => {}
        }
        log::Event::of_node(&event)
    }

    /// Why a JOIN failed and what to do about it.
    fn explain(&mut self, failure: JoinFailure) -> (String, String) {
        let at = self.directory.as_ref();
        let at = at.map_or_else(String::new, HostPort::to_string);
        let check = || format!("check the coordinator's host and port: {at}");
        match failure {
            JoinFailure::Gone(Gone::Refused) => (format!("no coordinator at {at}"), self.start()),
            JoinFailure::Gone(Gone::Reset) => (format!("{at} broke the connection off"), check()),
            JoinFailure::Gone(Gone::Malformed) => {
                let what = self.tcp.refusal();
                let what = what.unwrap_or_else(|| "with no lab message".to_owned());
                let why = format!("{at} answered {what}: it is no coordinator");
                (why, check())
            }
            JoinFailure::Silent => (
                format!("{at} gave no answer"),
                "is it the coordinator, and no member? an idle client can hold it up".to_owned(),
            ),
            JoinFailure::Refused(refusal) => {
                let words = self.tcp.refusal();
                let why = words.unwrap_or_else(|| {
                    crate::pickle::message::refusal_text(refusal, None).to_string()
                });
                (why, "mend what it complains of".to_owned())
            }
            other => (other.to_string(), check()),
        }
    }

    /// How to start a coordinator where nobody listens.
    fn start(&self) -> String {
        let at = self.directory_at.map(|at| (at.ip(), at.port()));
        match at {
            Some((ip, port)) if ip == Ipv4Addr::LOCALHOST => {
                format!("start one: bully gcd {port}")
            }
            Some((ip, port)) if is_here(ip) => format!(
                "start one that listens there: bully gcd {port} --bind {ip}; without --bind it \
                 listens at localhost"
            ),
            _ => "check its host and port; for members on other machines it is started with: \
                  bully gcd --bind 0.0.0.0"
                .to_owned(),
        }
    }
}
