//! What a run came to.

use core::time::Duration;

use bully::{Instant, Messages, Pid};

use crate::scenario::Kind;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed it ran from.
    pub seed: u64,
    /// At the end every member that is up, but for plain ones, names the greatest member that is.
    pub agreed: bool,
    /// Who leads, if all agree and anybody is up.
    pub leader: Option<Pid>,
    /// When the agreement that lasts to the end began, counted from the start, or from when the
    /// late one joined.
    pub settled: Option<Duration>,
    /// The time from the last crash to that agreement.
    pub crash_to_leader: Option<Duration>,
    /// The time to that agreement from the first PROBE that failed after the last crash.
    pub detection_to_leader: Option<Duration>,
    /// The time to that agreement from the first message that got through after the last return or
    /// healing: from or to a member that had come back or joined late, or across a partition or cut
    /// link that was over.
    pub contact_to_leader: Option<Duration>,
    /// The time to that agreement from the last thing that went wrong, planned or by chance.
    pub last_fault_to_leader: Option<Duration>,
    /// How long not all agreed, from the first time that all did.
    pub disagreed: Duration,
    /// Messages sent, from the start, or from when the late one joined.
    pub messages: Messages,
    /// How many of the OKs among them answer a PROBE.
    pub probe_oks: u64,
    /// Messages without JOINs, PROBEs and OKs to them since the last planned fault: what it cost.
    pub messages_after_fault: u64,
    /// Bytes of these messages.
    pub bytes_after_fault: u64,
    /// Connections opened.
    pub exchanges: u64,
    /// Bytes of all messages and answers as the pickle wire would have them.
    pub wire_bytes: u64,
    /// What the attacker sent, and what came of it.
    pub attack: Attacked,
    /// The most entries that any table held.
    pub fullest_table: usize,
    /// How often a node or the coordinator was polled.
    pub polls: u64,
    /// The run was cut off for sending too many messages.
    pub cut: bool,
    /// How much virtual time has passed.
    pub simulated: Duration,
    /// What was not checked, and why: sorted, each once.
    pub unchecked: Vec<Unchecked>,
}

/// What an attacker sent, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attacked {
    /// Messages it sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Connections that members opened to addresses at which no member ever was.
    pub connections: u64,
    /// Bytes of the messages they wanted to send there.
    pub answered_bytes: u64,
    /// The most such connections to one address.
    pub connections_to_one: u64,
}

/// Something that is checked in other runs, and was not in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unchecked {
    /// All members keep to the letter.
    Strict,
    /// Delays are long against the time-outs.
    SlowNetwork,
    /// Only one member probes.
    OneProber,
    /// Some members keep to the letter.
    PlainMembers,
    /// Members joined or came back while the coordinator could not be reached.
    CannotJoin,
    /// Links were cut for longer than a group takes to settle.
    CutLinks,
    /// The group was never left in peace for as long as it may take to settle.
    NeverAtRest,
    /// The planned end fell on an election, and faults never end.
    PlannedEnd,
}

impl Unchecked {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Strict,
        Self::SlowNetwork,
        Self::OneProber,
        Self::PlainMembers,
        Self::CannotJoin,
        Self::CutLinks,
        Self::NeverAtRest,
        Self::PlannedEnd,
    ];

    /// What is not checked, and why, in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Strict => {
                "agreement and message counts before the end: to the letter none are promised"
            }
            Self::SlowNetwork => {
                "agreement and message counts before the end: messages may take longer than a \
                 quarter of the wait for an OK"
            }
            Self::OneProber => {
                "agreement and message counts before the end: only one member probes"
            }
            Self::PlainMembers => {
                "the leaders that plain members follow, and who leads over a plain member while \
                 members are forged: by the letter these may be wrong for good"
            }
            Self::CannotJoin => "members that could not reach the coordinator to join",
            Self::CutLinks => "agreement while a link was cut: not everybody reached everybody",
            Self::NeverAtRest => {
                "agreement before the end: faults never ended for as long as settling may take"
            }
            Self::PlannedEnd => {
                "agreement at the planned end, which fell on an election while faults went on: all \
                 had to agree within the time that settling may take from then"
            }
        }
    }
}

/// An [`Outcome`] as it grows.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) outcome: Outcome,
    crashed_at: Option<Instant>,
    /// The last planned fault was a crash.
    has_crashed: bool,
    detected_at: Option<Instant>,
    contact_at: Option<Instant>,
    contact_awaited: Option<Contact>,
    /// ELECTION, OK to it and COORDINATOR since the start, never forgotten.
    to_elect: u64,
    pub(crate) was_at_rest: bool,
}

/// A message that says that somebody is back or a partition has healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// From or to this member.
    With(usize),
    /// Between two that could not reach each other before this time.
    Across(Instant),
}

