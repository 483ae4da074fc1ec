//! Ways through the states: through all of them, through as many as wanted by lot, and the shortest one
//! to a breach.

use core::any::Any;
use core::fmt;
use core::hash::BuildHasherDefault;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::{HashSet, VecDeque};
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

use bully_tests::random::Random;

use crate::print::AsIs;
use crate::rules::Step;
use crate::world::World;

type Prints = HashSet<u64, BuildHasherDefault<AsIs>>;

/// What a search has seen. Every figure is the same whatever the order of the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Distinct states.
    pub(crate) states: u64,
    /// Steps between them.
    pub(crate) steps: u64,
    /// States in which nothing is under way.
    pub(crate) rests: u64,
    /// Those of them in which all name a leader, but not the same one, or not the greatest.
    pub(crate) splits: u64,
    /// The longest time that a state at rest needs to agree once nothing more goes wrong.
    pub(crate) slowest: Duration,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.states += other.states;
        self.steps += other.steps;
        self.rests += other.rests;
        self.splits += other.splits;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// How long an agreement must last to be one: a PROBE, its time-out and another one.
const LASTS: Duration = Duration::from_secs(5);

/// A law that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach(pub(crate) String);

/// What happens to a world, with what the core or a law has to say about it.
fn follow<const C: usize>(world: &World<C>, step: Step) -> Result<World<C>, Breach> {
    let mut next = world.clone();
    guarded(|| next.apply(step))?;
    Ok(next)
}

/// Holds a state against what is asked of a group.
fn check<const C: usize>(
    world: &World<C>,
    within: Duration,
    seen: &mut Seen,
) -> Result<(), Breach> {
    seen.states += 1;
    let mut again = world.clone();
    guarded(|| again.poll_again())?;
    if world.at_rest() {
        seen.rests += 1;
        seen.splits += u64::from(world.split());
        let mut quiet = world.clone();
        let span = guarded(|| quiet.quieten(within, LASTS))?.map_err(Breach)?;
        seen.slowest = seen.slowest.max(span);
    }
    Ok(())
}

/// Panics are what laws are asserted with.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Breach> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Breach(text(&*payload)))
}

fn text(payload: &dyn Any) -> String {
    let literal = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let composed = payload.downcast_ref::<String>().cloned();
    literal.or(composed).unwrap_or_else(|| "a panic".into())
}

/// Visits every state there is, on all cores.
///
/// Depth first: what waits to be visited stays small, and only fingerprints are kept. Budgets are
/// part of a state, so it does not matter on which way it is met first.
pub(crate) fn exhaust<const C: usize>(start: World<C>, within: Duration) -> Result<Seen, Breach> {
    let shared = Shared {
        shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        spare: Mutex::new(Vec::new()),
        met: AtomicU64::new(0),
        idle: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    shared.is_new(&start);
    shared
        .spare
        .lock()
        .expect("nobody panics with it")
        .push(start);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || shared.work(workers, within);
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut sum = Seen::default();
        for thread in threads {
            sum.add(thread.join().expect("breaches are caught")?);
        }
        Ok(sum)
    })
}

/// Walks of at most [`STEPS_MAX`] steps, each drawn from all that may happen next: for groups whose
/// states are too many to visit. The same seed takes the same walks.
pub(crate) fn sample<const C: usize>(
    start: &World<C>,
    within: Duration,
    walks: u64,
    seed: u64,
) -> Result<Seen, Box<Trace<C>>> {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || -> Result<Seen, Box<Trace<C>>> {
            let mut seen = Seen::default();
            loop {
                let walk = next.fetch_add(1, Ordering::Relaxed);
                if walk >= walks {
                    return Ok(seen);
                }
                let mut random = Random(seed.wrapping_add(walk));
                take_a_walk(start, within, &mut random, &mut seen)?;
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut sum = Seen::default();
        for thread in threads {
            sum.add(thread.join().expect("breaches are caught")?);
        }
        Ok(sum)
    })
}

/// Enough for every fault that a budget allows, and what follows from it.
const STEPS_MAX: usize = 200;

fn take_a_walk<const C: usize>(
    start: &World<C>,
    within: Duration,
    random: &mut Random,
    seen: &mut Seen,
) -> Result<(), Box<Trace<C>>> {
    let mut world = start.clone();
    let (mut taken, mut steps) = (Vec::new(), Vec::new());
    loop {
        let checked = check(&world, within, seen);
        world.steps(&mut steps);
        let next = checked.and_then(|()| {
            if taken.len() >= STEPS_MAX || steps.is_empty() {
                return Ok(None);
            }
            let step = *random.pick(&steps);
            taken.push(step);
            follow(&world, step).map(Some)
        });
        match next {
            Ok(Some(next)) => world = next,
            Ok(None) => return Ok(()),
            Err(breach) => {
                return Err(Box::new(Trace {
                    start: start.clone(),
                    steps: taken,
                    breach,
                }));
            }
        }
        seen.steps += 1;
    }
}

/// What the workers share.
struct Shared<const C: usize> {
    /// The fingerprints, by some of their bits.
    shards: Vec<Mutex<Prints>>,
    /// States for those who have none left.
    spare: Mutex<Vec<World<C>>>,
    /// States met so far.
    met: AtomicU64,
    idle: AtomicUsize,
    stop: AtomicBool,
}

/// How many states pass between two lines of a long search.
const REPORT_EVERY: u64 = 10_000_000;

/// Enough that two workers seldom want the same.
const SHARDS: usize = 64;

