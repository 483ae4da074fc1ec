//! `bully gcd`, asked by hand.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use rustix::process::Signal;
use serde_json::json;

use crate::program::{LIMIT, Program};
use crate::python::unpickled;

/// A message of protocol 0, which is text.
fn join(days: i64, id: i64, host: &str, port: i64) -> String {
    format!("(VJOIN\n((I{days}\nI{id}\nt(V{host}\nI{port}\nttt.")
}

fn ask(port: u16, message: &str) -> Vec<u8> {
    ask_at("127.0.0.1", port, message)
}

fn ask_at(host: &str, port: u16, message: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect((host, port)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    stream.write_all(message.as_bytes()).expect("it reads");
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).expect("an answer");
    answer.truncate(count);
    let _ = stream.shutdown(Shutdown::Both);
    answer
}

#[test]
fn join_is_answered_with_everybody_who_ever_joined() {
    for (keyed_by, one, two) in [
        (
            "address",
            "{('127.0.0.1', 40001): (5, 1234567)}",
            "{('127.0.0.1', 40001): (5, 1234567), ('127.0.0.1', 40002): (6, 7654321)}",
        ),
        (
            "pid",
            "{(5, 1234567): ('127.0.0.1', 40001)}",
            "{(5, 1234567): ('127.0.0.1', 40001), (6, 7654321): ('127.0.0.1', 40002)}",
        ),
    ] {
        let gcd = Program::start(&["gcd", "0", "--keyed-by", keyed_by, "--log", "json"]);
        let port = gcd.port();
        assert_eq!(
            unpickled(&ask(port, &join(5, 1_234_567, "127.0.0.1", 40_001))),
            one
        );
        assert_eq!(
            unpickled(&ask(port, &join(6, 7_654_321, "localhost", 40_002))),
            two
        );
        let joined = gcd.await_event("joined");
        assert_eq!(joined["node"], json!(null));
        assert_eq!(joined["member"], json!([5, 1_234_567]));
        assert_eq!(joined["address"], json!(["127.0.0.1", 40_001]));
        assert_eq!(joined["members"], 1);
        assert_eq!(joined.as_object().expect("an object").len(), 7, "{joined}");
        assert_eq!(gcd.await_event("joined")["members"], 2);
    }
}

/// Two programs with one process id both led for ever, and neither noticed.
#[test]
fn two_programs_with_one_pid_get_an_event_about_each_other() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    let node = format!("node localhost {port} 1234567 --days 9 --log json");
    let first = Program::start_line(&node);
    let first_port = first.port();
    first.await_event("leader");
    let second = Program::start_line(&node);
    let second_port = second.port();
    // At once: by its first JOIN.
    let reported = second.await_event("pid_in_use");
    assert_eq!(reported["node"], json!([9, 1_234_567]));
    assert_eq!(reported["address"], json!(["127.0.0.1", first_port]));
    let moved = gcd.await_event("moved");
    assert_eq!(moved["member"], json!([9, 1_234_567]));
    assert_eq!(moved["before"], json!(["127.0.0.1", first_port]));
    // By its next JOIN: a leader asks every ten seconds.
    let reported = first.await_event("pid_in_use");
    assert_eq!(reported["address"], json!(["127.0.0.1", second_port]));
}

#[test]
fn it_is_keyed_by_address_by_default() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let answer = ask(gcd.port(), &join(5, 1_234_567, "127.0.0.1", 40_001));
    assert_eq!(unpickled(&answer), "{('127.0.0.1', 40001): (5, 1234567)}");
}

#[test]
fn what_it_refuses_it_refuses_in_the_published_words() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port();
    let pid = "'Malformed process id, expected (days_to_next_birthday, student_id)'";
    let mut reported = HashSet::new();
    for (message, expected) in [
        (join(0, 1_234_567, "127.0.0.1", 5), pid),
        (join(366, 1_234_567, "127.0.0.1", 5), pid),
        (join(5, 999_999, "127.0.0.1", 5), pid),
        (join(5, 10_000_000, "127.0.0.1", 5), pid),
        (join(5, 1_234_567, "127.0.0.1", 0), "'Invalid port number'"),
        (
            join(5, 1_234_567, "127.0.0.1", 65_536),
            "'Invalid port number'",
        ),
        (
            join(5, 1_234_567, "10.1.2.3", 5),
            "'Only local group members currently allowed'",
        ),
        ("(VLEAVE\nNt.".to_owned(), "'Unexpected message: LEAVE'"),
        // A name of the lab's, but not one for a coordinator.
        ("(VPROBE\nNt.".to_owned(), "'Unexpected message: PROBE'"),
    ] {
        assert_eq!(unpickled(&ask(port, &message)), expected, "{message:?}");
        // The log reports each reason once.
        if !reported.insert(expected) {
            continue;
        }
        let rejected = gcd.await_event("rejected");
        assert_eq!(rejected["event"], "rejected", "{message:?}: {rejected}");
        assert_eq!(rejected["peer"][0], "127.0.0.1");
        let why = rejected["why"].as_str().expect("a reason");
        assert_eq!(format!("'{why}'"), expected, "{message:?}");
    }
    // Nobody of those got in.
    let answer = ask(port, &join(5, 1_234_567, "127.0.0.1", 40_001));
    assert_eq!(unpickled(&answer), "{('127.0.0.1', 40001): (5, 1234567)}");
}

