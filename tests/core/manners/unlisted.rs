//! What the coordinator's list says of a leader: its members join once, and the coordinator may be
//! restarted, or replace one of two programs with the same id.

use bully::{Member, Pid};

use super::*;

/// A program that leads, sends no list of who it is, and announces itself again whenever this node
/// holds an election: 200 ms later, by `announcement`. Returns the number of elections in `seconds`.
fn elections_beside(lab: &mut Lab, announcement: &[Member], seconds: u32) -> usize {
    let mut elections = 0;
    for _ in 0..4 * seconds {
        let events = lab.take_events();
        let started = events
            .iter()
            .filter(|event| matches!(event, Event::Election { .. }));
        let started = started.count();
        elections += started;
        lab.wait(200);
        if started > 0 {
            lab.coordinator(announcement);
        }
        lab.wait(50);
    }
    elections
}

/// A node that has followed another leader, until this list's greatest has announced itself.
fn following_the_last_of(listed: &[Member], announcement: &[Member], habit: Habit) -> Lab {
    let mut lab = Lab::asleep(config(5));
    lab.habit(DIRECTORY, Habit::Directory(listed.to_vec()));
    for member in announcement {
        lab.habit(member.addr, habit.clone());
    }
    lab.wait(3_000);
    lab.coordinator(announcement);
    lab
}

/// The coordinator lists it in the very answer after which it was once given up.
#[test]
fn a_leader_that_has_moved_and_is_listed_at_its_new_address_is_not_lost() {
    for (old, new) in [(100, 200), (200, 100)] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(DIRECTORY, Habit::Directory(members([3, 5])));
        lab.habit(at(9, old).addr, Habit::Answers);
        lab.wait(1_000);
        // It joins and announces itself, dies, and is started again at another port.
        lab.coordinator(&[member(3), member(5), at(9, old)]);
        lab.wait(300);
        lab.habit(at(9, old).addr, Habit::Refuses);
        lab.habit(at(9, new).addr, Habit::Answers);
        let listed = vec![member(3), member(5), at(9, new)];
        lab.habit(DIRECTORY, Habit::Directory(listed.clone()));
        lab.coordinator(&listed);
        for _ in 0..100 {
            lab.wait(100);
            assert_eq!(lab.node.leader(), Some(pid(9)), "{old} -> {new}");
        }
    }
}

/// It joins as `localhost`, and its own lists say `127.0.0.1`.
#[test]
fn a_leader_listed_under_another_name_of_its_address_is_not_lost() {
    for (named, listed) in [(100, 200), (200, 100)] {
        let announcement = [member(3), member(5), at(9, named)];
        let list = [member(3), member(5), at(9, listed)];
        let mut lab = Lab::asleep(config(5));
        lab.habit(DIRECTORY, Habit::Directory(members([3, 5])));
        for addr in [named, listed] {
            lab.habit(at(9, addr).addr, Habit::Answers);
        }
        lab.wait(1_000);
        lab.habit(DIRECTORY, Habit::Directory(list.to_vec()));
        lab.coordinator(&announcement);
        for _ in 0..100 {
            lab.wait(100);
            assert_eq!(lab.node.leader(), Some(pid(9)), "{named}, listed {listed}");
        }
    }
}

#[test]
fn a_live_leader_that_a_restarted_coordinator_does_not_list_costs_one_election() {
    for habit in [
        Habit::Answers,
        Habit::NoProbe,
        Habit::Late(core::time::Duration::from_millis(700)),
    ] {
        let announcement = members([3, 5, 9]);
        let mut lab = following_the_last_of(&members([3, 5]), &announcement, habit.clone());
        lab.take_events();
        let elections = elections_beside(&mut lab, &announcement, 60);
        assert!(elections <= 2, "{elections} with {habit:?}");
        lab.expect_leader(pid(9));
        assert_eq!(
            elections_beside(&mut lab, &announcement, 300),
            0,
            "{habit:?}"
        );
        lab.expect_leader(pid(9));
    }
}

/// One student tries a group out with two birthdays; the coordinator keeps the later of the two.
#[test]
fn a_live_leader_whose_id_is_listed_with_other_days_costs_one_election() {
    let copy = |days: u32| Member {
        pid: Pid {
            days,
            id: 1_000_009,
        },
        ..member(days)
    };
    let announcement = [member(3), member(5), copy(7), copy(9)];
    let listed = [member(3), member(5), copy(7)];
    let mut lab = following_the_last_of(&listed, &announcement, Habit::Answers);
    lab.take_events();
    let elections = elections_beside(&mut lab, &announcement, 60);
    assert!(elections <= 2, "{elections}");
    lab.expect_leader(copy(9).pid);
    assert_eq!(elections_beside(&mut lab, &announcement, 300), 0);
    lab.expect_leader(copy(9).pid);
}

/// It has been given up once and stays, until the coordinator says whose address that is.
#[test]
fn a_leader_at_an_address_that_is_listed_for_another_is_given_up_again() {
    let announcement = members([3, 5, 9]);
    let mut lab = following_the_last_of(&members([3, 5]), &announcement, Habit::Answers);
    lab.take_events();
    elections_beside(&mut lab, &announcement, 60);
    lab.expect_leader(pid(9));
    let other = at(7, member(9).addr.0);
    lab.habit(
        DIRECTORY,
        Habit::Directory(vec![member(3), member(5), other]),
    );
    lab.take_events();
    lab.wait(70_000);
    assert_ne!(lab.leader(), Some(9));
    assert!(lab.roster().contains(&other));
}

#[test]
fn a_follower_of_a_plain_leader_asks_the_coordinator_once_or_twice_a_minute() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(6_000);
    lab.forget();
    lab.wait(600_000);
    let joins = lab.take(Kind::Join);
    assert!(
        (10..=20).contains(&joins.len()),
        "{} in ten minutes",
        joins.len()
    );
    let gap = |pair: &[_]| -> u128 {
        let [a, b]: &[bully_tests::script::Opened; 2] = pair.try_into().unwrap();
        b.at.since(a.at).as_millis()
    };
    assert!(
        joins
            .windows(2)
            .all(|pair| (30_000..=61_000).contains(&gap(pair)))
    );
    assert_eq!(lab.take(Kind::Election), [], "nobody has come");
}

/// The coordinator was restarted, and somebody joined it who knows nobody else.
#[test]
fn whoever_joined_a_restarted_coordinator_is_named_to_the_plain_leader() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(member(9).addr, Habit::Answers);
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.wait(10_000);
    lab.habit(DIRECTORY, Habit::Directory(members([4, 5, 6])));
    lab.forget();
    let all = members([3, 4, 5, 6, 9]);
    let elections = elections_beside(&mut lab, &all, 70);
    assert_eq!(elections, 1);
    let asked = lab.take(Kind::Election);
    let asked = asked.iter().find(|asked| asked.to == member(9).addr);
    assert_eq!(asked.unwrap().message, Message::Election(all.clone()));
    lab.expect_leader(pid(9));
    assert_eq!(elections_beside(&mut lab, &all, 300), 0, "once is enough");
}

/// What stays though it is not listed does not stay when it has gone.
#[test]
fn a_leader_that_is_not_listed_and_refuses_is_lost() {
    let announcement = members([3, 5, 9]);
    let mut lab = following_the_last_of(&members([3, 5]), &announcement, Habit::Answers);
    elections_beside(&mut lab, &announcement, 20);
    lab.expect_leader(pid(9));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.wait(10_000);
    lab.expect_leader(pid(5));
}
