//! What the hot paths cost: instructions under callgrind, held against `counts.txt`.
//!
//! Without arguments each case is counted in a process of its own, and a figure that has moved by
//! more than 5 % either way ends it with 1. `BULLY_REWRITE=1` takes the new figures over.
//! `--self-test` makes a case 6 % dearer and cheaper, which must be found.

mod cases;
mod record;
mod stage;

use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::{env, fs, thread};

use cases::{CASES, Case};
use record::{Figure, Record};

/// How often a case is done before it is counted: what is allocated or learned once is over then.
const WARM: usize = 4;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts/counts.txt");

/// The C library is kept from looking for the processor's extensions, which would make its own
/// loops longer or shorter from one machine to the next.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,-RTM";

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!(
            "only what is shipped is counted: cargo run --release -p bully-tests --bin bully-counts"
        );
        return ExitCode::from(2);
    }
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] => gate(),
        ["--self-test"] => self_test(),
        ["--play", name, times] => play(name, times),
        _ => Err(format!("no arguments, or --self-test, not {arguments:?}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Counts every case and compares.
fn gate() -> Result<(), String> {
    let made = Record {
        with: toolchain()?,
        figures: count_all()?,
    };
    if env::var_os("BULLY_REWRITE").is_some() {
        fs::write(FILE, made.to_string()).map_err(|error| format!("{FILE}: {error}"))?;
        println!("{FILE} is written anew");
        return Ok(());
    }
    let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let kept: Record = text.parse()?;
    if kept.with != made.with {
        println!(
            "counts.txt was made with {}.\nThis is {}.\nSo the figures cannot be held to 5 %: only \
             what has doubled or halved is found. BULLY_REWRITE=1 on a tree without changes makes \
             figures for this one.",
            kept.with, made.with
        );
    }
    for figure in &made.figures {
        println!("{figure}");
    }
    let moved = kept.compare(&made);
    if moved.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\nThe figures in counts.txt are of {}. If this is meant, then BULLY_REWRITE=1 \
         cargo run --release -p bully-tests --bin bully-counts takes the new ones over, and the \
         commit says why.",
        moved.join("\n"),
        last_commit()
    ))
}

/// One case done 100 times, and 4 and 6 % more and less often.
fn self_test() -> Result<(), String> {
    let case = &CASES[0];
    let record = |times, with: &str| {
        let count = count(case, times)?;
        let name = case.name.to_owned();
        Ok::<_, String>(Record {
            with: with.to_owned(),
            figures: vec![Figure { name, count }],
        })
    };
    let kept = record(100, "ours")?;
    for (times, with, found) in [
        (100, "ours", false),
        (104, "ours", false),
        (106, "ours", true),
        (96, "ours", false),
        (94, "ours", true),
        (106, "another", false),
        (210, "another", true),
        (45, "another", true),
    ] {
        let moved = kept.compare(&record(times, with)?);
        if moved.is_empty() == found {
            return Err(format!(
                "{times} for 100 with {with} toolchain: found {moved:?}"
            ));
        }
        for line in moved {
            println!("found, as it should be: {line}");
        }
    }
    let mut more = record(100, "ours")?;
    more.figures[0].name.push_str(" anew");
    if kept.compare(&more).len() != 2 {
        return Err("a case that is new and one that is gone were not found".to_owned());
    }
    Ok(())
}

/// Counts all, as many at once as there are processors.
fn count_all() -> Result<Vec<Figure>, String> {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Err("not counted".to_owned()); CASES.len()]);
    let work = || {
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(case) = CASES.get(at)
        {
            let counted = count(case, 1);
            counts.lock().expect("nobody panics with it")[at] = counted;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let counts = counts.into_inner().expect("nobody panics with it");
    CASES
        .iter()
        .zip(counts)
        .map(|(case, count)| {
            let name = case.name.to_owned();
            count.map(|count| Figure { name, count })
        })
        .collect()
}

/// The instructions of a case done so many times, warm.
fn count(case: &Case, times: usize) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=*bully_counts*counted*",
        ])
        .arg(program)
        .args(["--play", case.name, &times.to_string()])
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()
        .map_err(|error| format!("valgrind: {error}; apt-get install valgrind"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text
        .lines()
        .filter_map(|line| line.split_once("Collected : "))
        .find_map(|(_, count)| count.trim().parse().ok())
        .filter(|count| *count > 0);
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{} was not counted:\n{text}", case.name)),
    }
}

/// Does a case, in the process that callgrind looks into.
fn play(name: &str, times: &str) -> Result<(), String> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("there is no case {name}"))?;
    let times = times.parse().map_err(|error| format!("{times}: {error}"))?;
    let mut work = (case.set)(WARM + times);
    for _ in 0..WARM {
        black_box(work());
    }
    let outcome = counted(&mut *work, times);
    if outcome == case.outcome * times {
        Ok(())
    } else {
        Err(format!(
            "{name} came to {outcome}, not {}",
            case.outcome * times
        ))
    }
}

/// What is counted: callgrind knows it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> usize, times: usize) -> usize {
    let mut outcomes = 0;
    for _ in 0..times {
        outcomes += work();
    }
    outcomes
}

/// What makes the code that is counted: compiler, target and C library.
fn toolchain() -> Result<String, String> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let about = answer(&rustc, "-vV")?;
    let version = about.lines().next().unwrap_or_default();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| format!("{rustc} -vV does not report the target: {about}"))?;
    let libc = answer("getconf", "GNU_LIBC_VERSION")?;
    Ok(format!("{version}, {host}, {}", libc.trim()))
}

fn answer(program: &str, asked: &str) -> Result<String, String> {
    let output = Command::new(program).arg(asked).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The commit that the figures come from, as far as git knows.
fn last_commit() -> String {
    let output = Command::new("git")
        .args(["log", "-1", "--format=commit %h (%s)", "--", FILE])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output
        .ok()
        .filter(|commit| !commit.is_empty())
        .unwrap_or_else(|| "a commit that git does not report".to_owned())
}
