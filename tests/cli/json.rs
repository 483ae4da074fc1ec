//! `--log json`: one object a line, with exactly the fields that are promised.

use serde_json::Value;

use crate::program::{Left, Program, free_port};
use crate::schema::Schema;

/// Checks the form of every line, and returns how often each of `events` was logged.
fn check<const N: usize>(left: &Left, events: [&str; N]) -> [usize; N] {
    let schema = Schema::new();
    let mut counts = [0; N];
    let mut latest = 0.0;
    for text in &left.out {
        let line = schema.check(text);
        let event = line["event"].as_str().expect("a name");
        let t = line["t"].as_f64().expect("seconds");
        assert!(line["t"].is_f64() && latest <= t && t < 100.0, "{text}");
        latest = t;
        assert!(
            (t * 1e6 - (t * 1e6).round()).abs() < 1e-3,
            "microseconds: {text}"
        );
        let of_coordinator = event == "message" && line["node"].is_null();
        let of_member = event != "summary" && !of_coordinator;
        assert_eq!(is_pid(&line["node"]), of_member, "{text}");
        match event {
            "leader" => assert!(is_pid(&line["leader"])),
            "leader_lost" => {
                assert!(is_pid(&line["leader"]));
                let ways = ["refused", "reset", "unreachable", "silent"];
                assert!(
                    ways.contains(&line["how"].as_str().expect("a way")),
                    "{text}"
                );
            }
            "failed" => {
                let length = line["for_ms"].as_u64().expect("milliseconds");
                assert!((1_000..=4_000).contains(&length), "{text}");
            }
            "listening" => {
                assert!(is_address(&line["address"]), "{text}");
                assert!(line["capacity"].is_u64(), "{text}");
                assert!(line["connections"].is_u64(), "{text}");
            }
            "rejected" => {
                assert!(is_address(&line["peer"]), "{text}");
                assert!(line["why"].is_string(), "{text}");
            }
            _ => {}
        }
        for (event, count) in events.iter().zip(&mut counts) {
            *count += usize::from(line["event"] == **event);
        }
    }
    counts
}

fn is_pid(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_u64))
}

fn is_address(value: &Value) -> bool {
    let pair = value.as_array();
    pair.is_some_and(|pair| pair.len() == 2 && pair[0].is_string() && pair[1].is_u64())
}

#[test]
fn a_groups_log_has_the_promised_form() {
    let left = Program::run_line("lab --for 2s --seed 5 --log json");
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(left.err, "");
    let counts = check(
        &left,
        [
            "listening",
            "joined",
            "election",
            "leader",
            "stopped",
            "summary",
        ],
    );
    assert_eq!(counts[..2], [5, 5]);
    assert!(counts[2] >= 5 && counts[3] >= 5, "{counts:?}");
    assert_eq!(counts[4..], [5, 1]);

    let lines = left.json();
    let summary = lines.last().expect("a last line");
    assert_eq!(summary["agreed"], true);
    assert_eq!(summary["members"], 5);
    assert_eq!(summary["up"], 5);
    let messages = summary["messages"].as_object().expect("an object");
    let mut kinds: Vec<_> = messages.keys().map(String::as_str).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["coordinator", "election", "join", "ok", "probe"]);
    assert!(
        messages.values().all(|count| count.as_u64() > Some(0)),
        "{summary}"
    );
    let elapsed = summary["elapsed_s"].as_f64().expect("seconds");
    assert!((2.0..8.0).contains(&elapsed), "{summary}");
    let load = summary["load"].as_f64();
    assert_eq!(load.is_some(), cfg!(target_os = "linux"), "{summary}");

    // The greatest of all who listened leads, and everybody's last word says so.
    let of = |event: &'static str| lines.iter().filter(move |line| line["event"] == event);
    let pair = |value: &Value| (value[0].as_u64(), value[1].as_u64());
    let greatest = of("listening").map(|line| pair(&line["node"])).max();
    assert_eq!(Some(pair(&summary["leader"])), greatest);
    for member in of("listening").map(|line| &line["node"]) {
        let last = of("leader").rfind(|line| line["node"] == *member);
        assert_eq!(Some(pair(&last.expect("it knows one")["leader"])), greatest);
    }
}

#[test]
fn failures_are_logged_when_they_are_feigned() {
    for mode in ["close", "ignore"] {
        let left = Program::run_line(&format!(
            "lab --members 8 --for 6s --seed 11 --log json --feign {mode}"
        ));
        let [failed, recovered] = check(&left, ["failed", "recovered"]);
        // By the seed; whoever is down at the end has not recovered.
        assert!(
            recovered >= 1 && failed >= recovered,
            "{mode}: {failed} {recovered}"
        );
        let lines = left.json();
        let summary = lines.last().expect("a last line");
        let up = summary["up"].as_u64().expect("a number");
        assert_eq!(up as usize, 8 - (failed - recovered), "{mode}: {summary}");
        assert_eq!(
            left.code,
            Some(i32::from(summary["agreed"] != true)),
            "{mode}: {left:?}"
        );
    }
}

#[test]
fn a_lone_nodes_log_has_the_promised_form() {
    let port = free_port().to_string();
    let left = Program::run_line(&format!(
        "node localhost {port} 1234567 --days 9 --for 400ms --log json --seed 1"
    ));
    let counts = check(&left, ["listening", "rejected", "stopped", "joined"]);
    assert_eq!([counts[0], counts[2], counts[3]], [1, 1, 0]);
    assert!(counts[1] >= 1);
    assert_eq!(left.json()[0]["node"], serde_json::json!([9, 1_234_567]));
}

#[test]
fn a_drawn_seed_is_written_beside_the_data() {
    let left = Program::run(&["lab", "--for", "10ms", "--log", "json"]);
    let seed = left.err.strip_prefix("seed ").expect("the seed");
    let seed = seed.split(' ').next().expect("a number");
    assert!(seed.parse::<u64>().is_ok(), "{left:?}");
    assert!(left.err.contains(&format!("--seed {seed}")), "{left:?}");
}
