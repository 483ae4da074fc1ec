//! Who is up, whom everybody follows, and how long a group may take until all follow the same.
//!
//! Everything that goes wrong or changes who is there is a *fault*: a start, a crash, a feigned
//! failure and its end, a stopped process and its continuing, a lost or late message, the beginning
//! and the end of a partition, forged members. [`Scenario::settles_within`] after the latest one a group is
//! *at rest*: everyone that is up names the greatest member that it can reach, and goes on doing so
//! until the next fault.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use bully::{Config, Instant, Member, Pid};

use crate::identity::{addr, pid};
use crate::scenario::Scenario;

impl Scenario {
    /// How long this group takes at most from the last fault until all agree, for delays that are short
    /// against all of the time-outs.
    ///
    /// Where every table has a place for everybody, the slowest ways are those by which a mistake comes
    /// to light: a member whose JOIN failed tries again after the longest pause, a leader asks the
    /// coordinator who has come, and one whose leader is gone sends its next PROBE after the longest
    /// gap and waits for an answer. What comes to light is put right by an election: the OKs, the
    /// COORDINATOR that does not come, because whoever answered has just gone, up to twice as long the
    /// second time, and the OKs once more. The window may put the announcement off, and a COORDINATOR
    /// lost before all this adds a PROBE to a lesser leader and the election that follows.
    ///
    /// Where tables are smaller than the group, a member may follow one that does not lead and that
    /// nobody can know it: that one stops answering PROBEs after 15 s, and then all of the above
    /// holds once more for the members around it.
    pub fn settles_within(&self) -> Duration {
        let config = Config::new(Member {
            pid: pid(1),
            addr: addr(1, 0),
        });
        let joins = config.join_again.1.max(config.look_gap) + config.join_within;
        let notices = config.probe_gap.1 + config.probe_within;
        let elects = config.ok_within + 2 * config.victor_within + config.ok_within;
        let full = joins + 2 * (notices + elects + config.window);
        match self.fits() {
            true => full,
            false => full + UNANSWERED + 2 * notices + joins,
        }
    }
}

/// For how long a member is asked for signs of life as if it led before it stops to answer.
const UNANSWERED: Duration = Duration::from_secs(15);

/// After so long a member that has started or come back is known to all that have a place for it: it
/// has joined, and whoever waited for an answer from before has stopped.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// After so long a PROBE from before has been answered, or given up: 1.5 s and a second one of 1.1 s, each
/// longer by what round trips have lately taken.
pub(crate) const ASKED_WITHIN: Duration = Duration::from_secs(4);

/// What the oracle knows of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) up: bool,
    /// Not a plain member: these may follow the wrong one for good, by the assignment's letter.
    pub(crate) judged: bool,
    pub(crate) pid: Pid,
    pub(crate) leader: Option<Pid>,
    /// Since when it is up, or down.
    pub(crate) since: Instant,
}

/// Who is up and names the greatest that is, kept up to date.
#[derive(Debug)]
pub(crate) struct Agreement {
    views: Vec<View>,
    /// Who is up.
    up: BTreeSet<(Pid, usize)>,
    judged_up: usize,
    /// How many that are up and judged name whom.
    naming: HashMap<Pid, usize>,
    /// Since when all agree.
    since: Option<Instant>,
    /// Until when the time without agreement has been added up, and from when on it counts.
    added_until: Option<Instant>,
    disagreed: Duration,
    pub(crate) last_fault: Instant,
    /// When the latest message that is lost or late was, or will be, due, or a link changed.
    pub(crate) interfered_until: Instant,
    /// The same, but for COORDINATOR: until then somebody who is there may have seemed gone.
    pub(crate) muffled_until: Instant,
    /// How long this group may need; `None` if nothing can be promised.
    pub(crate) within: Option<Duration>,
    /// A check for agreement at rest is in the event queue.
    pub(crate) check_is_due: bool,
    /// Messages that the faults so far account for.
    pub(crate) allowed: u64,
}

