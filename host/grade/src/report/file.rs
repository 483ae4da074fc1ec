//! A report's file: claimed before the program starts, replaced as a whole after each check.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::content::Report;
use super::form::Form;

/// Where a report is written to.
#[derive(Debug)]
pub struct ReportFile {
    form: Form,
    path: PathBuf,
    next: PathBuf,
    /// What will be renamed next; opened before the graded program could get there first.
    open: File,
}

impl ReportFile {
    /// Claims `path` for a report in this form.
    ///
    /// # Errors
    ///
    /// Whatever the system has against a file there.
    pub fn create(form: Form, path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut next = std::ffi::OsString::from(".");
        next.push(name);
        next.push(format!(".{}", std::process::id()));
        let next = path.with_file_name(next);
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let open = private(&next)?;
        Ok(Self {
            form,
            path: path.to_owned(),
            next,
            open,
        })
    }

    /// Writes the report as it stands now, and lets it take the place of the last one.
    ///
    /// # Errors
    ///
    /// Whatever the system has against it; what was there stays.
    pub fn write(&mut self, report: &Report) -> io::Result<()> {
        self.open.write_all(report.render(self.form).as_bytes())?;
        self.open.sync_data()?;
        fs::rename(&self.next, &self.path)?;
        self.open = private(&self.next)?;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        // The empty one that would have been next.
        let _ = fs::remove_file(&self.next);
    }
}

/// A new file that only its owner reads and writes.
fn private(path: &Path) -> io::Result<File> {
    // One of a grader with this number that was killed.
    let _ = fs::remove_file(path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
