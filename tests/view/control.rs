//! `--control` and those who ask there: each phase of an election, and clients that mean no good.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use bully_tests::process::{LIMIT, Process, Processes, python};
use serde_json::Value;

use crate::runs::{BULLY, Folder, bully, said, text};

fn start(processes: &Processes, name: &str, args: &[&str]) -> Process {
    processes.spawn(name, Command::new(BULLY).args(args))
}

/// A coordinator and its port.
fn coordinator(processes: &Processes) -> (Process, String) {
    let gcd = start(processes, "gcd", &["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    (gcd, port)
}

/// A member of the group at `port`, and where it answers.
fn member(processes: &Processes, folder: &Folder, port: &str, more: &[&str]) -> (Process, PathBuf) {
    another(processes, folder, port, "1234567", more)
}

/// The same with this SU ID.
fn another(
    processes: &Processes,
    folder: &Folder,
    port: &str,
    id: &str,
    more: &[&str],
) -> (Process, PathBuf) {
    let socket = folder.file(&format!("socket-{id}"));
    let at = format!("unix:{}", socket.display());
    let args = [
        "node",
        "localhost",
        port,
        id,
        "--days",
        "9",
        "--log",
        "json",
        "--control",
        &at,
    ];
    let node = start(processes, "node", &[&args, more].concat());
    node.wait_for_event("listening");
    (node, socket)
}

/// What a member says of itself, by the socket itself: the program takes longer than some phases do.
fn ask(socket: &Path, question: &str) -> Value {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    writeln!(stream, "{{\"ask\":\"{question}\"}}").expect("it reads");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .expect("it answers");
    serde_json::from_str(&line).expect("JSON")
}

fn await_state(processes: &Processes, socket: &Path, state: &str) -> Value {
    let mut answer = Value::Null;
    processes.wait_until(state, LIMIT, || {
        answer = ask(socket, "status");
        answer["views"][0]["state"] == state
    });
    answer
}

fn status(socket: &Path, more: &[&str]) -> (Option<i32>, String) {
    let at = format!("unix:{}", socket.display());
    let output = bully(&[&["status", "--control", &at], more].concat());
    (output.status.code(), text(&output) + &said(&output))
}

#[test]
fn who_has_not_joined_knows_no_leader() {
    let (processes, folder) = (Processes::new(), Folder::new("joining"));
    let port = bully_tests::process::free_port().to_string();
    let (_node, socket) = member(&processes, &folder, &port, &[]);
    let (code, text) = status(&socket, &[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("(9, 1234567) joining for "), "{text}");
    assert!(text.starts_with("state 0."), "{text}");
}

#[test]
fn who_is_alone_leads_and_ends_when_it_is_asked_to() {
    let (processes, folder) = (Processes::new(), Folder::new("leading"));
    let (_gcd, port) = coordinator(&processes);
    let (node, socket) = member(&processes, &folder, &port, &[]);
    await_state(&processes, &socket, "leading");
    let (code, text) = status(&socket, &["--format", "csv"]);
    assert_eq!(code, Some(0), "{text}");
    let row = text.lines().nth(1).expect("a row");
    assert!(row.contains(",9,1234567,leading,9,1234567,"), "{text}");

    let listed = ask(&socket, "members");
    assert_eq!(listed["listed"][0][0], serde_json::json!([9, 1_234_567]));
    assert_eq!(listed["listed"][0][1], "127.0.0.1");
    assert!(ask(&socket, "status").get("listed").is_none());

    assert_eq!(ask(&socket, "resign")["views"][0]["state"], "leading");
    assert!(node.wait().success());
    assert!(!socket.exists(), "the socket goes with its program");
    let (code, text) = status(&socket, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is it running"), "{text}");
}

#[test]
fn who_asks_a_silent_greater_member_is_seen_electing() {
    let (processes, folder) = (Processes::new(), Folder::new("electing"));
    let (_gcd, port) = coordinator(&processes);
    let greater = processes.spawn("greater", python("greater.py").args([&port, "silent"]));
    greater.wait_for_event("listening");
    // It elects for a second: on a machine that is busier than that another one is asked.
    for more in 0.. {
        assert!(more < 10, "ten members were never seen to elect");
        let id = format!("{}", 1_234_567 + more);
        let (_node, socket) = another(&processes, &folder, &port, &id, &[]);
        let mut answer = Value::Null;
        processes.wait_until("an election", LIMIT, || {
            answer = ask(&socket, "status");
            ["electing", "leading"]
                .iter()
                .any(|state| answer["views"][0]["state"] == *state)
        });
        if answer["views"][0]["state"] == "electing" {
            assert_eq!(answer["views"][0]["leader"], Value::Null, "{answer}");
            break;
        }
    }
    let (_node, socket) = another(&processes, &folder, &port, "2345678", &[]);
    let answer = await_state(&processes, &socket, "leading");
    assert_eq!(answer["views"][0]["confirmed_s"], 0.0, "{answer}");
}

#[test]
fn who_waits_and_then_follows_says_how_old_that_is() {
    let (processes, folder) = (Processes::new(), Folder::new("waiting"));
    let (_gcd, port) = coordinator(&processes);
    let now = folder.file("now");
    let mut command = python("greater.py");
    let greater = processes.spawn("greater", command.args([&port, "ok"]).arg(&now));
    greater.wait_for_event("listening");
    let (_node, socket) = member(&processes, &folder, &port, &[]);
    let answer = await_state(&processes, &socket, "waiting");
    assert_eq!(answer["views"][0]["leader"], Value::Null, "{answer}");
    folder.write("now", "");
    let answer = await_state(&processes, &socket, "following");
    assert_eq!(
        answer["views"][0]["leader"],
        serde_json::json!([365, 9_999_999])
    );
    assert!(answer["views"][0]["confirmed_s"].is_number(), "{answer}");
    let (code, text) = status(&socket, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("follows (365, 9999999)"), "{text}");
    // It accepts connections and answers no PROBE: it may live, and nobody has had a message from it.
    processes.wait_until("a stale view", LIMIT, || {
        let (code, text) = status(&socket, &[]);
        assert_eq!(code, Some(0), "{text}");
        text.contains("this may be out of date")
    });
}

#[test]
fn a_feigned_failure_is_seen_and_sent_to_those_who_monitor() {
    let (processes, folder) = (Processes::new(), Folder::new("failed"));
    let (_gcd, port) = coordinator(&processes);
    let (_node, socket) = member(&processes, &folder, &port, &["--feign", "close"]);
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
        .write_all(b"{\"ask\":\"monitor\"}\n")
        .expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().expect("an answer").expect("it is read");
    assert!(first.starts_with("{\"answer\":\"status\""), "{first}");
    let mut lines = lines.map(|line| line.expect("it is read"));
    let failed = lines.find(|line| line.contains("\"event\":\"failed\""));
    assert!(failed.expect("events").contains("\"node\":[9,1234567]"));
    await_state(&processes, &socket, "failed");
}

#[test]
fn clients_are_bounded_in_number_and_in_what_they_say() {
    let (processes, folder) = (Processes::new(), Folder::new("clients"));
    let (_gcd, port) = coordinator(&processes);
    let (_node, socket) = member(&processes, &folder, &port, &[]);
    await_state(&processes, &socket, "leading");

    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
    for question in ["hello", "{\"ask\":\"lead\"}", "[]", "{\"ask\":7}"] {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let asked = format!("{question}\n{{\"ask\":\"resign\"}}\n");
        stream.write_all(asked.as_bytes()).expect("it reads");
        let lines: Vec<_> = BufReader::new(stream)
            .lines()
            .map_while(Result::ok)
            .collect();
        assert_eq!(
            lines.len(),
            1,
            "and nothing that follows is obeyed: {lines:?}"
        );
        assert!(lines[0].contains("that is no question"), "{lines:?}");
    }
    writeln!(stream, "{{\"ask\":\"status\"}}").expect("it reads");
    let line = lines.next().expect("an answer").expect("it is read");
    assert!(line.contains("\"leading\""), "it goes on: {line}");
    stream.write_all(&[b'x'; 4096]).expect("it reads");
    let line = lines.next().expect("an answer").expect("it is read");
    assert!(line.contains("4096 bytes at most"), "{line}");
    assert!(lines.next().is_none(), "and is closed");

    let idle: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(&socket).expect("it listens"))
        .collect();
    assert_eq!(ask(&socket, "status")["views"][0]["state"], "leading");
    let mut first = idle.first().expect("one");
    first.set_read_timeout(Some(LIMIT)).expect("a limit");
    assert_eq!(
        first.read(&mut [0; 9]).expect("it is closed"),
        0,
        "the first has given way"
    );
}

#[test]
fn whoever_asks_much_and_reads_it_has_all_of_it() {
    let (processes, folder) = (Processes::new(), Folder::new("much"));
    let socket = folder.file("socket");
    let at = format!("unix:{}", socket.display());
    let args = ["lab", "--members", "300", "--control", &at];
    let _lab = start(&processes, "lab", &args);
    processes.wait_until("a socket", LIMIT, || UnixStream::connect(&socket).is_ok());
    processes.wait_until("300 members listed", LIMIT, || {
        ask(&socket, "members")["listed"]
            .as_array()
            .is_some_and(|listed| listed.len() == 300)
    });
    // More than a megabyte in all, and what is read meanwhile is not.
    const QUESTIONS: usize = 100;
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let answers = BufReader::new(stream.try_clone().expect("a handle"));
    stream
        .write_all("{\"ask\":\"members\"}\n".repeat(QUESTIONS).as_bytes())
        .expect("it reads");
    let lines = answers.lines().take(QUESTIONS).map_while(Result::ok);
    let (count, bytes) = lines.fold((0, 0), |(count, bytes), line| {
        (count + 1, bytes + line.len())
    });
    assert_eq!(count, QUESTIONS);
    assert!(bytes > 1 << 20, "{bytes} bytes");
}

#[test]
fn a_monitor_that_asks_nothing_more_goes_on() {
    let (processes, folder) = (Processes::new(), Folder::new("half"));
    let (_gcd, port) = coordinator(&processes);
    let (_node, socket) = member(&processes, &folder, &port, &["--feign", "close"]);
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
        .write_all(b"{\"ask\":\"monitor\"}\n")
        .expect("it reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"event\":\"failed\"")));
}

#[test]
fn a_program_that_ends_leaves_the_socket_of_another_alone() {
    let (processes, folder) = (Processes::new(), Folder::new("another"));
    let (_gcd, port) = coordinator(&processes);
    let (node, socket) = member(&processes, &folder, &port, &[]);
    std::fs::remove_file(&socket).expect("it is there");
    let (_other, same) = member(&processes, &folder, &port, &[]);
    assert_eq!(socket, same);
    node.terminate();
    node.wait();
    assert!(ask(&socket, "status")["views"].is_array());
}

/// A shell has its terminal back, and nothing runs on that nobody sees.
#[test]
fn a_lab_on_the_terminal_ends_with_what_shows_it() {
    for signal in ["SIGTERM", "SIGHUP", "SIGKILL"] {
        let output = bully_tests::process::python("terminal.py")
            .args([signal, BULLY, "lab", "--members", "3", "--top"])
            .output();
        let output = output.expect("there is Python");
        let left: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{signal}: {}", said(&output)));
        assert_eq!(left["child_ended"], true, "{signal}");
        // Nobody can tidy up after itself who is ended by SIGKILL.
        assert_eq!(left["echoes"], signal != "SIGKILL", "{signal}");
    }
}

#[test]
fn a_place_is_only_taken_from_a_program_that_has_ended() {
    let (processes, folder) = (Processes::new(), Folder::new("places"));
    let (_gcd, port) = coordinator(&processes);
    let (node, socket) = member(&processes, &folder, &port, &[]);
    let at = format!("unix:{}", socket.display());
    let args = ["lab", "--for", "1s", "--control", &at];
    let second = bully(&args);
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    assert!(
        said(&second).contains("another program is there"),
        "{}",
        said(&second)
    );
    node.kill();
    node.wait();
    assert!(socket.exists(), "it had no time to remove it");
    let third = bully(&args);
    assert_eq!(third.status.code(), Some(0), "{}", said(&third));

    let file = folder.write("file", "precious");
    let at = format!("unix:{}", file.display());
    let fourth = bully(&["lab", "--for", "1s", "--control", &at]);
    assert_eq!(fourth.status.code(), Some(1), "{}", said(&fourth));
    assert_eq!(
        std::fs::read_to_string(file).expect("it is there"),
        "precious"
    );
    let open = bully(&["lab", "--for", "1s", "--control", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(2), "{}", said(&open));
}

#[test]
fn a_lab_reports_all_its_members() {
    let (processes, folder) = (Processes::new(), Folder::new("lab"));
    let socket = folder.file("socket");
    let at = format!("unix:{}", socket.display());
    let lab = start(
        &processes,
        "lab",
        &[
            "lab",
            "--members",
            "12",
            "--log",
            "json-brief",
            "--control",
            &at,
        ],
    );
    lab.wait_for_event("listening");
    processes.wait_until("agreement", LIMIT, || {
        let answer = ask(&socket, "status");
        let views = answer["views"].as_array().expect("views");
        assert_eq!(views.len(), 12);
        let leaders = views.iter().map(|view| &view["leader"]);
        leaders
            .clone()
            .all(|leader| leader.is_array() && Some(leader) == leaders.clone().next())
    });
    let (code, text) = status(&socket, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches(" follows ").count(), 11, "{text}");
    let _ = ask(&socket, "resign");
    let ended = std::time::Instant::now();
    assert!(lab.wait().success());
    assert!(ended.elapsed() < LIMIT + Duration::from_secs(1));
}
