use heapless::Vec;

use super::*;
use crate::rng::Rng;
use crate::roster::Addr;
use crate::table::{Flag, Liveness};

fn member(days: u32, addr: u64) -> Member {
    Member {
        pid: Pid { days, id: days },
        addr: Addr(addr),
    }
}

struct Storage<const N: usize> {
    members: Vec<Member, N>,
    notes: Vec<Note, N>,
    revision: u32,
    me: Member,
    keep: Keep,
}

impl<const N: usize> Storage<N> {
    fn of(me: Member) -> Self {
        let mut storage = Self {
            members: Vec::new(),
            notes: Vec::new(),
            revision: 0,
            me,
            keep: [me.pid; 3],
        };
        storage.members.push(me).unwrap();
        storage.notes.push(Note::of(Trust::Reached)).unwrap();
        storage
    }

    fn table(&mut self) -> Table<'_> {
        Table {
            me: self.me,
            members: &mut self.members,
            notes: &mut self.notes,
            revision: &mut self.revision,
        }
    }

    fn listed(&mut self, members: &[Member]) -> Merged {
        let keep = self.keep;
        let list = Roster::new(members).expect("ascending");
        self.table().merge_listed(list, &keep)
    }

    fn named(&mut self, members: &[Member]) -> Merged {
        let keep = self.keep;
        let list = Roster::new(members).expect("ascending");
        self.table().merge_named(list, false, false, &keep)
    }

    fn sent_by(&mut self, sender: Member) -> Merged {
        let keep = self.keep;
        self.table().merge_sender(sender, &keep)
    }

    fn knows(&self, days: u32) -> bool {
        self.members.iter().any(|member| member.pid.days == days)
    }
}

/// `count` members with days drawn from a wide range, ascending.
fn drawn(rng: &mut Rng, count: usize) -> std::vec::Vec<Member> {
    let days = core::iter::repeat_with(|| 1 + rng.below(1_000_000) as u32);
    let drawn: std::collections::BTreeSet<u32> = days.take(count).collect();
    drawn
        .into_iter()
        .map(|days| member(days, days.into()))
        .collect()
}

#[test]
fn a_merge_is_a_sorted_union() {
    let mut storage = Storage::<8>::of(member(5, 5));
    let merged = storage.named(&[member(1, 1), member(9, 9)]);
    assert_eq!(merged.greatest_added, Some(member(9, 9).pid));
    storage.table().mark(member(9, 9).pid, Liveness::Gone);
    let revision = storage.revision;
    let all = [member(1, 1), member(5, 5), member(7, 7), member(9, 9)];
    let merged = storage.named(&all);
    assert_eq!(merged.greatest_added, Some(member(7, 7).pid));
    assert_eq!(storage.members, all);
    // What was known of a member moved along with it.
    assert_eq!(storage.table().liveness(member(9, 9).pid), Liveness::Gone);
    assert_eq!(
        storage.table().liveness(member(7, 7).pid),
        Liveness::Unasked
    );
    assert_ne!(storage.revision, revision);
    let revision = storage.revision;
    assert_eq!(storage.named(&all), Merged::default());
    assert_eq!(storage.listed(&all), Merged::default());
    assert_eq!(storage.revision, revision, "nothing new, nothing changed");
}

#[test]
fn my_past_and_my_port_s_past_stay_out() {
    let mut storage = Storage::<8>::of(member(5, 5));
    let past = [member(4, 5), member(5, 4), member(5, 6), member(6, 5)];
    assert_eq!(storage.listed(&past), Merged::default());
    assert_eq!(storage.named(&past), Merged::default());
    assert_eq!(storage.members, [member(5, 5)]);
}

