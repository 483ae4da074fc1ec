//! The program that counts allocations: this one with another allocator, in a file beside it.
//!
//! Nodes run with the system's allocator. A job that measures the heap is sent to the other program,
//! which does it and returns the figures.

use std::env::consts::EXE_SUFFIX;
use std::io;
use std::path::PathBuf;

use bully_bench::{Bench, Figure, Trouble};

use super::child;
use super::plan::plan;

/// Returns where the program that counts has to be: beside this one, `-heap` after its name.
///
/// # Errors
///
/// The system does not say where this program is.
pub(crate) fn program() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let name = this.file_stem().unwrap_or_default().to_string_lossy();
    Ok(this.with_file_name(format!("{name}-heap{EXE_SUFFIX}")))
}

/// Has the program that counts do the job called `what`, and adds its figures to those of `bench`.
///
/// # Errors
///
/// The program does not start, or it could not do the job.
pub(crate) fn measure(what: &str, bench: &mut Bench) -> Result<(), Trouble> {
    let args = ["bench", "--job", what, "--quick"];
    let args = if bench.quick { &args } else { &args[..3] };
    bench
        .figures
        .append(&mut child::ask::<Vec<Figure>>(&program()?, args)?);
    Ok(())
}

/// Does the job called `what` in this process. Returns its figures as [`measure`] reads them, on one
/// line.
///
/// # Errors
///
/// There is no such job, or it could not be done.
pub(crate) fn answer(what: &str, quick: bool) -> Result<String, Trouble> {
    let mut bench = Bench::new(quick, None);
    let job = plan(&[], quick).into_iter().find(|job| job.what == what);
    job.ok_or_else(|| Trouble(format!("there is no job {what:?}")))?
        .run(&mut bench)?;
    serde_json::to_string(&bench.figures).map_err(|error| Trouble(error.to_string()))
}
