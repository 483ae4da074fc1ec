//! The program under test, started, watched and in any case ended.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) use bully_tests::process::{LIMIT, free_port};

/// The program's file.
pub(crate) const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

/// What a program has left behind.
#[derive(Debug)]
pub(crate) struct Left {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// What was left of stdout, by line.
    pub(crate) out: Vec<String>,
    /// What was left of stderr, in one.
    pub(crate) err: String,
}

impl Program {
    /// Starts `bully` with these arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_command(Command::new(BULLY).args(args))
    }

    pub(crate) fn start_command(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is there");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Self { child, out, err }
    }

    /// Runs it to its end.
    pub(crate) fn run(args: &[&str]) -> Left {
        Self::start(args).finish()
    }

    /// Starts `bully` with the words of `line`, which are divided by spaces.
    pub(crate) fn start_line(line: &str) -> Self {
        Self::start(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs it to its end with the words of `line`.
    pub(crate) fn run_line(line: &str) -> Left {
        Self::start_line(line).finish()
    }

    /// The next line on stdout, as JSON.
    pub(crate) fn next_json(&self) -> Value {
        let line = self.out.recv_timeout(LIMIT).expect("another line");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Reads stdout up to the first event of this name.
    pub(crate) fn await_event(&self, name: &str) -> Value {
        loop {
            let line = self.next_json();
            if line["event"] == name {
                return line;
            }
        }
    }

    /// The port of the `listening` event, which comes first.
    pub(crate) fn port(&self) -> u16 {
        let listening = self.await_event("listening");
        let port = listening["address"][1].as_u64().expect("a port");
        u16::try_from(port).expect("a port")
    }

    /// Reads stderr up to the first line that contains `text`.
    pub(crate) fn await_text(&self, text: &str) -> String {
        loop {
            let line = self.err.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The port in the line of the text log that says where it listens.
    pub(crate) fn port_in_text(&self) -> u16 {
        let line = self.await_text("listens at 127.0.0.1:");
        let port = line.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("a port")
    }

    /// The number of the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // It has not been waited for, so its number is still its own.
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(self) -> Left {
        self.finish_within(LIMIT)
    }

    /// Waits so long until it ends by itself.
    pub(crate) fn finish_within(mut self, limit: Duration) -> Left {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it was started") {
                break status;
            }
            assert!(started.elapsed() < limit, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        Left {
            code: status.code(),
            out: self.out.iter().collect(),
            err: self.err.iter().map(|line| line + "\n").collect(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Left {
    /// The lines of stdout, as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).expect("JSON");
        self.out.iter().map(parse).collect()
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
