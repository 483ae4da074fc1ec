//! A scenario that breaks something, cut down to what it takes.

use core::time::Duration;
use std::path::PathBuf;

use bully_sim::{
    BackAs, Breach, Build, Delay, Failure, Kind, Outcome, Scenario, Start, Who, run_built,
};

use crate::text::{read, unmeasured, write};

/// Runs a scenario; that it ends in disagreement, or is cut off, is a breach, too.
pub(crate) fn verdict(scenario: &Scenario, build: Build<'_>) -> Result<Outcome, Breach> {
    let outcome = run_built(scenario, &unmeasured, None, build)?;
    if outcome.cut || !outcome.agreed {
        return Err(Breach {
            invariant: match outcome.cut {
                true => "a run sends no more messages than it may",
                false => "at the end everyone names the greatest member up",
            },
            member: 0,
            at: bully::Instant::ZERO + outcome.simulated,
            seen: format!("{:?}", outcome.messages),
            seed: scenario.seed,
        });
    }
    Ok(outcome)
}

/// The smallest scenario found that breaks the same invariant as `scenario` does, and how; `None`
/// if it breaks nothing.
pub(crate) fn shrunk(scenario: &Scenario, build: Build<'_>) -> Option<(Scenario, Breach)> {
    let breach_of = |scenario: &Scenario| verdict(scenario, build).err();
    let mut best = scenario.clone();
    let mut breach = breach_of(&best)?;
    // Nothing matters that comes after the breach.
    best.duration = best.duration.min(breach.at.since(bully::Instant::ZERO));
    loop {
        let smaller = simpler(&best).into_iter().find_map(|candidate| {
            let found =
                breach_of(&candidate).filter(|found| found.invariant == breach.invariant)?;
            Some((candidate, found))
        });
        let Some((candidate, found)) = smaller else {
            return Some((best, breach));
        };
        best = candidate;
        best.duration = best.duration.min(found.at.since(bully::Instant::ZERO));
        breach = found;
    }
}

/// Writes a failing scenario, shrunk, where the scenario runner can be pointed at it; the message
/// to fail with.
pub(crate) fn report(scenario: &Scenario, build: Build<'_>) -> String {
    let Some((small, breach)) = shrunk(scenario, build) else {
        return "it breaks nothing when it is run again".to_owned();
    };
    let text = format!("# {breach}\n{}", write(&small));
    let path: PathBuf = std::env::temp_dir().join(format!("bully-seed-{}.txt", scenario.seed));
    let place = match std::fs::write(&path, &text) {
        Ok(()) => format!("BULLY_SCENARIO={} shows it", path.display()),
        Err(error) => format!("{} cannot be written: {error}", path.display()),
    };
    format!("seed {}, cut down; {place}:\n{text}", scenario.seed)
}

