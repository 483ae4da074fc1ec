//! Ctrl-C, SIGTERM, and a reader that has gone.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use crate::program::{BULLY, LIMIT, Program, free_port};

#[test]
fn signals_end_every_command_in_order() {
    let port = free_port().to_string();
    let commands: [&[&str]; 3] = [
        &[
            "node",
            "localhost",
            &port,
            "1234567",
            "04-01",
            "--log",
            "json",
        ],
        &["gcd", "0", "--log", "json"],
        &["lab", "--log", "json"],
    ];
    for args in commands {
        for signal in [Signal::INT, Signal::TERM] {
            let program = Program::start(args);
            let members = if args[0] == "lab" { 5 } else { 0 };
            program.await_event("listening");
            for _ in 0..members {
                program.await_event("leader");
            }
            // A group that agrees when it is stopped has done what it should.
            thread::sleep(Duration::from_millis(100 * members));
            program.signal(signal);
            let left = program.finish();
            assert_eq!(left.code, Some(0), "{args:?} {signal:?}: {left:?}");
            let last = left.json().pop().expect("a last line");
            let expected = if args[0] == "lab" {
                "summary"
            } else {
                "stopped"
            };
            assert_eq!(last["event"], expected, "{args:?} {signal:?}");
        }
    }
}

#[test]
fn a_wait_does_not_put_off_a_signal() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    gcd.port();
    // Nothing is due in it, ever.
    thread::sleep(Duration::from_millis(300));
    let signalled = Instant::now();
    gcd.signal(Signal::INT);
    assert_eq!(gcd.finish().code, Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(2));
}

/// `nohup` and shells start programs with signals ignored that are not meant for them.
#[cfg(target_os = "linux")]
#[test]
fn an_ignored_signal_stays_ignored() {
    for (ignored, sent) in [
        ("INT", Signal::INT),
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
    ] {
        let mut command = Command::new("sh");
        let script = format!("trap '' {ignored}; exec \"$0\" gcd 0 --log json");
        let gcd = Program::start_command(command.args(["-c", &script, BULLY]));
        let port = gcd.port();
        gcd.signal(sent);
        // A signal would have come before the connection: it is there when kill returns.
        for _ in 0..2 {
            let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            client.set_read_timeout(Some(LIMIT)).expect("a time");
            client.write_all(b"VPROBE\n.").expect("it reads");
            let count = client.read(&mut [0; 100]).expect("an answer");
            assert!(count > 0, "{ignored} is not ignored any more");
        }
        let other = if sent == Signal::TERM {
            Signal::INT
        } else {
            Signal::TERM
        };
        gcd.signal(other);
        assert_eq!(gcd.finish().code, Some(0), "{ignored}");
    }
}

/// The end of a terminal ends a program that nobody has started with `nohup`.
#[test]
fn the_end_of_the_terminal_is_left_to_the_system() {
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    gcd.port();
    gcd.signal(Signal::HUP);
    assert_eq!(gcd.finish().code, None, "ended by a signal");
}

#[test]
fn the_end_of_the_reader_is_the_end_without_a_word() {
    let mut child = Command::new(BULLY)
        .args(["lab", "--feign", "close", "--seed", "1", "--log", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is there");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut String::new()).expect("a line");
    drop(out);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it was started") {
            break Some(status);
        }
        if started.elapsed() > LIMIT {
            let _ = child.kill();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let left = child.wait_with_output().expect("it has ended");
    assert!(status.expect("it ends").success());
    assert_eq!(String::from_utf8_lossy(&left.stderr), "");
}

#[test]
fn time_is_up_when_it_is() {
    let port = free_port().to_string();
    for (limit, least) in [("700ms", 700), ("1", 1_000), ("0.7s", 700)] {
        let started = Instant::now();
        let left = Program::run(&["gcd", &port, "--for", limit]);
        let took = started.elapsed();
        assert_eq!(left.code, Some(0));
        assert!(took >= Duration::from_millis(least), "{limit}: {took:?}");
        assert!(
            took < Duration::from_millis(least + 5_000),
            "{limit}: {took:?}"
        );
    }
}
