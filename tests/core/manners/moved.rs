//! 9: nodes come back on another port.

use super::*;

#[test]
fn a_message_refused_at_a_stale_address_goes_to_the_other_one() {
    // Whichever of the two addresses is the greater number.
    for (stale, fresh) in [(100, 200), (200, 100)] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(at(9, stale).addr, Habit::Refuses);
        lab.habit(at(9, fresh).addr, Habit::Answers);
        lab.wait(0);
        lab.members(&[member(3), at(9, stale), at(9, fresh)]);
        assert_eq!(lab.node.phase(), Phase::Waiting);
        lab.coordinator(&[member(3), at(9, fresh)]);
        lab.wait(10_000);
        lab.expect_leader(pid(9));
        assert!(lab.all(Kind::Probe).last().unwrap().to == at(9, fresh).addr);
    }
}

#[test]
fn old_gossip_brings_the_old_address_back_and_does_no_harm() {
    let mut lab = follower(5, &[member(3), at(9, 100)]);
    lab.habit(at(9, 100).addr, Habit::Answers);
    lab.habit(at(9, 200).addr, Habit::Refuses);
    for _ in 0..5 {
        lab.wait(4_000);
        lab.coordinator(&[member(3), at(9, 100), at(9, 200)]);
    }
    lab.wait(4_000);
    lab.expect_leader(pid(9));
    assert_eq!(lab.all(Kind::Election).len(), 1, "the one at the start");
}

#[test]
fn on_refusal_the_coordinator_is_asked_again_and_not_too_often() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.wait(0);
    for _ in 0..60 {
        // Every election asks 9 again, and is refused again.
        lab.election(&members([3]));
        lab.wait(700);
    }
    let joins = lab.all(Kind::Join);
    assert!(joins.len() >= 5, "{} in 42 s", joins.len());
    let gap = |pair: &[_]| -> u128 {
        let [a, b]: &[bully_tests::script::Opened; 2] = pair.try_into().unwrap();
        b.at.since(a.at).as_millis()
    };
    assert!(joins.windows(2).all(|pair| gap(pair) >= 2_500));
}

#[test]
fn the_coordinator_is_not_asked_again_about_those_who_answer() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(6_000);
    lab.forget();
    // It followed in the first second, and next asks who has come half a minute later.
    lab.wait(24_000);
    assert_eq!(lab.take(Kind::Join), []);
}

/// The group has settled without 9, whom the coordinator then finds somewhere else.
#[test]
fn one_revealed_at_a_new_address_gets_its_election() {
    for fresh in [100, 50_000] {
        let mut lab = Lab::asleep(config(5));
        lab.habit(DIRECTORY, Habit::Directory(members([3, 9])));
        lab.habit(member(9).addr, Habit::Refuses);
        lab.wait(100);
        lab.expect_leader(pid(5));
        lab.habit(DIRECTORY, Habit::Directory(vec![member(3), at(9, fresh)]));
        lab.habit(at(9, fresh).addr, Habit::Answers);
        lab.wait(6_000);
        let asked = lab.all(Kind::Election);
        assert!(
            asked.iter().any(|asked| asked.to == at(9, fresh).addr),
            "{asked:?}"
        );
    }
}

/// The same while the election still waits for somebody else.
#[test]
fn one_revealed_during_the_election_gets_its_election() {
    for fresh in [100, 50_000] {
        let mut lab = Lab::following(config(5), &members([3, 8]));
        lab.habit(member(9).addr, Habit::Refuses);
        lab.habit(at(9, fresh).addr, Habit::Answers);
        lab.habit(
            DIRECTORY,
            Habit::Directory(vec![member(3), member(8), at(9, fresh)]),
        );
        // The latest JOIN is long ago, so the next may follow the refusal at once.
        lab.habit(member(8).addr, Habit::Answers);
        lab.wait(6_000);
        lab.habit(member(8).addr, Habit::Silent);
        lab.election(&members([3, 9]));
        lab.wait(1_100);
        let asked = lab.all(Kind::Election);
        assert!(
            asked.iter().any(|asked| asked.to == at(9, fresh).addr),
            "9 at {fresh} was not asked: {:?}",
            lab.node.phase()
        );
    }
}

#[test]
fn a_leader_that_moved_is_found_again() {
    let mut lab = follower(5, &members([3, 9]));
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.habit(member(9).addr, Habit::Answers);
    lab.wait(6_000);
    lab.habit(member(9).addr, Habit::Refuses);
    lab.habit(at(9, 100).addr, Habit::Answers);
    lab.habit(
        DIRECTORY,
        Habit::Directory(vec![member(3), member(5), at(9, 100)]),
    );
    lab.wait(4_000);
    let asked = lab.all(Kind::Election);
    assert!(
        asked.iter().any(|asked| asked.to == at(9, 100).addr),
        "{asked:?}"
    );
    lab.coordinator(&[member(3), member(5), at(9, 100)]);
    lab.wait(4_000);
    lab.expect_leader(pid(9));
}

