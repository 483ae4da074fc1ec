//! The checks, a file each: who is there, what is done, what must be seen and by when.

pub(crate) mod answers;
pub(crate) mod dead_leader;
pub(crate) mod everyone;
pub(crate) mod feign;
pub(crate) mod gives_up;
pub(crate) mod greatest;
pub(crate) mod hardy;
pub(crate) mod join;
pub(crate) mod learns;
pub(crate) mod log;
pub(crate) mod not_blocked_connect;
pub(crate) mod not_blocked_send;
pub(crate) mod once;
pub(crate) mod one_connection;
pub(crate) mod only_greater;
pub(crate) mod payload;
pub(crate) mod port;
pub(crate) mod probe;
pub(crate) mod probe_answer;
pub(crate) mod restart;
pub(crate) mod silent_greater;
pub(crate) mod start_election;

/// What the files of checks begin with.
mod prelude {
    pub(super) use core::time::Duration;

    pub(super) use crate::check::{Check, Extra, Judge};
    pub(super) use crate::peer::{GONE, HANGS, LEADS, LIVE, Manner, Rank, SILENT, UNREAD};
    pub(super) use crate::seen::{Party, What};
    pub(super) use crate::stage::{Fault, Limits, Stage, Stop, within};
    pub(super) use crate::wire::{Kind, Outgoing};

    /// A fault that is not about time.
    pub(super) fn wrong(
        expected: impl Into<String>,
        seen: impl Into<String>,
        offending: Option<usize>,
    ) -> Stop {
        Stop::Fault(Fault {
            expected: expected.into(),
            seen: seen.into(),
            offending,
            at_once: false,
        })
    }
}
