//! How fields of events are written: pairs, texts and times.

use core::fmt;
use core::time::Duration;

use bully::Pid;
use serde::{Serialize as _, Serializer};

#[expect(clippy::ref_option, reason = "serde hands fields over like this")]
pub(super) fn is_absent<T>(field: &Option<T>) -> bool {
    field.is_none()
}

pub(super) fn pair<S: Serializer>(pid: &Pid, to: S) -> Result<S::Ok, S::Error> {
    (pid.days, pid.id).serialize(to)
}

pub(super) fn maybe_pair<S: Serializer>(pid: &Option<Pid>, to: S) -> Result<S::Ok, S::Error> {
    pid.map(|pid| (pid.days, pid.id)).serialize(to)
}

pub(super) fn shown<T: fmt::Display, S: Serializer>(what: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(what)
}

pub(super) fn millis<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