#[test]
fn a_broken_join_changes_nothing_for_a_member() {
    let mut lab = follower(5, &members([3, 7, 9]));
    lab.habit(member(9).addr, Habit::Refuses);
    lab.habit(member(7).addr, Habit::Answers);
    let joining = |lab: &Lab| {
        let join = lab.latest(Kind::Join)?;
        lab.closed_at(join.exchange).is_none().then_some(join)
    };
    assert!(lab.wait_for(10_000, |lab| joining(lab).is_some()));
    let join = joining(&lab).unwrap();
    lab.report(join.exchange, Input::Gone(Gone::Reset));
    let events = lab.take_events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::JoinFailed { .. }))
    );
}

#[test]
fn an_announcement_refused_at_a_stale_address_goes_to_the_other_one() {
    for (stale, fresh) in [(100, 200), (200, 100)] {
        let mut lab = Lab::asleep(config(9));
        lab.habit(at(3, stale).addr, Habit::Refuses);
        lab.wait(0);
        lab.members(&[at(3, stale), at(3, fresh)]);
        lab.wait(10);
        let announced = lab.latest(Kind::Coordinator).unwrap();
        assert_eq!(announced.to, at(3, fresh).addr);
    }
}

/// The refusal comes when somebody greater has long announced itself.
#[test]
fn an_announcement_is_not_repeated_elsewhere_once_another_leads() {
    let mut lab = Lab::asleep(config(5));
    lab.habit(at(3, 200).addr, Habit::Hangs);
    lab.wait(0);
    lab.members(&[at(3, 100), at(3, 200)]);
    lab.expect_leader(pid(5));
    let announced = lab.latest(Kind::Coordinator).unwrap();
    assert_eq!(announced.to, at(3, 200).addr);
    lab.coordinator(&members([3, 9]));
    lab.expect_leader(pid(9));
    lab.forget();
    lab.report(announced.exchange, Input::Gone(Gone::Refused));
    assert_eq!(lab.take(Kind::Coordinator), [], "9 leads");
}

/// Some send ELECTION without a list: nobody knows who that is but the coordinator.
#[test]
fn a_newcomer_without_a_list_is_looked_up_and_gets_who_leads() {
    let mut lab = Lab::leading(config(9), &members([3, 5]));
    lab.habit(DIRECTORY, Habit::Directory(members([3, 5, 9])));
    lab.wait(6_000);
    lab.forget();
    lab.habit(DIRECTORY, Habit::Directory(members([3, 4, 5, 9])));
    lab.election(&[]);
    lab.wait(1_000);
    assert_eq!(lab.take(Kind::Join).len(), 1);
    let announced = lab.all(Kind::Coordinator);
    assert!(
        announced
            .iter()
            .any(|announced| announced.to == member(4).addr),
        "{announced:?}"
    );
}

mod the_greater_one_that_is_gone {
    use super::*;

    /// 9 refused when I won; it may be on the other side of a divided network.
    fn leading_without_9(config: bully::Config) -> Lab {
        let mut lab = Lab::asleep(config);
        lab.habit(member(9).addr, Habit::Refuses);
        lab.wait(0);
        lab.members(&members([3, 7, 9]));
        lab.wait(1_100);
        lab.expect_leader(pid(5));
        lab
    }

    #[test]
    fn is_looked_for_by_the_leader_and_asked_once_it_answers() {
        for habit in [Habit::Answers, Habit::NoProbe] {
            let mut lab = leading_without_9(config(5));
            lab.wait(20_000);
            lab.expect_leader(pid(5));
            assert!(lab.all(Kind::Probe).len() >= 5);
            lab.habit(member(9).addr, habit);
            lab.forget();
            // At most two gaps, for there is one other; and a PROBE's time to be silent.
            lab.wait(2 * 3_000 + 1_500);
            let asked = lab.all(Kind::Election);
            assert!(asked.iter().any(|asked| asked.to == member(9).addr));
        }
    }

    #[test]
    fn is_not_looked_for_to_the_letter_or_without_probes() {
        let mut quiet = config(5);
        quiet.probing = false;
        for config in [bully_tests::people::strict(5), quiet] {
            let mut lab = leading_without_9(config);
            lab.wait(30_000);
            assert_eq!(lab.all(Kind::Probe), []);
        }
    }

    #[test]
    fn costs_nothing_if_there_is_none() {
        let mut alone = config(9);
        alone.directory = None;
        let mut lab = Lab::node(alone);
        lab.wait(10_000);
        assert_eq!(lab.node.poll_at(), None);
    }
}
