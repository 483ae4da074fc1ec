//! The event `message`: of every message there is one at each end, or the reason why not.

use std::collections::HashMap;

use serde_json::Value;

use crate::program::{Left, Program};
use crate::schema::Schema;

/// A message on its way from one end of a connection to the other.
#[derive(Default)]
struct Passage {
    sent: Vec<f64>,
    received: Vec<f64>,
    errors: usize,
}

/// Holds every line against the schema, and every message that was sent against those that came.
/// Returns how many were sent whole, and how many were not received.
pub(crate) fn check(left: &Left) -> (usize, usize) {
    let schema = Schema::new();
    let mut passages: HashMap<(Value, Value), Passage> = HashMap::new();
    let mut errors: HashMap<Value, usize> = HashMap::new();
    for text in &left.out {
        let line = schema.check(text);
        assert_ne!(line["event"], "log_lost", "{text}");
        if line["event"] != "message" {
            continue;
        }
        let (conn, kind) = (line["conn"].clone(), line["kind"].clone());
        let time = line["time"].as_f64().expect("seconds");
        if line["error"].is_string() {
            if line["error"] == "refused" {
                assert!(conn.is_null(), "nobody was connected: {text}");
                continue;
            }
            assert!(!conn.is_null(), "{text}");
            *errors.entry(conn.clone()).or_default() += 1;
            passages.entry((conn, kind)).or_default().errors += 1;
            continue;
        }
        let passage = passages.entry((conn, kind)).or_default();
        if line["dir"] == "send" {
            passage.sent.push(time);
        } else {
            assert!(
                !passage.sent.is_empty(),
                "received before it was sent: {text}"
            );
            passage.received.push(time);
        }
    }
    let mut lost = 0;
    let mut whole = 0;
    for ((conn, kind), passage) in &passages {
        let Passage {
            sent,
            received,
            errors: own,
        } = passage;
        assert!(sent.len() <= 1, "{kind} was sent twice on {conn}");
        let Some(sent) = sent.first() else { continue };
        whole += 1;
        match received.as_slice() {
            [] => {
                lost += 1;
                assert!(
                    errors.contains_key(conn),
                    "{kind} on {conn}: no trace of it"
                );
            }
            [received] => {
                assert!(sent <= received, "{kind} on {conn} came too early");
                assert_eq!(*own, 0, "{kind} on {conn} came, and did not");
            }
            _ => panic!("{kind} on {conn} was received twice"),
        }
    }
    (whole, lost)
}

/// Members fail and come back, so that some messages are refused, lost or in vain.
#[test]
fn every_message_of_a_lab_is_received_once_or_has_an_error() {
    for (mode, seed) in [("close", "4"), ("ignore", "5")] {
        let left = Program::run_line(&format!(
            "lab --members 30 --for 8s --log json --feign {mode} --seed {seed}"
        ));
        let (sent, _) = check(&left);
        assert!(sent > 300, "{sent} messages were sent");

        // The counters are kept by somebody else.
        let lines = left.json();
        let summary = lines.last().expect("a last line");
        let count = |kind: &str| {
            let of_kind = |line: &&Value| {
                line["event"] == "message" && line["dir"] == "send" && line["kind"] == kind
            };
            lines.iter().filter(of_kind).count() as u64
        };
        for kind in ["JOIN", "ELECTION", "OK", "COORDINATOR", "PROBE"] {
            let counted = summary["messages"][kind.to_lowercase()].as_u64();
            assert_eq!(Some(count(kind)), counted, "{mode}: {kind}");
        }
    }
}

/// The ends of a connection are in two processes, each with a clock of its own start.
#[test]
fn both_ends_of_a_message_match_across_processes() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    let node = |id: &str, days: &str| {
        let node = ["node", "localhost", &port, id, "--days", days];
        Program::start(&[&node[..], &["--log", "json", "--for", "4s"]].concat())
    };
    let greater = node("2000000", "200");
    let greater_first = greater.await_event("leader");
    assert_eq!(greater_first["leader"][0], 200);
    let lesser = node("1000000", "100");
    let mut all: Vec<(f64, Value)> = Vec::new();
    for program in [lesser, greater] {
        let left = program.finish();
        assert_eq!(left.code, Some(0), "{left:?}");
        let schema = Schema::new();
        for text in &left.out {
            let line = schema.check(text);
            if line["event"] == "message" && line["error"].is_null() {
                all.push((line["time"].as_f64().expect("seconds"), line));
            }
        }
    }
    let elections: Vec<_> = all
        .iter()
        .filter(|(_, line)| line["kind"] == "ELECTION")
        .collect();
    assert!(!elections.is_empty(), "the lesser one asks the greater one");
    for (time, line) in &elections {
        let other: Vec<_> = elections
            .iter()
            .filter(|(_, other)| other["conn"] == line["conn"] && other["dir"] != line["dir"])
            .collect();
        let [(when, _)] = other.as_slice() else {
            panic!("{line} has {} other ends", other.len());
        };
        if line["dir"] == "send" {
            assert!(time <= when, "{line} came before");
            assert_eq!(line["peer"], serde_json::json!([200, 2_000_000]));
        }
    }
}

