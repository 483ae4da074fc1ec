//! What may happen to a group, and what is wrong with it on purpose.

use bully_tests::owned::Kind;

use crate::port::{Flight, List, Place};

/// What may still happen to a group apart from what always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Crashes.
    pub(crate) crashes: u8,
    /// Starts, and starts again.
    pub(crate) starts: u8,
    /// Messages lost without a word, or with their connection.
    pub(crate) losses: u8,
    /// Moves of the clock while a message is under way.
    pub(crate) late: u8,
    /// Forged messages.
    pub(crate) forgeries: u8,
}

/// How finely what happens on a connection is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// Connecting and the message are one step, and an answer ends the connection for whoever gave
    /// it: two steps for each exchange.
    Whole,
    /// Connecting, the message, the answer and the end are a step each.
    Parts,
}

/// What is wrong with a group on purpose, so that the search can be seen to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing: the core as it is shipped.
    None,
    /// Every COORDINATOR reaches the least member, whomever it is for.
    Astray,
    /// A node that waits for the victor has no timer.
    Timerless,
    /// An ELECTION is taken in and never answered: the assignment's rules cope with that.
    Unanswered,
}

/// What stays the same throughout a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) members: u8,
    pub(crate) grain: Grain,
    pub(crate) flaw: Flaw,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A node starts, or starts again, knowing nobody.
    Start(Place),
    /// A node ends without a word.
    Crash(Place),
    /// A deadline comes, and the clock moves on to it if it has not come yet.
    Wake(Place),
    /// A message arrives.
    Deliver(Flight),
    /// It does not, and nobody learns of it.
    Lose(Flight),
    /// It does not, and its connection breaks.
    Break(Flight),
    /// Somebody who is no member sends a list of processes that do not exist.
    Forge { to: Place, kind: Kind, list: List },
}
