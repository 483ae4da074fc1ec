//! How many messages of our own are under way at once, in a process with many members.
//!
//! In such a process those who are to answer wait for the processor behind those who ask. Without a
//! bound a thousand members that elect beside 8 busy loops had 5,000 messages under way, 200 of which
//! were answered in a second: all others were overdue, were sent again, and elections had no end.

use core::time::Duration;
use std::collections::VecDeque;

use bully::Instant;

/// The messages under way: started, not over, and young enough for an answer to be expected.
#[derive(Debug)]
pub(super) struct UnderWay {
    bounded: bool,
    count: usize,
    /// When each was started, by slot and number; the oldest first.
    started: VecDeque<(Instant, usize, u64)>,
}

/// How many there may be. Beside 24 busy loops on 2 processors a thousand members finish 700 exchanges
/// a second, so each is answered well within the second that an ELECTION waits; on a quiet machine
/// that many are over in some milliseconds.
const MAX: usize = 128;

/// How many there may be before a member that has no other has to wait too, so that nobody is kept
/// out by those who have several.
const MAX_FOR_FIRST: usize = 2 * MAX;

/// For how long a message counts: as long as an ELECTION waits. Whoever has taken it and says nothing
/// costs nothing.
const COUNTS_FOR: Duration = Duration::from_secs(1);

impl UnderWay {
    /// None, and no bound.
    pub(super) fn new() -> Self {
        Self {
            bounded: false,
            count: 0,
            started: VecDeque::new(),
        }
    }

    /// Bounds those that begin from now on.
    pub(super) fn bound(&mut self) {
        self.bounded = true;
    }

    /// Returns `true` if there may be one more; `first` if its owner has no other.
    pub(super) fn admits(&self, first: bool) -> bool {
        self.count < if first { MAX_FOR_FIRST } else { MAX }
    }

    /// Counts the message in `slot`. Returns `false` if there is no bound, and nothing is counted.
    pub(super) fn begin(&mut self, now: Instant, slot: usize, number: u64) -> bool {
        if self.bounded {
            self.count += 1;
            self.started.push_back((now, slot, number));
        }
        self.bounded
    }

    /// One that was counted is over.
    pub(super) fn end(&mut self) {
        self.count -= 1;
    }

    /// The slot and the number of one that was started so long ago that it does not count any more.
    pub(super) fn next_old(&mut self, now: Instant) -> Option<(usize, u64)> {
        let (since, slot, number) = *self.started.front()?;
        if since + COUNTS_FOR > now {
            return None;
        }
        self.started.pop_front();
        Some((slot, number))
    }
}
