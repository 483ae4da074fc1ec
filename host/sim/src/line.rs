//! A run as a JSON object, written and read.

use core::time::Duration;

use bully::{Instant, Messages, Pid};
use serde::{Deserialize, Serialize};

use crate::breach::{Breach, INVARIANTS};
use crate::outcome::{Attacked, Outcome, Unchecked};
use crate::run::Run;

/// A run as an object; what a run that broke an invariant does not have is null.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) seed: u64,
    pub(crate) agreed: bool,
    pub(crate) leader: Option<(u32, u32)>,
    pub(crate) settled_s: Option<f64>,
    pub(crate) crash_to_leader_s: Option<f64>,
    pub(crate) detection_to_leader_s: Option<f64>,
    pub(crate) contact_to_leader_s: Option<f64>,
    pub(crate) last_fault_to_leader_s: Option<f64>,
    pub(crate) disagreed_s: Option<f64>,
    pub(crate) messages: Option<Counts>,
    pub(crate) probe_oks: Option<u64>,
    pub(crate) messages_after_fault: Option<u64>,
    pub(crate) bytes_after_fault: Option<u64>,
    pub(crate) exchanges: Option<u64>,
    pub(crate) wire_bytes: Option<u64>,
    pub(crate) attack: Option<Attack>,
    pub(crate) fullest_table: Option<usize>,
    pub(crate) polls: Option<u64>,
    pub(crate) cut: bool,
    pub(crate) simulated_s: f64,
    pub(crate) not_checked: Vec<String>,
    pub(crate) breach: Option<Broken>,
    pub(crate) wall_s: f64,
    pub(crate) wall_peak_rss_bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) join: u64,
    pub(crate) election: u64,
    pub(crate) ok: u64,
    pub(crate) coordinator: u64,
    pub(crate) probe: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attack {
    messages: u64,
    bytes: u64,
    connections: u64,
    answered_bytes: u64,
    connections_to_one: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Broken {
    pub(crate) invariant: String,
    member: usize,
    at_s: f64,
    seen: String,
}

impl From<&Run> for Line {
    fn from(run: &Run) -> Self {
        let outcome = run.result.as_ref().ok();
        let seconds = |span: Duration| span.as_secs_f64();
        let span = |which: fn(&Outcome) -> Option<Duration>| outcome.and_then(which).map(seconds);
        let count = |which: fn(&Outcome) -> u64| outcome.map(which);
        Self {
            seed: run.seed,
            agreed: outcome.is_some_and(|outcome| outcome.agreed),
            leader: outcome
                .and_then(|outcome| outcome.leader)
                .map(|pid| (pid.days, pid.id)),
            settled_s: span(|outcome| outcome.settled),
            crash_to_leader_s: span(|outcome| outcome.crash_to_leader),
            detection_to_leader_s: span(|outcome| outcome.detection_to_leader),
            contact_to_leader_s: span(|outcome| outcome.contact_to_leader),
            last_fault_to_leader_s: span(|outcome| outcome.last_fault_to_leader),
            disagreed_s: span(|outcome| Some(outcome.disagreed)),
            messages: outcome.map(|outcome| Counts {
                join: outcome.messages.join,
                election: outcome.messages.election,
                ok: outcome.messages.ok,
                coordinator: outcome.messages.coordinator,
                probe: outcome.messages.probe,
            }),
            probe_oks: count(|outcome| outcome.probe_oks),
            messages_after_fault: count(|outcome| outcome.messages_after_fault),
            bytes_after_fault: count(|outcome| outcome.bytes_after_fault),
            exchanges: count(|outcome| outcome.exchanges),
            wire_bytes: count(|outcome| outcome.wire_bytes),
            attack: outcome
                .map(|outcome| outcome.attack)
                .filter(|attack| *attack != Attacked::default())
                .map(|attack| Attack {
                    messages: attack.messages,
                    bytes: attack.bytes,
                    connections: attack.connections,
                    answered_bytes: attack.answered_bytes,
                    connections_to_one: attack.connections_to_one,
                }),
            fullest_table: outcome.map(|outcome| outcome.fullest_table),
            polls: count(|outcome| outcome.polls),
            cut: outcome.is_some_and(|outcome| outcome.cut),
            simulated_s: seconds(run.simulated()),
            not_checked: outcome.map_or_else(Vec::new, |outcome| {
                let texts = outcome.unchecked.iter().map(|it| it.text().to_owned());
                texts.collect()
            }),
            breach: run.result.as_ref().err().map(|breach| Broken {
                invariant: breach.invariant.to_owned(),
                member: breach.member,
                at_s: breach.at.as_micros() as f64 / 1e6,
                seen: breach.seen.clone(),
            }),
            wall_s: seconds(run.wall),
            wall_peak_rss_bytes: run.peak_rss,
        }
    }
}

impl Line {
    /// The run that this is the line of.
    pub(crate) fn run(self) -> Result<Run, String> {
        let result = match self.breach {
            Some(breach) => Err(Breach {
                invariant: INVARIANTS
                    .into_iter()
                    .find(|known| *known == breach.invariant)
                    .ok_or_else(|| format!("no invariant is called {:?}", breach.invariant))?,
                member: breach.member,
                at: Instant::ZERO + span(breach.at_s)?,
                seen: breach.seen,
                seed: self.seed,
            }),
            None => Ok(Outcome {
                seed: self.seed,
                agreed: self.agreed,
                leader: self.leader.map(|(days, id)| Pid { days, id }),
                settled: self.settled_s.map(span).transpose()?,
                crash_to_leader: self.crash_to_leader_s.map(span).transpose()?,
                detection_to_leader: self.detection_to_leader_s.map(span).transpose()?,
                contact_to_leader: self.contact_to_leader_s.map(span).transpose()?,
                last_fault_to_leader: self.last_fault_to_leader_s.map(span).transpose()?,
                disagreed: span(self.disagreed_s.ok_or(LACKS)?)?,
                messages: self.messages.map(Messages::from).ok_or(LACKS)?,
                probe_oks: self.probe_oks.ok_or(LACKS)?,
                messages_after_fault: self.messages_after_fault.ok_or(LACKS)?,
                bytes_after_fault: self.bytes_after_fault.ok_or(LACKS)?,
                exchanges: self.exchanges.ok_or(LACKS)?,
                wire_bytes: self.wire_bytes.ok_or(LACKS)?,
                attack: self.attack.map(Attacked::from).unwrap_or_default(),
                fullest_table: self.fullest_table.ok_or(LACKS)?,
                polls: self.polls.ok_or(LACKS)?,
                cut: self.cut,
                simulated: span(self.simulated_s)?,
                unchecked: self
                    .not_checked
                    .iter()
                    .map(|text| {
                        let mut all = Unchecked::ALL.into_iter();
                        all.find(|known| known.text() == text)
                            .ok_or_else(|| format!("nothing is left unchecked as {text:?}"))
                    })
                    .collect::<Result<_, _>>()?,
            }),
        };
        Ok(Run {
            seed: self.seed,
            result,
            wall: span(self.wall_s)?,
            peak_rss: self.wall_peak_rss_bytes,
        })
    }
}

const LACKS: &str = "a run without a breach lacks a figure";

fn span(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl From<Counts> for Messages {
    fn from(counts: Counts) -> Self {
        Self {
            join: counts.join,
            election: counts.election,
            ok: counts.ok,
            coordinator: counts.coordinator,
            probe: counts.probe,
        }
    }
}

impl From<Attack> for Attacked {
    fn from(attack: Attack) -> Self {
        Self {
            messages: attack.messages,
            bytes: attack.bytes,
            connections: attack.connections,
            answered_bytes: attack.answered_bytes,
            connections_to_one: attack.connections_to_one,
        }
    }
}
