//! What happens when descriptors run out: the connections that nobody needs give way.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Instant;

use bully_tests::process::{LIMIT, Process, Processes};

use crate::client::{self, connect, probe};
use crate::lab::agree;
use crate::party::{bully, node_command, pid};
use crate::tcp::{allow_descriptors, descriptors};

/// `command` with no more descriptors than `limit`.
fn limited(command: &Command, limit: u32) -> Command {
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    limited
}

/// A coordinator, and a node of ours that leads and has no more descriptors than `limit`.
fn leader(processes: &Processes, limit: u32) -> Process {
    let mut gcd = bully(&["gcd", "0", "--for", "150s", "--log", "json"]);
    let gcd = processes.spawn("bully gcd", &mut gcd);
    let command = node_command(gcd.port(), 300, &[]);
    let node = processes.spawn("node", &mut limited(&command, limit));
    node.wait_for_event("leader");
    node
}

/// How many connections `process` has that the peer has not closed.
fn crowd(port: u16, count: usize, message: &[u8]) -> Vec<TcpStream> {
    let connected = |_| {
        let mut stream = connect(port).expect("the system accepts for it");
        // It may be ended early.
        let _ = stream.write_all(message);
        stream
    };
    (0..count).map(connected).collect()
}

/// Those who have connected and say nothing give way to others, and to nobody else.
#[test]
fn a_node_without_descriptors_turns_out_the_silent() {
    let processes = Processes::new();
    let node = leader(&processes, 40);
    let port = node.port();
    let message = probe();
    let (first, rest) = message.split_at(message.len() / 2);
    let mut early = connect(port).expect("it listens");
    early.write_all(first).expect("there is room");
    let silent = crowd(port, 80, &[]);
    client::expect_ok(port, &message);
    assert!(descriptors(&node) <= 40);
    assert_idles(&node);
    // The half of a message that came before all of them.
    early.write_all(rest).expect("it is still connected");
    let mut answer = Vec::new();
    early
        .read_to_end(&mut answer)
        .expect("it is still connected");
    client::assert_ok(&answer);
    drop(silent);
    client::expect_ok(port, &client::election(pid(300), port));
    assert!(node.ended().is_none());
}

/// Deaf until it was restarted: what the core had closed was kept until the peers ended.
#[test]
fn peers_that_stay_open_after_coordinator_do_not_make_a_node_deaf() {
    let processes = Processes::new();
    let node = leader(&processes, 64);
    let port = node.port();
    let message = client::coordinator(pid(300), port);
    let mut open = Vec::new();
    for _ in 0..12 {
        open.extend(crowd(port, 10, &message));
        client::expect_ok(port, &probe());
        assert!(descriptors(&node) <= 64);
    }
    client::expect_ok(port, &probe());
    assert_eq!(open.len(), 120);
    assert!(node.ended().is_none());
}

/// Without anybody else coming, too: a connection has a deadline after its exchange.
#[test]
fn peers_that_never_close_are_let_go() {
    let processes = Processes::new();
    let node = leader(&processes, 1_024);
    let port = node.port();
    let before = descriptors(&node);
    let open = [
        crowd(port, 10, &client::coordinator(pid(300), port)),
        crowd(port, 10, &probe()),
        crowd(port, 10, b"no message"),
    ];
    client::expect_ok(port, &probe());
    processes.wait_until("they are let go", LIMIT, || descriptors(&node) <= before);
    drop(open);
}

/// It paused for everybody instead of turning out the silent.
#[test]
fn a_coordinator_without_descriptors_serves_a_join_among_the_idle() {
    let processes = Processes::new();
    let gcd = bully(&["gcd", "0", "--for", "150s", "--log", "json"]);
    let gcd = processes.spawn("bully gcd", &mut limited(&gcd, 24));
    let idle = crowd(gcd.port(), 200, &[]);
    for number in 1..=20 {
        let join = client::join(pid(number), ("127.0.0.1", 20_000 + i64::from(number)));
        let answer = client::ask(gcd.port(), &join).expect("it answers");
        let members = client::unpickled(&answer);
        assert!(matches!(members, serde_pickle::Value::Dict(_)), "{members}");
    }
    assert!(descriptors(&gcd) <= 24);
    drop(idle);
}

/// Both ends of each connection are in one process: while one member's peers wait to be accepted
/// by others, those must not be without descriptors because their own peers wait.
#[test]
fn a_group_in_one_process_agrees_with_few_descriptors() {
    let processes = Processes::new();
    let lab = bully(&[
        "lab",
        "--members",
        "60",
        "--for",
        "150s",
        "--log",
        "json-brief",
    ]);
    // Four connections each, and the coordinator's.
    let lab = processes.spawn("bully lab", &mut limited(&lab, 16 + 61 + 64 + 4 * 60));
    agree(&processes, &lab, 60);
    lab.kill();
}

/// With as many as it asks for, it has no more than it may.
#[test]
fn a_group_in_one_process_keeps_to_its_descriptors() {
    const MEMBERS: usize = 200;
    allow_descriptors(12 * MEMBERS as u64 + 200);
    let processes = Processes::new();
    let args = ["lab", "--members", "200", "--for", "150s"];
    let args = [&args[..], &["--log", "json-brief"]].concat();
    let lab = processes.spawn("bully lab", &mut bully(&args));
    let most = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let limit = Instant::now() + LIMIT;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) && Instant::now() < limit {
                most.fetch_max(descriptors(&lab), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        agree(&processes, &lab, MEMBERS);
        ended.store(true, Ordering::Relaxed);
    });
    let most = most.into_inner();
    assert!(most > MEMBERS, "{most}: all of them listen");
    assert!(most <= 12 * MEMBERS, "{most}");
    lab.kill();
}

/// Fails if the process computes more than a tenth of the time.
fn assert_idles(process: &Process) {
    const WATCH: Duration = Duration::from_secs(2);
    // In hundredths of a second: user and system time, the 14th and 15th field.
    let spent = || -> u64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum()
    };
    let before = spent();
    thread::sleep(WATCH);
    let spent = spent() - before;
    assert!(
        spent <= 20,
        "{spent} hundredths of a second computed in {WATCH:?}"
    );
}