/// A program that was started again on the same port on another day was named as it was before.
#[test]
fn a_log_names_who_is_at_an_address_now() {
    use rustix::process::Signal;
    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let port = gcd.port().to_string();
    let node = |id: &str, days: &str, bind: &str| {
        let node = ["node", "localhost", &port, id, "--days", days];
        Program::start(&[&node[..], &["--bind", bind, "--log", "json"]].concat())
    };
    let greater = node("2000000", "200", "127.0.0.1:0");
    let at = format!("127.0.0.1:{}", greater.port());
    greater.await_event("leader");
    let lesser = node("1000000", "100", "127.0.0.1:0");
    // Messages to that address from when it leads until a PROBE is answered.
    let named = |leader: &Value| {
        let (mut leads, mut named) = (false, Vec::new());
        loop {
            let line = lesser.next_json();
            leads |= line["event"] == "leader" && line["leader"] == *leader;
            let conn = line["conn"].as_str().unwrap_or_default();
            if leads && line["event"] == "message" && conn.ends_with(&format!(">{at}")) {
                named.push(line["peer"].clone());
                if line["kind"] == "OK" && line["dir"] == "recv" {
                    return named;
                }
            }
        }
    };
    let old = serde_json::json!([200, 2_000_000]);
    assert!(named(&old).iter().all(|peer| *peer == old));
    greater.signal(Signal::KILL);
    drop(greater);
    let _again = node("2000000", "199", &at);
    let new = serde_json::json!([199, 2_000_000]);
    let named = named(&new);
    assert!(named.iter().all(|peer| *peer == new), "{named:?}");
}

/// Two process ids at one address: nobody knows who it is, unless it says so.
#[test]
fn nobody_is_named_where_two_are_listed_at_one_address() {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let (coordinator, member) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    let (gcd, at) = (port(&coordinator).to_string(), port(&member));
    let node = ["node", "localhost", &gcd, "1234567", "--days", "9"];
    let node = Program::start(&[&node[..], &["--log", "json"]].concat());
    let (mut stream, _) = coordinator.accept().expect("it joins");
    let _ = stream.read(&mut [0; 1024]);
    let listed = |days: u32| format!("(I{days}\nI7654321\nt(V127.0.0.1\nI{at}\nts");
    let list = format!("(d{}{}.", listed(300), listed(365));
    stream.write_all(list.as_bytes()).expect("it reads");
    drop(stream);
    let (mut stream, _) = member.accept().expect("it asks the greater ones");
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"VOK\n.");
    loop {
        let line = node.await_event("message");
        let conn = line["conn"].as_str().unwrap_or_default();
        if conn.ends_with(&format!(">127.0.0.1:{at}")) {
            assert!(line["peer"].is_null(), "{line}");
            if line["kind"] == "OK" {
                return;
            }
        }
    }
}

/// What is no message, or none for a coordinator, is a message event too.
#[test]
fn what_is_not_served_is_recorded_with_its_error() {
    use std::io::{Read as _, Write as _};
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port();
    for (bytes, kind, error) in [
        (&b"VLEAVE\n."[..], Some("LEAVE"), "rejected"),
        (b"GET / HTTP/1.1\r\n\r\n", None, "malformed"),
        (b"", None, "closed"),
    ] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let ends = format!(
            "{}>127.0.0.1:{port}",
            stream.local_addr().expect("it has one")
        );
        stream.write_all(bytes).expect("it reads");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 1_000]);
        drop(stream);
        let line = loop {
            let line = gcd.await_event("message");
            if line["conn"] == *ends && line["dir"] == "recv" {
                break line;
            }
        };
        assert_eq!(line["kind"].as_str(), kind, "{line}");
        assert_eq!(line["error"], error, "{line}");
        assert_eq!(line["bytes"].as_u64(), Some(bytes.len() as u64), "{line}");
    }
}

#[test]
fn a_brief_log_has_everything_else() {
    let left = Program::run_line("lab --for 1s --seed 5 --log json-brief");
    let lines = left.json();
    assert!(lines.iter().all(|line| line["event"] != "message"));
    let leaders = lines.iter().filter(|line| line["event"] == "leader");
    assert!(leaders.count() >= 5, "{left:?}");
}

/// Delays, losses and crashes: of every message that was sent there is one receipt or an error.
#[test]
fn every_message_of_a_simulation_is_received_once_or_has_an_error() {
    let schema = Schema::new();
    let mut in_vain = 0;
    for seed in 1..=30 {
        let left = Program::run_line(&format!(
            "sim --trace --format json --seed {seed} --loss 0.02 --crash leader@2s..4s --for 8s"
        ));
        let (row, lines) = left.out.split_last().expect("lines");
        let row: Value = serde_json::from_str(row).expect("JSON");
        assert_eq!(row["seed"], seed);
        let mut sent: HashMap<(u64, String), (f64, usize)> = HashMap::new();
        for text in lines {
            let line = schema.check(text);
            assert_eq!(line["t"], line["time"], "{text}");
            if line["event"] != "message" {
                continue;
            }
            let conn = line["conn"].as_u64().expect("a number");
            let key = (conn, line["kind"].to_string());
            let time = line["time"].as_f64().expect("seconds");
            if line["dir"] == "send" && line["error"] != "refused" {
                let ends = usize::from(line["error"].is_string());
                in_vain += ends;
                let before = sent.insert(key, (time, ends));
                assert!(before.is_none(), "a number is used once: {text}");
            } else {
                let (at, ends) = sent.get_mut(&key).expect("it was sent before");
                assert!(*at <= time, "it came before it was sent: {text}");
                *ends += 1;
            }
        }
        for (key, (_, ends)) in &sent {
            assert_eq!(*ends, 1, "seed {seed}: {key:?}");
        }
        assert!(sent.len() > 30, "seed {seed}: {}", sent.len());
    }
    assert!(in_vain > 0, "something was lost");
}
