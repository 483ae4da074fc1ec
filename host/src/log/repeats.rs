//! Messages that are rejected again and again: the first is reported, the others are counted.

use core::hash::{Hash as _, Hasher as _};
use core::time::Duration;
use std::collections::HashMap;
use std::hash::DefaultHasher;

use bully::Instant;

use super::event::Event;

/// What was reported lately, by the host it came from and the reason.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    hosts: HashMap<String, Host>,
    /// From hosts for which there is no space.
    others: u64,
    /// When to report the counts; `None` while all are zero.
    report_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Host {
    /// Kinds of reasons, hashed.
    reasons: Vec<u64>,
    /// Rejected since the last report.
    more: u64,
    latest: Instant,
}

/// How many hosts are remembered. A lab has a handful; an attacker has many, and is counted.
const HOSTS_MAX: usize = 64;

/// How many kinds of reasons are reported of a host: it could invent a new one each time. Ours are
/// some sixty.
const REASONS_MAX: usize = 64;

/// How often the counts are reported.
const REPORT_EACH: Duration = Duration::from_secs(10);

/// After this time without another one a host is forgotten, so that its next one is reported.
const FORGET_AFTER: Duration = Duration::from_secs(60);

impl Repeats {
    /// Takes note of a message from `host` that was rejected for the reason `why`. Returns `true`
    /// if it is to be reported.
    pub(super) fn is_new(&mut self, now: Instant, host: &str, why: &str) -> bool {
        self.hosts
            .retain(|_, host| host.more > 0 || now.since(host.latest) < FORGET_AFTER);
        if !self.hosts.contains_key(host) && self.hosts.len() >= HOSTS_MAX {
            self.others += 1;
        } else {
            let host = self.hosts.entry(host.to_owned()).or_default();
            host.latest = now;
            let kind = kind(why);
            if !host.reasons.contains(&kind) && host.reasons.len() < REASONS_MAX {
                host.reasons.push(kind);
                return true;
            }
            host.more += 1;
        }
        self.report_at = self.report_at.or(Some(now + REPORT_EACH));
        false
    }

    /// Returns the counts that are due, as events.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Event> {
        match self.report_at {
            Some(at) if at <= now => self.all(),
            _ => Vec::new(),
        }
    }

    /// Returns all counts, as events.
    pub(super) fn all(&mut self) -> Vec<Event> {
        self.report_at = None;
        let mut counts: Vec<_> = self
            .hosts
            .iter_mut()
            .filter(|(_, host)| host.more > 0)
            .map(|(name, host)| (Some(name.clone()), core::mem::take(&mut host.more)))
            .collect();
        counts.sort();
        let others = core::mem::take(&mut self.others);
        counts.extend((others > 0).then_some((None, others)));
        let event = |(host, count)| Event::RejectedMore { host, count };
        counts.into_iter().map(event).collect()
    }
}

/// Returns what is the same for all reasons that differ only in numbers, or in what they quote of the
/// message.
fn kind(why: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    why.split_whitespace()
        .take_while(|word| !word.starts_with("b'") && !word.starts_with(['(', '[', '{', '\'', '"']))
        .filter(|word| !word.starts_with(|letter: char| letter.is_ascii_digit()))
        .for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn counts(events: &[Event]) -> Vec<(Option<&str>, u64)> {
        let count = |event: &Event| match event {
            Event::RejectedMore { host, count } => (host.clone(), *count),
            other => panic!("{other:?}"),
        };
        let counts = events.iter().map(count);
        counts
            .map(|(host, count)| (host.map(|host| &*host.leak()), count))
            .collect()
    }

    #[test]
    fn the_first_of_a_kind_is_reported_and_the_others_are_counted() {
        let mut repeats = Repeats::default();
        assert!(repeats.is_new(at(0), "a", "x"));
        for _ in 0..300 {
            assert!(!repeats.is_new(at(1), "a", "x"));
        }
        assert!(repeats.is_new(at(1), "a", "y at byte 7: b'abc'"));
        assert!(!repeats.is_new(at(1), "a", "y at byte 81: b'x y z'"));
        assert!(repeats.is_new(at(1), "b", "x"));
        assert!(counts(&repeats.due(at(10))).is_empty());
        assert_eq!(counts(&repeats.due(at(11))), [(Some("a"), 301)]);
        assert!(counts(&repeats.due(at(30))).is_empty());
        assert!(!repeats.is_new(at(40), "a", "x"));
        assert_eq!(counts(&repeats.all()), [(Some("a"), 1)]);
        // A minute later it is reported again.
        assert!(repeats.is_new(at(101), "a", "x"));
    }

    #[test]
    fn neither_many_hosts_nor_many_reasons_take_more_memory() {
        let mut repeats = Repeats::default();
        let mut reported = 0;
        for host in 0..1_000 {
            for why in 0..100 {
                let why = "x".repeat(why);
                let new = repeats.is_new(at(0), &host.to_string(), &why);
                reported += usize::from(new);
            }
        }
        assert_eq!(reported, HOSTS_MAX * REASONS_MAX);
        let counted: u64 = counts(&repeats.all()).iter().map(|(_, count)| count).sum();
        assert_eq!(counted + reported as u64, 100_000);
    }
}
