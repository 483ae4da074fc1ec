//! Why a message was sent, as far as its sender's log says.

use super::model::{PointWhat, Run};
use crate::line::{Kind, What};

impl Run {
    /// Returns for each message the place, among the points, of what its sender sent it for: of an
    /// ELECTION the start of the election, of a COORDINATOR that its sender knows it leads or resigns, of
    /// an answer the receiving of what it answers.
    pub fn causes(&self) -> Vec<Option<usize>> {
        causes(self)
    }
}

fn causes(run: &Run) -> Vec<Option<usize>> {
    let mut causes = vec![None; run.messages.len()];
    let mut election = vec![None; run.lanes.len()];
    let mut victory = vec![None; run.lanes.len()];
    for (place, point) in run.points.iter().enumerate() {
        let Some(lane) = point.lane else { continue };
        match &point.what {
            PointWhat::Event(What::Election { .. }) => set(&mut election, lane, Some(place)),
            PointWhat::Event(What::Leader { .. } | What::Resigned { .. }) => {
                set(&mut victory, lane, Some(place));
            }
            PointWhat::Event(_) => {}
            PointWhat::Message(number) => {
                let Some(message) = run.messages.get(*number) else {
                    continue;
                };
                if message.sent != Some(place) {
                    continue;
                }
                let cause = match &message.kind {
                    Some(Kind::Election) => election.get(lane).copied().flatten(),
                    Some(Kind::Coordinator) => victory.get(lane).copied().flatten(),
                    _ => message
                        .answers
                        .and_then(|request| run.messages.get(request)?.received),
                };
                set(&mut causes, *number, cause);
            }
        }
    }
    causes
}

fn set(list: &mut [Option<usize>], place: usize, to: Option<usize>) {
    if let Some(entry) = list.get_mut(place) {
        *entry = to;
    }
}
