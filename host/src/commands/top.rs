//! `bully top`: a group on the terminal, live or from its log.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use bully_view::top::{Board, Playback, Row, Standing, draw};
use bully_view::{Line, sentence};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::{Failure, logs, stop};
use crate::control::{Address, Client, ClientError, Snapshot, View};
use crate::log::pid_text;

/// Watch a group on the terminal: the state of each member, who leads and why, and the messages
///
/// Shows a program that was started with --control, or a run that is over from its logs, through which
/// the arrow keys move.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Logs of a run that is over
    #[arg(required_unless_present = "control", conflicts_with = "control")]
    files: Vec<PathBuf>,

    /// Where a running program answers: what its --control says
    #[arg(long, value_name = "unix:PATH|127.0.0.1:PORT")]
    control: Option<Address>,
}

const EXAMPLES: &str = "\
Examples:
  bully lab --members 30 --feign close --control unix:/tmp/lab --log json > lab.jsonl &
  bully top --control unix:/tmp/lab
  bully top lab.jsonl                    afterwards; the arrow keys move in time
  bully lab --members 30 --feign close --top

Keys: q or Esc quits; the up and down arrows scroll through the members. In a log, left and right
move by one event, PgUp and PgDn by one second, Home and End to its beginning and end.";

/// How often a running program is asked.
const ASK_EACH: Duration = Duration::from_millis(500);

/// How many events are kept.
const EVENTS_MAX: usize = 20;

/// Shows the group until its user ends it.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "standard output is no terminal",
            "for other programs there is: bully status --format json",
        ));
    }
    match &args.control {
        Some(address) => watch(address),
        None => play(&args.files),
    }
}

/// What a key asks for.
enum Key {
    Up,
    Down,
    Other(KeyCode),
    Quit,
}

fn play(files: &[PathBuf]) -> Result<(), Failure> {
    let sources = logs::read(files)?;
    let run = logs::run(&sources);
    let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
    let mut playback = Playback::new(&run, names.join(", "));
    on_terminal(|terminal, stop| {
        let mut first = 0;
        loop {
            let board = playback.board();
            let mut last = 0;
            terminal.draw(|frame| last = draw(frame, &board, first))?;
            match key(None, stop)? {
                Some(Key::Quit) => return Ok(()),
                Some(Key::Up) => first = first.min(last).saturating_sub(1),
                Some(Key::Down) => first = (first + 1).min(last),
                Some(Key::Other(code)) => match code {
                    KeyCode::Left => playback.step(-1),
                    KeyCode::Right => playback.step(1),
                    KeyCode::PageUp => playback.skip(-1_000_000),
                    KeyCode::PageDown => playback.skip(1_000_000),
                    KeyCode::Home => playback.home(),
                    KeyCode::End => playback.end(),
                    _ => {}
                },
                None => {}
            }
        }
    })
}

fn watch(address: &Address) -> Result<(), Failure> {
    let unreachable = |error: &ClientError| {
        Failure::new(
            format!("the program at {address} cannot be asked: {error}"),
            "is it running, and with the same --control?",
        )
    };
    let mut client =
        Client::connect(address, None).map_err(|error| unreachable(&ClientError::Io(error)))?;
    let first = client.ask("status").map_err(|error| unreachable(&error))?;
    let mut live = Live {
        title: address.to_string(),
        latest: parse(first).map_err(|error| unreachable(&error))?,
        before: None,
        asked: Instant::now(),
        lines: follow(address),
        events: VecDeque::new(),
        trouble: None,
    };
    on_terminal(|terminal, stop| {
        let mut first = 0;
        loop {
            if live.asked.elapsed() >= ASK_EACH {
                live.ask(&mut client);
            }
            let board = live.board();
            let mut last = 0;
            terminal.draw(|frame| last = draw(frame, &board, first))?;
            let wait = ASK_EACH.saturating_sub(live.asked.elapsed());
            match key(Some(wait), stop)? {
                Some(Key::Quit) => return Ok(()),
                Some(Key::Up) => first = first.min(last).saturating_sub(1),
                Some(Key::Down) => first = (first + 1).min(last),
                Some(Key::Other(_)) | None => {}
            }
        }
    })
}

