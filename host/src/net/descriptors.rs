//! How many descriptors the system lets this process have. Each connection is one.

/// How many of them are no connections: the standard streams, the poller, the log, what a library
/// holds.
pub(crate) const RESERVE: usize = 16;

/// How many descriptors this process may have; `None`: as many as it likes.
#[cfg(unix)]
pub(crate) fn allowed() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Sockets are no files here, and there is no limit.
#[cfg(not(unix))]
pub(crate) fn allowed() -> Option<u64> {
    None
}

/// Asks the system for `wanted` descriptors, or as many of them as it lets us have; never for fewer
/// than there are. Returns how many it has come to, as [`allowed`] does.
#[cfg(unix)]
pub(crate) fn raise(wanted: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(wanted).min(wanted);
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        // What has come of it is what counts.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    allowed()
}

/// As [`allowed`].
#[cfg(not(unix))]
pub(crate) fn raise(_: u64) -> Option<u64> {
    None
}
