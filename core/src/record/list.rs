//! Lists as their differences from the one before.

use heapless::VecView;

use super::format::NOBODY;
use super::op;
use crate::roster::{Member, Roster};

/// What takes a list in pieces.
pub(super) trait Out {
    /// Begins a record.
    fn record(&mut self, op: u8);
    /// Goes on with a number.
    fn number(&mut self, number: u64);
    /// Goes on with a member, as its difference from `last`.
    fn member(&mut self, last: Member, member: Member);
}

/// Writes `list` unless it is the one that was written last, `known`, which becomes this one.
pub(super) fn write(out: &mut dyn Out, known: &mut VecView<Member>, list: Roster<'_>) {
    let members = list.members();
    if known.as_slice() == members {
        return;
    }
    if known.is_empty() {
        out.record(op::LIST);
        out.number(members.len() as u64);
        put(out, NOBODY, members);
    } else {
        out.record(op::CHANGED);
        changes(out, known, members);
    }
    known.clear();
    // One that is too long is written in full each time.
    let _ = known.extend_from_slice(members);
}

/// The runs of which `members` consists: so many kept of `known`, so many of it skipped, so many
/// new ones. The last run has no new ones and skips none.
fn changes(out: &mut dyn Out, known: &[Member], members: &[Member]) {
    let (mut old, mut new) = (known, members);
    loop {
        let kept = common(old, new);
        old = old.get(kept..).unwrap_or(&[]);
        new = new.get(kept..).unwrap_or(&[]);
        let next = new.first();
        let skipped = old
            .iter()
            .take_while(|member| next.is_none_or(|next| *member < next));
        let skipped = skipped.count();
        old = old.get(skipped..).unwrap_or(&[]);
        let until = old.first();
        let added = new
            .iter()
            .take_while(|member| until.is_none_or(|until| *member < until));
        let added = added.count();
        out.number(kept as u64);
        out.number(skipped as u64);
        out.number(added as u64);
        let before = members.len() - new.len();
        let last = before.checked_sub(1).and_then(|at| members.get(at));
        put(
            out,
            last.copied().unwrap_or(NOBODY),
            new.get(..added).unwrap_or(&[]),
        );
        new = new.get(added..).unwrap_or(&[]);
        if skipped == 0 && added == 0 {
            return;
        }
    }
}

fn common(old: &[Member], new: &[Member]) -> usize {
    old.iter()
        .zip(new)
        .take_while(|(old, new)| old == new)
        .count()
}

fn put(out: &mut dyn Out, mut last: Member, members: &[Member]) {
    for member in members {
        out.member(last, *member);
        last = *member;
    }
}
