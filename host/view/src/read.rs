//! Reads logs, bounded in lines and bytes.

use std::io::{self, BufRead, Read as _};

use crate::line::Line;

/// The log of one process, or of several on one machine.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// How it is called: a file's name.
    pub name: String,
    /// Its lines, with their numbers in the file, counted from 1.
    pub lines: Vec<(usize, Line)>,
    /// What was not read.
    pub skipped: Skipped,
}

/// What of a file was not read, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Lines that are no event: the row at the end of a simulation, or something else altogether.
    pub no_event: u64,
    /// The first of them, and what is wrong with it; the row of a simulation is not counted as wrong.
    pub first: Option<(usize, String)>,
    /// The last line has no end: whoever wrote it was interrupted.
    pub cut_short: bool,
    /// Reading ended at [`LINES_MAX`].
    pub too_long: bool,
}

/// How many lines of a file are read: as many as a lab of 30 that feigns failures writes in hours, in
/// some 300 MB of memory.
pub const LINES_MAX: usize = 1_000_000;

/// How long a line may be, in bytes. The longest that is written names a peer's words, of 64 KiB.
pub const LINE_MAX: u64 = 1 << 18;

impl Source {
    /// Reads a log to its end, or its first [`LINES_MAX`] lines.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn read(name: impl Into<String>, mut from: impl BufRead) -> io::Result<Self> {
        let mut source = Self {
            name: name.into(),
            ..Self::default()
        };
        let mut bytes = Vec::new();
        for number in 1.. {
            if number > LINES_MAX {
                source.skipped.too_long = !from.fill_buf()?.is_empty();
                break;
            }
            bytes.clear();
            let read = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                break;
            }
            let ended = bytes.last() == Some(&b'\n');
            if !ended && read as u64 == LINE_MAX {
                from.skip_until(b'\n')?;
                source.skip(number, "it is longer than any line of a log".to_owned());
                continue;
            }
            source.take(number, &bytes, ended);
        }
        Ok(source)
    }

    /// Adds a line that a program has written itself; beyond [`LINES_MAX`] it is left out, and that is
    /// noted.
    pub fn push(&mut self, number: usize, text: &str) {
        if number > LINES_MAX {
            self.skipped.too_long = true;
        } else {
            self.take(number, text.as_bytes(), true);
        }
    }

    fn take(&mut self, number: usize, bytes: &[u8], ended: bool) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return;
        }
        match Line::parse(text) {
            Ok(line) => self.lines.push((number, line)),
            Err(_) if !ended => self.skipped.cut_short = true,
            Err(_) if is_row(text) => self.skipped.no_event += 1,
            Err(error) => self.skip(number, error.to_string()),
        }
    }

    fn skip(&mut self, number: usize, why: String) {
        self.skipped.no_event += 1;
        self.skipped.first.get_or_insert((number, why));
    }

    /// Returns what of it was not read, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let name = &self.name;
        let skipped = &self.skipped;
        let mut remarks = Vec::new();
        if let Some((number, why)) = &skipped.first {
            remarks.push(format!(
                "{name}: {} lines are no event of a log, the first is line {number}: {why}",
                skipped.no_event
            ));
        } else if skipped.no_event > 0 {
            remarks.push(format!(
                "{name}: {} lines are rows of a report, and are left out",
                skipped.no_event
            ));
        }
        if skipped.cut_short {
            remarks.push(format!("{name}: the last line is cut short"));
        }
        if skipped.too_long {
            remarks.push(format!(
                "{name}: only the first {LINES_MAX} lines were read"
            ));
        }
        remarks
    }
}

/// Returns `true` for what `bully sim` writes of a whole run.
fn is_row(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<_, _>>(text)
        .is_ok_and(|row| row.contains_key("seed") && !row.contains_key("event"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: &str = r#"{"t":1,"time":2,"node":[1,2],"event":"waiting"}"#;

    fn read(text: &str) -> Source {
        Source::read("x", text.as_bytes()).expect("memory is read")
    }

    #[test]
    fn lines_have_the_numbers_of_the_file() {
        let source = read(&format!("\u{feff}{WAITING}\r\n\n{WAITING}\n"));
        let numbers: Vec<_> = source.lines.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(source.skipped, Skipped::default());
    }

    #[test]
    fn what_is_not_read_is_told() {
        let long = "x".repeat(LINE_MAX as usize + 9);
        let source = read(&format!(
            "hello\n{WAITING}\n{long}\n{{\"seed\":7,\"agreed\":true}}\n{{\"t\":1"
        ));
        assert_eq!(source.lines.len(), 1);
        assert_eq!(source.skipped.no_event, 3);
        assert!(source.skipped.cut_short);
        let remarks = source.remarks();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(
            remarks[0].contains("3 lines") && remarks[0].contains("line 1:"),
            "{remarks:?}"
        );
        assert!(remarks[1].contains("cut short"), "{remarks:?}");
    }

    #[test]
    fn the_row_of_a_simulation_is_no_fault() {
        let source = read(&format!("{WAITING}\n{{\"seed\":7,\"agreed\":true}}\n"));
        assert_eq!((source.lines.len(), source.skipped.no_event), (1, 1));
        assert_eq!(source.skipped.first, None);
    }
}
