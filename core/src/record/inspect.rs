//! What is in a node, for debugging.

use crate::exchanges::State;
use crate::net::Exchange;
use crate::node::Node;
use crate::phase::Phase;
use crate::roster::{Addr, Member, Pid, TOP};
use crate::table::{Flag, Liveness, Trust};
use crate::time::Instant;
use crate::timers::Timer;

/// One thing that is in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inspected {
    /// The latest time it was given.
    Now(Instant),
    /// Who it is, and where the coordinator is.
    Me {
        /// Itself.
        me: Member,
        /// The coordinator.
        directory: Option<Addr>,
    },
    /// Where it stands in the election.
    Phase(Phase),
    /// Two are said to lead; the greater one is being asked.
    Contest {
        /// This one leads if it answers.
        greater: Pid,
        /// Else this one.
        lesser: Pid,
    },
    /// Some have yet to be sent a message.
    Unsent {
        /// Those below this one; `None`: everyone who is to be sent it.
        below: Option<Member>,
        /// The message, by its name.
        message: &'static str,
    },
    /// A time at which something is due.
    Timer {
        /// What.
        name: &'static str,
        /// When.
        at: Instant,
    },
    /// An entry of the table.
    Member {
        /// Who, and where.
        member: Member,
        /// What is known of it since it was last asked.
        liveness: &'static str,
        /// How it came to be known.
        trust: &'static str,
        /// Its last exchange failed.
        gone: bool,
    },
    /// A connection.
    Exchange {
        /// Its number.
        exchange: Exchange,
        /// What is going on.
        state: State,
        /// With whom, if this node opened it.
        peer: Option<Member>,
        /// When that has lasted too long.
        deadline: Instant,
    },
}

/// Shows what is in a node: its tables, phase and timers.
pub trait Inspect {
    /// Tells `see` of everything, one after the other.
    fn inspect(&self, see: &mut dyn FnMut(Inspected));
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Inspect for Node<MEMBERS, EXCHANGES> {
    fn inspect(&self, see: &mut dyn FnMut(Inspected)) {
        let (members, notes, slots, state) = self.parts();
        see(Inspected::Now(state.now));
        see(Inspected::Me {
            me: state.config.me,
            directory: state.config.directory,
        });
        see(Inspected::Phase(state.phase()));
        if let Some(contest) = state.stage.contest() {
            see(Inspected::Contest {
                greater: contest.greater,
                lesser: contest.lesser,
            });
        }
        let election = state.stage.unsent_election();
        let election = election.map(|unsent| (unsent.below, "ELECTION"));
        let coordinator = state.stage.unsent_coordinator();
        let coordinator = coordinator.map(|below| (below, "COORDINATOR"));
        for (below, message) in election.into_iter().chain(coordinator) {
            let below = Some(below).filter(|below| *below != TOP);
            see(Inspected::Unsent { below, message });
        }
        for (timer, name) in TIMERS {
            if !state.timers.is_stopped(timer) {
                let at = state.timers.at(timer);
                see(Inspected::Timer { name, at });
            }
        }
        for (member, note) in members.iter().zip(notes) {
            see(Inspected::Member {
                member: *member,
                liveness: liveness(note.liveness),
                trust: trust(note.trust),
                gone: note.has(Flag::Gone),
            });
        }
        for slot in slots {
            see(Inspected::Exchange {
                exchange: slot.exchange,
                state: slot.state,
                peer: Some(slot.peer).filter(|peer| slot.opened_by_us && *peer != TOP),
                deadline: slot.deadline,
            });
        }
    }
}

/// Every timer and what is due then.
const TIMERS: [(Timer, &str); 8] = [
    (Timer::Phase, "the phase ends"),
    (Timer::Feign, "failure is feigned"),
    (Timer::Join, "JOIN is sent"),
    (Timer::Probe, "PROBE is sent"),
    (Timer::Announce, "COORDINATOR is sent again"),
    (Timer::Look, "the coordinator is asked who has come"),
    (Timer::Patience, "answers count as missing"),
    (Timer::Relay, "the leader is relayed"),
];

const fn liveness(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Unasked => "not asked",
        Liveness::Asked => "asked",
        Liveness::Alive => "answered",
        Liveness::Silent => "silent",
        Liveness::Gone => "gone",
        Liveness::Idle => "left alone",
        Liveness::Skipped => "passed over",
    }
}

const fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Named => "named by others",
        Trust::Listed => "listed",
        Trust::Reached => "reached",
    }
}
