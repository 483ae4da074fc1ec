//! Which part of a run is shown, and what is left out.

use std::collections::BTreeSet;

use crate::line::Kind;
use crate::run::{PointWhat, Run, Who};

/// What of a run is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From when on, in microseconds since the start.
    pub from: Option<i64>,
    /// Until when.
    pub until: Option<i64>,
    /// Whom; empty: everybody.
    pub members: BTreeSet<Who>,
    /// Messages of these kinds are not wanted, nor what answers them.
    pub hide: BTreeSet<Kind>,
    /// How many messages at most: the first.
    pub messages_max: usize,
    /// How many members at most: those with most messages.
    pub lanes_max: usize,
}

/// The part of a run that is shown.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Who, by place in [`Run::lanes`], ascending.
    pub lanes: Vec<usize>,
    /// What, by place in [`Run::points`], in their order.
    pub points: Vec<usize>,
    /// The messages that those are of, by place in [`Run::messages`], ascending.
    pub messages: Vec<usize>,
    /// What is left out although nobody asked for that, a sentence each.
    pub left_out: Vec<String>,
}

/// How many messages a picture shows by default: some 3 MB.
pub const MESSAGES_MAX: usize = 10_000;

/// How many members a picture shows: more are wider than anybody scrolls.
pub const LANES_MAX: usize = 200;

impl Default for Wanted {
    fn default() -> Self {
        Self {
            from: None,
            until: None,
            members: BTreeSet::new(),
            hide: BTreeSet::new(),
            messages_max: MESSAGES_MAX,
            lanes_max: LANES_MAX,
        }
    }
}

impl Wanted {
    fn has_time(&self, at: i64) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at <= until)
    }

    /// Returns what of `run` is shown.
    pub fn select(&self, run: &Run) -> Selection {
        let mut left_out = Vec::new();
        let lanes = self.lanes(run, &mut left_out);
        let has_lane = |lane: usize| lanes.binary_search(&lane).is_ok();
        let is_wanted = |number: &usize| {
            let Some(message) = run.messages.get(*number) else {
                return false;
            };
            let mut lanes = [message.from, message.to].into_iter().flatten();
            let kind = run.request_kind(message);
            lanes.all(has_lane)
                && kind.is_none_or(|kind| !self.hide.contains(kind))
                && message.points().any(|point| self.has_time(run.at(point)))
        };
        let mut messages: Vec<usize> = (0..run.messages.len()).filter(is_wanted).collect();
        let mut until = None;
        if messages.len() > self.messages_max {
            let all = messages.len();
            messages.truncate(self.messages_max);
            let last = messages.last().and_then(|last| run.messages.get(*last));
            let last = last.and_then(|last| last.points().min());
            let at = last.map_or(0, |last| run.at(last));
            left_out.push(format!(
                "only the first {} of {all} messages are shown, until {}",
                self.messages_max,
                crate::run::seconds_text(at)
            ));
            until = last;
        }
        let is_shown = |place: &usize| {
            let Some(point) = run.points.get(*place) else {
                return false;
            };
            match &point.what {
                PointWhat::Message(number) => messages.binary_search(number).is_ok(),
                PointWhat::Event(_) => {
                    point.lane.is_none_or(has_lane)
                        && self.has_time(point.at)
                        && until.is_none_or(|until| *place <= until)
                }
            }
        };
        let points = (0..run.points.len()).filter(is_shown).collect();
        Selection {
            lanes,
            points,
            messages,
            left_out,
        }
    }

    fn lanes(&self, run: &Run, left_out: &mut Vec<String>) -> Vec<usize> {
        let is_wanted = |who: Who| self.members.is_empty() || self.members.contains(&who);
        let mut lanes: Vec<usize> = (0..run.lanes.len())
            .filter(|lane| is_wanted(run.who(*lane)))
            .collect();
        if lanes.len() > self.lanes_max {
            let mut counts = vec![0_u64; run.lanes.len()];
            for message in &run.messages {
                for lane in [message.from, message.to].into_iter().flatten() {
                    if let Some(count) = counts.get_mut(lane) {
                        *count += 1;
                    }
                }
            }
            let all = lanes.len();
            lanes.sort_by_key(|lane| core::cmp::Reverse(counts.get(*lane).copied()));
            lanes.truncate(self.lanes_max);
            lanes.sort_unstable();
            left_out.push(format!(
                "only the {} of {all} with most messages are shown, and what these send each other; \
                 --members chooses others",
                self.lanes_max
            ));
        }
        lanes
    }
}