/// Scenarios that are each a little simpler, the boldest cuts first.
fn simpler(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut try_one = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        // Written the same is the same.
        if write(&candidate) != write(scenario) {
            all.push(candidate);
        }
    };
    try_one(&|it| it.feign = None);
    try_one(&|it| it.loss = 0.0);
    for at in 0..scenario.partitions.len() {
        try_one(&|it| remove(&mut it.partitions, at));
    }
    for at in 0..scenario.holds.len() {
        try_one(&|it| remove(&mut it.holds, at));
    }
    for at in 0..scenario.crashes.len() {
        try_one(&|it| remove(&mut it.crashes, at));
        try_one(&|it| {
            it.crashes[at].until = None;
            it.crashes[at].back_as = BackAs::Before;
        });
        try_one(&|it| it.crashes[at].back_as = BackAs::Before);
        try_one(&|it| it.crashes[at].how = Failure::Ends);
    }
    for at in 0..scenario.late.len() {
        try_one(&|it| remove(&mut it.late, at));
    }
    for at in 0..scenario.pauses.len() {
        try_one(&|it| remove(&mut it.pauses, at));
    }
    for at in 0..scenario.cuts.len() {
        try_one(&|it| remove(&mut it.cuts, at));
        try_one(&|it| it.cuts[at].one_way = false);
    }
    for at in 0..scenario.attacks.len() {
        try_one(&|it| remove(&mut it.attacks, at));
        try_one(&|it| it.attacks[at].forged = it.attacks[at].forged.div_ceil(2));
    }
    try_one(&|it| it.slow.clear());
    try_one(&|it| it.plain.clear());
    for at in 0..scenario.capacities.len() {
        if scenario.capacities.len() > 1 {
            try_one(&|it| it.capacities = vec![it.capacities[at]]);
        }
    }
    for gone in 1..=scenario.members {
        if scenario.members > 1 {
            try_one(&|it| leave_out(it, gone));
        }
    }
    try_one(&|it| it.start = Start::Together);
    try_one(&|it| it.delay = Delay::Const(Duration::from_millis(10)));
    try_one(&|it| it.delay = Delay::Const(it.delay.ceiling()));
    for at in 0..scenario.holds.len() {
        for kind in Kind::ALL {
            if scenario.holds[at].kind.is_none() {
                try_one(&|it| it.holds[at].kind = Some(kind));
            }
        }
        for number in 1..=scenario.members {
            if scenario.holds[at].from.is_none() {
                try_one(&|it| it.holds[at].from = Some(number));
            }
            if scenario.holds[at].to.is_none() {
                try_one(&|it| it.holds[at].to = Some(number));
            }
        }
    }
    // Rounder times; each is tried for one fault at a time.
    for unit in [1_000_000, 100_000, 1_000].map(Duration::from_micros) {
        for at in 0..scenario.crashes.len() {
            try_one(&|it| it.crashes[at].at = rounded(it.crashes[at].at, unit));
            try_one(&|it| {
                it.crashes[at].until = it.crashes[at].until.map(|until| rounded(until, unit));
            });
        }
        for at in 0..scenario.partitions.len() {
            try_one(&|it| it.partitions[at].from = rounded(it.partitions[at].from, unit));
            try_one(&|it| it.partitions[at].to = rounded(it.partitions[at].to, unit));
        }
        for at in 0..scenario.pauses.len() {
            try_one(&|it| it.pauses[at].from = rounded(it.pauses[at].from, unit));
            try_one(&|it| it.pauses[at].to = rounded(it.pauses[at].to, unit));
        }
        for at in 0..scenario.cuts.len() {
            try_one(&|it| it.cuts[at].since = rounded(it.cuts[at].since, unit));
            try_one(&|it| it.cuts[at].to = rounded(it.cuts[at].to, unit));
        }
        for at in 0..scenario.holds.len() {
            try_one(&|it| it.holds[at].since = rounded(it.holds[at].since, unit));
            try_one(&|it| it.holds[at].until = rounded(it.holds[at].until, unit));
            try_one(&|it| it.holds[at].extra = it.holds[at].extra.map(|it| rounded(it, unit)));
        }
        for at in 0..scenario.late.len() {
            try_one(&|it| it.late[at].1 = rounded(it.late[at].1, unit));
        }
    }
    all
}

fn remove<T>(faults: &mut Vec<T>, at: usize) {
    faults.remove(at);
}

/// The same without one member; those above it move down.
fn leave_out(scenario: &mut Scenario, gone: usize) {
    let moved = |number: usize| number - usize::from(number > gone);
    scenario.members -= 1;
    let change = |who: &mut Who| {
        if let Who::Number(number) = who {
            *number = moved(*number);
        }
    };
    scenario
        .crashes
        .retain(|crash| crash.who != Who::Number(gone));
    scenario
        .pauses
        .retain(|pause| pause.who != Who::Number(gone));
    scenario.slow.retain(|slow| slow.who != Who::Number(gone));
    scenario.plain.retain(|plain| *plain != Who::Number(gone));
    scenario
        .crashes
        .iter_mut()
        .for_each(|it| change(&mut it.who));
    scenario
        .pauses
        .iter_mut()
        .for_each(|it| change(&mut it.who));
    scenario.slow.iter_mut().for_each(|it| change(&mut it.who));
    scenario.plain.iter_mut().for_each(change);
    scenario
        .cuts
        .retain(|cut| cut.from != gone && cut.to_whom != gone);
    for cut in &mut scenario.cuts {
        cut.from = moved(cut.from);
        cut.to_whom = moved(cut.to_whom);
    }
    scenario.late.retain(|(number, _)| *number != gone);
    for (number, _) in &mut scenario.late {
        *number = moved(*number);
    }
    scenario
        .holds
        .retain(|hold| hold.from != Some(gone) && hold.to != Some(gone));
    for hold in &mut scenario.holds {
        hold.from = hold.from.map(moved);
        hold.to = hold.to.map(moved);
    }
    for partition in &mut scenario.partitions {
        partition.below = moved(partition.below);
    }
    scenario.prober = scenario.prober.map(moved);
    scenario.mute.retain(|number| *number != gone);
}

/// Down to a whole number of units.
fn rounded(span: Duration, unit: Duration) -> Duration {
    let parts = span.as_micros() / unit.as_micros();
    unit * u32::try_from(parts).unwrap_or(0)
}

#[test]
fn what_is_written_is_read_back() {
    for seed in 0..500 {
        let scenario = Scenario::random(seed);
        let text = write(&scenario);
        let story = read(&text).expect("what was written can be read");
        assert_eq!(write(&story.scenario), text, "seed {seed}");
        assert_eq!(
            format!("{:?}", story.scenario),
            format!("{scenario:?}"),
            "seed {seed}"
        );
    }
}