/// The naive version of the policy: everybody is sorted by what speaks for them, and the best stay.
fn neighbourhood(me: Pid, all: &[Member], capacity: usize) -> std::vec::Vec<Member> {
    let shares = Shares::of(capacity);
    let lesser = all.iter().filter(|other| other.pid < me).rev();
    let greater = all.iter().filter(|other| other.pid > me);
    let mut order: std::vec::Vec<Member> = Default::default();
    order.extend(lesser.take(shares.lesser));
    order.extend(greater.clone().take(shares.greater));
    order.extend(greater.rev().take(shares.greatest));
    let mut others = all.to_vec();
    others.sort_by_key(|other| mix(me, other.pid));
    order.extend(others);
    let mut kept: std::vec::Vec<Member> = Default::default();
    for member in order {
        if kept.len() < capacity - 1 && member.pid != me && !kept.contains(&member) {
            kept.push(member);
        }
    }
    kept.extend(all.iter().find(|member| member.pid == me));
    kept.sort_unstable();
    kept
}

fn keeps_the_neighbourhood<const N: usize>() {
    let mut rng = Rng::new(N as u64);
    for _ in 0..200 {
        let all = drawn(&mut rng, 4 * N);
        let me = all[rng.below(all.len())];
        let expected = neighbourhood(me.pid, &all, N);
        let mut at_once = Storage::<N>::of(me);
        let merged = at_once.listed(&all);
        assert_eq!(at_once.members[..], expected[..]);
        assert!(merged.left_out > 0);
        // Whatever the order in which they are heard of.
        let mut shuffled = all.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, rng.below(at + 1));
        }
        let mut one_by_one = Storage::<N>::of(me);
        for member in &shuffled {
            one_by_one.listed(&[*member]);
        }
        assert_eq!(one_by_one.members[..], expected[..]);
    }
}

#[test]
fn a_full_table_is_the_neighbourhood_whatever_the_order() {
    keeps_the_neighbourhood::<4>();
    keeps_the_neighbourhood::<5>();
    keeps_the_neighbourhood::<8>();
    keeps_the_neighbourhood::<16>();
    keeps_the_neighbourhood::<32>();
    keeps_the_neighbourhood::<64>();
}

#[test]
fn a_full_table_keeps_the_leader_and_who_is_said_to_lead() {
    let mut storage = Storage::<4>::of(member(500, 500));
    storage.keep = [member(7, 7).pid, member(900, 900).pid, member(3, 3).pid];
    let all: std::vec::Vec<Member> = (1..=1_000).map(|days| member(days, days.into())).collect();
    storage.listed(&all);
    assert_eq!(
        storage.members,
        [
            member(3, 3),
            member(7, 7),
            member(500, 500),
            member(900, 900)
        ]
    );
}

#[test]
fn a_member_that_gives_way_is_counted() {
    let mut storage = Storage::<4>::of(member(5, 5));
    assert_eq!(
        storage
            .listed(&[member(1, 1), member(2, 2), member(3, 3)])
            .left_out,
        0
    );
    assert_eq!(storage.listed(&[member(4, 4)]).left_out, 1);
    // A list may name anybody: that nobody finds a place for them says nothing about the group.
    assert_eq!(storage.named(&[member(8, 8), member(9, 9)]).left_out, 0);
}

#[test]
fn a_list_of_a_thousand_brings_a_few() {
    let mut storage = Storage::<1_024>::of(member(5, 5));
    let forged: std::vec::Vec<Member> = (10..1_010).map(|days| member(days, days.into())).collect();
    storage.named(&forged);
    let named = storage.members.len() - 1;
    assert!((NAMED_MAX / 2..=NAMED_MAX).contains(&named), "{named}");
    // The coordinator lists none of them, but somebody else.
    storage.listed(&[member(7, 7)]);
    assert_eq!(storage.members, [member(5, 5), member(7, 7)]);
}

#[test]
fn what_has_answered_does_not_give_way_to_what_is_named() {
    let mut rng = Rng::new(1);
    for _ in 0..100 {
        let all = drawn(&mut rng, 8);
        let me = all[rng.below(8)];
        let mut storage = Storage::<8>::of(me);
        storage.listed(&all);
        for other in &all {
            storage.table().answered_at(*other);
        }
        let forged = drawn(&mut rng, 500);
        storage.named(&forged);
        assert_eq!(storage.members[..], all[..]);
    }
}

