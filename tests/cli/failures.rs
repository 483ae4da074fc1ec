//! What cannot be done: exit 1, what is wrong and what to do.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::program::{Left, Program, free_port};

fn assert_failed(left: &Left, expected: &[&str]) {
    assert_eq!(left.code, Some(1), "{left:?}");
    let at = left.err.rfind("error: ").expect("an error");
    let error = &left.err[at..];
    assert_eq!(
        error.lines().count(),
        2,
        "one line what, one line what next: {error}"
    );
    assert!(error.contains("\n  tip: "), "{error}");
    for text in expected {
        assert!(error.contains(text), "lacks {text:?}: {error}");
    }
}

#[test]
fn a_port_in_use_is_named_with_another_to_take() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = taken.local_addr().expect("bound").port();
    let left = Program::run(&["gcd", &port.to_string()]);
    assert_failed(&left, &[&format!("port {port} is taken"), "bully gcd "]);

    let bind = format!("127.0.0.1:{port}");
    let left = Program::run_line(&format!("node localhost 23600 1234567 04-01 --bind {bind}"));
    assert_failed(
        &left,
        &[&format!("port {port} is taken"), "--bind 127.0.0.1:0"],
    );
}

#[test]
fn an_address_of_another_machine_cannot_be_bound() {
    // A documentation address: nobody has it.
    let bind = ["--bind", "192.0.2.1:0"];
    let node = ["node", "localhost", "23600", "1234567", "04-01"];
    let left = Program::run(&[&node[..], &bind].concat());
    assert_failed(
        &left,
        &["192.0.2.1 is not an address of this machine", "127.0.0.1"],
    );
}

#[test]
fn a_coordinators_host_that_nobody_knows_is_an_error() {
    let left = Program::run(&["node", "no-such-host.invalid", "23600", "1234567", "04-01"]);
    assert_failed(&left, &["no-such-host.invalid", "localhost"]);
}

#[test]
fn an_absent_coordinator_is_a_line_per_try_and_a_failure_at_the_end() {
    let port = free_port().to_string();
    let left = Program::run_line(&format!("node localhost {port} 1234567 04-01 --for 2s"));
    assert_failed(
        &left,
        &[
            "never joined",
            &format!("localhost:{port}"),
            &format!("bully gcd {port}"),
        ],
    );
    let advice = format!("start one: bully gcd {port}");
    let tries = left.err.matches(&advice).count();
    // The pauses are 0.25 to 0.5 s, 0.5 to 1 s, 1 to 2 s.
    assert!((3..=4).contains(&tries), "{}", left.err);
    assert!(left.err.contains("stopped"), "{}", left.err);
}

/// `bully gcd` alone listens at 127.0.0.1, so that advice did not help.
#[test]
fn a_coordinator_at_another_loopback_address_is_started_with_bind() {
    let port = free_port().to_string();
    let args = ["1234567", "04-01", "--for", "100ms"];
    for host in ["127.0.0.2", "::1"] {
        let left = Program::run(&[&["node", host, &port], &args[..]].concat());
        let advice = format!("bully gcd {port} --bind {host}");
        assert_failed(&left, &["no coordinator at", &advice, "localhost"]);
    }
    for host in ["127.0.0.1", "localhost"] {
        let left = Program::run(&[&["node", host, &port], &args[..]].concat());
        assert_failed(&left, &[&format!("start one: bully gcd {port}\n")]);
    }
}

/// A member takes JOIN for a message that is not for it, and closes.
#[test]
fn a_member_taken_for_the_coordinator_is_no_coordinator() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    let member = Program::start_line(&format!(
        "node localhost {port} 7654321 --days 9 --log json"
    ));
    let port = member.port().to_string();
    let left = Program::run_line(&format!("node localhost {port} 1234567 04-01 --for 2s"));
    assert_failed(
        &left,
        &["gave no answer", "the coordinator, and no member?"],
    );
}

