//! The five rules that keep the assignment's from storming, each with what happens without it, and
//! what they do for a group.

use core::time::Duration;

use bully::{Cause, Config, Event, Member, Messages, Phase};
use bully_tests::group::{Dice, Group};
use bully_tests::owned::Kind;
use bully_tests::people::{config, member, members, pid, strict};
use bully_tests::script::{Habit, Lab, Script};

/// The window, below and above which things are tried.
const W: u64 = 300;

/// A leader that announced `millis` ago.
fn announced(config: Config, millis: u64) -> Lab {
    let mut lab = Lab::joined(config, &members([3, 5]));
    lab.expect_coordinators(&members([3, 5]));
    lab.wait(millis);
    lab.take_events();
    lab
}

/// A follower of 9 that received COORDINATOR `millis` ago.
fn follower(config: Config, millis: u64) -> Lab {
    let mut lab = Lab::asleep(config);
    for days in [7, 9] {
        // Not at once: both are asked before either answers.
        let late = Habit::Late(Duration::from_millis(1));
        lab.habit(member(days).addr, late);
    }
    lab.wait(0);
    lab.members(&members([3, 7, 9]));
    lab.wait(2);
    lab.coordinator(&members([3, 5, 7, 9]));
    lab.wait(millis);
    lab.forget();
    lab
}

mod rule_1_a_leader_that_has_announced {
    use super::*;

    #[test]
    fn announces_once_more_at_the_end_of_the_window_however_many_ask() {
        let mut lab = announced(config(9), 100);
        for _ in 0..10 {
            let asked = lab.election(&members([3]));
            assert!(lab.answer_on(asked).is_some());
        }
        lab.expect_nothing();
        lab.wait(199);
        lab.expect_nothing();
        lab.wait(1);
        assert_eq!(
            lab.expect_coordinators(&members([3, 5])),
            members([3, 5, 9])
        );
        assert_eq!(lab.take_events(), [], "no election");
        lab.wait(2 * W);
        lab.expect_nothing();
    }

    #[test]
    fn announces_at_most_once_per_window_under_a_storm() {
        let mut lab = announced(config(9), 0);
        for _ in 0..1_000 {
            lab.election(&members([3]));
            lab.wait(3);
        }
        // 3 s are ten windows; to two members each.
        let announced = lab.take(Kind::Coordinator).len();
        assert!((2 * 9..=2 * 11).contains(&announced), "{announced}");
    }

    #[test]
    fn elects_as_ever_outside_the_window() {
        let mut lab = announced(config(9), W);
        lab.election(&members([3]));
        assert_eq!(
            lab.take_events()[0],
            Event::Election {
                cause: Cause::Asked
            }
        );
        lab.expect_coordinators(&members([3, 5]));
    }

    #[test]
    fn strict_announces_every_time() {
        let mut lab = announced(strict(9), 10);
        for _ in 0..10 {
            lab.election(&members([3]));
            lab.expect_coordinators(&members([3, 5]));
        }
    }

    /// Ten members never take a connection, and one keeps asking: the rest must still receive it.
    #[test]
    fn announcing_again_does_not_cut_the_announcement_short() {
        let days: Vec<u32> = (1..=30).collect();
        let mut lab = Script::<64, 8>::asleep(config(20));
        for days in 21..=30 {
            lab.habit(member(days).addr, Habit::Hangs);
        }
        lab.wait(0);
        lab.members(&members(days));
        assert!(lab.wait_for(10_000, |lab| lab.node.phase() == Phase::Leading));
        for _ in 0..100 {
            lab.election(&members([1]));
            lab.wait(100);
        }
        let announced = lab.all(Kind::Coordinator);
        assert!(
            announced
                .iter()
                .any(|announced| announced.to == member(1).addr),
            "{} sent",
            announced.len()
        );
    }
}

mod rule_2_a_follower_that_has_heard {
    use super::*;

    #[test]
    fn answers_and_probes_the_leader_once_instead_of_electing() {
        let mut lab = follower(config(5), 100);
        for _ in 0..10 {
            let asked = lab.election(&members([3]));
            assert!(lab.answer_on(asked).is_some());
        }
        assert_eq!(lab.take_events(), []);
        let sent = lab.take_all();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(
            (sent[0].message.kind(), sent[0].to),
            (Kind::Probe, member(9).addr)
        );
    }

    #[test]
    fn probes_a_leader_that_answers_once_a_window_too() {
        let mut lab = follower(config(5), 100);
        lab.habit(member(9).addr, Habit::Answers);
        for _ in 0..10 {
            // Each time the last PROBE is answered.
            lab.election(&members([3]));
            lab.wait(10);
        }
        assert_eq!(lab.take(Kind::Probe).len(), 1);
        // The next window has its own.
        lab.coordinator(&members([3, 5, 9]));
        lab.election(&members([3]));
        assert_eq!(lab.take(Kind::Probe).len(), 1);
    }

