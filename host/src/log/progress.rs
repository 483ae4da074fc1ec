//! How much of a long computation is done, for a person at a terminal.

use core::time::Duration;
use std::io::{self, Write as _};
use std::time::Instant;

use super::terminal;

/// A bar in the last line of the terminal, once there is something to wait for.
#[derive(Debug)]
pub(crate) struct Progress {
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

/// How long the bar is at most, and how short it may be and still show something.
const LONGEST: usize = 30;
const SHORTEST: usize = 5;

/// Brackets and space, and the last column, where some terminals wrap.
const BESIDE: usize = 4;

impl Progress {
    /// The way to `all` of `what`, as "seeds".
    pub(crate) fn new(all: u64, what: &'static str) -> Self {
        let watched = terminal::is_capable();
        Self {
            all: watched.then_some(all.max(1)),
            what,
            started: Instant::now(),
            drawn: None,
            shown: false,
        }
    }

    /// How long to wait at most before it is shown again; `None`: never.
    pub(crate) fn again(&self) -> Option<Duration> {
        self.all.map(|_| AGAIN)
    }

    /// Shows that so many are done, unless that was shown just now.
    pub(crate) fn show(&mut self, done: u64) {
        let passed = self.started.elapsed();
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= AGAIN);
        let Some(all) = self.all.filter(|_| passed >= QUIET && due) else {
            return;
        };
        let (what, seconds) = (self.what, passed.as_secs());
        let count = format!("{done} of {all} {what}, {seconds} s");
        let line = match terminal::width().checked_sub(count.len() + BESIDE) {
            Some(columns @ SHORTEST..) => {
                let width = columns.min(LONGEST);
                let full = width as u128 * u128::from(done) / u128::from(all);
                let full = usize::try_from(full).unwrap_or(0);
                format!("[{:<width$}] {count}", "#".repeat(full))
            }
            _ => terminal::clip(&count).to_owned(),
        };
        // Overwrites itself, and leaves nothing of a longer one.
        self.draw(&format!("\r{line}\x1b[K"));
        self.drawn = Some(Instant::now());
        self.shown = true;
    }

    /// Makes room for something else on that line.
    pub(crate) fn clear(&mut self) {
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
