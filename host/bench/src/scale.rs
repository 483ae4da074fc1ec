//! Groups of all sizes in virtual time: how soon they follow the next leader, and what that costs.
//!
//! Nothing here depends on the machine or on what else it does: the same seeds give the same
//! figures. Messages take 0.5 to 1.5 ms, and of a large group every member's table holds [`CAPACITY`]
//! of the others.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::{Event, Instant, Node, Pid};
use bully_sim::{Crash, Failure, Outcome, Partition, Scenario, Slow, Start, TraceEvent, Who, run};

use crate::figure::{Section, Trouble, cost};
use crate::heap;
use crate::job::{Bench, Job};
use crate::plots::{Curve, Picture};
use crate::swim::{self, Swim};

const FOCA: &str = "foca (SWIM)";

/// The tables of the members, and of those that are small against their group.
const CAPACITY: usize = 64;
const CAPACITY_SMALL: usize = 16;

/// Exchanges of a member, as `bully node` has by default.
const EXCHANGES: usize = 16;

/// When the leader crashes: everybody has agreed by then, and nobody probes in step any more.
const CRASH_AT: Duration = Duration::from_secs(10);

/// How long after it the run ends: 3 s until the last PROBE, and time to spare.
const CRASH_ENDS: Duration = Duration::from_secs(16);

/// The same for a host that is gone: some seconds more until it counts as failed.
const VANISH_ENDS: Duration = Duration::from_secs(26);

/// By how much the messages of slowed members take longer: a PROBE takes longer than its answer is
/// awaited, the second one included.
const SLOWED: Duration = Duration::from_millis(2_500);

pub(crate) fn jobs(quick: bool) -> Vec<Job> {
    let job = |what: String, work: fn(&mut Bench, usize) -> Result<(), Trouble>, n: usize| {
        Job::new(Section::Scale, what, move |bench| work(bench, n))
    };
    let sizes: fn(&'static [usize], &'static [usize]) -> &'static [usize] = if quick {
        |quick, _| quick
    } else {
        |_, all| all
    };
    let mut jobs = Vec::new();
    for n in sizes(&[64, 1_000], &[64, 256, 1_000, 4_000, 10_000]) {
        let work = |bench: &mut Bench| memory(bench, *n);
        jobs.push(Job::counting_heap(
            Section::Scale,
            format!("memory of one of {n}"),
            work,
        ));
    }
    for n in sizes(&[2, 10], &[2, 3, 5, 10, 30, 100, 300]) {
        jobs.push(job(format!("first failed PROBE of {n}"), detection, *n));
    }
    for n in sizes(&[16, 64], &[16, 64, 256, 1_000]) {
        jobs.push(job(format!("a crash among {n}"), crash, *n));
    }
    for n in sizes(&[64, 100], &[64, 128, 256, 1_000, 4_000]) {
        jobs.push(job(format!("spreading among {n}"), spreading, *n));
    }
    // Half a table, and up to a thousand tables.
    for n in sizes(&[8, 160], &[8, 16, 32, 160, 1_600, 16_000]) {
        jobs.push(job(format!("messages among {n}"), messages, *n));
    }
    for percent in sizes(&[1, 5], &[1, 2, 3, 4, 5]) {
        jobs.push(job(format!("{percent} % slowed"), slowed, *percent));
    }
    let n = if quick { 100 } else { 1_000 };
    jobs.push(job(format!("leaders named among {n}"), leaders_named, n));
    jobs
}

/// A group that starts together.
fn group(members: usize, capacity: usize, duration: Duration, seed: u64) -> Scenario {
    Scenario {
        members,
        capacities: vec![capacity],
        duration,
        messages_max: 10_000 * members as u64,
        seed,
        ..Scenario::default()
    }
}

/// The leader crashes, for good.
fn crashes(members: usize, capacity: usize, seed: u64) -> Scenario {
    Scenario {
        crashes: vec![Crash::new(Who::Leader, CRASH_AT)],
        ..group(members, capacity, CRASH_ENDS, seed)
    }
}

