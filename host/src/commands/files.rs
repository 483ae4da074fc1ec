//! How many files the system lets this process have open: each connection is one.

use super::Failure;
use crate::net::{Tcp, descriptors};

/// How many connections a member of a group in one process has on average, at most: both ends of
/// each are in that process. A thousand members that elect were seen to use 9,374 when they were
/// given all they asked for; with more, only connections that nobody needs are kept longer.
const CONNECTIONS_EACH: usize = 10;

/// How few a member can do with. With 2.6 each a thousand members were seen not to agree in 20 s,
/// with 3.9 to agree in less than 12 s.
const CONNECTIONS_EACH_MIN: usize = 4;

/// How many descriptors to ask the system for when there is no telling how many it takes.
const PLENTY: u64 = 65_536;

/// Asks the system for plenty.
pub(super) fn raise_limit() {
    descriptors::raise(PLENTY);
}

/// Raises the limit for a program that listens once and has so many exchanges at once. Returns a
/// warning if the system does not allow as many.
pub(super) fn for_exchanges(exchanges: usize) -> Option<String> {
    let wanted = (descriptors::RESERVE + Tcp::descriptors_max(exchanges)) as u64;
    let allowed = descriptors::raise(wanted)?;
    (allowed < wanted).then(|| {
        format!(
            "the system allows {allowed} open files, and {exchanges} connections can take \
             {wanted}: when they run out, the connections that are needed least are ended early; \
             more are had with ulimit -n {wanted}"
        )
    })
}

/// A group in this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) members: usize,
    /// How many exchanges its coordinator has at once.
    pub(super) coordinator: usize,
    /// How many members are recorded, each in a file.
    pub(super) recordings: usize,
}

impl Group {
    /// How many connections it has at most.
    pub(super) fn connections_max(self) -> usize {
        self.connections(CONNECTIONS_EACH)
    }

    /// Raises the limit for it. Returns a warning if the system allows less than the group can
    /// use.
    pub(super) fn raise_limit(self) -> Result<Option<String>, Failure> {
        let easy = self.descriptors(CONNECTIONS_EACH);
        let least = self.descriptors(CONNECTIONS_EACH_MIN);
        let allowed = descriptors::raise(easy).unwrap_or(u64::MAX);
        let members = self.members;
        if allowed < least {
            let fewer = (1..members).rev().map(|members| Self { members, ..self });
            let fit = fewer
                .into_iter()
                .find(|fewer| fewer.descriptors(CONNECTIONS_EACH_MIN) <= allowed);
            let raise = format!("raise the limit: ulimit -n {easy}");
            return Err(Failure::new(
                format!(
                    "{members} members need {least} open files, and the system allows {allowed}"
                ),
                match fit {
                    None => raise,
                    Some(fit) => format!("{raise}; or start fewer: --members {}", fit.members),
                },
            ));
        }
        Ok((allowed < easy).then(|| {
            format!(
                "the system allows {allowed} open files, and {members} members can use {easy}: \
                 they will wait for each other; more are had with ulimit -n {easy}"
            )
        }))
    }

    fn connections(self, each: usize) -> usize {
        self.members * each + self.coordinator
    }

    /// Every member has a listener too, and so has the coordinator.
    fn descriptors(self, each: usize) -> u64 {
        let files = self.recordings + descriptors::RESERVE;
        (files + self.connections(each) + self.members + 1) as u64
    }
}