/// One that is no program of the lab's at all.
#[test]
fn a_web_server_taken_for_the_coordinator_is_no_coordinator() {
    let port = coordinator(b"HTTP/1.1 400 Bad Request\r\n\r\n").to_string();
    let left = Program::run_line(&format!("node localhost {port} 1234567 04-01 --for 2s"));
    let answer = "answered HTTP/1.1 400 Bad Request: it is no coordinator";
    assert_failed(&left, &[answer, &format!("localhost:{port}")]);
}

#[test]
fn who_is_refused_gets_a_tip_what_to_do() {
    let gcd = |args: &[&str]| {
        let gcd = Program::start(&[&["gcd", "0", "--log", "json"], args].concat());
        let port = gcd.port().to_string();
        (gcd, port)
    };
    let node = |port: &str, args: &[&str]| {
        let node = [
            "node",
            "localhost",
            port,
            "1234567",
            "04-01",
            "--for",
            "20s",
        ];
        Program::run(&[&node[..], args].concat())
    };
    let (_gcd, port) = gcd(&[]);
    let left = node(&port, &["--bind", "0.0.0.0", "--advertise", "192.0.2.1"]);
    let words = [
        "Only local group members",
        "leave out --bind and --advertise",
        "gcd --bind",
    ];
    assert_failed(&left, &words);

    let (_gcd, port) = gcd(&["--capacity", "1"]);
    let listener = Program::start_line(&format!("node localhost {port} 7654321 04-01 --log json"));
    listener.await_event("joined");
    let left = node(&port, &[]);
    assert_failed(&left, &["The group is full", "--capacity"]);
}

#[test]
fn a_coordinator_that_comes_later_is_found() {
    let port = free_port().to_string();
    let node = Program::start_line(&format!(
        "node localhost {port} 1234567 04-01 --for 20s --log json"
    ));
    let rejected = node.await_event("rejected");
    assert_eq!(rejected["peer"][0], "localhost");
    assert_eq!(rejected["peer"][1].to_string(), port);
    let _gcd = Program::start(&["gcd", &port]);
    assert_eq!(node.await_event("joined")["members"], 1);
    node.await_event("leader");
}

/// A coordinator that answers everything with these bytes.
fn coordinator(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        }
    });
    port
}

#[test]
fn a_coordinators_refusal_is_logged_as_it_came() {
    for (answer, words) in [
        // As gcd2.py does it, by a pickled text.
        (
            &b"VOnly local group members currently allowed\np0\n."[..],
            "Only local group members currently allowed",
        ),
        (b"\x80\x04\x8c\x0bGo away now\x94.", "Go away now"),
        // And when it was tripped, by text that is no pickle.
        (
            b"Expected a pickled message, got b'x'\n",
            "Expected a pickled message, got b'x'",
        ),
    ] {
        let port = coordinator(answer).to_string();
        let left = Program::run_line(&format!("node localhost {port} 1234567 04-01 --for 20s"));
        assert_failed(&left, &[words, &format!("localhost:{port}")]);
    }
}

#[test]
fn a_coordinator_that_answers_nothing_is_asked_again() {
    let port = coordinator(b"").to_string();
    let left = Program::run_line(&format!(
        "node localhost {port} 1234567 04-01 --for 1s --log json"
    ));
    assert_failed(&left, &["never joined", "no answer"]);
    let rejected = left
        .json()
        .iter()
        .filter(|line| line["event"] == "rejected")
        .count();
    assert!(rejected >= 2, "{left:?}");
}

#[test]
fn what_others_may_not_reach_is_warned_of() {
    let port = free_port().to_string();
    let advertise = |host: &str| {
        Program::run_line(&format!(
            "node localhost {port} 1234567 04-01 --for 100ms --advertise {host}"
        ))
    };
    let left = advertise("no-such-host.invalid");
    assert!(left.err.contains("warning: "), "{left:?}");
    let left = advertise("192.0.2.1");
    assert!(left.err.contains("add --bind 0.0.0.0:0"), "{left:?}");
    let left = advertise("localhost");
    assert!(!left.err.contains("warning: "), "{left:?}");
}
