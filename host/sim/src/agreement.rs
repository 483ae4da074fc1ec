//! Whether all agree, and whether they must by now.
//!
//! Everything that goes wrong or changes who is there is a *disturbance*: a start, a crash, a
//! feigned failure and its end, a lost or late message, the beginning and the end of a partition.
//! [`settles_within`] after the latest one a group is at rest: everyone that is up names the
//! greatest member it can reach, and goes on doing so until the next disturbance.

use core::time::Duration;

use bully::{Config, Instant};

use crate::identity::{addr, pid};
use crate::scenario::Scenario;

/// Who is up and names the greatest that is, kept up to date.
#[derive(Debug)]
pub(crate) struct Agreement {
    /// Members that are up and name the greatest that is.
    pub(crate) right: usize,
    pub(crate) up: usize,
    pub(crate) greatest_up: usize,
    pub(crate) since: Option<Instant>,
    pub(crate) crashed_at: Option<Instant>,
    pub(crate) disturbed_at: Instant,
    /// When the latest message that is lost or late was, or will be, due, or a partition changed.
    pub(crate) interfered_until: Instant,
    /// The same, but for COORDINATOR: until then somebody who is there may have seemed gone.
    pub(crate) muffled_until: Instant,
    /// How long a group needs, or `None` if nothing can be promised.
    pub(crate) within: Option<Duration>,
    /// Messages allowed so far.
    pub(crate) allowed: u64,
}

/// How long a group takes at most from the last disturbance until all agree, for delays that are
/// short against all of these.
///
/// The slowest ways are those by which a mistake comes to light: a member whose JOIN failed tries
/// again after the longest pause, a leader asks the coordinator who has come, and one whose leader is gone sends its next PROBE after the
/// longest gap and waits for an answer. What comes to light is put right by an election: the OKs,
/// the COORDINATOR that does not come, because whoever answered has just gone, up to twice as long
/// the second time, and the OKs once more. The window may put the announcement off, and a
/// COORDINATOR lost before all this adds a PROBE to a lesser leader and the election that follows.
pub fn settles_within(config: &Config) -> Duration {
    let joins = config.join_again.1.max(config.look_gap) + config.join_within;
    let notices = config.probe_gap.1 + config.probe_within;
    let elects = config.ok_within + 2 * config.victor_within + config.ok_within;
    joins + 2 * (notices + elects + config.window)
}

/// After so long a member that has started or come back is there for all to see: it has joined, and
/// whoever waited in vain for an answer from before has stopped.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// After so long a PROBE from before has been answered, or given up.
pub(crate) const ASKED_WITHIN: Duration = Duration::from_secs(2);

impl Agreement {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let config = Config::new(bully::Member {
            pid: pid(1),
            addr: addr(1),
        });
        // To the message the rules promise nothing; nor do they when answers take longer than they
        // are waited for, when the table has no room for all, or when PROBE goes unasked or unanswered.
        let promised = !scenario.strict
            && 4 * scenario.delay.ceiling() <= config.ok_within
            && scenario.capacity >= scenario.members
            && scenario.prober.is_none();
        Self {
            right: 0,
            up: 0,
            greatest_up: 0,
            since: None,
            crashed_at: None,
            disturbed_at: Instant::ZERO,
            interfered_until: Instant::ZERO,
            muffled_until: Instant::ZERO,
            within: promised.then(|| settles_within(&config)),
            allowed: 0,
        }
    }

    /// Forgets what came before the late one.
    pub(crate) fn restart(&mut self) {
        self.since = None;
    }

    /// A message is lost or late, or a partition changes; `muffles` if somebody who is there may seem
    /// gone because of it.
    pub(crate) fn interfere(&mut self, at: Instant, muffles: bool) {
        self.interfered_until = self.interfered_until.max(at);
        if muffles {
            self.muffled_until = self.muffled_until.max(at);
        }
    }

    pub(crate) fn rests_at(&self) -> Option<Instant> {
        Some(self.disturbed_at + self.within?)
    }
}
