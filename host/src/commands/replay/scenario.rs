//! Recordings as a scenario of the simulator, for a test: who was there, from when to when, who
//! feigned failures, and how long messages took.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use bully::record::Inspected;
use bully::{Addr, Exchange, Incoming, Instant, Pid, Reply, Request};
use bully_record::{Ended, Observer, Problem, Recording, Replay, Step};

/// A recorded life of a member.
struct Life {
    who: Pid,
    /// In Unix time if that is known, in microseconds.
    from: u64,
    to: u64,
    /// It left in order.
    resigned: bool,
}

/// What all recordings say together.
#[derive(Default)]
pub(super) struct Group {
    lives: Vec<Life>,
    watch: Watch,
}

/// What is seen of messages.
#[derive(Default)]
struct Watch {
    now: Instant,
    opened: HashMap<Exchange, Instant>,
    /// How long answers took, in microseconds.
    round_trips: Vec<u64>,
    /// A listener was closed, or a failure feigned with it open.
    closed: bool,
    failed: bool,
}

impl Observer for Watch {
    fn polled(&mut self, at: Instant) {
        self.now = at;
    }

    fn opened(&mut self, exchange: Exchange, _: Addr, request: Request<'_>) {
        if let Request::Probe(_) = request {
            self.opened.insert(exchange, self.now);
        }
    }

    fn received(&mut self, exchange: Exchange, incoming: Incoming<'_>) {
        if let Some(at) = self.opened.get(&exchange)
            && let Incoming::Reply(Reply::Ok(_)) = incoming
        {
            self.round_trips
                .push(self.now.as_micros().saturating_sub(at.as_micros()));
        }
    }

    fn closed(&mut self, exchange: Exchange) {
        self.opened.remove(&exchange);
    }

    fn listening(&mut self, on: bool) {
        self.closed |= !on && !self.failed;
    }
}

/// How much later than others a recording must begin, or earlier end, to count as another start or
/// as a crash, in microseconds: programs take some time to be started and stopped.
const APART: u64 = 500_000;

impl Group {
    /// Adds a recording, repeated as far as it goes.
    ///
    /// # Errors
    ///
    /// If the member does something else than was recorded.
    pub(super) fn add(&mut self, recording: Recording) -> Result<(), Problem> {
        let Some(header) = recording.banks.first().map(|bank| bank.header.clone()) else {
            return Ok(());
        };
        let mut replay = Replay::new(recording)?;
        let mut who = None;
        replay.node().inspect(&mut |inspected| {
            if let Inspected::Me { me, .. } = inspected {
                who = Some(me.pid);
            }
        });
        let mut resigned = false;
        self.watch.opened.clear();
        loop {
            match replay.step(&mut self.watch) {
                Ok(Some(Step::Resigned(_))) => resigned = true,
                Ok(Some(Step::Polled(_, event))) => {
                    self.watch.failed |= matches!(event, Some(bully::Event::Failed { .. }));
                }
                Ok(None) | Err(Problem::CutShort(_) | Problem::Damaged(..)) => break,
                Err(problem) => return Err(problem),
            }
        }
        let Ended { at, .. } = replay.so_far();
        self.lives.extend(who.map(|who| Life {
            who,
            from: header.origin.saturating_add(header.from.as_micros()),
            to: header.origin.saturating_add(at.as_micros()),
            resigned,
        }));
        Ok(())
    }

    /// The scenario; its trace is yet to be written.
    pub(super) fn text(&mut self) -> String {
        self.lives.sort_by_key(|life| (life.from, life.who));
        let first = self.lives.iter().map(|life| life.from).min().unwrap_or(0);
        let last = self.lives.iter().map(|life| life.to).max().unwrap_or(0);
        let mut pids: Vec<_> = self.lives.iter().map(|life| life.who).collect();
        pids.sort();
        pids.dedup();
        let numbers: BTreeMap<_, _> = pids.iter().copied().zip(1_usize..).collect();
        let mut text =
            String::from("# From recordings. The members are, from the least to the greatest:\n");
        for (pid, number) in &numbers {
            line(
                &mut text,
                format_args!("# {number} ({}, {})", pid.days, pid.id),
            );
        }
        line(&mut text, format_args!("members {}", numbers.len()));
        if self.watch.failed {
            line(
                &mut text,
                format_args!(
                    "feign {}",
                    if self.watch.closed { "close" } else { "ignore" }
                ),
            );
        }
        let trips = &mut self.watch.round_trips;
        trips.sort_unstable();
        // There and back; in the simulator each way takes a delay.
        let delay = trips
            .get(trips.len() / 2)
            .map_or(1_000, |trip| (trip / 2).max(1));
        line(&mut text, format_args!("delay exp {}", micros(delay)));
        for (pid, number) in &numbers {
            let lives: Vec<_> = self.lives.iter().filter(|life| life.who == *pid).collect();
            if let Some(life) = lives.first()
                && life.from - first > APART
            {
                line(
                    &mut text,
                    format_args!("late {number} at {}", micros(life.from - first)),
                );
            }
            for (life, next) in lives
                .iter()
                .zip(lives.iter().skip(1).map(Some).chain([None]))
            {
                let at = micros(life.to - first);
                match next {
                    Some(next) => {
                        let until = micros(next.from.max(life.to) - first);
                        line(
                            &mut text,
                            format_args!("crash {number} at {at} until {until}"),
                        );
                    }
                    None if last - life.to > APART && !life.resigned => {
                        line(&mut text, format_args!("crash {number} at {at}"));
                    }
                    None if last - life.to > APART => {
                        line(
                            &mut text,
                            format_args!(
                                "# {number} leaves at {at}, of which scenarios know nothing\ncrash {number} at {at}"
                            ),
                        );
                    }
                    None => {}
                }
            }
        }
        line(&mut text, format_args!("for {}", micros(last - first)));
        text.push_str("seed 1\n----\n");
        text
    }
}

/// A time as scenarios have it.
fn micros(micros: u64) -> String {
    let span = Duration::from_micros(micros);
    format!("{}us", span.as_micros())
}

fn line(text: &mut String, line: core::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
