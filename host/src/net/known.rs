//! Lists that came lately, as bytes and decoded: in a group that agrees all are the same.

use std::rc::Rc;

use bully::{Member, Roster};

use super::receive::Told;
use crate::pickle::message::{Due, Keyed};

/// A message with a list of members.
#[derive(Debug)]
pub(super) struct Known {
    /// The message up to its end; nothing if it came in several pieces.
    bytes: Vec<u8>,
    /// Strictly ascending.
    members: Vec<Member>,
    meaning: Meaning,
}

/// What a message means besides its list, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// What it was read as an answer to.
    pub(super) due: Option<Due>,
    pub(super) told: Told,
    pub(super) keyed: Option<Keyed>,
    /// Whose names its addresses are of; `None`: they are the same to everyone.
    pub(super) scope: Option<Scope>,
}

/// The names of one `Tcp` until some of them are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) number: u64,
    pub(super) sweeps: u64,
}

impl Known {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether its addresses are the same in these names.
    pub(super) fn means_to(&self, scope: Scope) -> bool {
        self.meaning.scope.is_none_or(|whose| whose == scope)
    }

    pub(super) fn meaning(&self) -> Meaning {
        self.meaning
    }

    pub(super) fn roster(&self) -> Roster<'_> {
        // Ascending since it was made, so this is never the empty list.
        Roster::new(&self.members).unwrap_or(Roster::EMPTY)
    }
}

/// The latest lists.
#[derive(Debug, Default)]
pub(super) struct KnownLists {
    kept: Vec<Rc<Known>>,
    next: usize,
}

/// How many lists are kept: ELECTION and COORDINATOR, as all have them and as newcomers do.
const KNOWN_MAX: usize = 8;

impl KnownLists {
    /// A message that begins with all of `piece`, or that `piece` begins with.
    pub(super) fn find(&self, piece: &[u8], due: Option<Due>, scope: Scope) -> Option<&Rc<Known>> {
        self.kept.iter().find(|known| {
            known.meaning.due == due
                && known.means_to(scope)
                && same_up_to_shorter(&known.bytes, piece)
        })
    }

    /// Keeps a message in place of the oldest one, whose memory it takes unless that is in use.
    /// `members` must be strictly ascending.
    pub(super) fn keep(&mut self, bytes: &[u8], members: &[Member], meaning: Meaning) -> Rc<Known> {
        if bytes.is_empty() {
            return Rc::new(Known {
                bytes: Vec::new(),
                members: members.to_vec(),
                meaning,
            });
        }
        let place = self.next % KNOWN_MAX;
        self.next = place + 1;
        if let Some(known) = self.kept.get_mut(place).and_then(Rc::get_mut) {
            refill(&mut known.bytes, bytes);
            refill(&mut known.members, members);
            known.meaning = meaning;
        } else {
            let known = Rc::new(Known {
                bytes: bytes.to_vec(),
                members: members.to_vec(),
                meaning,
            });
            match self.kept.get_mut(place) {
                Some(kept) => *kept = known,
                None => self.kept.push(known),
            }
        }
        Rc::clone(&self.kept[place])
    }
}

/// Whether one of them begins with the other.
pub(super) fn same_up_to_shorter(a: &[u8], b: &[u8]) -> bool {
    let shorter = a.len().min(b.len());
    a.get(..shorter) == b.get(..shorter)
}

/// Puts `with` into `old`, in no more memory than that takes.
fn refill<T: Copy>(old: &mut Vec<T>, with: &[T]) {
    old.clear();
    old.extend_from_slice(with);
}