impl Record {
    pub(crate) fn new(seed: u64) -> Self {
        let outcome = Outcome {
            seed,
            agreed: false,
            leader: None,
            settled: None,
            crash_to_leader: None,
            detection_to_leader: None,
            contact_to_leader: None,
            last_fault_to_leader: None,
            disagreed: Duration::ZERO,
            messages: Messages::default(),
            probe_oks: 0,
            messages_after_fault: 0,
            bytes_after_fault: 0,
            exchanges: 0,
            wire_bytes: 0,
            attack: Attacked::default(),
            fullest_table: 0,
            polls: 0,
            cut: false,
            simulated: Duration::ZERO,
            unchecked: Vec::new(),
        };
        Self {
            outcome,
            crashed_at: None,
            has_crashed: false,
            detected_at: None,
            contact_at: None,
            contact_awaited: None,
            to_elect: 0,
            was_at_rest: false,
        }
    }

    /// Counts a message or an answer; `answers` is what it is an answer to.
    pub(crate) fn count(&mut self, kind: Kind, answers: Option<Kind>, bytes: u64) {
        let messages = &mut self.outcome.messages;
        match kind {
            Kind::Join => messages.join += 1,
            Kind::Election => messages.election += 1,
            Kind::Coordinator => messages.coordinator += 1,
            Kind::Probe => messages.probe += 1,
            Kind::Ok => messages.ok += 1,
            Kind::Members => {}
        }
        let probe_ok = (kind, answers) == (Kind::Ok, Some(Kind::Probe));
        self.outcome.probe_oks += u64::from(probe_ok);
        self.outcome.wire_bytes += bytes;
        if matches!(kind, Kind::Election | Kind::Coordinator | Kind::Ok) && !probe_ok {
            self.to_elect += 1;
            self.outcome.messages_after_fault += 1;
            self.outcome.bytes_after_fault += bytes;
        }
    }

    /// Messages without JOINs, PROBEs and OKs to them, since the start.
    pub(crate) fn to_elect(&self) -> u64 {
        self.to_elect
    }

    /// Something that was planned goes wrong, or ends; after it this contact is awaited.
    pub(crate) fn planned_fault(&mut self, contact: Option<Contact>) {
        self.outcome.messages_after_fault = 0;
        self.outcome.bytes_after_fault = 0;
        self.has_crashed = false;
        self.detected_at = None;
        self.contact_at = None;
        self.contact_awaited = contact;
    }

    /// A process has ended or was stopped.
    pub(crate) fn crash(&mut self, now: Instant) {
        self.planned_fault(None);
        self.has_crashed = true;
        self.crashed_at = Some(now);
    }

    pub(crate) fn contact_awaited(&self) -> Option<Contact> {
        self.contact_awaited.filter(|_| self.contact_at.is_none())
    }

    pub(crate) fn contact(&mut self, now: Instant) {
        self.contact_at = Some(now);
    }

    /// A PROBE ended without an answer.
    pub(crate) fn probe_failed(&mut self, now: Instant) {
        if self.has_crashed && self.detected_at.is_none() {
            self.detected_at = Some(now);
        }
    }

    /// Forgets what was counted so far: the late one joins.
    pub(crate) fn restart_count(&mut self) {
        self.outcome.messages = Messages::default();
        self.outcome.probe_oks = 0;
        self.outcome.exchanges = 0;
        self.outcome.wire_bytes = 0;
    }

    pub(crate) fn leave_out(&mut self, what: Unchecked) {
        if let Err(at) = self.outcome.unchecked.binary_search(&what) {
            self.outcome.unchecked.insert(at, what);
        }
    }

    /// The outcome, once all have agreed since this time.
    pub(crate) fn finish(mut self, since: Option<Instant>, last_fault: Instant) -> Outcome {
        let from = |earlier: Option<Instant>| {
            let (earlier, since) = earlier.zip(since)?;
            Some(since.since(earlier))
        };
        self.outcome.crash_to_leader = from(self.crashed_at);
        self.outcome.detection_to_leader = from(self.detected_at);
        self.outcome.contact_to_leader = from(self.contact_at);
        self.outcome.last_fault_to_leader = from(Some(last_fault));
        self.outcome
    }
}

impl Outcome {
    /// Messages of all kinds.
    pub fn messages_sum(&self) -> u64 {
        let Messages {
            join,
            election,
            ok,
            coordinator,
            probe,
        } = self.messages;
        join + election + ok + coordinator + probe
    }

    /// Messages of all kinds but PROBE, and without the OKs that answer one: what elections cost.
    pub fn election_sum(&self) -> u64 {
        self.messages_sum() - self.messages.probe - self.probe_oks
    }
}