/// Runs the lab of this command line in a process of its own, and shows that.
pub(super) fn lab() -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "standard output is no terminal",
            "leave out --top: the log goes anywhere",
        ));
    }
    let system = |error: io::Error| Failure::system(&error);
    let folder = Folder::new().map_err(system)?;
    let address = Address::Unix(folder.0.join("control"));
    let args = std::env::args_os().skip(1).filter(|arg| arg != "--top");
    let child = Command::new(std::env::current_exe().map_err(system)?)
        .args(args)
        .args(["--quiet", "--end-with-input", "--control"])
        .arg(address.to_string())
        // Held until this process is gone, however it ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(system)?;
    let mut lab = Lab(child);
    let started = Instant::now();
    while Client::connect(&address, None).is_err() {
        if lab.0.try_wait().map_err(system)?.is_some() || started.elapsed() > START_WITHIN {
            return Err(lab.failure());
        }
        thread::sleep(LOOK_EACH);
    }
    lab.drain();
    let shown = watch(&address);
    if let Ok(mut client) = Client::connect(&address, None) {
        // If it does not end by itself it is ended.
        let _ = client.ask("resign");
        let asked = Instant::now();
        while asked.elapsed() < END_WITHIN && lab.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(LOOK_EACH);
        }
    }
    shown
}

/// How long a lab may take until it can be asked: a thousand members on a busy machine take seconds.
const START_WITHIN: Duration = Duration::from_secs(20);

/// How long it may take to end.
const END_WITHIN: Duration = Duration::from_secs(1);

/// How often a signal is looked for: well below the 500 ms within which it ends a command.
const LOOK_FOR_SIGNAL_EACH: Duration = Duration::from_millis(200);

/// How often either is looked at.
const LOOK_EACH: Duration = Duration::from_millis(20);

/// A folder that only its owner can look into; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let mut tried = 0;
        loop {
            let name = format!("bully-lab-{}-{tried}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match create_private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NAMES_MAX => {
                    tried += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(Self(path)),
            }
        }
    }
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(folder)
}

/// Elsewhere the folder for temporary files is the user's own.
#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How many names are tried for the folder: others may have taken some.
const NAMES_MAX: u32 = 100;

/// The process of a lab; ended when dropped.
struct Lab(Child);

