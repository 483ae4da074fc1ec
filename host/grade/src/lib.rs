//! Grades a program of the bully election lab, in whatever language, over its own wire.
#![cfg(unix)]

mod check;
mod checks;
mod class;
mod detect;
mod dialect;
mod grade;
mod keep;
pub mod keeper;
mod link;
mod observed;
mod peer;
mod program;
pub mod report;
mod rubric;
mod seen;
mod stage;
mod template;
mod turn;
mod verdict;
pub mod wire;

pub use check::{CHECKS, Check, Extra};
pub use class::{Class, ClassError, Entrant};
pub use detect::{Detected, detect};
pub use dialect::Choice;
pub use grade::{Options, Progress, UnknownCheck, grade, selected};
pub use program::Keeping;
pub use report::Report;
pub use rubric::{ByHand, Change, Rubric, RubricError, Visibility};
pub use template::{PLACEHOLDERS, Template, TemplateError};
pub use verdict::Verdict;