#[test]
fn a_sender_always_finds_an_entry() {
    let mut storage = Storage::<8>::of(member(500, 500));
    let all: std::vec::Vec<Member> = (497..=504).map(|days| member(days, days.into())).collect();
    storage.listed(&all);
    for other in &all {
        storage.table().answered_at(*other);
    }
    for days in [1, 2, 900, 901] {
        storage.sent_by(member(days, days.into()));
        assert!(storage.knows(days), "{days}");
    }
}

#[test]
fn one_address_is_one_process() {
    let mut storage = Storage::<1_024>::of(member(5, 5));
    let forged: std::vec::Vec<Member> = (10..1_004).map(|days| member(days, 77)).collect();
    storage.named(&forged);
    assert_eq!(storage.members.len(), 2);
    // Who answers there is not replaced by a name.
    let held = storage.members[1];
    storage.table().answered_at(held);
    storage.named(&[member(2_000, 77)]);
    assert_eq!(storage.members[1], held);
    // The coordinator knows better, and knows the same id by other days.
    storage.listed(&[member(3_000, 77)]);
    assert_eq!(storage.members, [member(5, 5), member(3_000, 77)]);
    let aged = Member {
        pid: Pid {
            days: 2_999,
            id: 3_000,
        },
        addr: Addr(78),
    };
    storage.listed(&[aged]);
    assert_eq!(storage.members, [member(5, 5), aged]);
}

#[test]
fn a_process_is_known_at_its_newest_address_and_the_one_before() {
    let mut storage = Storage::<8>::of(member(5, 5));
    storage.listed(&[member(3, 3), member(7, 100)]);
    for addr in 101..110 {
        storage.listed(&[member(3, 3), member(7, addr)]);
        let table = storage.table();
        assert_eq!(table.find(member(7, 0).pid), Some(&member(7, addr)));
        assert_eq!(
            table.other_address(member(7, addr)),
            Some(&member(7, addr - 1))
        );
        assert_eq!(storage.members.len(), 4);
    }
    // A name does not move one that answers, but is tried when it no longer does.
    storage.table().answered_at(member(7, 109));
    storage.named(&[member(7, 200)]);
    assert_eq!(
        storage.table().find(member(7, 0).pid),
        Some(&member(7, 109))
    );
    assert_eq!(
        storage.table().other_address(member(7, 109)),
        Some(&member(7, 200))
    );
    storage.table().set_flag(member(7, 0).pid, Flag::Gone, true);
    storage.named(&[member(7, 201)]);
    assert_eq!(
        storage.table().find(member(7, 0).pid),
        Some(&member(7, 201))
    );
}

#[test]
fn one_that_was_only_named_is_forgotten_when_it_has_failed_twice() {
    let mut storage = Storage::<8>::of(member(5, 5));
    storage.listed(&[member(6, 6)]);
    storage.named(&[member(7, 7)]);
    for _ in 0..2 {
        assert!(storage.knows(7));
        storage.table().fail(member(7, 7).pid);
        storage.table().fail(member(6, 6).pid);
    }
    assert!(!storage.knows(7) && storage.knows(6));
}

#[test]
fn a_stale_address_is_forgotten_only_if_another_is_known() {
    let mut storage = Storage::<8>::of(member(5, 5));
    storage.listed(&[member(7, 1), member(7, 3), member(8, 8)]);
    let mut table = storage.table();
    assert_eq!(table.find(member(7, 0).pid), Some(&member(7, 3)));
    assert_eq!(table.forget_address(member(7, 3)), Some(member(7, 1)));
    assert_eq!(table.forget_address(member(7, 1)), None);
    assert_eq!(table.find(member(7, 0).pid), Some(&member(7, 1)));
    assert_eq!(storage.members.len(), 3);
}
