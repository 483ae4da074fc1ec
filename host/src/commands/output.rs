//! Standard output, for commands whose report is what they are for.

use std::io::{self, ErrorKind, Write as _};

use super::Failure;

/// A report on standard output. It waits for its reader, who gets all of it.
#[derive(Debug, Default)]
pub(super) struct Output {
    error: Option<io::Error>,
}

impl Output {
    /// Writes `text`, which is all.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    #[cfg(unix)]
    pub(super) fn all(text: &str) -> Result<(), Failure> {
        let mut output = Self::default();
        output.write(text);
        output.close()
    }

    /// Writes `text`, unless writing has failed before.
    pub(super) fn write(&mut self, text: &str) {
        if self.error.is_none() {
            let mut out = io::stdout().lock();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            self.error = written.err();
        }
    }

    /// Returns `true` if there is no point in going on: nothing can be written any more.
    pub(super) fn ended(&self) -> bool {
        self.error.is_some()
    }

    /// Returns what becomes of the command.
    ///
    /// # Errors
    ///
    /// What kept the report from being written, unless its reader had closed the pipe.
    pub(super) fn close(self) -> Result<(), Failure> {
        match self.error {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::unwritable("report", &error))
            }
            _ => Ok(()),
        }
    }
}
