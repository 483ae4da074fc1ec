//! `bully lab`: the promise of its exit code.

use serde_json::json;

use crate::program::Program;

#[test]
fn groups_of_any_size_agree() {
    for members in ["1", "2", "5", "40"] {
        let args = ["lab", "--members", members, "--for", "2s", "--log", "json"];
        let left = Program::run(&args);
        assert_eq!(left.code, Some(0), "{members}: {left:?}");
        let summary = left.json().pop().expect("a summary");
        assert_eq!(summary["agreed"], true, "{members}");
        assert_eq!(summary["members"].to_string(), members);
        assert_eq!(summary["messages"]["join"].to_string(), members);
    }
}

#[test]
fn a_group_that_had_no_time_gets_a_little() {
    // Nobody can have joined, let alone led, when time is up.
    let left = Program::run(&["lab", "--for", "1us", "--log", "json"]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let summary = left.json().pop().expect("a summary");
    assert_eq!(summary["agreed"], true);
    let elapsed = summary["elapsed_s"].as_f64().expect("seconds");
    assert!(elapsed < 6.0, "{summary}");
}

#[test]
fn thirty_members_and_a_strict_few_are_quiet() {
    let left = Program::run(&["lab", "--members", "30", "--for", "3s", "--log", "json"]);
    let summary = left.json().pop().expect("a summary");
    let messages = summary["messages"].as_object().expect("an object");
    let counts = messages
        .values()
        .map(|count| count.as_u64().expect("a count"));
    let all: u64 = counts.sum();
    // Each of them joins, and is told who leads.
    assert!((2 * 30 - 1..3_000).contains(&all), "{summary}");
    let left = Program::run(&[
        "lab",
        "--members",
        "3",
        "--strict",
        "--for",
        "1s",
        "--log",
        "json",
    ]);
    let summary = left.json().pop().expect("a summary");
    assert_eq!(
        left.code,
        Some(i32::from(summary["agreed"] != true)),
        "{left:?}"
    );
    if summary["agreed"] != true {
        assert_eq!(summary["leader"], json!(null));
        assert!(left.err.contains("error: "), "{left:?}");
    }
}
