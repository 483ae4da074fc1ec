//! What a grading came to, in the forms that people and other programs read.

mod content;
mod file;
mod form;
mod gradescope;
mod junit;
mod tap;
mod text;

pub use content::{CheckReport, Report};
pub use file::ReportFile;
pub(crate) use file::replace;
pub use form::Form;
pub use text::{Style, in_lines, progress_line, summary_line};