impl<const C: usize> Shared<C> {
    fn is_new(&self, world: &World<C>) -> bool {
        let print = world.fingerprint();
        // Bits of which the table itself makes no use: it takes the lowest and the highest.
        let shard = &self.shards[(print >> 40) as usize % SHARDS];
        shard.lock().expect("nobody panics with it").insert(print)
    }

    fn work(&self, workers: usize, within: Duration) -> Result<Seen, Breach> {
        let mut seen = Seen::default();
        let mut stack = Vec::new();
        let done = loop {
            let Some(world) = stack.pop().or_else(|| self.borrow(workers, &mut stack)) else {
                break Ok(());
            };
            if let Err(breach) = self.visit(&world, within, &mut stack, &mut seen) {
                self.stop.store(true, Ordering::Relaxed);
                break Err(breach);
            }
            if stack.len() > 1 && self.idle.load(Ordering::Relaxed) > 0 {
                // The oldest have the most behind them.
                let half = stack.len() / 2;
                let mut spare = self.spare.lock().expect("nobody panics with it");
                if spare.is_empty() {
                    spare.extend(stack.drain(..half));
                }
            }
        };
        done.map(|()| seen)
    }

    fn visit(
        &self,
        world: &World<C>,
        within: Duration,
        stack: &mut Vec<World<C>>,
        seen: &mut Seen,
    ) -> Result<(), Breach> {
        check(world, within, seen)?;
        let mut steps = Vec::new();
        world.steps(&mut steps);
        for step in steps {
            seen.steps += 1;
            let next = follow(world, step)?;
            if self.is_new(&next) {
                stack.push(next);
                let met = self.met.fetch_add(1, Ordering::Relaxed) + 1;
                if met.is_multiple_of(REPORT_EVERY) {
                    println!("{} million states so far", met / 1_000_000);
                }
            }
        }
        Ok(())
    }

    /// Waits for states to spare; `None` when all workers do.
    fn borrow(&self, workers: usize, stack: &mut Vec<World<C>>) -> Option<World<C>> {
        self.idle.fetch_add(1, Ordering::SeqCst);
        loop {
            {
                let mut spare = self.spare.lock().expect("nobody panics with it");
                if !spare.is_empty() {
                    self.idle.fetch_sub(1, Ordering::SeqCst);
                    stack.append(&mut spare);
                    return stack.pop();
                }
                let idle = self.idle.load(Ordering::SeqCst);
                if idle == workers || self.stop.load(Ordering::Relaxed) {
                    return None;
                }
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A way to a breach.
#[derive(Debug)]
pub(crate) struct Trace<const C: usize> {
    pub(crate) start: World<C>,
    pub(crate) steps: Vec<Step>,
    pub(crate) breach: Breach,
}

/// The shortest way to a breach, if there is one within the first `states_max` states: breadth
/// first, so no other is shorter.
pub(crate) fn shortest<const C: usize>(
    start: World<C>,
    within: Duration,
    states_max: usize,
) -> Option<Trace<C>> {
    let mut met = Prints::default();
    met.insert(start.fingerprint());
    let mut ways: Vec<(usize, Option<Step>)> = vec![(0, None)];
    let mut queue = VecDeque::from([(0, start.clone())]);
    let mut seen = Seen::default();
    let mut steps = Vec::new();
    while let Some((way, world)) = queue.pop_front() {
        let trace = |last: Option<Step>, breach: Breach| {
            let mut steps: Vec<_> = last.into_iter().collect();
            let mut at = way;
            while let (before, Some(step)) = ways[at] {
                steps.push(step);
                at = before;
            }
            steps.reverse();
            let start = start.clone();
            Some(Trace {
                start,
                steps,
                breach,
            })
        };
        if let Err(breach) = check(&world, within, &mut seen) {
            return trace(None, breach);
        }
        world.steps(&mut steps);
        let mut fresh = Vec::new();
        for &step in &steps {
            match follow(&world, step) {
                Err(breach) => return trace(Some(step), breach),
                Ok(next) if met.insert(next.fingerprint()) => fresh.push((step, next)),
                Ok(_) => {}
            }
        }
        for (step, next) in fresh {
            queue.push_back((ways.len(), next));
            ways.push((way, Some(step)));
        }
        if ways.len() > states_max {
            return None;
        }
    }
    None
}

impl<const C: usize> Trace<C> {
    /// Takes the same steps again: what is wrong after the last one, and with what comes of it.
    pub(crate) fn replay(&self, within: Duration) -> Option<Breach> {
        let mut world = self.start.clone();
        for &step in &self.steps {
            match follow(&world, step) {
                Ok(next) => world = next,
                Err(breach) => return Some(breach),
            }
        }
        check(&world, within, &mut Seen::default()).err()
    }
}

/// A line for each step: when, what, and where it leaves everybody.
impl<const C: usize> fmt::Display for Trace<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut world = self.start.clone();
        writeln!(
            f,
            "    {:>6} ms  {:<44}| {}",
            world.millis(),
            "start",
            world.stands()
        )?;
        for (&step, number) in self.steps.iter().zip(1..) {
            match follow(&world, step) {
                Ok(next) => world = next,
                Err(_) => {
                    writeln!(f, "{number:>3} {:>6}     {step:<44}| breach", "")?;
                    break;
                }
            }
            let (millis, stands) = (world.millis(), world.stands());
            writeln!(f, "{number:>3} {millis:>6} ms  {step:<44}| {stands}")?;
        }
        write!(f, "breach: {}", self.breach.0)
    }
}
