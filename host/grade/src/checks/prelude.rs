//! What the files of checks begin with.

pub(super) use core::time::Duration;

pub(super) use crate::check::{Check, Extra, Judge};
pub(super) use crate::fault::{Fault, Limits, Stop, within};
pub(super) use crate::peer::{GONE, HANGS, LEADS, LIVE, Manner, Rank, SILENT, UNREAD};
pub(super) use crate::seen::{Party, What};
pub(super) use crate::stage::Stage;
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
