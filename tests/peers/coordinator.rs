//! JOIN: our coordinator with others' members, and our node with coordinators that are late,
//! broken or blocked.

use std::process::Command;

use bully_tests::process::{Process, Processes, free_port};
use serde::Serialize;
use serde_pickle::Value;

use crate::client::{self, ask, connect, join, pickled, unpickled};
use crate::party::{Party, at_once, node_command};

/// What our coordinator, on `port`, answers.
fn answer(port: u16, message: &impl Serialize) -> Value {
    unpickled(&ask(port, &pickled(message)).expect("it answers"))
}

/// `{address: pid}`, as the assignment says.
fn by_address(members: &[(u32, u32, u16)]) -> Value {
    use serde_pickle::HashableValue as Key;
    let members = members.iter().map(|(days, id, port)| {
        let host = Key::String("127.0.0.1".to_owned());
        let address = Key::Tuple(vec![host, Key::I64(i64::from(*port))]);
        let pid = [days, id].map(|number| Value::I64(i64::from(*number)));
        (address, Value::Tuple(pid.into()))
    });
    Value::Dict(members.collect())
}

/// By the rules of the published coordinator, whose texts students look for on the web.
#[test]
fn joins_are_checked() {
    const MALFORMED_PID: &str =
        "Malformed process id, expected (days_to_next_birthday, student_id)";
    const NOT_LOCAL: &str = "Only local group members currently allowed";
    let party = Party::ours(&[]);
    let port = party.gcd_port;
    let here = ("127.0.0.1", 5_000);
    for (pid, address, error) in [
        ((0, 1_000_001), here, MALFORMED_PID),
        ((366, 1_000_001), here, MALFORMED_PID),
        ((1, 999_999), here, MALFORMED_PID),
        ((1, 10_000_000), here, MALFORMED_PID),
        ((1, 1_000_001), ("127.0.0.1", 0), "Invalid port number"),
        ((1, 1_000_001), ("127.0.0.1", 65_536), "Invalid port number"),
        ((1, 1_000_001), ("127.0.0.1", -1), "Invalid port number"),
        ((1, 1_000_001), ("10.1.2.3", 5_000), NOT_LOCAL),
        ((1, 1_000_001), ("example.org", 5_000), NOT_LOCAL),
    ] {
        let refused = unpickled(&ask(port, &join(pid, address)).expect("it answers"));
        assert_eq!(
            refused,
            Value::String(error.to_owned()),
            "{pid:?} {address:?}"
        );
    }
    let nobody = answer(port, &("HELLO", ()));
    assert_eq!(
        nobody,
        Value::String("Unexpected message: HELLO".to_owned())
    );
    for odd in [
        answer(port, &("JOIN", ())),
        answer(port, &("JOIN", 5)),
        answer(port, &5),
    ] {
        let Value::String(text) = odd else {
            panic!("{odd} is no error");
        };
        assert!(text.starts_with("Malformed "), "{text}");
    }
    let raw = ask(port, b"\x02\x03 hello").expect("it answers");
    let raw = String::from_utf8(raw).expect("what is no pickle is answered by what is none");
    assert!(
        raw.starts_with(r"Expected a pickled message, got b'\x02\x03 hello'"),
        "{raw}"
    );

    // None of them has become a member.
    let first = ask(port, &join((7, 1_000_007), here)).expect("it answers");
    assert_eq!(unpickled(&first), by_address(&[(7, 1_000_007, 5_000)]));
}

/// The same id with other days replaces the old entry, and so does whoever comes to its address.
#[test]
fn members_are_replaced() {
    let party = Party::ours(&[]);
    for (pid, member_port, members) in [
        ((7, 1_000_007), 5_000, &[(7, 1_000_007, 5_000)][..]),
        (
            (8, 1_000_008),
            5_001,
            &[(7, 1_000_007, 5_000), (8, 1_000_008, 5_001)],
        ),
        (
            (6, 1_000_007),
            5_002,
            &[(6, 1_000_007, 5_002), (8, 1_000_008, 5_001)],
        ),
        (
            (9, 1_000_009),
            5_001,
            &[(6, 1_000_007, 5_002), (9, 1_000_009, 5_001)],
        ),
        (
            (9, 1_000_009),
            5_001,
            &[(6, 1_000_007, 5_002), (9, 1_000_009, 5_001)],
        ),
    ] {
        let reply = ask(party.gcd_port, &join(pid, ("localhost", member_port)));
        assert_eq!(unpickled(&reply.expect("it answers")), by_address(members));
    }
}

/// Messages for members, sent here by mistake.
#[test]
fn messages_for_members_are_named() {
    let party = Party::ours(&[]);
    let nobody = std::collections::BTreeMap::<(u32, u32), (String, u16)>::new();
    for name in ["ELECTION", "COORDINATOR", "PROBE"] {
        let text = Value::String(format!("Unexpected message: {name}"));
        assert_eq!(answer(party.gcd_port, &(name, &nobody)), text);
    }
}

