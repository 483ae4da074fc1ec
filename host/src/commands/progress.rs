//! How far it is, for a person at a terminal.

use core::time::Duration;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

/// A bar on the last line of the terminal, once there is something to wait for.
#[derive(Debug)]
pub(super) struct Progress {
    /// How many there will be; `None` if nobody watches.
    all: Option<u64>,
    /// What they are.
    what: &'static str,
    started: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

/// How long nothing is shown.
const QUIET: Duration = Duration::from_secs(1);

/// How often the bar is drawn.
const AGAIN: Duration = Duration::from_millis(100);

const WIDTH: u64 = 30;

impl Progress {
    /// The way to `all` of `what`, as "seeds".
    pub(super) fn new(all: u64, what: &'static str) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let watched = io::stderr().is_terminal() && !dumb;
        Self {
            all: watched.then_some(all.max(1)),
            what,
            started: Instant::now(),
            drawn: None,
            shown: false,
        }
    }

    /// How long to wait at most before it is shown again; `None`: never.
    pub(super) fn again(&self) -> Option<Duration> {
        self.all.map(|_| AGAIN)
    }

    /// Shows that so many are done, unless that was shown just now.
    pub(super) fn show(&mut self, done: u64) {
        let passed = self.started.elapsed();
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= AGAIN);
        let Some(all) = self.all.filter(|_| passed >= QUIET && due) else {
            return;
        };
        let full = u128::from(WIDTH) * u128::from(done) / u128::from(all);
        let full = usize::try_from(full).unwrap_or(0);
        let bar = format!("{:<width$}", "#".repeat(full), width = WIDTH as usize);
        let (what, seconds) = (self.what, passed.as_secs());
        // Overwrites itself, and leaves nothing of a longer one.
        self.draw(&format!(
            "\r[{bar}] {done} of {all} {what}, {seconds} s\x1b[K"
        ));
        self.drawn = Some(Instant::now());
        self.shown = true;
    }

    /// Makes room for something else on that line.
    pub(super) fn clear(&mut self) {
        if core::mem::take(&mut self.shown) {
            self.draw("\r\x1b[K");
        }
    }

    fn draw(&self, text: &str) {
        let mut terminal = io::stderr().lock();
        // A bar that cannot be drawn is not missed.
        let _ = terminal
            .write_all(text.as_bytes())
            .and_then(|()| terminal.flush());
    }
}
