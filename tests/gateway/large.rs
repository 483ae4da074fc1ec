//! A chip in a group that is larger than its table: the gateway thins the coordinator's list as the
//! chip would itself.

use bully::Pid;
use bully_host::gateway::GatewayEvent;
use bully_tests::people::pid;

use crate::stage::{MEMBERS, Stage};

/// More than twice as many as the chip has entries for.
const MANY: u32 = 40;

fn knows(stage: &Stage, wanted: Pid) -> bool {
    let remote = stage.remote.borrow();
    let roster = remote.node().expect("it runs").roster();
    roster.members().iter().any(|member| member.pid == wanted)
}

/// Everybody of `count` but the chip, which has `days`, and then the chip.
fn group_and_chip(seed: u64, days: u32, count: u32) -> Stage {
    let mut stage = Stage::new(seed, days);
    fill(&mut stage, days, count);
    stage
}

/// Everybody of `count` starts, the chip, which has `days`, when all agree.
fn fill(stage: &mut Stage, days: u32, count: u32) {
    for other in (1..=count).filter(|other| *other != days) {
        stage.start(other);
    }
    stage.run(8_000);
    stage.until_agreed(20_000);
    stage.start_gateway();
    stage.remote.borrow_mut().start_chip();
    stage.run(2_000);
}

#[test]
fn a_chip_in_a_group_larger_than_its_table_knows_its_neighbours() {
    for (seed, days) in [(1, 3), (2, 20), (3, 38)] {
        let mut stage = group_and_chip(seed, days, MANY);
        let cut = MANY as usize - MEMBERS;
        let events = core::mem::take(&mut stage.remote.borrow_mut().gateway_events);
        let cut = |event: &GatewayEvent| {
            *event
                == GatewayEvent::ListCut {
                    left_out: cut as u32,
                }
        };
        assert!(events.iter().any(cut), "{events:?}");
        for near in [days - 2, days - 1, days + 1, days + 2, MANY] {
            assert!(knows(&stage, pid(near)), "the chip {days} lacks {near}");
        }
        stage.until_agreed(5_000);
    }
}

#[test]
fn a_chip_in_a_group_larger_than_its_table_follows_one_leader_after_the_other() {
    for (seed, days) in [(1, 1), (2, 20)] {
        let mut stage = group_and_chip(seed, days, MANY);
        stage.until_agreed(5_000);
        // Those that were started are numbered from 0, upwards.
        for greatest in [MANY as usize - 2, MANY as usize - 3] {
            stage.group.crash(greatest);
            stage.until_agreed(20_000);
            for _ in 0..100 {
                stage.run(100);
                assert!(stage.agreed(), "{:?}", stage.leaders());
            }
        }
    }
}

#[test]
fn a_chip_that_leads_a_group_larger_than_its_table_holds_it() {
    for seed in [1, 2] {
        let mut stage = Stage::new(seed, 17);
        stage.group.with_origins();
        fill(&mut stage, 17, 18);
        stage.until_agreed(5_000);
        // Those that were started are numbered from 0, upwards; the chip is not one of them.
        stage.group.crash(16);
        stage.until_agreed(5_000);
        for _ in 0..600 {
            stage.run(100);
            assert!(stage.agreed(), "{:?}", stage.leaders());
        }
    }
}
