//! Every member of simulated groups, with faults of every kind, recorded and repeated.

use core::cell::RefCell;
use std::rc::Rc;

use bully::Config;
use bully_record::{Recording, Replay, SharedBytes, recorded};
use bully_sim::{AnyNode, Scenario, exchanges, run_built};

/// The recordings of all members of a run, in the order in which they started.
pub(crate) fn recordings(scenario: &Scenario) -> Vec<Vec<u8>> {
    let all: Rc<RefCell<Vec<SharedBytes>>> = Rc::default();
    let build = |scenario: &Scenario, capacity: usize, config: Config| {
        let bytes = SharedBytes::default();
        all.borrow_mut().push(bytes.clone());
        let exchanges = exchanges(scenario, capacity);
        let node = recorded(capacity, exchanges, config, bytes, 0)?;
        Some(node as Box<dyn AnyNode>)
    };
    // A run that breaks an invariant ends there, and is recorded as far as that.
    if let Err(breach) = run_built(scenario, &|_, _| 0, None, &build) {
        println!("seed {} ends with a breach: {breach:?}", scenario.seed);
    }
    let all = all.borrow();
    all.iter().map(SharedBytes::take).collect()
}

/// How many seeds are drawn: a few for every run of the tests, as many as asked for in a sweep.
fn seeds() -> u64 {
    let asked = std::env::var("BULLY_RECORDED_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn every_member_of_groups_with_faults_is_repeated() {
    let mut members = 0;
    let mut bytes = 0;
    for seed in 1..=seeds() {
        let scenario = Scenario::random(seed);
        for (number, recording) in recordings(&scenario).into_iter().enumerate() {
            bytes += recording.len();
            let recording = Recording::read(&recording)
                .unwrap_or_else(|error| panic!("seed {seed}, start {number}: {error}"));
            let mut replay = Replay::new(recording).expect("it begins with a node");
            loop {
                match replay.step(&mut ()) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(problem) => panic!("seed {seed}, start {number}: {problem}"),
                }
            }
            members += 1;
        }
    }
    println!("{members} members of {} groups, {bytes} bytes", seeds());
    assert!(members > seeds());
}