    #[test]
    fn elects_if_the_leader_is_gone() {
        let mut lab = follower(config(5), 100);
        lab.habit(member(9).addr, Habit::Refuses);
        lab.election(&members([3]));
        let events = lab.take_events();
        assert!(matches!(events[0], Event::LeaderLost { .. }), "{events:?}");
        lab.expect_elections(&members([7, 9]));
    }

    #[test]
    fn elects_as_ever_outside_the_window() {
        let mut lab = follower(config(5), W);
        lab.election(&members([3]));
        lab.expect_elections(&members([7, 9]));
    }

    #[test]
    fn strict_elects_at_once() {
        let mut lab = follower(strict(5), 0);
        lab.election(&members([3]));
        lab.expect_elections(&members([7, 9]));
    }
}

mod rule_3_a_sender {
    use super::*;

    /// Room for three of one direction; everyone greater is silent until changed.
    fn crowded(config: Config) -> Script<16, 4> {
        Script::joined(config, &members(1..=12))
    }

    #[test]
    fn asks_the_greatest_first_as_many_at_once_as_there_is_room() {
        let mut lab = crowded(config(5));
        lab.expect_elections(&members([10, 11, 12]));
        lab.wait(1_100);
        lab.expect_elections(&members([7, 8, 9]));
        lab.wait(1_100);
        lab.expect_elections(&members([6]));
        lab.wait(1_100);
        lab.expect_leader(pid(5));
    }

    #[test]
    fn asks_no_more_once_somebody_greater_has_answered() {
        let mut lab = crowded(config(5));
        let asked = lab.take(Kind::Election);
        lab.ok(asked[2].exchange);
        lab.wait(2_900);
        assert_eq!(lab.node.phase(), Phase::Waiting);
        lab.expect_nothing();
    }

    #[test]
    fn strict_asks_everyone() {
        let mut lab = crowded(strict(5));
        let asked = lab.take(Kind::Election);
        lab.ok(asked[2].exchange);
        lab.wait(2_900);
        lab.expect_elections(&members(6..=9));
    }

    #[test]
    fn a_lab_sized_group_fits_one_round() {
        let mut lab = Lab::joined(config(1), &members(2..=13));
        lab.expect_elections(&members(2..=13));
        // However quick the first answers are.
        let mut lab = Lab::asleep(config(1));
        for days in 2..=13 {
            lab.habit(member(days).addr, Habit::Answers);
        }
        lab.wait(0);
        lab.members(&members(2..=13));
        lab.expect_elections(&members(2..=13));
    }
}

mod rule_4_a_lesser_coordinator {
    use super::*;

    fn is_probed_and_dropped(claim: &[Member]) {
        let mut lab = follower(config(5), 2 * W);
        lab.coordinator(claim);
        lab.expect_leader(pid(9));
        let probes = lab.take_all();
        assert_eq!(probes.len(), 1);
        assert_eq!(
            (probes[0].to, probes[0].message.kind()),
            (member(9).addr, Kind::Probe)
        );
        lab.wait(10_000);
        lab.expect_leader(pid(9));
        assert_eq!(lab.take_events(), []);
    }

    #[test]
    fn is_a_claim_that_the_greater_one_s_answer_drops() {
        is_probed_and_dropped(&members([3, 5, 7]));
    }

    #[test]
    fn is_forgotten_when_it_was_dropped() {
        let mut lab = follower(config(5), 2 * W);
        lab.coordinator(&members([3, 5, 7]));
        lab.wait(4_000);
        lab.forget();
        lab.habit(member(9).addr, Habit::Refuses);
        lab.wait(3_000);
        // The old claim is worth nothing now: 7 is asked like anybody else.
        lab.expect_elections(&members([7, 9]));
    }

    /// Even one below me: the greater one's answer is enough.
    #[test]
    fn is_dropped_without_an_election_though_it_is_below_me() {
        is_probed_and_dropped(&members([1, 3]));
    }

    #[test]
    fn below_me_makes_me_elect_if_the_greater_one_is_gone() {
        let mut lab = follower(config(5), 2 * W);
        lab.habit(member(9).addr, Habit::Refuses);
        lab.coordinator(&members([1, 3]));
        lab.expect_elections(&members([7, 9]));
    }

    #[test]
    fn is_believed_if_the_greater_one_is_gone() {
        for habit in [Habit::Refuses, Habit::Resets, Habit::Hangs] {
            let mut lab = follower(config(5), 2 * W);
            lab.habit(member(9).addr, habit);
            lab.coordinator(&members([3, 5, 7]));
            lab.wait(1_500);
            lab.expect_leader(pid(7));
            assert_eq!(lab.all(Kind::Election).len(), 2, "those of the start");
        }
    }

    #[test]
    fn is_forgotten_over_the_next_one() {
        let mut lab = follower(config(5), 2 * W);
        lab.habit(member(9).addr, Habit::Hangs);
        lab.coordinator(&members([3, 5, 7]));
        lab.coordinator(&members([3, 5, 7, 8]));
        lab.wait(1_500);
        lab.expect_leader(pid(8));
    }

    #[test]
    fn is_believed_at_once_by_the_strict() {
        let mut lab = follower(strict(5), 2 * W);
        lab.coordinator(&members([3, 5, 7]));
        lab.expect_leader(pid(7));
    }

