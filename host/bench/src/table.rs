//! The table of members, seen from outside a node: what a list costs that it hears.
//!
//! The list comes with a COORDINATOR to a node that follows its greatest. What that costs with a
//! list of the leader alone is taken off, so that what is left is the merge. A node hears of
//! strangers with every other member of the list known and the others new.

use core::hint::black_box;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use bully::{Member, Node, Request, Roster};

use crate::figure::{Section, Trouble, cost};
use crate::heap;
use crate::job::{Bench, Job, members};
use crate::measure::{Contender, duel, each};
use crate::script::{EXCHANGES, Scripted};
use crate::twin::Twin;

const COUNTS: [usize; 7] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];

const TWIN: &str = "BTreeMap";

/// How many members there are in all tables together that wait for their turn to hear of strangers.
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
        bench.add((Section::Table, name, count), ours, (TWIN, other), unit);
    };
    let per_member = |nanos: f64| nanos / count as f64;
    let unit = cost("ns/member");

    let (known, leader_only) = (hearing(&all, me), hearing_only(&all, me));
    let mut twin = Twin::new(me);
    twin.merge(&all);
    let other = each(|_| {
        black_box(twin.merge(&all));
    });
    let [known, leader_only, other] = duel(quick, [known, leader_only, other])?;
    let ours = per_member((known - leader_only).max(0.0));
    add("merge known", ours, per_member(other), unit);

    let strangers: Vec<_> = all.iter().copied().skip(1).step_by(2).collect();
    let acquainted: Vec<_> = all.iter().copied().step_by(2).collect();
    let ours = meeting(count, me, &acquainted, &strangers);
    let leader = meeting(count, me, &acquainted, &acquainted[acquainted.len() - 1..]);
    let other = twin_meeting(me, &acquainted, &strangers);
    let [ours, leader, other] = duel(quick, [ours, leader, other])?;
    let each_stranger = |nanos: f64| nanos / strangers.len() as f64;
    let ours = each_stranger((ours - leader).max(0.0));
    add("merge unknown", ours, each_stranger(other), unit);

    let scripted = Scripted::following(&all, me);
    let roster = scripted.node.roster();
    let step = stride(count);
    let ours = each(|time| {
        let sought = &all[(time as usize).wrapping_mul(step) % count];
        black_box(roster.members().binary_search(sought).is_ok());
    });
    let other = each(|time| {
        let sought = &all[(time as usize).wrapping_mul(step) % count];
        black_box(twin.members.get(sought));
    });
    let [ours, other] = duel(quick, [ours, other])?;
    add("look-up", ours, other, cost("ns"));
    Ok(())
}

fn memory(bench: &mut Bench, count: usize) -> Result<(), Trouble> {
    let all = members(count);
    let mut grown = Twin::new(all[count / 2]);
    let used = heap::measure(|| {
        grown.merge(&all);
    })?;
    let other = used.kept as f64 / (count - 1) as f64;
    bench.add(
        (Section::Table, "memory", count),
        bytes_per_member(count),
        (TWIN, other),
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

/// A node that knows everyone hears of everyone.
fn hearing<'a>(all: &'a [Member], me: Member) -> Contender<'a> {
    hearing_of(all, me, all)
}

/// A node that knows everyone hears of its leader.
fn hearing_only<'a>(all: &'a [Member], me: Member) -> Contender<'a> {
    hearing_of(all, me, &all[all.len() - 1..])
}

fn hearing_of<'a>(all: &'a [Member], me: Member, heard: &'a [Member]) -> Contender<'a> {
    let mut scripted = Scripted::following(all, me);
    let heard = Roster::new(heard).unwrap_or(Roster::EMPTY);
    each(move |_| {
        scripted.net.push(Request::Coordinator(heard));
        scripted.turn();
        scripted.pass(AFTERWARDS);
    })
}

/// Nodes that know the acquainted hear of `heard`, each once.
fn meeting<'a>(
    count: usize,
    me: Member,
    acquainted: &'a [Member],
    heard: &'a [Member],
) -> Contender<'a> {
    let heard = Roster::new(heard).unwrap_or(Roster::EMPTY);
    let known = Roster::new(acquainted).unwrap_or(Roster::EMPTY);
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
            scripted.net.push(Request::Coordinator(heard));
            scripted.turn();
        },
    )
}

fn twin_meeting<'a>(
    me: Member,
    acquainted: &'a [Member],
    strangers: &'a [Member],
) -> Contender<'a> {
    in_batches(
        WAITING / acquainted.len(),
        move || {
            let mut twin = Twin::new(me);
            twin.merge(acquainted);
            twin
        },
        move |twin| {
            black_box(twin.merge(strangers));
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
