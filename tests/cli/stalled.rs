//! Logs that nobody reads, or that cannot be written.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{BULLY, LIMIT, Program, free_port};

/// A stream that takes not one byte more, and whoever could read it.
fn full() -> (UnixStream, Stdio) {
    let (reader, mut writer) = UnixStream::pair().expect("a pair of sockets");
    writer.set_nonblocking(true).expect("it can");
    for piece in [&[b'\n'; 4096][..], b"\n"] {
        while writer.write(piece).is_ok() {}
    }
    // The program is to block on it, if it cannot help it.
    writer.set_nonblocking(false).expect("it can");
    (reader, Stdio::from(OwnedFd::from(writer)))
}

/// A child that is ended in any case.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a message and returns the answer; `None` if nobody listens.
fn ask(port: u16, message: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    stream.write_all(message).ok()?;
    let mut answer = vec![0; 100];
    let count = stream.read(&mut answer).unwrap_or(0);
    answer.truncate(count);
    Some(answer)
}

/// A leader whose log is not read is sent bad messages: it answers every PROBE, and ends.
fn leads_on(log: &str) {
    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let (coordinator, port) = (gcd.port().to_string(), free_port());
    let (_reader, full) = full();
    let mut command = Command::new(BULLY);
    command
        .args(["node", "localhost", &coordinator, "1234567", "--days", "9"])
        .args(["--bind", &format!("127.0.0.1:{port}"), "--log", log])
        .stdin(Stdio::null());
    if log == "text" {
        command.arg("--verbose").stdout(Stdio::null()).stderr(full);
    } else {
        command.stdout(full).stderr(Stdio::null());
    }
    let mut node = Running(command.spawn().expect("it is there"));
    gcd.await_event("joined");
    let started = Instant::now();
    while ask(port, b"(VPROBE\nNt.").is_none_or(|answer| answer.is_empty()) {
        assert!(started.elapsed() < LIMIT, "it does not listen");
    }
    let mut slowest = Duration::ZERO;
    let mut connections = VecDeque::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let message = format!("VBAD{number}\n.");
        stream.write_all(message.as_bytes()).expect("it is open");
        connections.push_back(stream);
        if connections.len() > 8 {
            connections.pop_front();
        }
        if number % 10 == 0 {
            let asked = Instant::now();
            let answer = ask(port, b"(VPROBE\nNt.").expect("it listens");
            assert!(
                !answer.is_empty(),
                "{log}: no OK after {number} bad messages"
            );
            slowest = slowest.max(asked.elapsed());
        }
    }
    let signalled = Instant::now();
    kill_process(Pid::from_child(&node.0), Signal::TERM).expect("it runs");
    let status = loop {
        if let Some(status) = node.0.try_wait().expect("it was started") {
            break status;
        }
        assert!(signalled.elapsed() < LIMIT, "{log}: it does not end");
        thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{log}: {status}");
    // Not asserted, for they depend on what else the machine does.
    let end = signalled.elapsed();
    println!("{log}: slowest PROBE of 100 {slowest:?}, end after SIGTERM {end:?}");
}

#[test]
fn a_leader_whose_log_is_not_read_leads_on_and_ends_when_asked() {
    for log in ["json", "text"] {
        leads_on(log);
    }
}

/// A reader who comes back finds whole lines, in order, up to the last.
#[test]
fn a_reader_who_comes_back_has_missed_nothing() {
    let (mut reader, full) = full();
    let mut command = Command::new(BULLY);
    command
        .args(["lab", "--members", "30", "--for", "2s", "--log", "json"])
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::null());
    let mut lab = Running(command.spawn().expect("it is there"));
    // Only the program is to hold the other end.
    drop(command);
    thread::sleep(Duration::from_secs(1));
    reader.set_read_timeout(Some(LIMIT)).expect("a time");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it ends");
    assert!(lab.0.wait().expect("it was started").success());
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("whole lines"))
        .collect();
    let sent = lines.iter().filter(|line| line["dir"] == "send");
    let last = lines.last().expect("a last line");
    assert_eq!(last["event"], "summary");
    let counted = last["messages"].as_object().expect("counts").values();
    let counted: u64 = counted.filter_map(serde_json::Value::as_u64).sum();
    // Those of the coordinator are counted apart.
    let members = lines
        .iter()
        .filter(|line| line["kind"] == "MEMBERS" && line["dir"] == "send");
    assert_eq!(sent.count() - members.count(), counted as usize);
}

/// On a full device a program whose output is what it is for fails; a node outlives its log.
#[cfg(target_os = "linux")]
#[test]
fn output_on_a_full_device_is_a_failure_but_for_a_node() {
    let device = || {
        let file = std::fs::File::options().write(true).open("/dev/full");
        Stdio::from(file.expect("Linux has it"))
    };
    let cases: [(&[&str], bool); 7] = [
        (&["gcd", "0", "--for", "60s", "--log", "json"], true),
        (&["lab", "--for", "60s", "--log", "json"], true),
        (&["sim", "--seed", "1"], true),
        (&["sim", "--seed", "1", "--trace"], true),
        (&["bench", "--quick", "--only", "table"], true),
        (&["gcd", "0", "--for", "60s"], false),
        (&["lab", "--for", "60s"], false),
    ];
    for (args, to_stdout) in cases {
        let mut command = Command::new(BULLY);
        command.args(args).stdin(Stdio::null());
        if to_stdout {
            command.stdout(device()).stderr(Stdio::piped());
        } else {
            command.stdout(Stdio::null()).stderr(device());
        }
        let left = command.output().expect("it is there");
        assert_eq!(left.status.code(), Some(1), "{args:?}");
        if to_stdout {
            let error = String::from_utf8_lossy(&left.stderr).into_owned();
            assert!(
                error.contains("cannot be written: No space left"),
                "{error}"
            );
            assert!(error.contains("\n  tip: "), "{error}");
        }
    }

    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let port = gcd.port().to_string();
    let mut command = Command::new(BULLY);
    command
        .args(["node", "localhost", &port, "1234567", "--days", "9"])
        .args(["--for", "3s", "--log", "json"])
        .stdin(Stdio::null())
        .stdout(device());
    let left = command.output().expect("it is there");
    let error = String::from_utf8_lossy(&left.stderr).into_owned();
    assert_eq!(left.status.code(), Some(0), "{error}");
    assert!(error.contains("the log cannot be written"), "{error}");
    gcd.await_event("joined");
}
