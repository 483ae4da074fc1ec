//! What a node reports to its user.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::net::{Gone, Refusal};
use crate::roster::{Addr, Pid};

/// What a [`Node`](crate::Node) reports to its user. What it does never depends on who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Event {
    /// The coordinator answered JOIN.
    Joined {
        /// Entries in the table now, this node among them.
        members: u32,
    },
    /// A JOIN failed; it is tried again.
    JoinFailed {
        /// What happened.
        failure: JoinFailure,
        /// The pause before the next try.
        again_in: Duration,
    },
    /// This node has left for good.
    Resigned {
        /// Who is announced as the next leader: `None` if this node did not lead, or knows nobody
        /// lesser that may be there.
        successor: Option<Pid>,
    },
    /// This node started an election.
    Election {
        /// Why.
        cause: Cause,
    },
    /// This node knows who leads: reported after every election, and whenever it changes.
    Leader {
        /// Who, perhaps this node itself.
        leader: Pid,
        /// Why that one.
        reason: Reason,
    },
    /// The leader has failed; an election follows.
    LeaderLost {
        /// Who led.
        leader: Pid,
        /// How that was noticed.
        how: Loss,
    },
    /// This node feigns failure from now on.
    Failed {
        /// For how long.
        length: Duration,
    },
    /// A feigned failure is over.
    Recovered,
    /// The coordinator's list has this node's process id at another address: another program runs with
    /// it, or this one did before it was started anew. Reported again if it is yet another address.
    PidInUse {
        /// Where.
        addr: Addr,
    },
    /// The table is too small for all members. Reported when more are left out than ever before.
    RosterFull {
        /// How many entries were left out at once.
        left_out: u32,
    },
}

/// Why an election was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Cause {
    /// I have joined the group.
    Joined,
    /// I have come back from a feigned failure.
    Recovered,
    /// ELECTION was received; its sender may be anybody.
    Asked,
    /// The leader has failed.
    LeaderLost,
    /// Somebody lesser announced itself.
    LesserLeader,
    /// A leader was announced that has not answered lately.
    DoubtfulLeader,
    /// Somebody greater answered, but nobody announced itself.
    NoVictor,
    /// I was probed as if I led.
    Probed,
    /// The coordinator's list has somebody greater than the leader.
    GreaterJoined,
    /// Somebody greater than the leader, who was gone, is there again.
    GreaterBack,
    /// The coordinator's list has somebody whom the leader, of another kind, may not know.
    LesserJoined,
}

impl Cause {
    /// The cause in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Recovered => "recovered",
            Self::Asked => "received ELECTION",
            Self::LeaderLost => "leader lost",
            Self::LesserLeader => "a lesser leader was announced",
            Self::DoubtfulLeader => "a silent leader was announced",
            Self::NoVictor => "no leader was announced",
            Self::Probed => "probed without leading",
            Self::GreaterJoined => "a greater member joined",
            Self::GreaterBack => "a greater member is back",
            Self::LesserJoined => "a lesser member joined",
        }
    }
}

/// Why somebody is taken for the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Reason {
    /// This node leads: it knows of nobody greater.
    Greatest,
    /// This node leads: of the greater processes it knows, none answered its ELECTION.
    NoneAnswered {
        /// How many greater processes it knows.
        greater: u32,
    },
    /// It was announced.
    Announced,
    /// Two were announced; this is the greater one, and it answered.
    Answered,
    /// Two were announced; this is the lesser one, and the greater one did not answer.
    GreaterFailed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greatest => f.write_str("no greater member is known"),
            Self::NoneAnswered { greater: 1 } => {
                f.write_str("1 greater member, it does not answer")
            }
            Self::NoneAnswered { greater } => {
                write!(f, "{greater} greater members, none answers")
            }
            Self::Announced => f.write_str("it was announced"),
            Self::Answered => f.write_str("it was announced and answers"),
            Self::GreaterFailed => {
                f.write_str("it was announced, and a greater one that was too does not answer")
            }
        }
    }
}

/// Why a JOIN failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum JoinFailure {
    /// The connection failed.
    Gone(Gone),
    /// The coordinator gave no answer, or took longer than
    /// [`join_within`](crate::Config::join_within).
    Silent,
    /// The coordinator turned us down.
    Refused(Refusal),
}

/// How a leader's failure was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Loss {
    /// It refused a connection.
    Refused,
    /// It broke one off.
    Reset,
    /// It did not accept one in time, or is known at no address any more.
    Unreachable,
    /// It kept silent, though it had answered before.
    Silent,
}

impl fmt::Display for JoinFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(gone) => write!(f, "the coordinator is not reached: {gone}"),
            Self::Silent => f.write_str("the coordinator does not answer"),
            Self::Refused(refusal) => write!(f, "the coordinator refuses: {refusal}"),
        }
    }
}

impl Error for JoinFailure {}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "it refuses connections",
            Self::Reset => "it broke the connection off",
            Self::Unreachable => "it cannot be reached",
            Self::Silent => "it keeps silent",
        })
    }
}

impl Error for Loss {}

/// How many messages of each kind were sent or received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Messages {
    /// JOIN.
    pub join: u64,
    /// ELECTION.
    pub election: u64,
    /// OK, to an ELECTION or a PROBE.
    pub ok: u64,
    /// COORDINATOR.
    pub coordinator: u64,
    /// PROBE.
    pub probe: u64,
}

/// What a node has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Counters {
    /// Messages handed to the network, whether or not they arrived.
    pub sent: Messages,
    /// Messages received, except while failure is feigned.
    pub received: Messages,
    /// Exchanges whose bytes were not a message, or not one for a member.
    pub rejected: u64,
    /// Exchanges closed early to free a slot for others.
    pub crowded_out: u64,
}

// `#[inline(never)]`: a call is half as long as the sum.
#[inline(never)]
pub(crate) fn count(counter: &mut u64) {
    *counter += 1;
}
