//! A chip among ordinary members.

use bully::{Event, Phase};
use bully_host::gateway::{GatewayEvent, Lost};
use bully_tests::people::pid;

use crate::stage::{EXCHANGES, MEMBERS, Stage};

const READY: GatewayEvent = GatewayEvent::ChipReady {
    members: MEMBERS as u16,
    exchanges: EXCHANGES as u16,
};

fn events(stage: &Stage) -> Vec<GatewayEvent> {
    core::mem::take(&mut stage.remote.borrow_mut().gateway_events)
}

/// Its listener opens when it is there and never before.
#[test]
fn a_gateway_without_a_chip_refuses_connections() {
    let mut stage = Stage::new(1, 9);
    stage.start_gateway();
    stage.run(5_000);
    assert!(!stage.remote.borrow().is_listening());
    assert_eq!(events(&stage), []);
    stage.remote.borrow_mut().start_chip();
    stage.run(300);
    assert!(stage.remote.borrow().is_listening());
    assert_eq!(events(&stage), [READY]);
}

#[test]
fn the_greatest_leads_and_the_least_follows() {
    for seed in 0..10 {
        for days in [1, 5, 9] {
            let mut stage = Stage::on(seed, days);
            stage.run(1_000);
            for other in [2, 4, 6, 8] {
                stage.start(other);
            }
            stage.run(5_000);
            stage.until_agreed(5_000);
            // And it stays so.
            for _ in 0..200 {
                stage.run(100);
                assert!(stage.agreed(), "{:?}", stage.leaders());
            }
            let remote = stage.remote.borrow();
            let node = remote.node().expect("it runs");
            let leads = node.phase() == Phase::Leading;
            assert_eq!(leads, days == 9);
            assert_eq!(node.roster().len(), 5);
            let probes = node.counters();
            assert!(
                if leads {
                    probes.received.probe
                } else {
                    probes.sent.probe
                } > 0
            );
            assert_eq!(node.counters().rejected, 0);
            drop(remote);
            assert_eq!(events(&stage), [READY], "one session does for all");
        }
    }
}

/// The line is cut: 2 s later the others are refused, and elect. When it is back, so is the chip.
#[test]
fn a_leader_that_is_cut_off_is_missed_and_comes_back() {
    for seed in 0..10 {
        let mut stage = Stage::on(seed, 9);
        for other in [2, 4, 6, 8] {
            stage.start(other);
        }
        stage.run(8_000);
        stage.until_agreed(5_000);
        events(&stage);
        stage.remote.borrow_mut().stop_chip();
        stage.run(2_100);
        assert_eq!(
            events(&stage),
            [GatewayEvent::ChipLost { why: Lost::Silent }]
        );
        assert!(!stage.remote.borrow().is_listening());
        let took = stage.until_agreed(5_000);
        assert!(took > 0 || stage.leaders()[0].1 == Some(pid(8)));
        stage.remote.borrow_mut().start_chip();
        stage.run(300);
        assert_eq!(events(&stage), [READY]);
        stage.until_agreed(5_000);
        let leaders = stage.leaders();
        assert!(leaders.iter().all(|(_, leader)| *leader == Some(pid(9))));
    }
}

/// Switched off and on within a moment: it has not been missed, and joins as a new node.
#[test]
fn a_chip_that_restarts_is_served_at_once() {
    let mut stage = Stage::on(3, 9);
    for other in [2, 8] {
        stage.start(other);
    }
    stage.run(8_000);
    stage.until_agreed(5_000);
    events(&stage);
    stage.remote.borrow_mut().events.clear();
    stage.remote.borrow_mut().start_chip();
    stage.run(200);
    assert_eq!(
        events(&stage),
        [GatewayEvent::ChipLost { why: Lost::Asked }, READY]
    );
    let joined = |(_, event): &(_, Event)| matches!(event, Event::Joined { members: 3 });
    assert!(stage.remote.borrow().events.iter().any(joined));
    stage.until_agreed(5_000);
}

/// Another gateway is another world: the chip's node starts anew, and nothing else does.
#[test]
fn a_gateway_that_restarts_finds_its_chip() {
    let mut stage = Stage::on(4, 9);
    for other in [2, 8] {
        stage.start(other);
    }
    stage.run(8_000);
    stage.until_agreed(5_000);
    events(&stage);
    let before = stage.remote.borrow().link().and_then(|link| link.gateway());
    stage.start_gateway();
    stage.run(500);
    assert!(events(&stage).contains(&READY));
    let after = stage.remote.borrow().link().and_then(|link| link.gateway());
    assert!(before.is_some() && after.is_some() && before != after);
    stage.until_agreed(5_000);
    stage.run(5_000);
    assert!(stage.agreed());
}
