//! What each member was at which time.

use super::model::{Phase, PointWhat, Run, Span, Who};
use crate::line::What;

/// Returns what somebody becomes that was `before`; `None`: it stays that.
fn next(who: Who, before: Option<Phase>, what: &PointWhat) -> Option<Phase> {
    let PointWhat::Event(what) = what else {
        return before.is_none().then_some(Phase::Up);
    };
    Some(match what {
        What::Election { .. } => Phase::Electing,
        What::Waiting => Phase::Waiting,
        What::Leader { leader, .. } => match leader {
            Some(leader) if Who::Member(*leader) == who => Phase::Leading,
            Some(leader) => Phase::Following(*leader),
            None => Phase::Up,
        },
        What::LeaderLost { .. } | What::Recovered => Phase::Up,
        What::Failed { .. } => Phase::Failed,
        What::Resigned { .. } | What::Stopped => Phase::Ended,
        What::Process { what } => match what.as_str() {
            "starts" => Phase::Up,
            "is stopped" => Phase::Paused,
            what if what.starts_with("crashes") => Phase::Crashed,
            _ => return before.is_none().then_some(Phase::Up),
        },
        _ => return before.is_none().then_some(Phase::Up),
    })
}

impl Run {
    /// Returns what each was at which time, by lane.
    pub fn phases(&self) -> Vec<Vec<Span>> {
        spans(self)
    }
}

fn spans(run: &Run) -> Vec<Vec<Span>> {
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); run.lanes.len()];
    // What a stopped process was goes on with it.
    let mut paused: Vec<Option<Phase>> = vec![None; run.lanes.len()];
    for (place, point) in run.points.iter().enumerate() {
        let Some((lane, spans)) = point
            .lane
            .and_then(|lane| Some((lane, spans.get_mut(lane)?)))
        else {
            continue;
        };
        let before = spans.last().map(|span| span.phase);
        let mut phase = next(run.who(lane), before, &point.what);
        let goes_on =
            matches!(&point.what, PointWhat::Event(What::Process { what }) if what == "goes on");
        if let Some(paused) = paused.get_mut(lane) {
            if goes_on {
                phase = paused.take().or(phase);
            } else if phase == Some(Phase::Paused) && before != phase {
                *paused = before;
            }
        }
        let Some(phase) = phase.filter(|phase| Some(*phase) != before) else {
            continue;
        };
        if let Some(last) = spans.last_mut() {
            last.until = Some(place);
        }
        spans.push(Span {
            from: place,
            until: None,
            phase,
        });
    }
    spans
}
