//! The exchanges of a chip: those it has opened, those that others have, and what is left of
//! earlier sessions.

use bully::wire::ACCEPTED_FROM;
use bully::{Exchange, Instant, Pid};

use super::kept::Message;

/// How many exchanges a gateway has open at its network at most: as many slots that network
/// should have.
pub const EXCHANGES_MAX: usize = OUTBOUND_MAX + INBOUND_MAX + LEFT_MAX;

/// How many exchanges of one chip are under way at once; more break off.
pub(super) const OUTBOUND_MAX: usize = 128;

/// How many that others have opened are held for the chip, whether it knows of them or not.
pub(super) const INBOUND_MAX: usize = 64;

/// How many are left open for their last bytes; the oldest gives way.
pub(super) const LEFT_MAX: usize = 64;

/// An exchange that the chip has opened and not closed.
#[derive(Debug)]
pub(super) struct Outbound {
    /// The chip's number for it.
    pub(super) number: u32,
    /// The chip's own process, if the message is JOIN.
    pub(super) joins: Option<Pid>,
    pub(super) stage: Outgoing,
}

#[derive(Debug)]
pub(super) enum Outgoing {
    /// The network has had no slot for it yet.
    Waiting(bully::Addr, Message),
    /// The network has it.
    Open {
        at: Exchange,
        /// Its message has been sent.
        sent: bool,
    },
    /// Its end was passed to the chip; the network has yet to close it, if it knows of it.
    Over(Option<Exchange>),
}

impl Outbound {
    /// The network's number for it.
    pub(super) fn at(&self) -> Option<Exchange> {
        match self.stage {
            Outgoing::Waiting(..) => None,
            Outgoing::Open { at, .. } => Some(at),
            Outgoing::Over(at) => at,
        }
    }
}

/// An exchange that somebody else has opened.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The network's number for it.
    pub(super) at: Exchange,
    /// When they connected.
    pub(super) since: Instant,
    pub(super) stage: Arrived,
}

#[derive(Debug)]
pub(super) enum Arrived {
    /// Their message is still out.
    Silent,
    /// To be passed to the chip when it has a slot for it.
    Waiting(Message),
    /// The chip knows of it by this number, and may answer.
    Passed(u32, Message),
    /// The chip has answered; all of it has been sent, or not.
    Answered(u32, bool),
    /// Its end was passed to the chip.
    Over(u32),
}

impl Inbound {
    /// The chip's number for it.
    pub(super) fn number(&self) -> Option<u32> {
        match self.stage {
            Arrived::Silent | Arrived::Waiting(_) => None,
            Arrived::Passed(number, _) | Arrived::Answered(number, _) | Arrived::Over(number) => {
                Some(number)
            }
        }
    }
}

/// How many of `slots` may be taken by what others have opened: the core keeps a quarter for what
/// it opens itself.
pub(super) fn inbound_max(slots: usize) -> usize {
    slots.saturating_sub((slots / 4).max(1)).max(1)
}

/// The number after `number` for an exchange that others have opened. Numbers go round across
/// sessions: the chip may not have forgotten those of the last one.
pub(super) fn next_number(number: u32) -> u32 {
    let count = 1 + u32::from(u16::MAX) - ACCEPTED_FROM;
    ACCEPTED_FROM + (number + 1 - ACCEPTED_FROM) % count
}