/// A thousand JOINs once filled the coordinator, and it refused everybody until it was restarted.
#[test]
fn a_flood_of_joins_keeps_no_newcomer_out() {
    let gcd = Program::start_line("gcd 0 --capacity 8 --log json");
    let port = gcd.port();
    // One of them listens. The others are at ports where nobody has listened since.
    let alive = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let alive = alive.local_addr().expect("bound").port();
    ask(port, &join(5, 1_000_000, "127.0.0.1", alive.into()));
    for forged in 1..=40 {
        let answer = ask(port, &join(5, 1_000_000 + forged, "127.0.0.1", forged));
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("full"), "{forged}: {answer}");
    }
    let answer = unpickled(&ask(port, &join(6, 7_654_321, "127.0.0.1", 41)));
    assert!(answer.contains("(6, 7654321)"), "{answer}");
    let removed = gcd.await_event("removed");
    assert_eq!(removed["node"], json!(null));
    assert_eq!(removed["member"][0], 5);
    let alive = alive.to_string();
    assert_eq!(removed["address"][0], "127.0.0.1");
    assert_ne!(removed["address"][1].to_string(), alive, "it listens");
    assert_eq!(answer.matches("127.0.0.1").count(), 8, "{answer}");
}

#[test]
fn full_of_members_that_listen_it_says_so() {
    for keyed_by in ["address", "pid"] {
        let gcd = ["gcd", "0", "--capacity", "2", "--keyed-by", keyed_by];
        let gcd = Program::start(&[&gcd[..], &["--log", "json"]].concat());
        let port = gcd.port();
        let listen = |_| TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let listeners = [1, 2].map(listen);
        let at = |listener: &TcpListener| listener.local_addr().expect("bound").port();
        for (id, listener) in (1_234_567..).zip(&listeners) {
            ask(port, &join(5, id, "127.0.0.1", at(listener).into()));
        }
        let answer = unpickled(&ask(port, &join(6, 7_654_321, "127.0.0.1", 41)));
        let expected = "The group is full, there is no room for another member";
        assert_eq!(answer, format!("'{expected}'"));
        assert_eq!(gcd.await_event("rejected")["why"], expected);
        // They were asked in a message that any program understands, and may take their time.
        for (id, listener) in (1_234_567..).zip(&listeners) {
            let (mut stream, _) = listener.accept().expect("it was probed");
            stream.set_read_timeout(Some(LIMIT)).expect("a time");
            let mut message = [0; 100];
            let count = stream.read(&mut message).expect("a message");
            let data = match keyed_by {
                "address" => "None".to_owned(),
                _ => format!("{{(5, {id}): ('127.0.0.1', {})}}", at(listener)),
            };
            assert_eq!(unpickled(&message[..count]), format!("('PROBE', {data})"));
            stream.write_all(b"VOK\n.").expect("nobody has hung up");
        }
    }
}

/// Of two programs with one process id each replaced the other, and nobody said a word.
#[test]
fn a_process_id_that_moves_is_reported_with_what_may_be_wrong() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port();
    for at in [40_001, 40_002] {
        ask(port, &join(5, 1_234_567, "127.0.0.1", at));
    }
    let moved = gcd.await_event("moved");
    assert_eq!(moved["member"], json!([5, 1_234_567]));
    assert_eq!(moved["address"], json!(["127.0.0.1", 40_002]));
    assert_eq!(moved["before"], json!(["127.0.0.1", 40_001]));
    let gcd = Program::start(&["gcd", "0"]);
    let port = gcd.port_in_text();
    for at in [40_001, 40_002] {
        ask(port, &join(5, 1_234_567, "127.0.0.1", at));
    }
    let line = gcd.await_text("no longer at 127.0.0.1:40001");
    for text in [
        "started anew",
        "two programs run as (5, 1234567)",
        "another SU ID",
    ] {
        assert!(line.contains(text), "{line}");
    }
}

#[test]
fn it_listens_at_the_given_port() {
    for (bind, host) in [
        ("127.0.0.2", "127.0.0.2"),
        ("localhost", "127.0.0.1"),
        ("::1", "::1"),
    ] {
        let gcd = Program::start(&["gcd", "0", "--bind", bind, "--log", "json"]);
        let address = gcd.await_event("listening")["address"].clone();
        assert_eq!(address[0], host);
        let port = address[1].as_u64().expect("a port");
        let port = u16::try_from(port).expect("a port");
        let answer = ask_at(host, port, &join(5, 1_234_567, "127.0.0.1", 40_001));
        assert_eq!(unpickled(&answer), "{('127.0.0.1', 40001): (5, 1234567)}");
    }
}

#[test]
fn the_text_log_says_what_the_course_s_programs_need() {
    let gcd = Program::start(&["gcd", "0"]);
    gcd.await_text("need --keyed-by pid");
    let gcd = Program::start(&["gcd", "0", "--keyed-by", "pid"]);
    gcd.await_text("to join");
    gcd.signal(Signal::INT);
    let left = gcd.finish();
    assert!(!left.err.contains("--keyed-by"), "{left:?}");
}

#[test]
fn the_text_log_says_how_to_join() {
    let gcd = Program::start(&["gcd", "0"]);
    let port = gcd.port_in_text();
    gcd.await_text(&format!("bully node localhost {port} "));
    ask(port, &join(5, 1_234_567, "127.0.0.1", 40_001));
    gcd.await_text("(5, 1234567) joined at 127.0.0.1:40001: 1 member");
    gcd.signal(Signal::INT);
    let left = gcd.finish();
    assert_eq!(left.code, Some(0));
    assert!(left.out.is_empty(), "{left:?}");
    assert!(left.err.contains("stopped"), "{left:?}");
}
