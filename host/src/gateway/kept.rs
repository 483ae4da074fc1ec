//! Messages and lists that have to be kept, or distinguished by their revision.

use bully::{Gone, Incoming, Member, Origin, Refusal, Reply, Request, Roster};

/// A list with its own members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) members: Vec<Member>,
    pub(super) origin: Option<Origin>,
}

impl From<Roster<'_>> for List {
    fn from(list: Roster<'_>) -> Self {
        Self {
            members: list.members().to_vec(),
            origin: list.origin(),
        }
    }
}

impl List {
    /// Cuts it down to `max` members; how many are left out.
    ///
    /// The greatest stay, and so does the sender, if the list says who that is: whoever asks is to be
    /// sent COORDINATOR. If it does not, the least stays with `least_stays`, for in an ELECTION of a
    /// table too small for its group that is the sender.
    fn cut(&mut self, max: usize, least_stays: bool) -> usize {
        let Some(excess) = self.members.len().checked_sub(max) else {
            return 0;
        };
        let sender = match self.origin {
            Some(origin) => self.members.iter().position(|it| it.pid == origin.pid),
            None => Some(0).filter(|_| least_stays),
        };
        // In place of the least of those that stay, which is greater.
        if let Some(sender) = sender.filter(|sender| *sender < excess && max > 0) {
            self.members.swap(sender, excess);
        }
        self.members.drain(..excess);
        excess
    }
}

/// A [`Request`] with its own list, or what came in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Join(Member),
    Election(List),
    Coordinator(List),
    Probe(List),
    Unfit(Refusal),
}

impl Message {
    pub(super) fn new(request: Request<'_>) -> Self {
        match request {
            Request::Join(member) => Self::Join(member),
            Request::Election(list) => Self::Election(list.into()),
            Request::Coordinator(list) => Self::Coordinator(list.into()),
            Request::Probe(list) => Self::Probe(list.into()),
        }
    }

    /// The members of its list, if it has one.
    pub(super) fn members(&self) -> &[Member] {
        match self {
            Self::Election(list) | Self::Coordinator(list) | Self::Probe(list) => &list.members,
            Self::Join(_) | Self::Unfit(_) => &[],
        }
    }

    /// Moves it out of a slot that is about to be given up.
    pub(super) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Probe(List::default()))
    }

    /// Leaves no more in it than a member with capacity for `max` others makes use of; returns how
    /// many there was no capacity for.
    pub(super) fn cut(&mut self, max: usize) -> usize {
        match self {
            Self::Election(list) => list.cut(max, true),
            Self::Coordinator(list) => list.cut(max, false),
            // A member does not use the list in a PROBE.
            Self::Probe(list) => {
                list.members.clear();
                0
            }
            Self::Join(_) | Self::Unfit(_) => 0,
        }
    }

    /// Returns `true` if OK answers it.
    pub(super) fn awaits_ok(&self) -> bool {
        matches!(self, Self::Election(_) | Self::Probe(_))
    }

    /// Lends it, with a list that `latest` has numbered.
    pub(super) fn lend<'a>(&self, latest: &'a mut Latest) -> Incoming<'a> {
        Incoming::Request(match self {
            Self::Join(member) => Request::Join(*member),
            Self::Election(list) => Request::Election(latest.lend(list)),
            Self::Coordinator(list) => Request::Coordinator(latest.lend(list)),
            Self::Probe(list) => Request::Probe(latest.lend(list)),
            Self::Unfit(refusal) => return Incoming::Unfit(*refusal),
        })
    }
}

/// An [`Incoming`] with its own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Accepted,
    Sent,
    Request(Message),
    Ok(Option<Origin>),
    Members(List),
    Refused(Refusal),
    Done,
    Gone(Gone),
}

