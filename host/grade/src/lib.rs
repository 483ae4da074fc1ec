//! Grades a program of the bully election lab, in whatever language, over its own wire.
//!
//! [`grade`] runs the [`CHECKS`] against the program that [`Options::command`] starts, and returns a
//! [`Report`]. It stands on the core for process ids, and for bytes on a [`wire::Codec`], which is [`Pickle`].
//! The graded program is started through a [`keeper`], a process that kills all of it in the end.
//!
//! ```
//! // The command of a program, with placeholders for what changes from run to run.
//! let words = ["python3", "lab2.py", "{gcd_host}", "{gcd_port}", "{su_id}", "{birthday}"];
//! let command = bully_grade::Template::new(words.map(str::to_owned))?;
//! assert_eq!(command.words().len(), 6);
//!
//! // What is checked, and the instructor's changes to it.
//! let rubric = bully_grade::Rubric::parse("[checks.hardy]\npoints = 2")?;
//! assert_eq!(rubric.checks["hardy"].points, Some(2.0));
//! for check in bully_grade::CHECKS {
//!     println!("{} {} \"{}\"", check.id, check.points, check.sentence);
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![cfg(unix)]

mod check;
mod checks;
mod class;
mod detect;
mod dialect;
mod fault;
mod grade;
mod keep;
pub mod keeper;
mod link;
mod observed;
mod options;
mod peer;
mod pickle;
mod program;
pub mod report;
mod rubric;
mod seen;
mod setting;
mod stage;
mod summary;
mod template;
mod turn;
mod verdict;
pub mod wire;

pub use check::{Check, Extra};
pub use checks::CHECKS;
pub use class::{Class, ClassError, Earlier, Entrant};
pub use detect::{Detected, detect};
pub use dialect::Choice;
pub use grade::{Progress, UnknownCheck, grade, selected};
pub use options::Options;
pub use pickle::Pickle;
pub use program::Keeping;
pub use report::Report;
pub use rubric::{ByHand, Change, Rubric, RubricError, Visibility};
pub use template::{PLACEHOLDERS, Template, TemplateError};
pub use verdict::Verdict;
