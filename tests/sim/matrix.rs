//! Groups larger than their tables under every fault: all agree, and within a bound that is checked.
//!
//! `BULLY_MATRIX=seeds` runs so many seeds of each; `cargo test --release -p bully-tests --test sim
//! matrix -- --ignored --nocapture` prints the whole table.

use core::time::Duration;

use bully_sim::{Crash, Outcome, Partition, Scenario, Start, Who, run};

use crate::text::{everywhere, unmeasured};

/// A group: how many members, and the sizes of their tables.
type Size = (usize, &'static [usize]);

const SIZES: [Size; 10] = [
    (5, &[4]),
    (6, &[4]),
    (10, &[8]),
    (17, &[16]),
    (20, &[16]),
    (65, &[64]),
    (80, &[64]),
    (300, &[16]),
    (1_000, &[64]),
    (300, &[8, 64, 4_096]),
];

/// What happens to it, from the fifth second on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Crash,
    CrashAndReturn,
    TwoCrashes,
    ThirdApart { coordinator_above: bool },
    HalfApart { coordinator_above: bool },
    HighestJoins,
    LowestJoins,
    TenthCrashes,
    CoordinatorDead,
    Loss,
}

const FAULTS: [Fault; 12] = [
    Fault::Crash,
    Fault::CrashAndReturn,
    Fault::TwoCrashes,
    Fault::ThirdApart {
        coordinator_above: false,
    },
    Fault::ThirdApart {
        coordinator_above: true,
    },
    Fault::HalfApart {
        coordinator_above: false,
    },
    Fault::HalfApart {
        coordinator_above: true,
    },
    Fault::HighestJoins,
    Fault::LowestJoins,
    Fault::TenthCrashes,
    Fault::CoordinatorDead,
    Fault::Loss,
];

const AT: Duration = Duration::from_secs(5);
const OVER: Duration = Duration::from_secs(25);

fn scenario((members, capacities): Size, fault: Fault, seed: u64) -> Scenario {
    let leader = |at| Crash::new(Who::Leader, at);
    let apart = |below, coordinator_above| Partition {
        below,
        coordinator_above,
        from: AT,
        to: OVER,
    };
    let mut it = Scenario {
        members,
        capacities: capacities.to_vec(),
        seed,
        ..Scenario::default()
    };
    match fault {
        Fault::Crash => it.crashes = vec![leader(AT)],
        Fault::CrashAndReturn => it.crashes = vec![leader(AT).until(OVER)],
        Fault::TwoCrashes => it.crashes = vec![leader(AT), leader(AT + Duration::from_millis(200))],
        Fault::ThirdApart { coordinator_above } => {
            it.partitions = vec![apart(members / 3 + 1, coordinator_above)];
        }
        Fault::HalfApart { coordinator_above } => {
            it.partitions = vec![apart(members / 2 + 1, coordinator_above)];
        }
        Fault::HighestJoins => it.start = Start::HighestJoins,
        Fault::LowestJoins => it.start = Start::LowestJoins,
        Fault::TenthCrashes => it.crashes = vec![Crash::new(Who::Percent(10), AT)],
        Fault::CoordinatorDead => {
            let dies = Crash::new(Who::Number(0), AT - Duration::from_secs(1));
            it.crashes = vec![dies, leader(AT)];
        }
        Fault::Loss => {
            it.loss = 0.01;
            it.crashes = vec![leader(AT)];
        }
    }
    it.duration = it.planned_until() + it.settles_within() + Duration::from_secs(1);
    it
}

/// What many seeds of one fault in one group came to.
struct Cell {
    agreed: usize,
    /// From the last planned fault until all agreed for good, ascending; where messages are lost to
    /// the end, how long not all agreed in the whole run.
    times: Vec<Duration>,
    /// Of each run, without JOINs, PROBEs and OKs to them.
    messages: Vec<u64>,
    failed: Vec<String>,
}

fn cell(size: Size, fault: Fault, seeds: u64) -> Cell {
    let mut cell = Cell {
        agreed: 0,
        times: Vec::new(),
        messages: Vec::new(),
        failed: Vec::new(),
    };
    for (seed, result) in everywhere(1..seeds + 1, |seed| {
        (seed, run(&scenario(size, fault, seed), &unmeasured, None))
    }) {
        let it = scenario(size, fault, seed);
        match result {
            Ok(outcome) => cell.take(&it, fault, &outcome),
            Err(breach) => cell.failed.push(breach.to_string()),
        }
    }
    cell.times.sort_unstable();
    cell.messages.sort_unstable();
    cell
}

impl Cell {
    fn take(&mut self, scenario: &Scenario, fault: Fault, outcome: &Outcome) {
        let bound = scenario.settles_within();
        let began = match scenario.start {
            Start::HighestJoins | Start::LowestJoins => Duration::ZERO,
            _ => scenario.planned_until(),
        };
        let took = outcome.settled.map(|settled| settled.saturating_sub(began));
        // Lost messages are faults of their own: with loss the end counts, and no bound.
        let in_time = fault == Fault::Loss || took.is_some_and(|took| took <= bound);
        if outcome.agreed && in_time {
            self.agreed += 1;
            self.times.extend(match fault {
                Fault::Loss => Some(outcome.disagreed),
                _ => took,
            });
            self.messages.push(outcome.messages_after_fault);
        } else {
            let seed = outcome.seed;
            self.failed
                .push(format!("seed {seed}: agreed after {took:?}, of {bound:?}"));
        }
    }

    fn row(&self, (members, capacities): Size, fault: Fault, seeds: u64) -> String {
        let middle = |len: usize| len.saturating_sub(1) / 2;
        let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let p50 = millis(self.times.get(middle(self.times.len())));
        let max = millis(self.times.last());
        let each = self.messages.get(middle(self.messages.len()));
        let each = each.map_or(0.0, |sum| *sum as f64 / members as f64);
        format!(
            "{members:>5} / {:<10} {:<40} {:>3}/{seeds:<3} {p50:>9.0} {max:>9.0} {each:>7.1}",
            capacities
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(","),
            format!("{fault:?}"),
            self.agreed
        )
    }
}

/// Prints the table and returns what failed.
fn table(sizes: &[Size], seeds: u64) -> Vec<String> {
    println!(
        "{:>5} / {:<10} {:<40} {:>7} {:>9} {:>9} {:>7}",
        "n", "capacity", "fault", "agreed", "p50 ms", "max ms", "msg each"
    );
    let mut failed = Vec::new();
    for size in sizes {
        for fault in FAULTS {
            let cell = cell(*size, fault, seeds);
            let row = cell.row(*size, fault, seeds);
            println!("{row}");
            failed.extend(cell.failed.iter().map(|why| format!("{row}: {why}")));
        }
    }
    failed
}

/// How many seeds, if not as many as said.
fn seeds(default: u64) -> u64 {
    let value = std::env::var("BULLY_MATRIX").ok();
    value.map_or(default, |seeds| seeds.parse().expect("a number of seeds"))
}

#[test]
fn a_sample_of_groups_larger_than_their_tables_agrees() {
    let failed = table(&SIZES[..4], seeds(4));
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
#[ignore = "an hour in release"]
fn the_whole_matrix_agrees() {
    let failed = table(&SIZES, seeds(100));
    assert!(failed.is_empty(), "{failed:#?}");
}