/// The leader's host vanishes: nothing comes back from it.
fn vanishes(members: usize, seed: u64) -> Scenario {
    let crash = Crash {
        how: Failure::Vanishes,
        ..Crash::new(Who::Leader, CRASH_AT)
    };
    Scenario {
        crashes: vec![crash],
        ..group(members, CAPACITY, VANISH_ENDS, seed)
    }
}

/// Bytes of a message on the wire with as many members: within a few of what `bully node` sends.
fn bytes(_: &str, listed: &[bully::Member]) -> usize {
    match listed.len() {
        0 => 15,
        listed => 34 + 14 * listed,
    }
}

fn outcome(scenario: &Scenario) -> Result<Outcome, Trouble> {
    let outcome = run(scenario, &bytes, None).map_err(|breach| Trouble(breach.to_string()))?;
    match outcome.agreed {
        true => Ok(outcome),
        false => Err(Trouble(format!("seed {}: no agreement", scenario.seed))),
    }
}

/// How many runs there are with so many members: figures of larger groups vary less.
fn runs(quick: bool, members: usize) -> u64 {
    match (quick, members) {
        (true, _) => 3,
        (false, ..=10) => 200,
        (false, ..=100) => 40,
        (false, ..=300) => 20,
        (false, ..=1_000) => 8,
        (false, _) => 2,
    }
}

/// The value that so many in a hundred do not exceed.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn missing(what: &str) -> Trouble {
    Trouble(format!("{what} was not seen"))
}

/// What a member takes that knows its group, as far as it has entries for it.
fn memory(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let mut other = None;
    let kept = heap::measure(|| other = Some(swim::knowing(n)))?.kept;
    let other = size_of_val(&other) as f64 + kept as f64;
    bench.add(
        (Section::Scale, "memory of a member", n),
        size_of::<Node<CAPACITY, EXCHANGES>>() as f64 / 1024.0,
        (FOCA, other / 1024.0),
        cost("KiB"),
    );
    Ok(())
}

/// From the crash to the first PROBE that fails, on average: all m followers ask, each after another
/// gap.
fn detection(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let mut sum = 0.0;
    let runs = runs(bench.quick, n);
    for seed in 0..runs {
        let outcome = outcome(&crashes(n, CAPACITY, seed))?;
        let times = outcome.crash_to_leader.zip(outcome.detection_to_leader);
        let (all, rest) = times.ok_or_else(|| missing("the crash"))?;
        sum += (all - rest).as_secs_f64();
    }
    let followers = (n - 1) as f64;
    bench.add(
        (Section::Scale, "first failed PROBE", n),
        sum / runs as f64,
        ("1.75 s / (m + 1)", 1.75 / (followers + 1.0)),
        cost("s"),
    );
    Ok(())
}

