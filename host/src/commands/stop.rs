//! What ends a command: a signal, or the end of its time.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use bully::Instant;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::Failure;
use crate::net::{Poll, Waker};

/// When a command is to end.
#[derive(Debug)]
pub(super) struct Stop {
    signalled: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Stop {
    /// Watches for Ctrl-C (SIGINT) and SIGTERM, each unless it is ignored, and for the end of
    /// `limit`, counted from now. `poll` is woken by a signal; a second one ends the process at
    /// once.
    ///
    /// # Errors
    ///
    /// The system's, if it does not let signals be handled.
    pub(super) fn new(poll: &Poll, limit: Option<Duration>) -> Result<Self, Failure> {
        let signalled = Arc::new(AtomicBool::new(false));
        watch(&signalled, poll.waker()).map_err(|error| Failure::system(&error))?;
        Ok(Self {
            signalled,
            until: limit.map(|limit| poll.clock().now() + limit),
        })
    }

    /// From now on the end of standard input ends the command, too: with whoever holds its other end.
    ///
    /// # Errors
    ///
    /// The system's, if it starts no thread.
    pub(super) fn watch_input(&self, poll: &Poll) -> Result<(), Failure> {
        let (signalled, waker) = (Arc::clone(&self.signalled), poll.waker());
        std::thread::Builder::new()
            .name("input".to_owned())
            .stack_size(THREAD_STACK)
            .spawn(move || {
                // However it ends, nobody is there any more.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                signalled.store(true, Ordering::SeqCst);
                waker.wake();
            })
            .map(drop)
            .map_err(|error| Failure::system(&error))
    }

    /// Returns `true` once a signal has come.
    pub(super) fn signalled(&self) -> bool {
        self.signalled.load(Ordering::SeqCst)
    }

    /// Returns `true` once the time is over.
    pub(super) fn expired(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When the time is over; `None`: never.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Until when to wait: `other`, or the end of the time if that is sooner.
    pub(super) fn or(&self, other: Option<Instant>) -> Option<Instant> {
        other.into_iter().chain(self.until).min()
    }
}

/// A flag that is set by the first of SIGINT, SIGTERM and (on Unix) SIGHUP that is not ignored; a second
/// one ends the process at once.
///
/// # Errors
///
/// The system's.
pub(super) fn flag() -> io::Result<Arc<AtomicBool>> {
    let signalled = Arc::new(AtomicBool::new(false));
    let signals = [
        SIGINT,
        SIGTERM,
        #[cfg(unix)]
        signal_hook::consts::SIGHUP,
    ];
    for signal in signals.into_iter().filter(|signal| !is_ignored(*signal)) {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signalled))?;
        flag::register(signal, Arc::clone(&signalled))?;
    }
    Ok(signalled)
}

/// Sets `signalled` and wakes the poll when a signal comes that is not ignored.
fn watch(signalled: &Arc<AtomicBool>, waker: Waker) -> io::Result<()> {
    let signals = [SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| !is_ignored(*signal));
    let signals: Vec<_> = signals.collect();
    for signal in &signals {
        // In this order: the first signal sets what makes the second one end the process, with the
        // status that shells give to a process that a signal ended.
        flag::register_conditional_shutdown(*signal, 128 + signal, Arc::clone(signalled))?;
        flag::register(*signal, Arc::clone(signalled))?;
    }
    wake_by(&signals, signalled, waker)
}

/// Wakes the poll from a thread, since a handler may do next to nothing.
#[cfg(unix)]
fn wake_by(signals: &[i32], _: &Arc<AtomicBool>, waker: Waker) -> io::Result<()> {
    if signals.is_empty() {
        return Ok(());
    }
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let wakes = move || signals.forever().for_each(|_| waker.wake());
    std::thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(THREAD_STACK)
        .spawn(wakes)?;
    Ok(())
}

/// Where a signal cannot wait in a pipe, the flag is looked at.
#[cfg(not(unix))]
fn wake_by(_: &[i32], signalled: &Arc<AtomicBool>, waker: Waker) -> io::Result<()> {
    let signalled = Arc::clone(signalled);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(THREAD_STACK)
        .spawn(move || {
            while !signalled.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK_EVERY);
            }
            waker.wake();
        })?;
    Ok(())
}

/// Enough for a thread that only waits, in bytes; the system's own choice is 2 to 8 MiB.
const THREAD_STACK: usize = 64 * 1024;

/// Well below the 500 ms within which a signal ends a command.
#[cfg(not(unix))]
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Returns `true` if whoever started this process had it ignore `signal`, as `nohup` does and a
/// shell for what it starts in the background: then it stays ignored.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit n is signal n + 1.
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Elsewhere only unsafe code could ask. `nohup` ignores SIGHUP alone, which is never handled here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_ignored(_: i32) -> bool {
    false
}
