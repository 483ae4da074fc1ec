//! Groups of nodes that come and go.

use core::time::Duration;

use bully::{Feign, FeignMode};
use bully_tests::group::Group;
use bully_tests::people::{config, member};

#[test]
fn a_leader_that_crashes_is_replaced_and_comes_back_elsewhere() {
    for seed in 0..10 {
        let mut group = Group::<32, 16>::new(seed);
        let slots: Vec<usize> = (1..=10).map(|days| group.start(config(days))).collect();
        group.run(Duration::from_secs(5));
        assert!(group.settled(), "{:?}", group.leaders());
        group.crash(slots[9]);
        group.run(Duration::from_secs(5));
        assert!(group.settled(), "{:?}", group.leaders());
        let mut back = config(10);
        back.me.addr.0 = 77 + seed * 50_000;
        group.start(back);
        group.run(Duration::from_secs(1));
        assert!(group.settled(), "{:?}", group.leaders());
    }
}

#[test]
fn a_silent_host_at_the_top_delays_an_election_and_does_not_prevent_it() {
    for seed in 0..10 {
        let mut group = Group::<32, 16>::new(seed);
        let top = group.start(config(10));
        let slots: Vec<usize> = (1..=9).map(|days| group.start(config(days))).collect();
        group.run(Duration::from_secs(8));
        group.crash(top);
        group.silent(member(10).addr);
        group.run(Duration::from_secs(10));
        assert!(group.settled(), "{:?}", group.leaders());
        assert!(slots.iter().all(|slot| !group.events(*slot).is_empty()));
    }
}

#[test]
fn a_quiet_group_sends_probes_and_its_leader_now_and_then_a_join() {
    let mut group = Group::<32, 16>::new(1);
    for days in 1..=10 {
        group.start(config(days));
    }
    group.run(Duration::from_secs(8));
    let before = group.messages();
    group.run(Duration::from_secs(60));
    let after = group.messages();
    assert_eq!(
        (after.election, after.coordinator),
        (before.election, before.coordinator)
    );
    // The leader asks every ten seconds who has come; each of nine followers once or twice, as nobody
    // here says of which kind it is.
    let joins = after.join - before.join;
    assert!((6 + 9..=6 + 18).contains(&joins), "{joins}");
    let probes = after.probe - before.probe;
    assert_eq!(after.ok - before.ok, probes);
    // Nine followers, 1.75 s apart on average: 309 of them, give or take.
    assert!((250..370).contains(&probes), "{probes}");
}

/// All feign failure now and then. Among those who are up, two that lead find out soon.
#[test]
fn members_that_play_dead_agree_again_and_again() {
    for mode in [FeignMode::Close, FeignMode::Ignore] {
        for seed in 0..3 {
            let mut group = Group::<16, 16>::new(seed);
            for days in 1..=8 {
                let mut config = config(days);
                config.seed = seed * 100 + u64::from(days);
                config.feign = Some(Feign::new(mode));
                group.start(config);
            }
            let (mut agreed, mut at_odds_ms) = (0, 0);
            for _ in 0..6_000 {
                group.run(Duration::from_millis(10));
                let mut leaders: Vec<_> = group
                    .leaders()
                    .into_iter()
                    .filter_map(|(_, leader)| leader)
                    .collect();
                leaders.sort_unstable();
                leaders.dedup();
                let leading = group.leaders().into_iter();
                let leading = leading
                    .filter(|(pid, leader)| Some(*pid) == *leader)
                    .count();
                at_odds_ms = if leading > 1 { at_odds_ms + 10 } else { 0 };
                assert!(
                    at_odds_ms <= 5_000,
                    "{mode:?}, seed {seed}: {:?}",
                    group.leaders()
                );
                agreed += u32::from(leaders.len() == 1);
            }
            assert!(agreed > 1_200, "{mode:?}, seed {seed}: {agreed} of 6000");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut group = Group::<16, 16>::new(seed);
        let slots: Vec<usize> = (1..=8).map(|days| group.start(config(days))).collect();
        group.run(Duration::from_secs(5));
        group.crash(slots[7]);
        group.run(Duration::from_secs(20));
        slots
            .into_iter()
            .map(|slot| group.events(slot).to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}
