//! `bully lab`: the promise of its exit code.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::json;

use crate::program::{Program, free_port};

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

/// What several machines do to make one large group.
#[test]
fn two_labs_with_one_coordinator_are_one_group() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    let lab = |ids: &str| {
        Program::start_line(&format!(
            "lab --members 10 --gcd localhost {port} --ids {ids} --log json-brief"
        ))
    };
    let labs = ["1000001", "1000072"].map(lab);
    // 97 * 79 = 20 * 365 + 363: this one has 364 days, and none of the others has more.
    let greatest = json!([364, 1_000_079]);
    for lab in &labs {
        let mut followed = BTreeMap::new();
        while followed.len() < 10 || followed.values().any(|leader| *leader != greatest) {
            let line = lab.next_json();
            if line["event"] == "leader" {
                followed.insert(line["node"].to_string(), line["leader"].clone());
            }
        }
    }
    // Until both labs have been asked to end: what the second makes of the end of the first is
    // another matter.
    for lab in labs {
        lab.signal(Signal::TERM);
        let left = lab.finish();
        let summary = left.json().pop().expect("a summary");
        assert_eq!(summary["members"], 10, "{left:?}");
        assert_eq!(summary["messages"]["join"], 10, "{left:?}");
    }
}

#[test]
fn members_that_are_refused_log_why() {
    let gcd = Program::start_line("gcd 0 --capacity 1 --log json");
    let port = gcd.port().to_string();
    let left = Program::run_line(&format!(
        "lab --members 3 --gcd localhost {port} --log json"
    ));
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        left.err
            .contains("never joined the group: The group is full"),
        "{left:?}"
    );
}

#[test]
fn a_coordinator_that_is_not_there_is_reported() {
    let port = free_port().to_string();
    let left = Program::run_line(&format!("lab --members 3 --gcd localhost {port} --for 1s"));
    assert_eq!(left.code, Some(1), "{left:?}");
    let expected =
        format!("3 of 3 members never joined the group: no coordinator at localhost:{port}");
    assert!(left.err.contains(&expected), "{left:?}");
    assert!(left.err.contains(&format!("bully gcd {port}")), "{left:?}");
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
    let left = Program::run_line("lab --members 30 --for 3s --log json");
    let summary = left.json().pop().expect("a summary");
    let messages = summary["messages"].as_object().expect("an object");
    let counts = messages
        .values()
        .map(|count| count.as_u64().expect("a count"));
    let all: u64 = counts.sum();
    // Each of them joins, and learns who leads.
    assert!((2 * 30 - 1..3_000).contains(&all), "{summary}");
    let left = Program::run_line("lab --members 3 --strict --for 1s --log json");
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
