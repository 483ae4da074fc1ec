//! Programs that are right: ours, and the Python peers in all their dialects.

use std::sync::Mutex;

use serde_json::Value;

use crate::graded::{BULLY, python, report, verdict};

/// The verdicts other than pass.
fn others(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks");
    checks
        .iter()
        .filter(|check| check["verdict"] != "pass")
        .map(|check| format!("{} {}", check["id"], check["verdict"]))
        .collect()
}

#[test]
fn our_own_node_gets_all_points() {
    let command = [
        BULLY,
        "node",
        "{gcd_host}",
        "{gcd_port}",
        "{su_id}",
        "--days",
        "{days}",
    ];
    let command = command.map(str::to_owned);
    let (mut result, mut code) = (Value::Null, 3);
    // A machine that is too busy makes it unclear, and is no reason to fail.
    for _ in 0..3 {
        (result, code) = report(&["--jobs", "4", "--seed", "1"], &command);
        if code != 3 {
            break;
        }
    }
    assert_eq!(code, 0, "{:?}\n{result:#}", others(&result));
    assert_eq!(result["score"], result["max"]);
    assert_eq!(result["max"], 65.0);
}

/// A check and its verdict.
type Verdict = (&'static str, &'static str);

/// Options of `peer.py`, and the checks that do not pass because of them.
const DIALECTS: [(&[&str], &[Verdict]); 8] = [
    (&[], &[]),
    (&["--ok", "members", "--probe-form", "members"], &[]),
    (&["--ok", "pair", "--lists", "--recv-once"], &[]),
    (&["--keyed-by", "address"], &[]),
    (
        &["--probe-form", "bare", "--protocol", "2", "--half-close"],
        &[],
    ),
    (&["--shared", "--everybody", "--report-localhost"], &[]),
    (&["--bare"], &[("payload", "fail")]),
    (&["--only-leader", "--two-pickles", "--probe", "none"], &[]),
];

#[test]
fn the_python_peers_pass_in_their_own_dialects() {
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for half in DIALECTS.chunks(1) {
            let wrong = &wrong;
            scope.spawn(move || {
                for (options, expected) in half {
                    // Those checks in which the forms matter.
                    let only = [
                        "join",
                        "start-election",
                        "payload",
                        "greatest",
                        "answers",
                        "learns",
                    ];
                    let mut words = vec!["--seed", "2", "--jobs", "3"];
                    for id in only {
                        words.extend(["--only", id]);
                    }
                    let mut complaint = String::new();
                    for _ in 0..3 {
                        let (result, _) = report(&words, &python("peer.py", options));
                        let right = only.iter().all(|id| {
                            let of = expected.iter().find(|(of, _)| of == id);
                            verdict(&result, id) == of.map_or("pass", |(_, verdict)| verdict)
                        });
                        if right {
                            complaint.clear();
                            break;
                        }
                        complaint = format!("{options:?}: {:?}\n{result:#}", others(&result));
                        if !others(&result)
                            .iter()
                            .any(|other| other.contains("unclear"))
                        {
                            break;
                        }
                    }
                    if !complaint.is_empty() {
                        wrong.lock().expect("nobody panics").push(complaint);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
