//! Programs that are none: a verdict, a sentence that helps, and nothing left behind.

use core::time::Duration;
use std::fs;
use std::time::Instant;

use crate::graded::{Folder, Killed, check, faulty, grade, report};

/// How many processes there are with this text in their environment.
fn processes_with(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("a list of processes");
    entries
        .flatten()
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let mut parts = environment.split(|byte| *byte == 0);
            parts.any(|part| part == mark.as_bytes())
        })
        .count()
}

fn await_none_with(mark: &str) {
    let began = Instant::now();
    while processes_with(mark) > 0 {
        let left = processes_with(mark);
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "{left} processes of {mark} are left"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A fault, what `join` says was seen, and the options for it.
const NONE: [(&str, &str, &[&str]); 8] = [
    ("exits", "with exit status 7", &[]),
    ("forks", "processes at once, and 64 are allowed", &[]),
    ("eats-memory", "ended", &["--memory-max", "300MB"]),
    ("floods", "nothing from the program", &[]),
    ("hangs", "nothing from the program", &[]),
    ("no-pickle", "is no opcode", &[]),
    (
        "idle-join",
        "a connection to GCD, and no whole message on it",
        &[],
    ),
    ("wrong-address", "nobody listens at", &[]),
];

#[test]
#[cfg(target_os = "linux")]
fn programs_that_are_none_get_a_verdict_and_leave_nothing_behind() {
    std::thread::scope(|scope| {
        for (fault, expected, options) in NONE {
            scope.spawn(move || {
                let mark = format!("BULLY_GRADE_TEST={fault}-{}", std::process::id());
                let (name, value) = mark.split_once('=').expect("a name");
                let folder = Folder::new();
                let file = folder.file("report.json");
                let to = format!("json={}", file.display());
                let options = [
                    options,
                    &["--only", "join", "--repeat", "1", "--report", &to],
                ]
                .concat();
                let mut command = grade(&options, &faulty(fault));
                let output = crate::graded::run(command.env(name, value));
                let text = fs::read_to_string(&file).expect("a report");
                let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                let join = check(&result, "join");
                assert_eq!(join["verdict"], "fail", "{fault}: {join:#}");
                let seen = join["seen"].as_str().expect("a text");
                assert!(seen.contains(expected), "{fault}: {seen}");
                let never_joined = fault != "wrong-address";
                let code = output.status.code();
                assert_eq!(code, Some(if never_joined { 3 } else { 1 }), "{fault}");
                if fault == "exits" {
                    let output = join["output"].as_str().expect("a text");
                    assert!(output.contains("no such option"), "{output}");
                }
                if fault == "floods" {
                    assert!(text.len() < 100_000, "{} bytes of report", text.len());
                    let notes = join["notes"].to_string();
                    assert!(notes.contains("kB of each output are kept"), "{notes}");
                }
                await_none_with(&mark);
            });
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_left_behind_by_a_grader_that_is_killed() {
    let mark = format!("BULLY_GRADE_TEST=killed-{}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a name");
    let folder = Folder::new();
    let file = folder.file("results.json");
    let to = format!("gradescope={}", file.display());
    let options = ["--report", &to, "--seed", "1"];
    let mut command = grade(&options, &faulty("leaves-a-child"));
    let child = command.env(name, value).spawn().expect("it is there");
    let mut grader = Killed(child);
    // The grader, a keeper, the program and the child in a session of its own, once at least.
    let began = Instant::now();
    while processes_with(&mark) < 4 || !file.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not start"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    grader.0.kill().expect("it runs");
    grader.0.wait().expect("it has ended");
    await_none_with(&mark);
    let results = fs::read_to_string(&file).expect("what was known until then");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    let output = results["output"].as_str().expect("a text");
    assert!(output.contains("did not get to the end"), "{output}");
}

#[test]
fn a_command_that_is_none_is_an_error() {
    let command = ["/nowhere/lab2", "{gcd_port}"].map(str::to_owned);
    let (result, code) = report(&["--only", "join"], &command);
    assert_eq!(code, 3);
    let join = check(&result, "join");
    assert!(
        join["seen"].as_str().expect("a text").contains("127"),
        "{join:#}"
    );
    let output = join["output"].as_str().expect("a text");
    assert!(output.contains("cannot start /nowhere/lab2"), "{output}");
}
