//! The keeper: a process of ours between the grader and the program it grades.
//!
//! It starts the program in a process group of its own, limits it, adopts whatever the program
//! leaves running, and kills all of it when the grader is done or gone. It learns of that by the
//! end of stream on its standard input, which is a socket to the grader, so that nothing is left
//! behind even after `kill -9` of the grader. This is no sandbox: a program of the same user can
//! read that user's files and kill the keeper.

use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};

/// What the graded program may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory, of each process and of all its processes together.
    pub memory: u64,
    /// Processes at once.
    pub processes: usize,
}

/// How often the keeper looks at what the program uses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the program may take to end after SIGTERM.
const END_WITHIN: Duration = Duration::from_millis(300);

/// How long the keeper goes on killing. A program that outlasts it cannot be killed at all.
const KILL_WITHIN: Duration = Duration::from_secs(20);

/// The largest file the program may write, in bytes.
const FILE_MAX: u64 = 1 << 30;

/// How many threads and processes more than its user has now the program may have, where the system
/// counts them (not for root). Above any program that [`Bounds::processes`] lets live.
const TASKS_MAX: u64 = 2_000;

/// What the keeper reports to the grader, a line each.
pub(crate) const ENDED: &str = "ended ";
/// The program used too much of something and was killed.
pub(crate) const OVER: &str = "over ";
/// The program could not be started.
pub(crate) const FAILED: &str = "failed ";

/// Runs `command` within `bounds` until standard input ends, then kills it and all that it has
/// started. `launch` is the command that calls [`launch`]; the graded one is added to it.
///
/// Returns when no process of the program is left.
pub fn keep(bounds: Bounds, launch: &[OsString], command: &[String]) -> ExitCode {
    #[cfg(target_os = "linux")]
    // Without it a process that outlives its parent would escape; the group still is killed.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let Some((program, arguments)) = launch.split_first() else {
        return ExitCode::from(2);
    };
    let started = Command::new(program)
        .args(arguments)
        .args(command)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let main = match started {
        Ok(child) => Pid::from_child(&child),
        Err(error) => {
            report(&format!("{FAILED}{error}"));
            return ExitCode::FAILURE;
        }
    };
    watch(bounds, main);
    end(main);
    ExitCode::SUCCESS
}

/// Limits this process and becomes `command`; returns only if there is no such program.
pub fn launch(bounds: Bounds, command: &[String]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(2);
    };
    let limit = |resource, most: u64| {
        let now = rustix::process::getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // What the system does not let us limit, the keeper still watches.
        let _ = rustix::process::setrlimit(resource, limit);
    };
    // Not the address space: virtual machines reserve far more of that than they use.
    limit(Resource::Data, bounds.memory);
    limit(Resource::Core, 0);
    limit(Resource::Fsize, FILE_MAX);
    limit(Resource::Nproc, tasks_of_user() + TASKS_MAX);
    #[cfg(target_os = "linux")]
    // Survives `exec`: should the keeper be killed, the program is too.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let error = Command::new(program).args(arguments).exec();
    // Standard error is the program's: the grader shows its last lines.
    eprintln!("cannot start {program}: {error}");
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}

/// Writes a line for the grader. If the grader is gone there is no other way to report it.
fn report(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stdin(), format!("{line}\n").as_bytes());
}

/// Returns when standard input has ended or the program was over its bounds.
fn watch(bounds: Bounds, main: Pid) {
    let every = Timespec::try_from(LOOK_EVERY).unwrap_or_default();
    let mut looked = Instant::now();
    loop {
        let stdin = rustix::stdio::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if poll(&mut fds, Some(&every)).is_ok_and(|ready| ready > 0) {
            let mut byte = [0];
            match io::stdin().read(&mut byte) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
        reap(main);
        if looked.elapsed() < LOOK_EVERY {
            continue;
        }
        looked = Instant::now();
        let all = descendants();
        let bytes: u64 = all.iter().map(|process| process.resident).sum();
        let over = if all.len() > bounds.processes {
            format!(
                "{} processes at once, and {} are allowed",
                all.len(),
                bounds.processes
            )
        } else if bytes > bounds.memory {
            format!(
                "{} MB of memory, and {} MB are allowed",
                bytes >> 20,
                bounds.memory >> 20
            )
        } else {
            continue;
        };
        kill(main, Signal::KILL);
        report(&format!("{OVER}{over}"));
        return;
    }
}

/// Collects processes that have ended; reports how the program itself has.
fn reap(main: Pid) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid != main {
            continue;
        }
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => report(&format!("{ENDED}with exit status {code}")),
            (_, Some(signal)) => report(&format!("{ENDED}by signal {signal}")),
            _ => {}
        }
    }
}

/// Ends the program: asks first, then kills, until nothing of it is left.
fn end(main: Pid) {
    let began = Instant::now();
    kill(main, Signal::TERM);
    while began.elapsed() < KILL_WITHIN {
        reap(main);
        if descendants().is_empty() {
            // Those that ended since.
            reap(main);
            return;
        }
        if began.elapsed() >= END_WITHIN {
            kill(main, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Signals the group in one step, which no fork escapes, and then whoever has left the group.
fn kill(main: Pid, signal: Signal) {
    // Whoever is gone already needs no signal.
    let _ = rustix::process::kill_process_group(main, signal);
    for process in descendants() {
        let _ = rustix::process::kill_process(process.pid, signal);
    }
}

/// A process below the keeper.
struct Process {
    pid: Pid,
    parent: Pid,
    /// Bytes.
    resident: u64,
}

/// Every process that is a descendant of this one, but for those that only wait to be reaped.
fn descendants() -> Vec<Process> {
    let mut rest = processes();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![rustix::process::getpid()];
    while let Some(parent) = parents.pop() {
        for process in rest.extract_if(.., |process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process);
        }
    }
    found
}

#[cfg(target_os = "linux")]
fn processes() -> Vec<Process> {
    let page = rustix::param::page_size() as u64;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name may contain anything; what follows its last parenthesis is numbers.
            let (head, tail) = stat.rsplit_once(')')?;
            let number = |text: &str| text.parse().ok().and_then(Pid::from_raw);
            let mut fields = tail.split_ascii_whitespace();
            let state = fields.next()?;
            if state == "Z" || state == "X" {
                return None;
            }
            Some(Process {
                pid: number(head.split(' ').next()?)?,
                parent: number(fields.next()?)?,
                resident: page * fields.nth(19)?.parse::<u64>().ok()?,
            })
        })
        .collect()
}

/// Elsewhere only the process group is known, and the system counts for itself.
#[cfg(not(target_os = "linux"))]
fn processes() -> Vec<Process> {
    Vec::new()
}

/// How many threads this process's user has.
#[cfg(target_os = "linux")]
fn tasks_of_user() -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::getuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let threads = entries.filter_map(|entry| {
        entry.metadata().ok().filter(|found| found.uid() == me)?;
        let tasks = std::fs::read_dir(entry.path().join("task")).ok()?;
        Some(tasks.count() as u64)
    });
    threads.sum()
}

#[cfg(not(target_os = "linux"))]
fn tasks_of_user() -> u64 {
    1_000
}
