//! The report as it grows, and reports read back.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use bully_sim::{CSV_HEADING, Run, Summary, text_heading};
use clap::ValueEnum;

use super::super::output::Output;
use super::super::{Failure, remark};

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned rows for people
    Text,
    /// One object a line
    Json,
    /// A heading, and one line each
    Csv,
}

/// The report as it grows. stdout has what the seed determines, stderr what the clock does.
pub(super) struct Report {
    format: Format,
    /// Only what went wrong has a row.
    failed: bool,
    output: Output,
    summary: Summary,
}

impl Report {
    pub(super) fn new(format: Format, failed: bool) -> Self {
        Self {
            format,
            failed,
            output: Output::default(),
            summary: Summary::default(),
        }
    }

    /// Returns `true` if there is no point in going on: nothing can be written any more.
    pub(super) fn ended(&self) -> bool {
        self.output.ended()
    }

    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    pub(super) fn open(&mut self, seeds: &RangeInclusive<u64>) {
        let (first, last) = (seeds.start(), seeds.end());
        let seeds = if first == last {
            format!("seed {first} (repeat with --seed {first})\n")
        } else {
            format!("seeds {first}..{last}\n")
        };
        match self.format {
            Format::Text => self.write(&seeds),
            Format::Json => remark(&seeds),
            Format::Csv => {
                remark(&seeds);
                self.write(&format!("{CSV_HEADING}\n"));
            }
        }
    }

    pub(super) fn add(&mut self, run: &Run) {
        // After a trace too: the heading belongs right above the rows.
        if self.format == Format::Text && self.summary.runs() == 0 {
            self.write(&(text_heading() + "\n"));
        }
        self.summary.add(run);
        if self.failed && run.is_good() {
            return;
        }
        let mut line = match self.format {
            Format::Text => run.text(),
            Format::Json => run.json(),
            Format::Csv => run.csv(),
        };
        line.push('\n');
        self.write(&line);
    }

    /// Writes the summary and returns the verdict on all runs.
    ///
    /// # Errors
    ///
    /// The verdict's, or what kept the report from being written.
    pub(super) fn close(
        mut self,
        wall: Duration,
        verdict: impl FnOnce(&Summary) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.ended() {
            if self.format == Format::Text {
                let text = self.summary.text();
                self.write(&text);
            }
            let simulated = self.summary.simulated().as_secs_f64();
            let cores = self.summary.wall().as_secs_f64();
            let rate = simulated / cores.max(1e-6);
            remark(&format!(
                "simulated {simulated:.0} s in {:.3} s: {rate:.0} times as fast as real time on each core\n",
                wall.as_secs_f64()
            ));
        }
        verdict(&self.summary).and(self.output.close())
    }

    fn write(&mut self, text: &str) {
        self.output.write(text);
    }
}

/// Reads what the shards of a sweep wrote; the runs in the order of their seeds.
///
/// # Errors
///
/// A file that cannot be read or has something else in it, a seed that comes twice, or seeds that are
/// missing between the first and the last.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    let mut runs: Vec<Run> = Vec::new();
    for file in files {
        read_file(file, &mut runs)?;
    }
    runs.sort_by_key(|run| run.seed);
    for pair in runs.windows(2) {
        let [one, next] = pair else { continue };
        if one.seed == next.seed {
            return Err(Failure::new(
                format!("seed {} is there twice", one.seed),
                "merge each shard once",
            ));
        }
        if one.seed + 1 != next.seed {
            return Err(Failure::new(
                format!(
                    "the seeds after {} up to {} are missing",
                    one.seed,
                    next.seed - 1
                ),
                "merge all shards together, and run again those that did not end",
            ));
        }
    }
    Ok(runs)
}

fn read_file(path: &Path, runs: &mut Vec<Run>) -> Result<(), Failure> {
    let name = path.display();
    let unreadable = |error: io::Error| {
        Failure::new(
            format!("{name} cannot be read: {error}"),
            "name the files that the shards wrote",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let run = Run::from_json(&line).map_err(|error| {
            Failure::new(
                format!("{name}, line {}, is no run: {error}", number + 1),
                "merge what this version of bully sim wrote with --format json",
            )
        })?;
        runs.push(run);
    }
    Ok(())
}