/// From the crash of the greatest until everybody follows the next, or knows that it is gone; and what
/// the group sends in peace. A process that ends has its connections refused, which foca's datagrams do
/// not tell; a host that vanishes says nothing to anybody.
fn crash(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let (mut ours, mut vanished, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut peace = [0.0; 2];
    for seed in 0..runs(bench.quick, n) {
        let outcome = outcome(&crashes(n, CAPACITY, seed))?;
        let took = outcome
            .crash_to_leader
            .ok_or_else(|| missing("the crash"))?;
        ours.push(took.as_secs_f64());
        let outcome = self::outcome(&vanishes(n, seed))?;
        let took = outcome
            .crash_to_leader
            .ok_or_else(|| missing("the crash"))?;
        vanished.push(took.as_secs_f64());
        // Foca takes a while until its members probe in no step.
        let mut swim = Swim::new(n, seed);
        swim.run(CRASH_AT, |_| false);
        if seed == 0 {
            peace[1] = swim.messages as f64 / n as f64 / CRASH_AT.as_secs_f64();
            let still = group(n, CAPACITY, CRASH_AT, seed);
            let later = group(n, CAPACITY, CRASH_AT * 2, seed);
            let [still, later] = [run_sum(&still)?, run_sum(&later)?];
            peace[0] = (later - still) as f64 / n as f64 / CRASH_AT.as_secs_f64();
        }
        let (began, before) = (swim.now(), swim.alarms.len());
        swim.crash_greatest();
        let all = |swim: &Swim| {
            let alarms = swim.alarms[before..].iter();
            alarms.filter(|whom| **whom == n - 1).count() >= n - 1
        };
        swim.run(Duration::from_secs(300), all);
        if !all(&swim) {
            return Err(missing("foca's agreement"));
        }
        theirs.push((swim.now() - began) as f64 / 1e6);
    }
    for (name, ours, percent) in [
        ("crash to all knowing p50", &ours, 50),
        ("crash to all knowing p99", &ours, 99),
        ("vanish to all knowing p50", &vanished, 50),
        ("vanish to all knowing p99", &vanished, 99),
    ] {
        let ours = percentile(ours, percent);
        let theirs = percentile(&theirs, percent);
        let figure = (Section::Scale, name, n);
        bench.add(figure, ours, (FOCA, theirs), cost("s"));
    }
    bench.add(
        (Section::Scale, "messages a second in peace", n),
        peace[0],
        (FOCA, peace[1]),
        cost("messages/member"),
    );
    Ok(())
}

fn run_sum(scenario: &Scenario) -> Result<u64, Trouble> {
    let outcome = outcome(scenario)?;
    Ok(outcome.messages_sum())
}

/// From the first PROBE that fails until everybody follows the next leader: at best those who know
/// double with each message.
fn spreading(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let mut ours = Vec::new();
    for seed in 0..runs(bench.quick, n) {
        let outcome = outcome(&crashes(n, CAPACITY, seed))?;
        let took = outcome.detection_to_leader;
        ours.push(took.ok_or_else(|| missing("the crash"))?.as_secs_f64() * 1e3);
    }
    let hops = ("1 ms x log2 n", (n as f64).log2());
    for (name, percent) in [
        ("failed PROBE to all p50", 50),
        ("failed PROBE to all p99", 99),
    ] {
        let ours = percentile(&ours, percent);
        bench.add((Section::Scale, name, n), ours, hops, cost("ms"));
    }
    Ok(())
}

/// What a change of leader costs each member, with tables for [`CAPACITY_SMALL`].
fn messages(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let (mut messages, mut sent) = (0, 0);
    let runs = runs(bench.quick, n).min(10);
    for seed in 0..runs {
        let outcome = outcome(&crashes(n, CAPACITY_SMALL, seed))?;
        messages += outcome.messages_after_fault;
        sent += outcome.bytes_after_fault;
    }
    let each = |sum: u64| sum as f64 / runs as f64 / n as f64;
    let everybody = n as f64 - 1.0;
    bench.add(
        (Section::Scale, "messages of a change", n),
        each(messages),
        ("all ask all greater", everybody),
        cost("messages/member"),
    );
    // Half of them with the list of all greater members, a third of all on average.
    let listed = 34.0 + 14.0 * everybody / 3.0;
    bench.add(
        (Section::Scale, "bytes of a change", n),
        each(sent),
        ("all ask all greater", everybody / 2.0 * (listed + 15.0)),
        cost("bytes/member"),
    );
    Ok(())
}

/// How often in a minute a member takes the greatest for gone, which is alive, while so many in a
/// hundred are slow.
fn slowed(bench: &mut Bench, percent: usize) -> Result<(), Trouble> {
    const MEMBERS: usize = 100;
    const SETTLED: Duration = Duration::from_secs(10);
    let (mut ours, mut theirs) = (0, 0);
    let runs = if bench.quick { 1 } else { 10 };
    for seed in 0..runs {
        let mut scenario = group(MEMBERS, CAPACITY, SETTLED + Duration::from_secs(60), seed);
        scenario.slow = vec![Slow {
            who: Who::Percent(percent as u8),
            delay: SLOWED,
        }];
        let mut greatest: Option<Pid> = None;
        let mut alarms = 0;
        let mut observe = |at: Instant, _: usize, event: &TraceEvent| match event {
            TraceEvent::Starts(Some(pid)) => greatest = greatest.max(Some(*pid)),
            TraceEvent::Node(Event::LeaderLost { leader, .. })
                if Some(*leader) == greatest && at > Instant::ZERO + SETTLED =>
            {
                alarms += 1;
            }
            _ => {}
        };
        run(&scenario, &bytes, Some(&mut observe)).map_err(|breach| Trouble(breach.to_string()))?;
        ours += alarms;
        let mut swim = Swim::new(MEMBERS, seed);
        swim.slow_down(percent * MEMBERS / 100, SLOWED);
        swim.run(SETTLED, |_| false);
        let before = swim.alarms.len();
        swim.run(Duration::from_secs(60), |_| false);
        let alarms = swim.alarms[before..].iter();
        theirs += alarms.filter(|whom| **whom == MEMBERS - 1).count();
    }
    bench.add(
        (Section::Scale, "live leader taken for gone", percent),
        f64::from(ours) / runs as f64,
        (FOCA, theirs as f64 / runs as f64),
        cost("times/minute"),
    );
    Ok(())
}

/// How many leaders are named at once after a start, a crash and a partition, over time: pictures.
fn leaders_named(bench: &mut Bench, n: usize) -> Result<(), Trouble> {
    let start = group(n, CAPACITY, Duration::from_secs(2), 1);
    let crash = crashes(n, CAPACITY, 1);
    let heals_at = Duration::from_secs(20);
    let heals = Scenario {
        partitions: vec![Partition {
            below: n / 2,
            coordinator_above: true,
            from: CRASH_AT,
            to: heals_at,
        }],
        ..group(n, CAPACITY, Duration::from_secs(30), 1)
    };
    debug_assert_eq!(start.start, Start::Together);
    let mut curves = Vec::new();
    for (name, scenario, since) in [
        ("all start together", start, Duration::ZERO),
        ("the leader crashes", crash, CRASH_AT),
        ("a partition into halves ends", heals, heals_at),
    ] {
        let points = named(&scenario, since)?;
        curves.push(Curve {
            name: name.to_owned(),
            points,
        });
    }
    bench.pictures.push(Picture {
        title: "scale: leaders named at once".to_owned(),
        across: "ms since the first member names another one than before".to_owned(),
        up: "leaders".to_owned(),
        note: format!(
            "{n} members with tables for {CAPACITY}; everybody knows when it is 1 again; less is better"
        ),
        curves,
    });
    Ok(())
}

/// The number of different leaders that members name, from the first change after `since`, in
/// milliseconds, for as long as it is more than one and a little more.
fn named(scenario: &Scenario, since: Duration) -> Result<Vec<(f64, f64)>, Trouble> {
    const SHOWN: f64 = 40.0;
    let mut leader_of: BTreeMap<usize, Pid> = BTreeMap::new();
    let mut followers: BTreeMap<Pid, usize> = BTreeMap::new();
    let mut first: Option<Instant> = None;
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut observe = |at: Instant, who: usize, event: &TraceEvent| {
        let now = match event {
            TraceEvent::Node(Event::Leader { leader, .. }) => Some(*leader),
            TraceEvent::Node(Event::LeaderLost { .. }) | TraceEvent::Crashes => None,
            _ => return,
        };
        let before = match now {
            Some(leader) => leader_of.insert(who, leader),
            None => leader_of.remove(&who),
        };
        if let Some(before) = before
            && let Some(count) = followers.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                followers.remove(&before);
            }
        }
        if let Some(leader) = now {
            *followers.entry(leader).or_default() += 1;
        }
        if at < Instant::ZERO + since || (now.is_none() && first.is_none()) {
            return;
        }
        let first = *first.get_or_insert(at);
        let ms = at.since(first).as_secs_f64() * 1e3;
        let count = followers.len() as f64;
        let last = points.last().map(|(_, last)| *last);
        if ms <= SHOWN && last != Some(count) {
            // A step: as many as before until then.
            points.extend(last.map(|last| (ms, last)));
            points.push((ms, count));
        }
    };
    run(scenario, &bytes, Some(&mut observe)).map_err(|breach| Trouble(breach.to_string()))?;
    if let Some((_, last)) = points.last().copied() {
        points.push((SHOWN, last));
    }
    Ok(points)
}
