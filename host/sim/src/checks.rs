//! What must hold after every step, whatever happens.

use core::fmt;

use bully::{Instant, Phase};

use crate::identity::pid;
use crate::node::AnyNode;
use crate::node::exchanges;
use crate::port::{Action, Port};
use crate::scenario::Scenario;

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant, by name.
    pub invariant: &'static str,
    /// The member's number.
    pub member: usize,
    /// When, in virtual time.
    pub at: Instant,
    /// What was seen.
    pub seen: String,
    /// The seed of the run.
    pub seed: u64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: at {:.6} s member {} breaks \"{}\": {}",
            self.seed,
            self.at.as_micros() as f64 / 1e6,
            self.member,
            self.invariant,
            self.seen
        )
    }
}

impl core::error::Error for Breach {}

/// Looks at a machine that has just done all it had to do.
pub(crate) fn step(
    machine: &mut dyn AnyNode,
    port: &mut Port,
    now: Instant,
    scenario: &Scenario,
    number: usize,
) -> Result<(), Breach> {
    let fail = |invariant, seen| {
        Err(Breach {
            invariant,
            member: number,
            at: now,
            seen,
            seed: scenario.seed,
        })
    };
    let me = pid(number);
    let poll_at = machine.poll_at();
    let settled = matches!(machine.phase(), Phase::Leading | Phase::Following(_));
    if !settled && poll_at.is_none() {
        return fail(
            "every unsettled phase has a deadline",
            format!("{:?} without one", machine.phase()),
        );
    }
    if poll_at.is_some_and(|at| at <= now) && !port.has_input() {
        return fail(
            "poll_at is never now with nothing to do",
            format!("{poll_at:?} at {now:?}"),
        );
    }
    let roster = machine.roster();
    let members = roster.members();
    if members.len() > scenario.capacity || !members.is_sorted_by(|a, b| a < b) {
        return fail(
            "the table is ascending and within its capacity",
            format!("{members:?}"),
        );
    }
    if !members.iter().any(|member| member.pid == me) {
        return fail("my own pid is never dropped", format!("{members:?}"));
    }
    if let Phase::Following(leader) = machine.phase()
        && (leader <= me || !members.iter().any(|member| member.pid == leader))
    {
        return fail(
            "whom I follow is greater than me and in the table",
            format!("{leader:?} in {members:?}"),
        );
    }
    let opened = port.outbox.iter().filter_map(|action| match action {
        Action::Open { to, .. } => Some(*to),
        _ => None,
    });
    for to in opened.clone() {
        if members
            .iter()
            .any(|member| member.pid == me && member.addr == to)
        {
            return fail("nothing is sent to oneself", format!("{to:?}"));
        }
    }
    if opened.count() > WORK_MAX * exchanges(scenario) {
        return fail(
            "work per poll is bounded by the capacities",
            format!("{} exchanges opened at once", port.outbox.len()),
        );
    }
    if !port.has_input() {
        let earlier = Instant::from_micros(now.as_micros().saturating_sub(1_000_000));
        for again in [now, earlier] {
            if let Some(seen) = does(machine, port, again) {
                return fail(
                    "polling again, or with an earlier time, changes nothing",
                    seen,
                );
            }
        }
    }
    Ok(())
}

/// Looks at a machine that has neither input nor, by its own word, anything to do yet.
pub(crate) fn spot_check(
    machine: &mut dyn AnyNode,
    port: &mut Port,
    now: Instant,
    scenario: &Scenario,
    number: usize,
) -> Result<(), Breach> {
    match does(machine, port, now) {
        None => Ok(()),
        Some(seen) => Err(Breach {
            invariant: "poll_at is never later than the earliest deadline",
            member: number,
            at: now,
            seen,
            seed: scenario.seed,
        }),
    }
}

/// What a machine does when it is polled, if it does anything.
fn does(machine: &mut dyn AnyNode, port: &mut Port, now: Instant) -> Option<String> {
    let (actions, poll_at, phase) = (port.outbox.len(), machine.poll_at(), machine.phase());
    let event = machine.poll(now, port);
    let same =
        port.outbox.len() == actions && machine.poll_at() == poll_at && machine.phase() == phase;
    (event.is_some() || !same).then(|| {
        let now_at = machine.poll_at();
        let actions = port.outbox.get(actions..);
        format!("{event:?}, {actions:?}, poll_at {poll_at:?} to {now_at:?}")
    })
}

/// A poll takes in at most four pieces of input for each place, each of which may free one.
const WORK_MAX: usize = 6;
