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
mod prelude;
pub(crate) mod probe;
pub(crate) mod probe_answer;
pub(crate) mod restart;
pub(crate) mod silent_greater;
pub(crate) mod start_election;

use crate::check::Check;

/// All checks, in the order in which they are run.
pub const CHECKS: [Check; 22] = [
    join::CHECK,
    port::CHECK,
    start_election::CHECK,
    only_greater::CHECK,
    payload::CHECK,
    greatest::CHECK,
    everyone::CHECK,
    silent_greater::CHECK,
    restart::CHECK,
    answers::CHECK,
    once::CHECK,
    learns::CHECK,
    not_blocked_send::CHECK,
    not_blocked_connect::CHECK,
    gives_up::CHECK,
    probe::CHECK,
    dead_leader::CHECK,
    probe_answer::CHECK,
    feign::CHECK,
    hardy::CHECK,
    one_connection::CHECK,
    log::CHECK,
];
