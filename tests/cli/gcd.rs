//! `bully gcd`, asked by hand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::process::Signal;
use serde_json::json;

use crate::program::{LIMIT, Program};
use crate::python::unpickled;

/// A message of protocol 0, which is text.
fn join(days: i64, id: i64, host: &str, port: i64) -> String {
    format!("(VJOIN\n((I{days}\nI{id}\nt(V{host}\nI{port}\nttt.")
}

fn ask(port: u16, message: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
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
        assert_eq!(joined.as_object().expect("an object").len(), 6, "{joined}");
        assert_eq!(gcd.await_event("joined")["members"], 2);
    }
}

#[test]
fn it_is_keyed_by_address_unless_told() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let answer = ask(gcd.port(), &join(5, 1_234_567, "127.0.0.1", 40_001));
    assert_eq!(unpickled(&answer), "{('127.0.0.1', 40001): (5, 1234567)}");
}

#[test]
fn what_it_refuses_it_refuses_in_the_published_words() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port();
    let pid = "'Malformed process id, expected (days_to_next_birthday, student_id)'";
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
        let rejected = gcd.next_json();
        assert_eq!(rejected["event"], "rejected", "{message:?}: {rejected}");
        assert_eq!(rejected["peer"][0], "127.0.0.1");
        let why = rejected["why"].as_str().expect("a reason");
        assert_eq!(format!("'{why}'"), expected, "{message:?}");
    }
    // Nobody of those got in.
    let answer = ask(port, &join(5, 1_234_567, "127.0.0.1", 40_001));
    assert_eq!(unpickled(&answer), "{('127.0.0.1', 40001): (5, 1234567)}");
}

#[test]
fn the_text_log_says_how_to_join() {
    let gcd = Program::start(&["gcd", "0"]);
    let line = gcd.await_text("listens at 127.0.0.1:");
    let port: u16 = line
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    gcd.await_text(&format!("bully node localhost {port} "));
    ask(port, &join(5, 1_234_567, "127.0.0.1", 40_001));
    gcd.await_text("lets in (5, 1234567) at 127.0.0.1:40001: 1 member");
    gcd.signal(Signal::INT);
    let left = gcd.finish();
    assert_eq!(left.code, Some(0));
    assert!(left.out.is_empty(), "{left:?}");
    assert!(left.err.contains("stopped"), "{left:?}");
}
