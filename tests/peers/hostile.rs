//! Every attack, on a node that leads and on a coordinator: both stay within bounds, and go on
//! answering everybody else.

use core::time::Duration;
use std::io::Write as _;
use std::thread;

use bully_tests::process::Process;

use crate::client::{self, insist};
use crate::party::{Party, at_once, pid, rejected};

/// For all attacks together.
const ATTACK: &str = "11";

/// How long somebody may have to wait for an answer under the worst of the attacks, on a busy
/// machine. On an idle one it is some milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The most memory ever resident. At rest it is some 6 MiB in a debug build; the rest is what the
/// readers of all connections together may hold of messages that are not whole.
#[cfg(target_os = "linux")]
const RESIDENT_MAX_KIB: u64 = 48 * 1024;

/// The most descriptors: 64 exchanges, 4 more in the backlog, 64 connections with nothing left but
/// their end, and a dozen of the process itself.
#[cfg(target_os = "linux")]
const DESCRIPTORS_MAX: usize = 64 + 4 + 64 + 12;

/// Opcodes that the log has to name, for no lab message has them.
const OPCODES: [&str; 4] = [
    "DUP (0x32)",
    "POP (0x30)",
    "BINBYTES8 (0x8e)",
    "BYTEARRAY8 (0x96)",
];

/// What else it has to say of the attacks that are no lab messages, and where it has to say it.
const REASONS: [[&str; 2]; 8] = [
    ["is no opcode: not a pickle", "at byte"],
    ["nested deeper than", "at byte"],
    ["memo index", "at byte"],
    ["a text longer than", "at byte"],
    ["longer than", "at byte"],
    ["more than", "members, at byte"],
    ["more than", "values, at byte"],
    ["it ends after", "in the middle of a message"],
];

/// Attacks `victim` and calls `meanwhile` until it is over.
fn attack(party: &Party, victim: &Process, mut meanwhile: impl FnMut()) {
    let port = victim.port().to_string();
    let args = ["127.0.0.1", &port, "--for", ATTACK];
    let attacker = party.processes.python("hostile.py", "hostile.py", &args);
    while attacker.ended().is_none() {
        // Now and then, since the attacker is to have the victim to itself in between.
        thread::sleep(Duration::from_millis(20));
        meanwhile();
        assert_within_bounds(victim);
    }
    assert!(attacker.wait().success());
    let done = attacker.wait_for_event("done");
    assert!(done["sent"].as_u64() > Some(1_000), "{done}");
    let list = party.processes.python("list", "hostile.py", &["--list"]);
    assert!(list.wait().success());
    let attacks = attacker.count_since(0, "attacked");
    assert_eq!(attacks, list.words().lines().count());
    assert!(victim.ended().is_none(), "it has ended");

    let why = rejected(victim);
    let opcodes = OPCODES.map(|name| ["opcode".to_owned(), format!("{name} at byte")]);
    let reasons = REASONS.map(|parts| parts.map(str::to_owned));
    for parts in opcodes.iter().chain(&reasons) {
        let is_named = |why: &String| parts.iter().all(|part| why.contains(part));
        assert!(
            why.iter().any(is_named),
            "nothing was rejected because of {parts:?}"
        );
    }
}

#[cfg(target_os = "linux")]
fn assert_within_bounds(victim: &Process) {
    let id = victim.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("the system says");
    assert!(peak <= RESIDENT_MAX_KIB, "{peak} KiB are or were resident");
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).expect("it runs");
    let open = open.count();
    assert!(open <= DESCRIPTORS_MAX, "{open} descriptors are open");
}

/// Only Linux says it in files; what does not need them is tested everywhere.
#[cfg(not(target_os = "linux"))]
fn assert_within_bounds(_: &Process) {}

#[test]
fn every_attack_is_withstood() {
    at_once(
        [node_is_attacked as fn(), coordinator_is_attacked],
        |test| test(),
    );
}

fn node_is_attacked() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    let node = party.node(300, &[]).joined();
    let peer = party.peer(200, &[]);
    party.agree(&[&node, &peer], 300);
    let port = node.port();
    let election = client::election(pid(300), port);
    let probe = client::probe();

    let mut slowest = Duration::ZERO;
    attack(&party, &node.process, || {
        for message in [&election, &probe] {
            let (answer, took) = insist(port, message, ANSWER_WITHIN);
            client::assert_ok(&answer);
            slowest = slowest.max(took);
        }
        peer.assert_alive();
    });
    println!("the slowest answer took {slowest:?}");

    // As if nothing had been: newcomers join, and the one who leads is the greatest who lives.
    node.assert_answers();
    client::expect_ok(port, &election);
    let newcomer = party.peer(250, &[]);
    party.agree(&[&node, &peer, &newcomer], 300);
    node.process.kill();
    party.agree(&[&peer, &newcomer], 250);
}

fn coordinator_is_attacked() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    let port = party.gcd_port;
    let join = client::join(pid(7), ("127.0.0.1", 1));

    let mut slowest = Duration::ZERO;
    attack(&party, &party.gcd, || {
        let (answer, took) = insist(port, &join, ANSWER_WITHIN);
        assert!(matches!(
            client::unpickled(&answer),
            serde_pickle::Value::Dict(_)
        ));
        slowest = slowest.max(took);
    });
    println!("the slowest answer took {slowest:?}");

    let members = [party.node(300, &[]).joined(), party.peer(200, &[])];
    party.agree(&members.each_ref(), 300);
}

/// On every connection nothing but the beginning of a message, as long as one may be: together they
/// hold no more than stated.
#[test]
fn unfinished_messages_are_bounded_together() {
    // What one reader takes before it refuses: bytes, members and values, each nearly used up.
    let long_hosts = (0..4_000).map(|number| {
        let (days, id) = (1 + number % 365, 1_000_000 + number);
        format!("(I{days}\nI{id}\nt(V{number:030}\nI1\nts")
    });
    let beginnings = [
        b"(VELECTION\n(d"
            .iter()
            .copied()
            .chain(long_hosts.flat_map(String::into_bytes))
            .collect(),
        [&b"(VELECTION\n("[..], &b")\x85\x85".repeat(5_400)].concat(),
        [&b"(VELECTION\n)"[..], &b"\x94".repeat(16_000)].concat(),
    ];
    at_once(beginnings, |beginning: Vec<u8>| {
        let party = Party::ours(&[]);
        let node = party.node(300, &[]).joined();
        let held: Vec<_> = (0..60)
            .map(|_| {
                let mut stream = client::connect(node.port()).expect("it listens");
                stream.write_all(&beginning).expect("it reads");
                stream
            })
            .collect();
        // It has read all of them when it answers one who came later, more often than not.
        for _ in 0..20 {
            node.assert_answers();
            assert_within_bounds(&node.process);
        }
        assert_eq!(
            node.rejected(),
            Vec::<String>::new(),
            "none of them is finished"
        );
        drop(held);
    });
}
