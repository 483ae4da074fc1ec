//! Networks that lose messages or take their time, and lists that name members who do not exist.

use core::time::Duration;

use bully_sim::{Attack, Crash, Delay, ForgedAt, Outcome, Scenario, Start, Who, run};

use crate::text::{everywhere, unmeasured};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn outcome(scenario: &Scenario) -> Outcome {
    run(scenario, &unmeasured, None).unwrap_or_else(|breach| panic!("{breach}"))
}

/// The share of the time in which a group does not agree, once it has, in a hundred, where this share
/// of the packets is lost and sent again.
fn disagrees(members: usize, delay: Delay, loss: f64) -> f64 {
    let shares = everywhere(1..9, |seed| {
        let outcome = outcome(&Scenario {
            members,
            capacities: vec![64],
            delay,
            packet_loss: loss,
            duration: s(500),
            seed,
            ..Scenario::default()
        });
        outcome.disagreed.as_secs_f64() / outcome.simulated.as_secs_f64()
    });
    100.0 * shares.iter().sum::<f64>() / shares.len() as f64
}

#[test]
fn where_one_packet_in_ten_is_lost_a_leader_is_hardly_ever_deposed() {
    let quick = Delay::Uniform(ms(0), ms(1));
    for members in [3, 6] {
        let share = disagrees(members, quick, 0.1);
        println!("{members} members, 10 % loss: no agreement in {share:.3} % of the time");
        assert!(share < 0.2, "{members} members: {share} %");
    }
}

#[test]
fn where_packets_take_long_and_are_lost_a_leader_is_seldom_deposed() {
    for members in [3, 6] {
        let share = disagrees(members, Delay::Uniform(ms(100), ms(300)), 0.1);
        println!("{members}, 10 % loss, 200 ± 100 ms: no agreement in {share:.3} % of the time");
        assert!(share < 5.0, "{members} members: {share} %");
    }
}

#[test]
fn thirty_two_members_settle_though_a_message_takes_300_ms_on_average() {
    let settled = everywhere(1..9, |seed| {
        // The seed with which a group went on electing for four minutes.
        let seed = if seed == 1 { 902_599_924 } else { seed };
        let outcome = outcome(&Scenario {
            members: 32,
            capacities: vec![64],
            start: Start::Shuffled,
            delay: Delay::Exp(ms(300)),
            duration: s(240),
            seed,
            ..Scenario::default()
        });
        outcome.settled.expect("all agree")
    });
    println!("{settled:?}");
    // For most of the time a group has a leader, and the same one.
    assert!(settled.iter().all(|settled| *settled < s(120)));
}

#[test]
fn after_a_thousand_forged_members_five_live_ones_agree_within_ten_seconds() {
    for at in [
        ForgedAt::Refusing,
        ForgedAt::Silent,
        ForgedAt::Answering,
        ForgedAt::Real,
    ] {
        let outcomes = everywhere(1..11, |seed| {
            let mut scenario = Scenario {
                members: 6,
                capacities: vec![1_024],
                seed,
                attacks: vec![Attack {
                    forged: 1_100,
                    at,
                    from: s(5),
                    to: s(12),
                }],
                crashes: vec![Crash::new(Who::Leader, s(15))],
                ..Scenario::default()
            };
            scenario.duration = s(15) + scenario.settles_within() + s(1);
            // About as pickle has them.
            let bytes = |_: &str, list: &[bully::Member]| 60 + 24 * list.len();
            run(&scenario, &bytes, None).unwrap_or_else(|breach| panic!("{at:?}: {breach}"))
        });
        for outcome in outcomes {
            let (seed, attack) = (outcome.seed, outcome.attack);
            let took = outcome.crash_to_leader.expect("all agree");
            println!("{at:?}, seed {seed}: {took:?} after the crash; {attack:?}");
            assert!(took <= s(10), "{at:?}, seed {seed}: {took:?}");
            assert!(
                attack.connections_to_one <= 4 * attack.messages,
                "{attack:?}"
            );
            assert!(attack.answered_bytes <= 10 * attack.bytes, "{attack:?}");
        }
    }
}
