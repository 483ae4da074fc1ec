//! `bully-fuzz`: the targets of `cargo fuzz` in a plain loop, where the fuzzer cannot be had.
//!
//! ```text
//! bully-fuzz [--target NAME] [--seconds N] [--seed N] [FILE...]
//! ```
//!
//! It changes files of `corpus/TARGET` at random, or makes bytes up, until the time is over: 12 s a
//! target by default. The seed is that of the day, so that each day tries others, and is
//! printed. Bytes on which a target panics are written to `artifacts/`, and it ends with 1; with a
//! FILE that one is tried again.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs, panic};

use bully_tests::fuzz::{TARGETS, Target};
use bully_tests::random::{Random, today};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

/// The longest input that is made.
const BYTES_MAX: usize = 4_096;

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut arguments = arguments.iter();
    let (mut only, mut seconds, mut seed, mut files) = (None, 12, today(), Vec::new());
    let number = |text: Option<&String>| {
        let text = text.ok_or("a number is missing")?;
        text.parse().map_err(|_| format!("{text} is no number"))
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--target" => only = arguments.next().cloned(),
            "--seconds" => seconds = number(arguments.next())?,
            "--seed" => seed = number(arguments.next())?,
            file => files.push(PathBuf::from(file)),
        }
    }
    let known = TARGETS.map(|(name, _)| name).join(", ");
    if let Some(name) = &only
        && !known.split(", ").any(|known| known == name)
    {
        return Err(format!("there is no target {name}: {known}"));
    }
    println!("seed {seed}, {seconds} s a target; the same again with --seed {seed}");
    for (name, target) in TARGETS {
        if only.as_ref().is_none_or(|only| only == name) {
            if files.is_empty() {
                fuzz(name, target, seed, Duration::from_secs(seconds))?;
            } else {
                repeat(name, target, &files)?;
            }
        }
    }
    Ok(())
}

/// The files of a folder, by name, so that a seed says it all.
fn corpus(name: &str) -> Result<Vec<Vec<u8>>, String> {
    let folder = Path::new(FOLDER).join("corpus").join(name);
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(&folder).map_err(failed)?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).map_err(failed))
        .collect()
}

fn fuzz(name: &str, target: Target, seed: u64, time: Duration) -> Result<(), String> {
    let corpus = corpus(name)?;
    let mut random = Random(seed);
    let until = Instant::now() + time;
    let mut count = 0_u64;
    for input in &corpus {
        attempt(name, target, input)?;
    }
    while !count.is_multiple_of(64) || Instant::now() < until {
        let input = input(&corpus, &mut random);
        attempt(name, target, &input)?;
        count += 1;
    }
    println!(
        "{name}: {count} inputs from {} files, nothing found",
        corpus.len()
    );
    Ok(())
}

fn repeat(name: &str, target: Target, files: &[PathBuf]) -> Result<(), String> {
    for file in files {
        let input = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        attempt(name, target, &input)?;
    }
    Ok(())
}

/// Feeds one input.
fn attempt(name: &str, target: Target, input: &[u8]) -> Result<(), String> {
    panic::catch_unwind(|| target(input)).map_err(|_| {
        let mut hash = Random(input.len() as u64);
        for byte in input {
            hash = Random(hash.number() ^ u64::from(*byte));
        }
        let folder = Path::new(FOLDER).join("artifacts").join(name);
        let file = folder.join(format!("{:016x}", hash.number()));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input));
        let kept = kept.map_or_else(|error| error.to_string(), |()| file.display().to_string());
        format!("{name} panics on these bytes, kept in {kept}:\n{input:02x?}")
    })
}

/// A file with some changes, or bytes of no origin.
fn input(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    if corpus.is_empty() || random.below(8) == 0 {
        let length = random.below(600);
        return (0..length).map(|_| random.number() as u8).collect();
    }
    let mut bytes = random.pick(corpus).clone();
    for _ in 0..random.below(6) {
        change(&mut bytes, corpus, random);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// One small change.
fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let piece = |from: &[u8], random: &mut Random| {
        let start = random.below(from.len());
        let end = from.len().min(start + 1 + random.below(40));
        from.get(start..end).unwrap_or_default().to_vec()
    };
    match random.below(6) {
        0 => drop(bytes.splice(at..at, [random.number() as u8])),
        1 if at < bytes.len() => bytes[at] = random.number() as u8,
        2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        3 => {
            let end = bytes.len().min(at + 1 + random.below(20));
            drop(bytes.drain(at..end));
        }
        4 => {
            let copy = piece(bytes, random);
            drop(bytes.splice(at..at, copy));
        }
        _ => {
            let donor = random.pick(corpus).clone();
            let copy = piece(&donor, random);
            drop(bytes.splice(at..at, copy));
        }
    }
}
