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

#[derive(Clone, Debug, PartialEq)]
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
        self.table().merge_listed(list, &keep, None)
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

/// A table after a random history: lists from all sources, at shared addresses and at several, members
/// that answer, fail, and wait for messages.
fn table_with_a_past<const N: usize>(rng: &mut Rng, members_max: usize) -> Storage<N> {
    let any = |rng: &mut Rng| {
        let days = 1 + rng.below(members_max) as u32;
        let moved = rng.below(8) == 0;
        member(
            days,
            if moved {
                rng.below(2 * members_max) as u64
            } else {
                days.into()
            },
        )
    };
    let mut storage = Storage::<N>::of(any(rng));
    for _ in 0..rng.below(8) {
        let mut list: std::vec::Vec<Member> = (0..rng.below(2 * N)).map(|_| any(rng)).collect();
        list.sort_unstable();
        list.dedup();
        match rng.below(3) {
            0 => storage.listed(&list),
            1 => storage.named(&list),
            _ => storage.sent_by(any(rng)),
        };
        for at in 1..storage.members.len() {
            let other = storage.members[at % storage.members.len()];
            let mut table = storage.table();
            match rng.below(64) {
                0..8 => table.answered_at(other),
                8 => table.fail(other.pid),
                9 => table.set_flag(other.pid, Flag::Relay, true),
                10..18 => table.set_flag(other.pid, Flag::Relay, false),
                _ => (),
            }
        }
        storage.keep[rng.below(2)] = any(rng).pid;
    }
    storage
}

/// The merge of a list into a full table refuses most entries without a look at the table. That must
/// be those, and nothing but those, on which a look at the table would have been wasted.
fn refuses_what_an_offer_would_change_nothing_for<const N: usize>() {
    let mut rng = Rng::new(N as u64);
    let (mut refused, mut offered) = (0, 0);
    for _ in 0..2_000 {
        let members_max = N * (1 + rng.below(20));
        let mut storage = table_with_a_past::<N>(&mut rng, members_max);
        if storage.members.len() < N {
            continue;
        }
        let keep = storage.keep;
        let trust = [Trust::Named, Trust::Listed][rng.below(2)];
        let refusal = storage.table().refusal(trust, &keep);
        for _ in 0..50 {
            let days = 1 + rng.below(members_max) as u32;
            let addr = [days.into(), rng.below(members_max) as u64][rng.below(8) / 7];
            let newcomer = member(days, addr);
            let mut reference = storage.clone();
            let mut merged = Merged::default();
            let added = reference
                .table()
                .offer(newcomer, trust, false, &keep, &mut merged);
            if storage.table().refuses(&refusal, &newcomer) {
                assert!(!added, "{newcomer:?} in {:?}", storage.members);
                assert_eq!(merged, Merged::default());
                assert_eq!(reference, storage, "{newcomer:?}");
                refused += 1;
            } else {
                let near = refusal
                    .bounds
                    .keeps(storage.me.pid, &newcomer, Note::of(trust));
                let known = !storage.table().places(newcomer.pid).is_empty();
                let shared = storage
                    .members
                    .iter()
                    .any(|other| other.addr == newcomer.addr);
                assert!(
                    added || near || known || shared,
                    "{newcomer:?} is offered in vain"
                );
                offered += 1;
            }
        }
    }
    assert!(
        refused > 1_000 && offered > 1_000,
        "{refused} and {offered}"
    );
}

#[test]
fn what_a_full_table_refuses_at_once_is_what_an_offer_would_change_nothing_for() {
    refuses_what_an_offer_would_change_nothing_for::<4>();
    refuses_what_an_offer_would_change_nothing_for::<5>();
    refuses_what_an_offer_would_change_nothing_for::<8>();
    refuses_what_an_offer_would_change_nothing_for::<16>();
    refuses_what_an_offer_would_change_nothing_for::<64>();
}

/// The merge of a list without a short cut: everyone is offered, in the same order.
fn merge_one_by_one(table: &mut Table<'_>, list: &[Member], trust: Trust, keep: &Keep) -> Merged {
    let mut merged = Merged::default();
    let fresh = table.count_fresh(list, trust).0;
    let mut rejected = fresh;
    for pid in keep {
        let named = |other: &&Member| other.pid == *pid && admits(&table.me, other);
        if let (None, Some(named)) = (table.find(*pid), list.iter().rev().find(named)) {
            rejected -= usize::from(table.offer(*named, trust, true, keep, &mut merged));
        }
    }
    let shares = Shares::of(table.members.capacity());
    let lesser = list.iter().filter(|other| **other < table.me).rev();
    let greater = list.iter().filter(|other| **other >= table.me);
    let near = greater.clone().take(2 * shares.greater);
    let near = near.chain(lesser.take(2 * shares.lesser));
    let near = near.chain(greater.rev().take(2 * shares.greatest));
    let order: std::vec::Vec<Member> = near.chain(list.iter().rev()).copied().collect();
    for member in order {
        let added = table.offer(member, trust, false, keep, &mut merged);
        rejected = rejected.saturating_sub(usize::from(added));
    }
    merged.left_out += rejected as u32;
    merged
}

fn merges_as_if_everyone_were_offered<const N: usize>() {
    let mut rng = Rng::new(7 + N as u64);
    for _ in 0..300 {
        let members_max = N * (1 + rng.below(20));
        let mut storage = table_with_a_past::<N>(&mut rng, members_max);
        let mut list: std::vec::Vec<Member> = (0..rng.below(members_max))
            .map(|_| {
                let days = 1 + rng.below(members_max) as u32;
                let addr = [days.into(), rng.below(members_max) as u64][rng.below(16) / 15];
                member(days, addr)
            })
            .collect();
        list.sort_unstable();
        list.dedup();
        let (fresh, _) = storage.table().count_fresh(&list, Trust::Listed);
        if storage.members.len() + fresh <= N {
            continue; // everyone is inserted at once
        }
        let (mut reference, keep) = (storage.clone(), storage.keep);
        let expected = merge_one_by_one(&mut reference.table(), &list, Trust::Listed, &keep);
        let merged = storage
            .table()
            .merge(&list, Trust::Listed, usize::MAX, &keep);
        let (members, notes) = (&storage.members, &storage.notes);
        assert_eq!(
            (members, notes),
            (&reference.members, &reference.notes),
            "{list:?}"
        );
        if expected.greatest_added.is_some() {
            assert_eq!(merged, expected);
        }
    }
}

#[test]
fn a_long_list_is_merged_as_if_everyone_in_it_were_offered() {
    merges_as_if_everyone_were_offered::<4>();
    merges_as_if_everyone_were_offered::<8>();
    merges_as_if_everyone_were_offered::<16>();
    merges_as_if_everyone_were_offered::<64>();
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
