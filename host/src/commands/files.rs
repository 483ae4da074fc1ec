//! How many files the system lets this process have open: each connection is one.

use super::Failure;

/// How many descriptors to ask the system for: two for each connection of a thousand members.
#[cfg(unix)]
const WANTED: u64 = 65_536;

/// How many descriptors are no member's: those of the process, and the coordinator's connections.
const APART: u64 = 100;

/// How many descriptors a member uses in the usual course of an election, its door and all: a
/// thousand members were seen to have 9,374 at once.
const EACH: u64 = 10;

/// How few it can do with. With 2.6 each a thousand members were seen not to agree in 20 s, with
/// 3.9 to agree in less than 12 s.
const EACH_MIN: u64 = 4;

/// Allows this process as many descriptors as the system lets it have, for the usual 1,024 are
/// meant for programs that are one member only: how many that are. `None`: there is no limit.
#[cfg(unix)]
pub(super) fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(WANTED).min(WANTED);
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        // What has come of it is what counts.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current
}

/// Sockets are no files here, and there is no limit.
#[cfg(not(unix))]
pub(super) fn raise_limit() -> Option<u64> {
    None
}

/// Raises the limit for that many members in this process: what to know if it is low for them.
pub(super) fn room_for(members: u64) -> Result<Option<String>, Failure> {
    let allowed = raise_limit().unwrap_or(u64::MAX);
    let (least, easy) = (APART + members * EACH_MIN, APART + members * EACH);
    if allowed < least {
        let fit = allowed.saturating_sub(APART) / EACH_MIN;
        let raise = "raise the limit: ulimit -n 65536".to_owned();
        return Err(Failure::new(
            format!("{members} members need {least} open files, and the system allows {allowed}"),
            match fit {
                0 => raise,
                _ => format!("{raise}; or start fewer: --members {fit}"),
            },
        ));
    }
    Ok((allowed < easy).then(|| {
        format!(
            "the system allows {allowed} open files, and {members} members can use {easy}: they \
             will wait for each other; more are had with ulimit -n 65536"
        )
    }))
}