impl Agreement {
    pub(crate) fn new(scenario: &Scenario, promised: bool, judged: &[bool]) -> Self {
        let view = |(number, judged): (usize, &bool)| View {
            up: false,
            judged: *judged,
            pid: pid(number),
            leader: None,
            since: Instant::ZERO,
        };
        Self {
            views: judged.iter().enumerate().map(view).collect(),
            up: BTreeSet::new(),
            judged_up: 0,
            naming: HashMap::new(),
            since: None,
            added_until: None,
            disagreed: Duration::ZERO,
            last_fault: Instant::ZERO,
            interfered_until: Instant::ZERO,
            muffled_until: Instant::ZERO,
            within: promised.then(|| scenario.settles_within()),
            check_is_due: false,
            allowed: 0,
        }
    }

    pub(crate) fn view(&self, number: usize) -> Option<&View> {
        self.views.get(number)
    }

    /// Every member that is up, ascending by process id.
    pub(crate) fn up(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.up.iter().map(|(_, number)| *number)
    }

    /// The greatest that is up.
    pub(crate) fn greatest(&self) -> Option<(Pid, usize)> {
        self.up.last().copied()
    }

    /// Takes what is known of a member; returns what was known before if that is another thing.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        number: usize,
        (up, pid, leader): (bool, Pid, Option<Pid>),
    ) -> Option<View> {
        let view = self.views.get_mut(number)?;
        if (view.up, view.pid, view.leader) == (up, pid, leader) {
            return None;
        }
        let before = *view;
        view.since = if up == view.up { view.since } else { now };
        (view.up, view.pid, view.leader) = (up, pid, leader);
        if before.up {
            self.up.remove(&(before.pid, number));
        }
        if up {
            self.up.insert((pid, number));
        }
        if before.judged {
            self.count(before.up, before.leader, false);
            self.count(up, leader, true);
        }
        self.judge(now);
        Some(before)
    }

    fn count(&mut self, up: bool, leader: Option<Pid>, more: bool) {
        if !up {
            return;
        }
        let change = |count: &mut usize| match more {
            true => *count += 1,
            false => *count = count.saturating_sub(1),
        };
        change(&mut self.judged_up);
        if let Some(leader) = leader {
            change(self.naming.entry(leader).or_default());
        }
    }

    /// Everybody that is up names the greatest that is. Nobody disagrees where nobody is up.
    fn agrees(&self) -> bool {
        let greatest = self.greatest().map(|(pid, _)| pid);
        let right = greatest.and_then(|greatest| self.naming.get(&greatest));
        right.copied().unwrap_or_default() == self.judged_up
    }

    fn judge(&mut self, now: Instant) {
        let agrees = self.agrees();
        if self.since.is_none()
            && let Some(added_until) = &mut self.added_until
        {
            self.disagreed += now.since(*added_until);
            *added_until = now;
        }
        match (agrees, self.since) {
            (true, None) => {
                self.since = Some(now);
                self.added_until = Some(now);
            }
            (false, Some(_)) => {
                self.since = None;
                self.added_until = Some(now);
            }
            _ => {}
        }
    }

    /// Since when all agree.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// How long not all agreed, from the first time that all did, up to `now`.
    pub(crate) fn disagreed(&self, now: Instant) -> Duration {
        let open = match (self.since, self.added_until) {
            (None, Some(from)) => now.since(from),
            _ => Duration::ZERO,
        };
        self.disagreed + open
    }

    /// Forgets what came before the late one.
    pub(crate) fn restart(&mut self) {
        self.since = None;
        self.added_until = None;
        self.disagreed = Duration::ZERO;
    }

    /// A message is lost or late, or a link changes; `muffles` if somebody who is there may seem gone
    /// because of it.
    pub(crate) fn interfere(&mut self, at: Instant, muffles: bool) {
        self.interfered_until = self.interfered_until.max(at);
        if muffles {
            self.muffled_until = self.muffled_until.max(at);
        }
    }

    /// When all must agree, if nothing else happens.
    pub(crate) fn rests_at(&self) -> Option<Instant> {
        Some(self.last_fault + self.within?)
    }
}
