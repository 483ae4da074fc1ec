//! The table of members, seen from outside a node: what receiving a list costs.
//!
//! The list comes with a COORDINATOR to a node that follows its greatest. What that costs with a
//! list of the leader alone is subtracted, so that what is left is the merge. Where members are unknown,
//! the node knows every other one of the group and receives a list of those between.

use core::hint::black_box;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use bully::{Member, Node, Request, Roster};

use crate::baseline::Baseline;
use crate::figure::{Section, Trouble, cost};
use crate::heap;
use crate::job::{Bench, Job, members};
use crate::measure::{Contender, duel, each};
use crate::script::{EXCHANGES, Scripted};

const COUNTS: [usize; 7] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];

const BASELINE: &str = "BTreeMap";

/// How many members there are in all tables together that wait for their turn to receive a list.
const WAITING: usize = 65_536;

/// How long after a COORDINATOR its exchange is closed, and a little more.
const AFTERWARDS: Duration = Duration::from_millis(60);

/// A node is put together on the stack before it is boxed, and may be moved on the way: three
/// times what the greatest takes, and as much again for all else.
const STACK: usize = 4 * size_of::<Node<65_536, EXCHANGES>>();

pub(crate) fn jobs() -> Vec<Job> {
    let job = |count| {
        let what = format!("{count} members");
        Job::new(Section::Table, what, move |bench| {
            on_large_stack(|| run(bench, count))
        })
    };
    let memory = |count| {
        let what = format!("memory of {count} members");
        Job::counting_heap(Section::Table, what, move |bench| memory(bench, count))
    };
    let timed = COUNTS.into_iter().map(job);
    timed.chain(COUNTS.into_iter().map(memory)).collect()
}

/// Does `work` in a thread whose stack has room for the greatest node.
pub(crate) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Trouble> + Send,
) -> Result<T, Trouble> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK);
        let handle = builder.spawn_scoped(scope, work)?;
        handle
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn run(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let all = members(count);
    let me = all[count / 2];
    let quick = bench.quick;
    let mut add = |name, ours, other, unit| {
        bench.add((Section::Table, name, count), ours, (BASELINE, other), unit);
    };
    let per_member = |nanos: f64| nanos / count as f64;
    let unit = cost("ns/member");

    let (known, leader_only) = (receiving(&all, me), receiving_leader(&all, me));
    let mut baseline = Baseline::new(me);
    baseline.merge(&all);
    let other = each(|_| {
        black_box(baseline.merge(&all));
    });
    let [known, leader_only, other] = duel(quick, [known, leader_only, other])?;
    let ours = per_member((known - leader_only).max(0.0));
    add("merge known", ours, per_member(other), unit);

    let unknown: Vec<_> = all.iter().copied().skip(1).step_by(2).collect();
    let known: Vec<_> = all.iter().copied().step_by(2).collect();
    let ours = learning(count, me, &known, &unknown);
    let leader = learning(count, me, &known, &known[known.len() - 1..]);
    let other = baseline_learning(me, &known, &unknown);
    let [ours, leader, other] = duel(quick, [ours, leader, other])?;
    let each_unknown = |nanos: f64| nanos / unknown.len() as f64;
    let ours = each_unknown((ours - leader).max(0.0));
    add("merge unknown", ours, each_unknown(other), unit);

    let scripted = Scripted::following(&all, me);
    let roster = scripted.node.roster();
    let step = stride(count);
    let ours = each(|time| {
        let searched = &all[(time as usize).wrapping_mul(step) % count];
        black_box(roster.members().binary_search(searched).is_ok());
    });
    let other = each(|time| {
        let searched = &all[(time as usize).wrapping_mul(step) % count];
        black_box(baseline.members.get(searched));
    });
    let [ours, other] = duel(quick, [ours, other])?;
    add("look-up", ours, other, cost("ns"));
    Ok(())
}

fn memory(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let all = members(count);
    let mut grown = Baseline::new(all[count / 2]);
    let used = heap::measure(|| {
        grown.merge(&all);
    })?;
    let other = used.kept as f64 / (count - 1) as f64;
    bench.add(
        (Section::Table, "memory", count),
        bytes_per_member(count),
        (BASELINE, other),
        cost("bytes/member"),
    );
    Ok(())
}

/// What a member more takes in a node: the slope between this capacity and the least.
fn bytes_per_member(count: usize) -> f64 {
    let size = match count {
        16 => size_of::<Node<16, EXCHANGES>>(),
        64 => size_of::<Node<64, EXCHANGES>>(),
        256 => size_of::<Node<256, EXCHANGES>>(),
        1_024 => size_of::<Node<1_024, EXCHANGES>>(),
        4_096 => size_of::<Node<4_096, EXCHANGES>>(),
        16_384 => size_of::<Node<16_384, EXCHANGES>>(),
        _ => size_of::<Node<65_536, EXCHANGES>>(),
    };
    (size - size_of::<Node<4, EXCHANGES>>()) as f64 / (count - 4) as f64
}

/// A node that knows everyone receives a list of all.
fn receiving<'a>(all: &'a [Member], me: Member) -> Contender<'a> {
    receiving_list(all, me, all)
}

/// A node that knows everyone receives a list of its leader alone.
fn receiving_leader<'a>(all: &'a [Member], me: Member) -> Contender<'a> {
    receiving_list(all, me, &all[all.len() - 1..])
}

fn receiving_list<'a>(all: &'a [Member], me: Member, list: &'a [Member]) -> Contender<'a> {
    let mut scripted = Scripted::following(all, me);
    let list = Roster::new(list).unwrap_or(Roster::EMPTY);
    each(move |_| {
        scripted.net.push(Request::Coordinator(list));
        scripted.turn();
        scripted.pass(AFTERWARDS);
    })
}

/// Nodes that know `known` receive `list`, each once.
fn learning<'a>(
    count: usize,
    me: Member,
    known: &'a [Member],
    list: &'a [Member],
) -> Contender<'a> {
    let list = Roster::new(list).unwrap_or(Roster::EMPTY);
    let known = Roster::new(known).unwrap_or(Roster::EMPTY);
    in_batches(
        WAITING / count,
        move || {
            let mut scripted = Scripted::trusting(count, me);
            scripted.turn();
            scripted.net.push(Request::Coordinator(known));
            scripted.turn();
            scripted
        },
        move |scripted| {
            scripted.net.push(Request::Coordinator(list));
            scripted.turn();
        },
    )
}

fn baseline_learning<'a>(me: Member, known: &'a [Member], unknown: &'a [Member]) -> Contender<'a> {
    in_batches(
        WAITING / known.len(),
        move || {
            let mut baseline = Baseline::new(me);
            baseline.merge(known);
            baseline
        },
        move |baseline| {
            black_box(baseline.merge(unknown));
        },
    )
}

/// Times `work` alone, on things of which as many as fit are made beforehand.
fn in_batches<'a, T>(
    fit: usize,
    make: impl Fn() -> T + 'a,
    work: impl Fn(&mut T) + 'a,
) -> Contender<'a> {
    let batch_max = fit.max(1) as u64;
    Box::new(move |times| {
        let mut took = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let batch = left.min(batch_max);
            left -= batch;
            let mut things: Vec<T> = (0..batch).map(|_| make()).collect();
            let started = Instant::now();
            things.iter_mut().for_each(&work);
            took += started.elapsed();
        }
        Ok(took)
    })
}

/// A step through a table whose length is a power of two that visits all of it, in no order that a
/// processor foresees.
fn stride(count: usize) -> usize {
    (count * 5 / 8) | 1
}
