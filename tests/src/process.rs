//! Real processes: started for one test, listened to, and gone when it ends, however it ends.
//!
//! A test makes one [`Processes`] first of all and starts every [`Process`] from it. Programs say
//! what they do as JSON on standard output, an object a line, and tests wait for what they say and
//! never for time to pass. A test that fails prints all that its processes said, in order.

use core::fmt;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU16, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use serde_json::Value;

/// How long anything may take that is sure to happen: long enough for a busy machine, since only a
/// test that fails waits for all of it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// How often a condition is looked at that no line of any process announces.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many lines of a process are printed when its test fails, the last ones.
const SHOWN_MAX: usize = 400;

/// All that one test starts, and all that they say.
#[derive(Debug, Default)]
pub struct Processes {
    record: Arc<Record>,
}

/// One process. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    record: Arc<Record>,
    index: usize,
    id: u32,
    child: Mutex<Child>,
    readers: Vec<JoinHandle<()>>,
}

/// What was said, by whom.
#[derive(Debug)]
struct Record {
    since: Instant,
    voices: Mutex<Vec<Voice>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Voice {
    name: String,
    lines: Vec<Line>,
    /// Of standard output and standard error, how many are still open.
    open: u8,
}

#[derive(Debug)]
struct Line {
    at: Duration,
    text: String,
    /// What it says, if it was said on standard output and is JSON.
    said: Option<Value>,
}

impl Processes {
    /// No process yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `command`. `name` is what it is called when the test fails.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn spawn(&self, name: impl Into<String>, command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let index = {
            let mut voices = self.record.voices();
            voices.push(Voice {
                name: name.into(),
                lines: Vec::new(),
                open: 2,
            });
            voices.len() - 1
        };
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let readers = vec![
            self.record.listen(index, stdout, true),
            self.record.listen(index, stderr, false),
        ];
        Process {
            record: Arc::clone(&self.record),
            index,
            id: child.id(),
            child: Mutex::new(child),
            readers,
        }
    }

    /// Starts a Python program of this project.
    ///
    /// # Panics
    ///
    /// If there is no Python.
    pub fn python<A: AsRef<str>>(
        &self,
        name: impl Into<String>,
        script: &str,
        args: &[A],
    ) -> Process {
        let args = args.iter().map(AsRef::as_ref);
        self.spawn(name, python(script).args(args))
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    ///
    /// If it does not within `limit`, saying that it was `what` had been waited for.
    pub fn wait_until(&self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + limit;
        while !condition() {
            assert!(Instant::now() < until, "after {limit:?} still not: {what}");
            let voices = self.record.voices();
            // What was said since the condition was looked at counts after the next look.
            drop(self.record.changed.wait_timeout(voices, LOOK_EVERY));
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if thread::panicking() {
            // Standard error is what the test harness holds back until a test has failed.
            eprintln!("{}", self.record);
        }
    }
}

impl Process {
    /// Its number to the system.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it was called when it was started.
    pub fn name(&self) -> String {
        self.with_voice(|voice| voice.name.clone())
    }

    /// Everything it has said on standard output, the oldest first.
    pub fn said(&self) -> Vec<Value> {
        self.said_since(0)
    }

    /// How much it has said so far, for [`said_since`](Self::said_since).
    pub fn mark(&self) -> usize {
        self.with_voice(|voice| voice.lines.len())
    }

    /// What it has said on standard output since `mark`.
    pub fn said_since(&self, mark: usize) -> Vec<Value> {
        self.with_voice(|voice| {
            let lines = voice.lines.iter().skip(mark);
            lines.filter_map(|line| line.said.clone()).collect()
        })
    }

    /// How often it has logged `event` since `mark`.
    pub fn count_since(&self, mark: usize, event: &str) -> usize {
        let said = self.said_since(mark);
        said.iter().filter(|line| line["event"] == event).count()
    }

    /// What it has written that is no JSON on standard output, which is all of standard error.
    pub fn words(&self) -> String {
        self.with_voice(|voice| {
            let lines = voice.lines.iter().filter(|line| line.said.is_none());
            lines.map(|line| line.text.clone() + "\n").collect()
        })
    }

    /// Waits for a line that `wanted` is true of, among all it has ever said, and returns it.
    ///
    /// # Panics
    ///
    /// If there is none within [`LIMIT`], or the process has ended without; `what` is named then.
    pub fn wait_for(&self, what: &str, wanted: impl FnMut(&Value) -> bool) -> Value {
        self.wait_since(0, what, wanted)
    }

    /// Waits for a line that `wanted` is true of, among those said since `mark`, and returns it.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_since(
        &self,
        mark: usize,
        what: &str,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        let until = Instant::now() + LIMIT;
        let mut at = mark;
        let mut voices = self.record.voices();
        loop {
            let voice = &voices[self.index];
            for line in voice.lines.get(at..).unwrap_or(&[]) {
                if let Some(said) = &line.said
                    && wanted(said)
                {
                    return said.clone();
                }
            }
            at = at.max(voice.lines.len());
            let failed = if voice.open == 0 {
                Some("has ended")
            } else if Instant::now() >= until {
                Some("has not said it in time")
            } else {
                None
            };
            if let Some(why) = failed {
                let name = voice.name.clone();
                drop(voices);
                panic!("{name} {why}: {what}");
            }
            voices = self
                .record
                .changed
                .wait_timeout(voices, LOOK_EVERY)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for an `event` and returns its line.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_event(&self, event: &str) -> Value {
        self.wait_for(event, |line| line["event"] == event)
    }

    /// The port it says it listens on, as soon as it says so.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn port(&self) -> u16 {
        let line = self.wait_for_event("listening");
        let port = line["address"][1].as_u64();
        port.and_then(|port| u16::try_from(port).ok())
            .unwrap_or_else(|| panic!("no port in {line}"))
    }

    /// How it has ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end, and for its last words.
    ///
    /// # Panics
    ///
    /// If it does not end within [`LIMIT`].
    pub fn wait(&self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.ended()
                && self.with_voice(|voice| voice.open == 0)
            {
                return status;
            }
            let name = self.name();
            assert!(Instant::now() < until, "{name} does not end");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills it without a warning (SIGKILL) and waits for its end.
    pub fn kill(&self) {
        let mut child = self.child();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks it to end (SIGTERM).
    #[cfg(unix)]
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Stops it where it stands (SIGSTOP): it accepts, as far as the system does, and says nothing.
    #[cfg(unix)]
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    #[cfg(unix)]
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        // The lock keeps the child from being waited for, so its number is still its own.
        let child = self.child();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, signal)
            .unwrap_or_else(|error| panic!("{} cannot be signalled: {error}", self.name()));
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_voice<T>(&self, look: impl FnOnce(&Voice) -> T) -> T {
        look(&self.record.voices()[self.index])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            voices: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Record {
    fn voices(&self) -> MutexGuard<'_, Vec<Voice>> {
        self.voices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all that comes from one end of process `index`.
    fn listen(
        self: &Arc<Self>,
        index: usize,
        from: impl Read + Send + 'static,
        data: bool,
    ) -> JoinHandle<()> {
        let record = Arc::clone(self);
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut bytes = Vec::new();
            while let Ok(1..) = from.read_until(b'\n', &mut bytes) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                let said = data.then(|| serde_json::from_str(&text).ok()).flatten();
                let at = record.since.elapsed();
                record.voices()[index].lines.push(Line { at, text, said });
                record.changed.notify_all();
                bytes.clear();
            }
            record.voices()[index].open -= 1;
            record.changed.notify_all();
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let voices = self.voices();
        let mut lines: Vec<_> = voices
            .iter()
            .flat_map(|voice| {
                let left_out = voice.lines.len().saturating_sub(SHOWN_MAX);
                let lines = voice.lines.iter().skip(left_out);
                lines.map(move |line| (line.at, &voice.name, &line.text))
            })
            .collect();
        lines.sort_by_key(|(at, ..)| *at);
        let total: usize = voices.iter().map(|voice| voice.lines.len()).sum();
        writeln!(
            f,
            "what the processes said, {} lines of {total}:",
            lines.len()
        )?;
        for (at, name, text) in lines {
            writeln!(f, "{:>8.3} {name}: {text}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

/// The command that runs a Python program of this project, with no arguments yet.
///
/// # Panics
///
/// If there is no Python, or one too old.
pub fn python(script: &str) -> Command {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let found = *FOUND.get_or_init(|| {
        let new_enough = "import sys; sys.exit(sys.version_info < (3, 9))";
        let status = Command::new("python3").args(["-c", new_enough]).status();
        status.is_ok_and(|status| status.success())
    });
    assert!(
        found,
        "python3 is missing or too old: install Python 3.9 or later, for the peers in these tests \
         are written in it (Debian, Ubuntu: apt install python3)"
    );
    let mut command = Command::new("python3");
    // -B: the tests leave nothing behind in the source tree.
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    command.arg("-B").arg(format!("{directory}/{script}"));
    command
}

/// A port of 127.0.0.1 that nobody uses, for a program that has to be given one.
///
/// It is below those that systems hand out by themselves, so nobody is given it by chance, and no
/// two calls of one test program return the same.
pub fn free_port() -> u16 {
    const FIRST: u16 = 24_000;
    const COUNT: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several test programs may run at once.
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    (0..COUNT)
        .map(|_| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            FIRST + (own.wrapping_mul(37) % COUNT + next % COUNT) % COUNT
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("some port is free")
}
