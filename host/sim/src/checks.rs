//! What must hold after every step, whatever happens.

use bully::{Instant, Member, Phase};

use crate::breach::Breach;
use crate::message::Action;
use crate::node::AnyNode;
use crate::port::Port;

/// Whom a check looks at, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) number: usize,
    pub(crate) me: Member,
    pub(crate) capacity: usize,
    pub(crate) exchanges: usize,
    pub(crate) now: Instant,
    pub(crate) seed: u64,
}

impl Subject {
    fn breach(&self, invariant: &'static str, seen: String) -> Breach {
        Breach {
            invariant,
            member: self.number,
            at: self.now,
            seen,
            seed: self.seed,
        }
    }
}

/// Checks a node that has just done all it had to do.
pub(crate) fn step(
    node: &mut dyn AnyNode,
    port: &mut Port,
    subject: &Subject,
) -> Result<(), Breach> {
    let fail = |invariant, seen| Err(subject.breach(invariant, seen));
    let (now, me) = (subject.now, subject.me.pid);
    let poll_at = node.poll_at();
    let settled = matches!(node.phase(), Phase::Leading | Phase::Following(_));
    if !settled && poll_at.is_none() {
        return fail(
            "every unsettled phase has a deadline",
            format!("{:?} without one", node.phase()),
        );
    }
    if poll_at.is_some_and(|at| at <= now) && !port.has_input() {
        return fail(
            "poll_at is never now with nothing to do",
            format!("{poll_at:?} at {now:?}"),
        );
    }
    let roster = node.roster();
    let members = roster.members();
    if members.len() > subject.capacity || !members.is_sorted_by(|a, b| a < b) {
        return fail(
            "the table is ascending and within its capacity",
            format!("{members:?}"),
        );
    }
    if !members.iter().any(|member| member.pid == me) {
        return fail("my own pid is never dropped", format!("{members:?}"));
    }
    if let Phase::Following(leader) = node.phase()
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
    if opened.count() > WORK_MAX * subject.exchanges {
        return fail(
            "work per poll is bounded by the capacities",
            format!("{} exchanges opened at once", port.outbox.len()),
        );
    }
    if !port.has_input() {
        let earlier = Instant::from_micros(now.as_micros().saturating_sub(1_000_000));
        for again in [now, earlier] {
            if let Some(seen) = does(node, port, again) {
                return fail(
                    "polling again, or with an earlier time, changes nothing",
                    seen,
                );
            }
        }
    }
    Ok(())
}

/// Checks a node that has neither input nor, by its own word, anything to do yet.
pub(crate) fn early_poll(
    node: &mut dyn AnyNode,
    port: &mut Port,
    subject: &Subject,
) -> Result<(), Breach> {
    let invariant = "poll_at is never later than the earliest deadline";
    match does(node, port, subject.now) {
        None => Ok(()),
        Some(seen) => Err(subject.breach(invariant, seen)),
    }
}

/// What a node does when it is polled, if it does anything.
fn does(node: &mut dyn AnyNode, port: &mut Port, now: Instant) -> Option<String> {
    let (actions, poll_at, phase) = (port.outbox.len(), node.poll_at(), node.phase());
    let event = node.poll(now, port);
    let same = port.outbox.len() == actions && node.poll_at() == poll_at && node.phase() == phase;
    (event.is_some() || !same).then(|| {
        let now_at = node.poll_at();
        let actions = port.outbox.get(actions..);
        format!("{event:?}, {actions:?}, poll_at {poll_at:?} to {now_at:?}")
    })
}

/// A poll takes in at most four pieces of input for each exchange, each of which may free one.
const WORK_MAX: usize = 6;
