//! Many runs on all cores, reported in the order of their seeds.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::wire::Wire;
use super::words::Shard;
use bully_sim::{Run, Scenario, run};

/// The scenario of each seed.
pub(super) type Scenarios = Arc<dyn Fn(u64) -> Scenario + Send + Sync>;

/// Runs under way. Dropped, it lets each thread end after the run it is at.
#[derive(Debug)]
pub(super) struct Runs {
    /// Thread k of n has every n-th seed from the k-th on, so that taking turns is their order.
    threads: Vec<Thread>,
    turn: usize,
}

#[derive(Debug)]
struct Thread {
    runs: Receiver<Run>,
    handle: Option<JoinHandle<()>>,
}

/// What there is to report.
#[derive(Debug)]
pub(super) enum Next {
    /// The next run, in the order of the seeds.
    Run(Box<Run>),
    /// It is not finished yet.
    NotYet,
    /// That was the last one.
    Over,
}

/// How far a thread may be ahead of the report. It bounds the memory, and keeps a thread busy while
/// another is at a run that takes longer.
const AHEAD: usize = 256;

impl Runs {
    /// Starts a thread for each core, or for each seed if those are fewer.
    pub(super) fn start(scenario: &Scenarios, seeds: RangeInclusive<u64>, shard: Shard) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let more = usize::try_from(seeds.end() - seeds.start()).unwrap_or(usize::MAX);
        let count = cores.min(more.saturating_add(1));
        let skipped = usize::try_from(shard.index - 1).unwrap_or(usize::MAX);
        let of = usize::try_from(shard.count).unwrap_or(usize::MAX);
        let threads = (0..count).map(|first| {
            let (to, runs) = sync_channel(AHEAD);
            let (scenario, seeds) = (Arc::clone(scenario), seeds.clone());
            // Not scoped: when the reader leaves, nobody waits for what is under way.
            let handle = thread::spawn(move || {
                let seeds = seeds.skip(skipped).step_by(of);
                work(&scenario, seeds.skip(first).step_by(count), &to);
            });
            Thread {
                runs,
                handle: Some(handle),
            }
        });
        Self {
            threads: threads.collect(),
            turn: 0,
        }
    }

    /// Waits for the next run, at most `patience` if there is one.
    pub(super) fn next(&mut self, patience: Option<Duration>) -> Next {
        let turn = self.turn % self.threads.len();
        let Some(thread) = self.threads.get_mut(turn) else {
            return Next::Over;
        };
        let run = match patience {
            Some(patience) => thread.runs.recv_timeout(patience),
            None => thread.runs.recv().map_err(RecvTimeoutError::from),
        };
        match run {
            Ok(run) => {
                self.turn = turn + 1;
                Next::Run(Box::new(run))
            }
            Err(RecvTimeoutError::Timeout) => Next::NotYet,
            Err(RecvTimeoutError::Disconnected) => {
                // It has no seeds left, and so have the others; or it has failed, and so do we.
                if let Some(Err(panic)) = thread.handle.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                Next::Over
            }
        }
    }
}

fn work(scenario: &Scenarios, seeds: impl Iterator<Item = u64>, to: &SyncSender<Run>) {
    let wire = Wire::new();
    let measure = |name: &str, members: &[bully::Member]| wire.bytes(name, members);
    for seed in seeds {
        let scenario = scenario(seed);
        let started = Instant::now();
        let result = run(&scenario, &measure, None);
        let run = Run {
            seed,
            result,
            wall: started.elapsed(),
            peak_rss: peak_rss(),
        };
        if to.send(run).is_err() {
            return;
        }
    }
}

/// The most memory this process ever had, in bytes; `None` where the system does not say.
pub(super) fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
