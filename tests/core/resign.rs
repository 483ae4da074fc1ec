//! Leaving for good: a leader announces the next one before it goes, and that one is followed.

use bully::{Event, Phase};
use bully_tests::owned::{Answer, Kind, Message};
use bully_tests::people::{DIRECTORY, at, config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab, Opened, Script};

fn list(opened: &Opened) -> Vec<bully::Member> {
    match &opened.message {
        Message::Coordinator(members) => members.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leader_that_resigns_announces_the_greatest_of_the_others() {
    let mut lab = Lab::leading(config(5), &members([1, 3, 4]));
    lab.node.resign();
    lab.wait(0);
    assert!(!lab.is_listening());
    let sent = lab.take_all();
    let to: Vec<_> = sent.iter().map(|opened| opened.to).collect();
    assert_eq!(
        to,
        [4, 3, 1].map(|days| member(days).addr),
        "and nothing else"
    );
    for opened in &sent {
        assert_eq!(list(opened), members([1, 3, 4]));
    }
    let successor = Some(pid(4));
    assert_eq!(lab.take_events(), [Event::Resigned { successor }]);
    assert_eq!(lab.node.phase(), Phase::Resigned);
    assert_eq!(lab.node.leader(), None);
    // Everybody has the message: there is nothing left to do.
    lab.wait(10_000);
    assert_eq!(lab.open_exchanges(), 0);
    assert_eq!(lab.node.poll_at(), None);
    lab.expect_nothing();
}

#[test]
fn who_is_known_to_be_gone_is_not_announced() {
    let mut lab = Lab::joined(config(5), &members([1, 3, 7]));
    lab.habit(member(7).addr, Habit::Refuses);
    lab.wait(2_000);
    assert_eq!(lab.node.phase(), Phase::Leading);
    lab.forget();
    lab.node.resign();
    lab.wait(0);
    for opened in lab.take(Kind::Coordinator) {
        assert_eq!(
            list(&opened),
            members([1, 3]),
            "neither itself nor the greater one"
        );
    }
}

#[test]
fn more_members_than_slots_are_all_told() {
    let mut lab = Script::<64, 16>::leading(config(50), &members(1..50));
    lab.node.resign();
    lab.wait(400);
    assert_eq!(lab.take(Kind::Coordinator).len(), 49);
}

/// Those who do not lead have nothing to hand over, and an empty COORDINATOR ends some programs.
#[test]
fn whoever_does_not_lead_or_is_alone_sends_nothing() {
    let alone = Lab::leading(config(5), &[]);
    let greatest = Lab::leading(config(1), &[]);
    let follower = Lab::following(config(5), &members([3, 9]));
    let electing = Lab::joined(config(5), &members([3, 9]));
    let joining = Lab::node(config(5));
    for mut lab in [alone, greatest, follower, electing, joining] {
        lab.forget();
        lab.node.resign();
        lab.wait(60_000);
        assert_eq!(lab.take_all(), []);
        assert!(!lab.is_listening());
        assert_eq!(lab.take_events(), [Event::Resigned { successor: None }]);
        assert_eq!(
            (lab.node.phase(), lab.node.poll_at()),
            (Phase::Resigned, None)
        );
    }
    let mut asleep = Lab::asleep(config(5));
    asleep.node.resign();
    asleep.wait(60_000);
    assert_eq!(asleep.take_all(), []);
    assert!(!asleep.is_listening());
}

/// One program ends when the connection of its ELECTION is closed before the OK.
#[test]
fn whoever_had_connected_before_is_still_answered() {
    let mut lab = Lab::leading(config(5), &members([3]));
    let (asker, prober) = (lab.connect(), lab.connect());
    lab.node.resign();
    lab.wait(0);
    for (exchange, message) in [
        (asker, Message::Election(members([3]))),
        (prober, Message::Probe),
    ] {
        lab.report(exchange, bully_tests::owned::Input::Request(message));
        let answer = lab.answer_on(exchange).map(|(_, answer)| answer);
        assert_eq!(answer, Some(Answer::Ok));
    }
    lab.coordinator(&members([3]));
    lab.wait(10_000);
    assert_eq!(lab.take(Kind::Election), []);
    assert_eq!(lab.node.phase(), Phase::Resigned);
}

#[test]
fn a_follower_follows_the_next_leader_without_an_election() {
    for config in [config(3), strict(3)] {
        let mut lab = Lab::following(config, &members([4, 5, 9]));
        lab.habit(member(9).addr, Habit::Refuses);
        lab.habit(member(5).addr, Habit::Answers);
        lab.coordinator(&members([3, 4, 5]));
        lab.wait(10);
        lab.expect_leader(pid(5));
        assert_eq!(lab.take(Kind::Election), []);
        lab.wait(10_000);
        lab.expect_leader(pid(5));
        assert_eq!(lab.take(Kind::Election), []);
    }
}

/// The coordinator lists the one who has gone at the address that has just refused everybody, which
/// each of them had forgotten for an older one: all of them once started an election.
#[test]
fn a_leader_that_is_gone_and_still_listed_starts_no_election() {
    let mut lab = Lab::following(config(5), &[member(3), member(8), at(9, 100)]);
    lab.habit(member(8).addr, Habit::Answers);
    lab.habit(at(9, 200).addr, Habit::Answers);
    lab.habit(at(9, 100).addr, Habit::Refuses);
    let listed = vec![member(3), member(5), member(8), at(9, 200)];
    lab.habit(DIRECTORY, Habit::Directory(listed));
    // It comes back at another port, leads again, and leaves.
    lab.coordinator(&[member(3), member(5), member(8), at(9, 200)]);
    lab.wait(20_000);
    lab.expect_leader(pid(9));
    lab.forget();
    lab.habit(at(9, 200).addr, Habit::Refuses);
    lab.coordinator(&members([3, 5, 8]));
    lab.wait(10);
    lab.expect_leader(pid(8));
    lab.wait(60_000);
    lab.expect_leader(pid(8));
    let sent = lab.take_all();
    let count = |kind| {
        sent.iter()
            .filter(|sent| sent.message.kind() == kind)
            .count()
    };
    assert_eq!(count(Kind::Election), 0, "{sent:?}");
    assert!(count(Kind::Join) > 0, "it has asked again: {sent:?}");
}

#[test]
fn the_next_leader_leads_at_once() {
    let mut lab = Lab::following(config(5), &members([3, 4, 9]));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.coordinator(&members([3, 4, 5]));
    lab.wait(10);
    lab.expect_leader(pid(5));
    let to: Vec<_> = lab
        .take(Kind::Coordinator)
        .iter()
        .map(|sent| sent.to)
        .collect();
    assert_eq!(to, [9, 4, 3].map(|days| member(days).addr));
    lab.wait(10_000);
    lab.expect_leader(pid(5));
}

#[test]
fn there_is_no_way_back() {
    let mut lab = Lab::leading(config(5), &members([3]));
    lab.node.resign();
    lab.wait(0);
    lab.forget();
    lab.node.resign();
    lab.wait(60_000);
    assert_eq!(lab.take_events(), []);
    assert_eq!(lab.take_all(), []);
}
