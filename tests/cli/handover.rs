//! A leader that ends announces the next one.

use core::time::Duration;
use std::io::{self, Write as _};
use std::process::Command;
use std::thread;
use std::time::{Instant, SystemTime};

use bully_tests::process::{Process, Processes};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{BULLY, Program};

/// Members with 100, 200 and 300 days, all of whom follow the greatest.
fn group(args: &[&str]) -> (Program, [Program; 3]) {
    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let port = gcd.port().to_string();
    let member = |days: u32| {
        let (id, days) = ((1_000_000 + days).to_string(), days.to_string());
        let node = ["node", "localhost", &port, &id, "--days", &days];
        let args = [&node[..], &["--log", "json-brief"], args].concat();
        Program::start(&args)
    };
    let members = [100, 200, 300].map(member);
    for member in &members {
        follows(member, 300);
    }
    (gcd, members)
}

fn pid(days: u32) -> Value {
    json!([days, 1_000_000 + days])
}

/// Waits until a member names this one; the events up to then.
fn follows(member: &Program, days: u32) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let line = member.next_json();
        events.push(line["event"].as_str().expect("a name").to_owned());
        if line["event"] == "leader" && line["leader"] == pid(days) {
            return events;
        }
    }
}

#[test]
fn a_leader_that_is_ended_hands_over() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_gcd, [least, next, leader]) = group(&[]);
        let signalled = Instant::now();
        leader.signal(signal);
        let events = follows(&least, 200);
        assert!(
            !events.iter().any(|event| event == "election"),
            "{events:?}"
        );
        let events = follows(&next, 200);
        let elections = events.iter().filter(|event| *event == "election");
        assert!(elections.count() <= 1, "{events:?}");
        let left = leader.finish();
        // 400 ms at most, and a busy machine.
        assert!(signalled.elapsed() < Duration::from_secs(5));
        assert_eq!(left.code, Some(0), "{left:?}");
        let lines = left.json();
        let [.., resigned, stopped] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(
            (&resigned["event"], &resigned["successor"]),
            (&json!("resigned"), &pid(200))
        );
        assert_eq!(stopped["event"], "stopped");
    }
}

#[test]
fn a_leader_whose_time_is_over_hands_over() {
    let (_gcd, [least, _next, leader]) = group(&["--for", "4s"]);
    let left = leader.finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    let resigned = left
        .json()
        .into_iter()
        .find(|line| line["event"] == "resigned");
    assert_eq!(resigned.expect("it led")["successor"], pid(200));
    // Its own time is over at about the same moment.
    let lines = least.finish().json();
    assert_eq!(lines.last().expect("an end")["event"], "stopped");
}

#[test]
fn whoever_does_not_lead_just_ends() {
    let (_gcd, [least, _next, leader]) = group(&[]);
    least.signal(Signal::TERM);
    let left = least.finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(
        left.json().iter().all(|line| line["event"] != "resigned"),
        "{left:?}"
    );
    drop(leader);
}

#[test]
fn without_handover_the_others_have_to_notice() {
    let (_gcd, [least, _next, leader]) = group(&["--no-handover"]);
    leader.signal(Signal::TERM);
    let left = leader.finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(
        left.json().iter().all(|line| line["event"] != "resigned"),
        "{left:?}"
    );
    follows(&least, 200);
}

/// A lab that is part of a larger group does not keep that group from going on.
#[test]
fn a_lab_that_ends_hands_over_to_a_member_elsewhere() {
    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let port = gcd.port().to_string();
    let member = Program::start_line(&format!(
        "node localhost {port} 1000100 --days 100 --log json-brief"
    ));
    member.await_event("leader");
    // The second of them has 195 days, and the first one 98.
    let lab = Program::start_line(&format!(
        "lab --gcd localhost {port} --members 2 --log json-brief"
    ));
    let leader = json!([195, 1_000_002]);
    while member.await_event("leader")["leader"] != leader {}
    lab.signal(Signal::TERM);
    while member.await_event("leader")["leader"] != pid(100) {}
    let left = lab.finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    let lines = left.json();
    let resigned = lines
        .iter()
        .find(|line| line["event"] == "resigned" && line["node"] == leader);
    assert_eq!(resigned.expect("it led")["successor"], pid(100));
}

