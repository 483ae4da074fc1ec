//! What is graded, and how.

use core::time::Duration;
use std::path::PathBuf;

use crate::check::Extra;
use crate::dialect::Choice;
use crate::program::Keeping;
use crate::rubric::Rubric;
use crate::template::Template;

/// What is graded, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The command that starts the graded program.
    pub command: Template,
    /// Words that are added to it for the check of feigned failure.
    pub feign_words: Vec<String>,
    /// Where it runs; `None`: in the current folder.
    pub folder: Option<PathBuf>,
    /// The command of a node that is known to be right, run beside each check; `None`: without.
    pub control: Option<Template>,
    /// Words added to that for the check of feigned failure.
    pub control_feign_words: Vec<String>,
    /// How programs are started and kept in bounds.
    pub keeping: Keeping,
    /// Ids of the checks to run; empty: all that are required.
    pub only: Vec<String>,
    /// Ids of checks to leave out.
    pub skip: Vec<String>,
    /// The extra credits to check.
    pub extra: Vec<Extra>,
    /// Points and sentences.
    pub rubric: Rubric,
    /// The forms in which the program is spoken to.
    pub dialect: Choice,
    /// How many checks run at once, at least 1.
    pub jobs: usize,
    /// How many runs decide about a check that has failed once, at least 1.
    pub repeat: u32,
    /// Multiplies all limits of time, above 0.
    pub slack: f64,
    /// Of everything random.
    pub seed: u64,
    /// How long one check may take, with all its runs; what is not decided by then is unclear.
    pub limit: Duration,
    /// Where to leave outputs and messages of every run; `None`: nowhere.
    pub keep: Option<PathBuf>,
    /// The command that repeats this grading, up to the program's: `bully grade`.
    pub repeat_command: String,
}
