//! Turns of a node that knows so many members.
//!
//! An idle poll is beside a look at the clock, which whoever polls takes anyway. The other two are
//! beside the same book-keeping in std's collections: exchanges, deadlines, members. In "election
//! joined" a node receives ELECTION, answers it, asks those above it as far as it has connections, is
//! answered, and receives COORDINATOR, each with the list of all.

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use bully::{Member, Request, Roster};

use crate::baseline::Baseline;
use crate::figure::{Section, Trouble, cost};
use crate::job::{Bench, Job, members};
use crate::measure::{Contender, duel, each};
use crate::script::{EXCHANGES, Scripted};
use crate::table::on_large_stack;

const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

const BASELINE: &str = "std's collections";

/// Longer than any deadline of an election.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// How many exchanges a node opens at most: a quarter is kept for the others.
const OPENED_MAX: usize = EXCHANGES - EXCHANGES / 4;

pub(crate) fn jobs() -> Vec<Job> {
    let job = |count| {
        let what = format!("{count} members");
        Job::new(Section::Poll, what, move |bench| {
            on_large_stack(|| run(bench, count))
        })
    };
    COUNTS.into_iter().map(job).collect()
}

fn run(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let all = members(count);
    let quick = bench.quick;
    let mut add = |name, ours, other_name, other| {
        let figure = (Section::Poll, name, count);
        bench.add(figure, ours, (other_name, other), cost("ns"));
    };

    let mut idle = Scripted::following(&all, all[count / 2]);
    idle.pass(AFTERWARDS);
    let ours = each(|_| {
        black_box(idle.node.poll(idle.now, &mut idle.net).is_some());
        black_box(idle.node.poll_at());
    });
    let clock = each(|_| {
        black_box(Instant::now());
    });
    let [ours, clock] = duel(quick, [ours, clock])?;
    add("idle poll", ours, "a look at the clock", clock);

    let [ours, other] = duel(quick, [probed(&all)?, baseline_probed(&all)])?;
    add("probe answered", ours, BASELINE, other);

    let [ours, other] = duel(quick, [elects(&all)?, baseline_elects(&all)])?;
    add("election joined", ours, BASELINE, other);
    Ok(())
}

/// The leader of all is asked whether it is there.
fn probed(all: &[Member]) -> Result<Contender<'_>, Trouble> {
    let me = all[all.len() - 1];
    let mut leader = Scripted::following(all, me);
    // It announces itself to everybody, as far as there is room each time.
    for _ in 0..all.len() / OPENED_MAX + 10 {
        leader.pass(AFTERWARDS);
    }
    if leader.node.leader() != Some(me.pid) || leader.node.roster().len() != all.len() {
        return Err(Trouble("the greatest does not lead".to_owned()));
    }
    Ok(each(move |_| {
        leader.net.push(Request::Probe(Roster::EMPTY));
        leader.turn();
    }))
}

fn baseline_probed(all: &[Member]) -> Contender<'_> {
    let mut baseline = Baseline::new(all[all.len() - 1]);
    baseline.merge(all);
    let mut now = 0;
    each(move |_| {
        now += 1;
        let exchange = baseline.open(now + 8_000);
        baseline.advance(exchange, now + 9_000);
        baseline.close(exchange);
        baseline.pass_time(now);
    })
}

/// One in the middle is asked by a lesser one, and asks in turn.
fn elects(all: &[Member]) -> Result<Contender<'_>, Trouble> {
    let mut scripted = Scripted::following(all, all[all.len() / 2]);
    let roster = Roster::new(all).unwrap_or(Roster::EMPTY);
    let leader = scripted.node.leader();
    let mut elect = move || {
        scripted.pass(AFTERWARDS);
        scripted.net.push(Request::Election(roster));
        scripted.turn();
        let between = scripted.node.leader();
        scripted.net.push(Request::Coordinator(roster));
        scripted.turn();
        (between, scripted.node.leader())
    };
    if leader.is_none() || elect() != (None, leader) {
        return Err(Trouble("there is no election".to_owned()));
    }
    Ok(each(move |_| {
        black_box(elect());
    }))
}

fn baseline_elects(all: &[Member]) -> Contender<'_> {
    let mut baseline = Baseline::new(all[all.len() / 2]);
    baseline.merge(all);
    let mut now = 0;
    each(move |_| {
        now += 10_000;
        baseline.pass_time(now);
        let asked = baseline.open(now + 8_000);
        baseline.merge(all);
        baseline.advance(asked, now + 1_000);
        baseline.close(asked);
        let opened = baseline.greater().take(OPENED_MAX).count();
        let asking: [u32; OPENED_MAX] = core::array::from_fn(|at| match at < opened {
            true => baseline.open(now + 1_000),
            false => 0,
        });
        for exchange in asking {
            baseline.advance(exchange, now + 1_000);
            baseline.advance(exchange, now + 5_000);
        }
        let announced = baseline.open(now + 8_000);
        baseline.merge(all);
        baseline.advance(announced, now + 50);
    })
}