/// Whoever is refused is in the log, for whatever reason.
#[test]
fn refusals_are_logged() {
    let party = Party::ours(&[]);
    let here = ("127.0.0.1", 5_000);
    for message in [
        join((0, 1_000_001), here),
        join((1, 1_000_001), ("10.1.2.3", 5_000)),
        client::probe(),
    ] {
        let mark = party.gcd.mark();
        ask(party.gcd_port, &message).expect("it answers");
        let rejected = |line: &serde_json::Value| line["event"] == "rejected";
        party.gcd.wait_since(mark, "rejected", rejected);
    }
}

/// Idle connections, more than there are places, keep nobody out of ours.
#[test]
fn idle_clients_do_not_block_ours() {
    let party = Party::ours(&[]);
    let idle: Vec<_> = (0..100)
        .map(|_| connect(party.gcd_port).expect("it listens"))
        .collect();
    let members = [
        party.node(300, &[]).joined(),
        party.peer(200, &[]),
        party.node(100, &[]),
    ];
    party.agree(&members.each_ref(), 300);
    drop(idle);
}

/// The published coordinator serves one client at a time: an idle one in front blocks the others.
#[test]
fn node_outlasts_an_idle_client() {
    let party = Party::theirs(&[]);
    let idle = connect(party.gcd_port).expect("it listens");
    let node = party.node(300, &[]);
    let rejected = node.process.wait_for_event("rejected");
    assert!(
        text(&rejected["why"]).contains("gave no answer"),
        "{rejected}"
    );
    assert_eq!(rejected["peer"][1], party.gcd_port);
    drop(idle);
    node.process.wait_for_event("joined");
    party.agree(&[&node], 300);
}

#[test]
fn node_waits_for_a_late_coordinator() {
    let processes = Processes::new();
    let port = free_port();
    let node = processes.spawn("node", &mut node_command(port, 300, &[]));
    let rejected = node.wait_for_event("rejected");
    assert!(
        text(&rejected["why"]).contains("no coordinator"),
        "{rejected}"
    );
    let gcd = processes.python("gcd.py", "gcd.py", &[port.to_string()]);
    assert_eq!(gcd.port(), port);
    let joined = node.wait_for_event("joined");
    assert_eq!(joined["members"], 1);
    node.wait_for_event("leader");
}

/// Every way in which a coordinator says no, or fails to say anything.
#[test]
fn errors_of_the_coordinator_reach_the_user() {
    const WORDS: &str = "does not let us in: Something went wrong in the group coordinator";
    at_once(
        [
            ("--raw-error", WORDS),
            ("--str-error", WORDS),
            ("--empty", "never joined the group: localhost:"),
        ],
        |(manner, words)| {
            let party = Party::theirs(&[manner]);
            let mut command = node_command(party.gcd_port, 300, &["--no-probe"]);
            // The end of a node that keeps on trying; the others end by themselves.
            if manner == "--empty" {
                command = brief(party.gcd_port);
            }
            let node = party
                .processes
                .spawn(format!("node {manner}"), &mut command);
            assert_fails(&node, words);
            let rejected = node.wait_for_event("rejected");
            assert_eq!(rejected["peer"][1], party.gcd_port, "{rejected}");
            assert!(text(&rejected["why"]).len() > 10, "{rejected}");
        },
    );
}

/// A node that gives up soon.
fn brief(gcd_port: u16) -> Command {
    let port = gcd_port.to_string();
    let args = [
        "node",
        "localhost",
        &port,
        "1000300",
        "--days",
        "300",
        "--log",
        "json",
    ];
    crate::party::bully(&[&args[..], &["--for", "2s"]].concat())
}

fn assert_fails(node: &Process, words: &str) {
    let status = node.wait();
    assert_eq!(status.code(), Some(1), "{status}");
    let said = node.words();
    assert!(said.contains(words), "{said}");
    assert!(said.contains("tip: "), "{said}");
}

/// What our coordinator refuses reaches the user of a Python peer, and the other way round.
#[test]
fn nobody_is_let_in_twice_at_one_address_or_out_of_range() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    let peer = party.peer(366, &[]);
    let failed = peer.process.wait_for_event("join_failed");
    assert!(
        text(&failed["error"]).starts_with("Malformed process id"),
        "{failed}"
    );
    assert_eq!(peer.process.wait().code(), Some(4));
}

/// Some coordinators leave the newcomer out of its reply: the first member gets an empty one, and
/// has to find out from the others how they key members.
#[test]
fn first_reply_is_empty() {
    first_of_a_group(&[]);
}

/// The same where the user says how.
#[test]
fn first_reply_is_empty_and_the_user_knows_better() {
    first_of_a_group(&["--keyed-by", "pid"]);
}

fn first_of_a_group(switches: &[&str]) {
    let party = Party::theirs(&["--others-only"]);
    let node = party.node(300, switches).joined();
    let others = [party.peer(100, &[]), party.node(200, &[])];
    party.agree(&[&node, &others[0], &others[1]], 300);
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
