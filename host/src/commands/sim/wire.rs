//! How long the messages of a simulated group would be in pickle.

use core::cell::RefCell;

use bully::{Member, Reply, Request, Roster};

use crate::names::Names;
use crate::pickle::writer::{self, Forms};

/// Returns how many bytes the [`writer`] makes of a message, without writing all of it each time.
///
/// The lists are long and the messages many: a group of a thousand would spend most of its time
/// pickling. But a list is as long as its parts, for each member adds the same wherever it stands,
/// so it is enough to have the writer's word on each member once. That holds where all share one
/// host, as in a simulated group of up to 40,000; in a larger one the name of its second and third
/// host, 9 bytes each in a list, is not counted.
#[derive(Debug)]
pub(super) struct Wire {
    names: Names,
    /// What a member adds to a list, by its id; 0 where that was not asked yet.
    parts: RefCell<Vec<u8>>,
}

/// Members of simulated groups have ids from this one up.
const FIRST_ID: u32 = 1_000_000;

/// As many as a simulated group may have, and one more.
const PARTS: usize = bully_sim::MEMBERS_MAX + 1;

impl Wire {
    pub(super) fn new() -> Self {
        Self {
            names: Names::new(),
            parts: RefCell::new(vec![0; PARTS]),
        }
    }

    /// The length of the message or answer of this name, about these members. A JOIN is about the
    /// one who joins.
    pub(super) fn bytes(&self, name: &str, members: &[Member]) -> usize {
        let Some((first, others)) = members.split_first() else {
            return self.written(name, members);
        };
        let mut parts = self.parts.borrow_mut();
        let others: usize = others
            .iter()
            .map(|member| {
                let index = member.pid.id.checked_sub(FIRST_ID);
                let Some(part) = index.and_then(|index| parts.get_mut(index as usize)) else {
                    return usize::from(self.part(*member));
                };
                if *part == 0 {
                    *part = self.part(*member);
                }
                usize::from(*part)
            })
            .sum();
        self.written(name, &[*first]) + others
    }

    /// What `member` adds to a list that names its host already.
    fn part(&self, member: Member) -> u8 {
        let beside = Member {
            addr: bully::Addr(member.addr.0 ^ 1),
            ..member
        };
        let mut two = [member, beside];
        two.sort();
        // The same process at a port of the same length makes the other half.
        let both = self.written("ELECTION", &two);
        let alone = self.written("ELECTION", &[member]);
        u8::try_from(both - alone).unwrap_or(u8::MAX)
    }

    fn written(&self, name: &str, members: &[Member]) -> usize {
        let (forms, names) = (Forms::default(), &self.names);
        let roster = Roster::new(members).unwrap_or(Roster::EMPTY);
        let mut out = Vec::new();
        let request = match (name, members) {
            ("JOIN", [member]) => Some(Request::Join(*member)),
            ("ELECTION", _) => Some(Request::Election(roster)),
            ("COORDINATOR", _) => Some(Request::Coordinator(roster)),
            ("PROBE", _) => Some(Request::Probe(roster)),
            _ => None,
        };
        let reply = match name {
            "OK" => Some(Reply::Ok(roster)),
            "MEMBERS" => Some(Reply::Members(roster)),
            _ => None,
        };
        if let Some(request) = request {
            writer::request(&mut out, &request, &forms, names);
        } else if let Some(reply) = reply {
            writer::reply(&mut out, &reply, &forms, names, None);
        }
        out.len()
    }
}

#[cfg(test)]
mod tests {
    use bully::{Addr, Pid};

    use super::*;

    fn member(number: u32) -> Member {
        let addr = Addr(0x7f00_0001_0000 | (20_000 + u64::from(number)));
        let days = number / 12 + 1;
        let id = 1_000_000 + number;
        Member {
            pid: Pid { days, id },
            addr,
        }
    }

    #[test]
    fn a_message_is_as_long_as_the_writer_makes_it() {
        let wire = Wire::new();
        let everybody: Vec<_> = (1..=4_096).map(member).collect();
        for name in ["ELECTION", "COORDINATOR", "MEMBERS"] {
            for (from, to) in [
                (0, 0),
                (0, 1),
                (5, 9),
                (3_000, 3_200),
                (0, 1_000),
                (0, 4_096),
            ] {
                let list = &everybody[from..to];
                let length = wire.written(name, list);
                assert_eq!(wire.bytes(name, list), length, "{name} {from}..{to}");
                assert!(length > 11 * list.len(), "{name} {from}..{to}");
            }
        }
        // An odd one out of the middle.
        let some: Vec<_> = everybody.iter().copied().step_by(7).collect();
        assert_eq!(
            wire.bytes("ELECTION", &some),
            wire.written("ELECTION", &some)
        );
    }

    #[test]
    fn each_name_stands_for_its_message() {
        let wire = Wire::new();
        let (forms, names) = (Forms::default(), Names::new());
        let (me, roster) = (member(5), Roster::EMPTY);
        for (name, members, message) in [
            ("JOIN", &[me][..], Request::Join(me)),
            ("ELECTION", &[], Request::Election(roster)),
            ("COORDINATOR", &[], Request::Coordinator(roster)),
            ("PROBE", &[], Request::Probe(roster)),
        ] {
            let mut out = Vec::new();
            writer::request(&mut out, &message, &forms, &names);
            assert_eq!(wire.bytes(name, members), out.len(), "{name}");
        }
        // Python's pickle of protocol 2 without its memo.
        assert_eq!(wire.bytes("OK", &[]), b"\x80\x02X\x02\0\0\0OK.".len());
        assert_eq!(wire.bytes("MEMBERS", &[]), b"\x80\x02}.".len());
    }
}
