//! CPython, in a process of its own that measures itself.

use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads `messages` pickles first; then a word and a count a line, and answers each with a number:
/// `loads N` and `dumps N` with nanoseconds for N of them, taking turns among the messages, `size`
/// with the bytes that it writes for the first, `resident` with its own bytes in memory.
const SCRIPT: &str = r#"
import gc, pickle, selectors, socket, sys
from time import perf_counter_ns as now
gc.disable()
pickles, objects = [], []
source = sys.stdin.buffer
def loads(count):
    turns = [pickles[turn % len(pickles)] for turn in range(count)]
    loads, begin = pickle.loads, now()
    for pickled in turns:
        loads(pickled)
    return now() - begin
def dumps(count):
    turns = [objects[turn % len(objects)] for turn in range(count)]
    dumps, begin = pickle.dumps, now()
    for message in turns:
        dumps(message)
    return now() - begin
def resident():
    try:
        for line in open("/proc/self/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
while line := source.readline():
    word, count = line.split()
    count = int(count)
    if word == b"messages":
        pickles = [source.read(int(source.readline())) for _ in range(count)]
        objects = [pickle.loads(pickled) for pickled in pickles]
        answer = len(objects)
    elif word == b"loads":
        answer = loads(count)
    elif word == b"dumps":
        answer = dumps(count)
    elif word == b"size":
        answer = len(pickle.dumps(objects[0]))
    else:
        answer = resident()
    print(answer, flush=True)
"#;

/// A running CPython; it ends when its input does.
#[derive(Debug)]
pub struct Python {
    child: Child,
    /// `None` once it is to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    resident: u64,
}

impl Python {
    /// Starts one; `None` if there is none, or it does not work.
    pub fn start() -> Option<Self> {
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut python = Self {
            input: Some(child.stdin.take()?),
            output: BufReader::new(child.stdout.take()?),
            child,
            resident: 0,
        };
        python.resident = python.ask(b"resident 0\n").ok()?;
        Some(python)
    }

    /// Gives it the messages that it is to work on.
    pub fn messages(&mut self, messages: &[&[u8]]) -> io::Result<()> {
        let mut text = format!("messages {}\n", messages.len()).into_bytes();
        for message in messages {
            text.extend(format!("{}\n", message.len()).into_bytes());
            text.extend(*message);
        }
        self.ask(&text).map(|_| ())
    }

    /// How long it takes to read so many messages.
    pub fn loads(&mut self, times: u64) -> io::Result<Duration> {
        let nanos = self.ask(format!("loads {times}\n").as_bytes())?;
        Ok(Duration::from_nanos(nanos))
    }

    /// How long it takes to write so many messages.
    pub fn dumps(&mut self, times: u64) -> io::Result<Duration> {
        let nanos = self.ask(format!("dumps {times}\n").as_bytes())?;
        Ok(Duration::from_nanos(nanos))
    }

    /// How many bytes it writes for the first message.
    pub fn size(&mut self) -> io::Result<u64> {
        self.ask(b"size 0\n")
    }

    /// How many bytes of memory it had with what a node imports and no message; 0 where there is
    /// no /proc.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    fn ask(&mut self, question: &[u8]) -> io::Result<u64> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(question)?;
        input.flush()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        let answer = answer.trim().parse();
        answer.map_err(|_| io::Error::other("python3 has ended in the middle of it"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.input = None;
        // It has nothing more to read, and ends.
        let _ = self.child.wait();
    }
}