/// How many members the measured group has, and how often it loses its leader.
const MEMBERS: usize = 30;
const ROUNDS: usize = 20;

/// What it takes until all others name the next leader.
struct Cost {
    time: Duration,
    /// Messages up to a second later, without PROBEs and their OKs.
    messages: usize,
}

#[test]
#[ignore = "two minutes; a measurement: run it with --release"]
fn what_a_handover_costs_beside_a_crash() {
    let processes = Processes::new();
    let mut gcd = Command::new(BULLY);
    let gcd = processes.spawn("gcd", gcd.args(["gcd", "0", "--log", "json-brief"]));
    let port = gcd.port().to_string();
    let mut lab = Command::new(BULLY);
    let others = (MEMBERS - 1).to_string();
    lab.args([
        "lab",
        "--gcd",
        "localhost",
        &port,
        "--members",
        &others,
        "--log",
        "json",
    ]);
    let lab = processes.spawn("lab", &mut lab);
    let mut out = io::stdout();
    for (what, kills) in [("hand-over (SIGTERM)", false), ("crash (SIGKILL)", true)] {
        let mut costs: Vec<_> = (0..ROUNDS)
            .map(|_| lose_leader(&processes, &lab, &port, kills))
            .collect();
        costs.sort_by_key(|cost| cost.time);
        let mut messages: Vec<_> = costs.iter().map(|cost| cost.messages).collect();
        messages.sort_unstable();
        let seconds = |at: usize| costs[at].time.as_secs_f64();
        let _ = writeln!(
            out,
            "{what:20} n = {MEMBERS}, {ROUNDS} rounds: next leader known to all after {:.3} s \
             (median; {:.3} to {:.3}), {} messages (median; {} to {})",
            seconds(ROUNDS / 2),
            seconds(0),
            seconds(ROUNDS - 1),
            messages[ROUNDS / 2],
            messages[0],
            messages[ROUNDS - 1],
        );
    }
}

/// Starts the greatest member, waits until all follow it, and ends it.
fn lose_leader(processes: &Processes, lab: &Process, port: &str, kills: bool) -> Cost {
    let mark = lab.mark();
    let mut node = Command::new(BULLY);
    node.args([
        "node",
        "localhost",
        port,
        "9999999",
        "--days",
        "365",
        "--log",
        "json",
    ]);
    let node = processes.spawn("leader", &mut node);
    named(lab, mark, &json!([365, 9_999_999]));
    // The group is at rest: the window after the announcement is over.
    thread::sleep(Duration::from_secs(2));
    let mark = lab.mark();
    let node_mark = node.mark();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.expect("the clock is set").as_secs_f64();
    if kills {
        node.kill();
    } else {
        node.terminate();
    }
    // How a lab spreads the days of its members.
    let next = (1..MEMBERS as u64)
        .map(|k| (1 + 97 * k % 365, 1_000_000 + k))
        .max()
        .expect("there are some");
    let last = named(lab, mark, &json!([next.0, next.1]));
    thread::sleep(Duration::from_secs(1));
    let sent = |line: &Value| {
        let kind = line["kind"].as_str().unwrap_or_default();
        line["event"] == "message"
            && line["dir"] == "send"
            && ["JOIN", "ELECTION", "COORDINATOR"].contains(&kind)
    };
    let count = |process: &Process, mark| {
        process
            .said_since(mark)
            .iter()
            .filter(|line| sent(line))
            .count()
    };
    Cost {
        time: Duration::from_secs_f64((last - since).max(0.0)),
        messages: count(lab, mark) + count(&node, node_mark),
    }
}

/// Waits until all members of the lab have named this leader since `mark`; when the last one did, in
/// seconds since 1970.
fn named(lab: &Process, mark: usize, leader: &Value) -> f64 {
    let mut last = 0.0_f64;
    let mut named = std::collections::BTreeSet::new();
    lab.wait_since(mark, &format!("all name {leader}"), |line| {
        if line["event"] == "leader" && line["leader"] == *leader {
            named.insert(line["node"].to_string());
            last = last.max(line["time"].as_f64().expect("seconds"));
        }
        named.len() == MEMBERS - 1
    });
    last
}