    #[test]
    fn a_greater_coordinator_needs_no_proof() {
        let mut lab = follower(config(5), 2 * W);
        lab.coordinator(&members([3, 5, 7, 9, 12]));
        lab.expect_leader(pid(12));
    }
}

mod rule_5_a_member_probed_though_it_does_not_lead {
    use super::*;

    #[test]
    fn answers_and_elects_at_most_once_per_window() {
        let mut lab = follower(config(5), 2 * W);
        for _ in 0..10 {
            let probed = lab.probe();
            assert!(lab.answer_on(probed).is_some());
            // Its leader announces itself again, and the next PROBE finds it following.
            lab.coordinator(&members([3, 5, 7, 9]));
        }
        let asked = |event: &Event| {
            *event
                == Event::Election {
                    cause: Cause::Probed,
                }
        };
        assert_eq!(lab.take_events().into_iter().filter(asked).count(), 1);
        lab.wait(W);
        lab.probe();
        assert_eq!(
            lab.take_events(),
            [Event::Election {
                cause: Cause::Probed
            }]
        );
    }

    #[test]
    fn a_leader_that_is_probed_only_answers() {
        let mut lab = announced(config(9), 2 * W);
        lab.probe();
        lab.expect_nothing();
        assert_eq!(lab.take_events(), []);
    }

    #[test]
    fn strict_only_answers() {
        let mut lab = follower(strict(5), 2 * W);
        let probed = lab.probe();
        assert!(lab.answer_on(probed).is_some());
        lab.expect_nothing();
        assert_eq!(lab.take_events(), []);
    }
}

/// A node of a group in which only rules send PROBEs: the periodic ones are an hour apart.
fn quiet(days: u32) -> Config {
    let mut config = config(days);
    config.probe_gap = (Duration::from_secs(3_600), Duration::from_secs(3_600));
    config
}

/// A group of members with days 2 to n that has settled, and what it sent for that.
fn settled<const M: usize, const E: usize>(
    seed: u64,
    n: u32,
    config: impl Fn(u32) -> Config,
) -> (Group<M, E>, Messages) {
    let mut group = Group::new(seed);
    for days in (2..=n).rev() {
        group.start(config(days));
        group.run(Duration::from_secs(1));
    }
    assert!(group.settled(), "{:?}", group.leaders());
    let before = group.messages();
    (group, before)
}

fn total(messages: Messages) -> u64 {
    messages.election + messages.ok + messages.coordinator + messages.probe
}

#[test]
fn the_lowest_of_20_joins_with_at_most_418_messages() {
    let n = 20;
    for seed in 0..4 {
        let (mut group, before) = settled::<32, 32>(seed, n, quiet);
        group.start(quiet(1));
        group.run(Duration::from_secs(10));
        assert!(group.settled(), "{:?}", group.leaders());
        let after = group.messages();
        let n = u64::from(n);
        // Besides, rule 2 lets each follower probe the leader once, who answers.
        let probes = after.probe - before.probe;
        assert!(probes < n, "seed {seed}: {probes} probes");
        let sent = total(after) - total(before) - 2 * probes;
        assert!(sent <= (n - 1) * (n + 2), "seed {seed}: {sent} messages");
    }
}

/// What the rules are for: to the letter, every ELECTION in flight after a COORDINATOR starts
/// its receiver again. Ten members are enough to see it, and few enough to see the end of it.
#[test]
fn the_lowest_of_10_to_the_letter_sends_more_than_twice_as_many() {
    let to_the_letter = |days| {
        let mut config = quiet(days);
        config.strict = true;
        config
    };
    let worst = (0..10).map(|seed| {
        let (mut group, before) = settled::<32, 32>(seed, 10, to_the_letter);
        group.start(to_the_letter(1));
        group.run(Duration::from_secs(10));
        total(group.messages()) - total(before)
    });
    let worst = worst.max().unwrap_or_default();
    assert!(worst > 2 * 9 * 12, "{worst}");
}

#[test]
fn thirty_that_start_in_ascending_order_all_end_up_right() {
    for seed in 0..10 {
        let mut group = Group::<32, 16>::new(seed);
        for days in 1..=30 {
            group.start(config(days));
            group.run(Duration::from_micros(500));
        }
        group.run(Duration::from_secs(1));
        assert!(group.settled(), "seed {seed}: {:?}", group.leaders());
        let sent = total(group.messages());
        assert!(sent <= 30 * 43, "seed {seed}: {sent} messages");
    }
}

#[test]
fn thirty_that_start_in_any_order_all_end_up_right() {
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let mut days: Vec<u32> = (1..=30).collect();
        for at in (1..days.len()).rev() {
            days.swap(at, dice.below(at as u64 + 1) as usize);
        }
        let mut group = Group::<32, 16>::new(seed);
        for days in days {
            group.start(config(days));
            group.run(Duration::from_micros(500));
        }
        group.run(Duration::from_secs(1));
        assert!(group.settled(), "seed {seed}: {:?}", group.leaders());
    }
}
