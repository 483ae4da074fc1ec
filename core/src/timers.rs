//! A node's own times, by name. The deadlines of exchanges stand in the table of exchanges.

use crate::time::Instant;

/// What a node does when a time has come. Each is set in one phase or in any, and is never due while
/// it is [`Instant::NEVER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The phase ends: while electing, waiting for COORDINATOR, and feigning failure.
    Phase,
    /// Feign failure.
    Feign,
    /// Send JOIN.
    Join,
    /// Send PROBE: to the leader, or as the leader to somebody greater.
    Probe,
    /// As the leader: announce once more.
    Announce,
    /// As the leader: ask the coordinator who has come.
    Look,
    /// In a large group: what has not been answered by now does not answer for the time being.
    Patience,
    /// In a large group: relay the leader, which the pace has put off.
    Relay,
}

/// The time of each [`Timer`].
#[derive(Clone, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Timers([Instant; Timer::Relay as usize + 1]);

impl Timers {
    pub(crate) const fn new() -> Self {
        Self([Instant::NEVER; Timer::Relay as usize + 1])
    }

    pub(crate) fn at(&self, timer: Timer) -> Instant {
        self.0
            .get(timer as usize)
            .copied()
            .unwrap_or(Instant::NEVER)
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(time) = self.0.get_mut(timer as usize) {
            *time = at;
        }
    }

    /// Moves every time that is set by so many microseconds.
    pub(crate) fn set_back(&mut self, by: u64) {
        for time in &mut self.0 {
            *time = time.earlier(by);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.set(timer, Instant::NEVER);
    }

    /// Returns `true` if `timer` has not been set, or has been stopped.
    pub(crate) fn is_stopped(&self, timer: Timer) -> bool {
        self.at(timer) == Instant::NEVER
    }

    /// The earliest time of those that do not need a slot for an exchange.
    pub(crate) fn earliest_but_sending(&self) -> Instant {
        let sending = [Timer::Join as usize, Timer::Probe as usize];
        let mut earliest = Instant::NEVER;
        for (timer, at) in self.0.iter().enumerate() {
            if !sending.contains(&timer) {
                earliest = earliest.min(*at);
            }
        }
        earliest
    }

    /// The earliest time of those at which a message is sent.
    pub(crate) fn earliest_sending(&self) -> Instant {
        self.at(Timer::Join).min(self.at(Timer::Probe))
    }
}