impl Lab {
    /// Says why it did not start, in its own words.
    fn failure(&mut self) -> Failure {
        // Whatever it has become, it is not to go on.
        let _ = self.0.kill();
        let mut words = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            // What cannot be read is missing from the message.
            let _ = stderr.read_to_string(&mut words);
        }
        Failure::new(
            format!("the lab has not started\n{}", words.trim_end()),
            "see what it says without --top",
        )
    }

    /// Reads what it says from now on, so that it never waits for a reader.
    fn drain(&mut self) {
        if let Some(mut stderr) = self.0.stderr.take() {
            thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn parse(answer: serde_json::Value) -> Result<Snapshot, ClientError> {
    serde_json::from_value(answer).map_err(|error| ClientError::Answer(error.to_string()))
}

/// A running program, as it was when it was asked last.
struct Live {
    title: String,
    latest: Snapshot,
    before: Option<Snapshot>,
    asked: Instant,
    lines: Receiver<String>,
    events: VecDeque<String>,
    trouble: Option<String>,
}

impl Live {
    fn ask(&mut self, client: &mut Client) {
        self.asked = Instant::now();
        match client.ask("status").and_then(parse) {
            Ok(next) => {
                self.before = Some(core::mem::replace(&mut self.latest, next));
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn board(&mut self) -> Board {
        for line in self.lines.try_iter() {
            let Ok(line) = Line::parse(&line) else {
                continue;
            };
            let Some(text) = sentence(&line) else {
                continue;
            };
            let who = line.node.map_or_else(String::new, pid_text);
            self.events
                .push_back(format!("{:>10.3} {who} {text}", line.t));
        }
        let more = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..more);
        let now = &self.latest;
        let mut views: Vec<_> = now.views.iter().collect();
        views.sort_by_key(|view| core::cmp::Reverse(view.node));
        let title = match &self.trouble {
            None => format!(
                "{}, as each sees it: {:.1} s after the start",
                self.title, now.t
            ),
            Some(trouble) => format!(
                "{}: {trouble}; this is how it was {:.1} s after the start",
                self.title, now.t
            ),
        };
        Board {
            title,
            leader: leader(&views),
            rows: views.iter().map(|view| row(view)).collect(),
            rates: self.rates(),
            events: self.events.iter().cloned().collect(),
            keys: "↑↓ members  q quit",
        }
    }

    /// Messages a second since it was asked before.
    fn rates(&self) -> Vec<(&'static str, f64)> {
        let sums = |snapshot: &Snapshot| {
            let mut sums = [0; 5];
            for view in &snapshot.views {
                let sent = view.sent;
                let counts = [
                    sent.election,
                    sent.ok,
                    sent.coordinator,
                    sent.probe,
                    sent.join,
                ];
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
            sums
        };
        let now = sums(&self.latest);
        let before = self.before.as_ref().map_or(now, sums);
        let span = self
            .before
            .as_ref()
            .map_or(1.0, |before| self.latest.t - before.t);
        let names = ["ELECTION", "OK", "COORDINATOR", "PROBE", "JOIN"];
        let counts = now.iter().zip(before);
        let rates = counts.map(|(now, before)| now.saturating_sub(before) as f64 / span.max(0.001));
        names.into_iter().zip(rates).collect()
    }
}

fn leader(views: &[&View]) -> String {
    let pair = |(days, id): (u32, u32)| format!("({days}, {id})");
    let led = views.iter().filter_map(|view| view.leader);
    match led.max() {
        None => "nobody knows a leader".to_owned(),
        Some(leader) => {
            let named = views
                .iter()
                .filter(|view| view.leader == Some(leader))
                .count();
            let leads = views
                .iter()
                .any(|view| view.node == leader && view.state == "leading");
            let verb = if leads {
                "leads"
            } else {
                "is taken for the leader"
            };
            format!(
                "{} {verb}, named by {named} of {}",
                pair(leader),
                views.len()
            )
        }
    }
}

fn row(view: &View) -> Row {
    let (days, id) = view.node;
    Row {
        who: format!("({days}, {id})"),
        standing: match view.state.as_str() {
            "leading" => Standing::Leads,
            "following" => Standing::Follows,
            "electing" => Standing::Elects,
            "waiting" => Standing::Waits,
            "failed" => Standing::Failed,
            "resigned" => Standing::Gone,
            _ => Standing::Leaderless,
        },
        age_s: Some(view.since_s),
    }
}

/// Fetches a running program's events in a thread of its own; without them the rest goes on.
fn follow(address: &Address) -> Receiver<String> {
    let (to, lines) = channel();
    let address = address.clone();
    thread::spawn(move || {
        let Ok(mut client) = Client::connect(&address, None) else {
            return;
        };
        if client.ask("monitor").is_err() {
            return;
        }
        loop {
            match client.next() {
                Ok(line) => {
                    if to.send(line).is_err() {
                        return;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return,
            }
        }
    });
    lines
}

/// Runs `show` on the terminal, and gives the terminal back however that ends: `show` is to return when
/// its flag is set, by a signal.
fn on_terminal(
    show: impl FnOnce(&mut DefaultTerminal, &AtomicBool) -> io::Result<()>,
) -> Result<(), Failure> {
    let failure = |error: io::Error| {
        Failure::new(
            format!("the terminal cannot be used: {error}"),
            "use another one, or bully status",
        )
    };
    let stop = stop::flag().map_err(|error| Failure::system(&error))?;
    let mut terminal = ratatui::try_init().map_err(failure)?;
    let shown = show(&mut terminal, &stop);
    ratatui::restore();
    shown.map_err(failure)
}

/// Waits for a key, for `wait` at most. A signal is taken for the key that quits.
fn key(wait: Option<Duration>, stop: &AtomicBool) -> io::Result<Option<Key>> {
    let started = Instant::now();
    loop {
        if stop.load(Ordering::SeqCst) {
            return Ok(Some(Key::Quit));
        }
        let left = wait.map_or(LOOK_FOR_SIGNAL_EACH, |wait| {
            wait.saturating_sub(started.elapsed())
        });
        if event::poll(left.min(LOOK_FOR_SIGNAL_EACH))? {
            break;
        }
        if wait.is_some_and(|wait| wait <= started.elapsed()) {
            return Ok(None);
        }
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            code => Key::Other(code),
        }),
        _ => None,
    })
}