impl Input {
    pub(super) fn new(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Accepted => Self::Accepted,
            Incoming::Sent => Self::Sent,
            Incoming::Request(request) => Self::Request(Message::new(request)),
            Incoming::Unfit(refusal) => Self::Request(Message::Unfit(refusal)),
            Incoming::Reply(Reply::Ok(list)) => Self::Ok(list.origin()),
            Incoming::Reply(Reply::Members(list)) => Self::Members(list.into()),
            Incoming::Reply(Reply::Refused(refusal)) => Self::Refused(refusal),
            Incoming::Done => Self::Done,
            Incoming::Gone(gone) => Self::Gone(gone),
        }
    }
}

/// The latest list in one direction, and its revision: whoever takes lists of equal revision and
/// length for equal is never wrong.
#[derive(Debug, Default)]
pub(super) struct Latest {
    members: Vec<Member>,
    revision: u32,
}

impl Latest {
    /// `list` with a revision: that of the last one if it is a part of that, from its beginning.
    pub(super) fn number(&mut self, list: &[Member]) -> Roster<'_> {
        if list.is_empty() {
            return Roster::EMPTY;
        }
        if !self.members.starts_with(list) {
            self.members.clear();
            self.members.extend_from_slice(list);
            self.revision = self.revision.wrapping_add(1);
        }
        self.part(list.len())
    }

    /// `list` as it is sent on.
    pub(super) fn lend(&mut self, list: &List) -> Roster<'_> {
        self.number(&list.members).with_origin(list.origin)
    }

    /// The last one again.
    pub(super) fn again(&self) -> Roster<'_> {
        self.part(self.members.len())
    }

    fn part(&self, len: usize) -> Roster<'_> {
        let members = self.members.get(..len).unwrap_or(&[]);
        // Whatever was numbered ascends: it came as a list.
        Roster::new(members)
            .unwrap_or(Roster::EMPTY)
            .with_revision(self.revision)
    }
}

#[cfg(test)]
mod tests {
    use bully::{Addr, Pid};

    use super::*;

    fn members(days: impl IntoIterator<Item = u32>) -> Vec<Member> {
        let member = |days| Member {
            pid: Pid { days, id: 1 },
            addr: Addr(days.into()),
        };
        days.into_iter().map(member).collect()
    }

    #[test]
    fn a_list_is_cut_to_the_greatest_and_its_sender() {
        for (max, least_stays, sender, left, out) in [
            (5, true, None, vec![1, 2, 3, 4, 5], 0),
            (9, true, None, vec![1, 2, 3, 4, 5], 0),
            (3, true, None, vec![1, 4, 5], 2),
            (3, false, None, vec![3, 4, 5], 2),
            (1, true, None, vec![1], 4),
            (1, false, None, vec![5], 4),
            (0, true, None, vec![], 5),
            (3, true, Some(2), vec![2, 4, 5], 2),
            (3, false, Some(2), vec![2, 4, 5], 2),
            (3, true, Some(3), vec![3, 4, 5], 2),
            (3, true, Some(5), vec![3, 4, 5], 2),
            (1, true, Some(2), vec![2], 4),
            (0, true, Some(2), vec![], 5),
            // One that does not say where it is.
            (3, true, Some(9), vec![3, 4, 5], 2),
        ] {
            let origin = sender.map(|days| Origin {
                pid: Pid { days, id: 1 },
                large: false,
                leads: false,
            });
            let mut list = List {
                members: members(1..=5),
                origin,
            };
            assert_eq!(list.cut(max, least_stays), out);
            assert_eq!(
                list.members,
                members(left),
                "{max} {least_stays} {sender:?}"
            );
        }
    }

    #[test]
    fn lists_that_differ_never_have_revision_and_length_in_common() {
        let mut latest = Latest::default();
        let lists = [
            vec![1, 2],
            vec![1],
            vec![1, 3],
            vec![2, 3],
            vec![],
            vec![2],
            vec![1, 2],
        ];
        let mut seen: Vec<(u32, Vec<Member>)> = Vec::new();
        for list in lists.map(members) {
            let numbered = latest.number(&list);
            assert_eq!(numbered.members(), list);
            let of = (numbered.revision().unwrap_or(0), numbered.len());
            for (revision, other) in &seen {
                assert!((*revision, other.len()) != of || *other == list);
            }
            seen.push((of.0, list));
        }
    }
}
