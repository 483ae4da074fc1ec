//! The terminal that stderr may be.

use std::io::{self, IsTerminal as _};

/// Returns `true` if stderr is a terminal that can do more than print lines.
pub(super) fn is_capable() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb
}

/// Returns `true` unless `NO_COLOR` is set.
pub(super) fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns as much of `text` as fits in one line, so that the next one can overwrite it.
pub(super) fn clip(text: &str) -> &str {
    let max = width().saturating_sub(1);
    match text.char_indices().nth(max) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// Returns how many columns the terminal has: 80 if it does not say.
pub(super) fn width() -> usize {
    #[cfg(unix)]
    let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    #[cfg(not(unix))]
    let columns = 0_u16;
    if columns == 0 { 80 } else { columns.into() }
}
