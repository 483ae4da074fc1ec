//! A report's file: claimed before the program starts, replaced as a whole after each check.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
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
        let next = next_to(path)?;
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
        self.replace(report.render(self.form).as_bytes())
    }

    /// Writes the report again if something else stands there by now, and returns whether it did:
    /// graded programs can write where the grader can.
    ///
    /// # Errors
    ///
    /// Whatever the system has against it; what was there stays.
    pub fn restore(&mut self, report: &Report) -> io::Result<bool> {
        let text = report.render(self.form);
        let is_changed = !fs::read(&self.path).is_ok_and(|found| found == text.as_bytes());
        if is_changed {
            self.replace(text.as_bytes())?;
        }
        Ok(is_changed)
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_own()? {
            self.open = private(&self.next)?;
        }
        self.open.write_all(bytes)?;
        self.open.sync_data()?;
        fs::rename(&self.next, &self.path)?;
        self.open = private(&self.next)?;
        Ok(())
    }

    /// Returns `true` if what will be renamed is the file that was opened, and still empty.
    fn is_own(&self) -> io::Result<bool> {
        let open = self.open.metadata()?;
        Ok(fs::symlink_metadata(&self.next).is_ok_and(|found| {
            (found.dev(), found.ino()) == (open.dev(), open.ino()) && found.len() == 0
        }))
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

/// Lets `bytes` take the place of the file at `path`, which only its owner reads and writes then.
///
/// # Errors
///
/// Whatever the system has against it; what was there stays.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = next_to(path)?;
    let mut open = private(&next)?;
    open.write_all(bytes)?;
    fs::rename(&next, path)
}

/// The name of what will be renamed to `path`.
fn next_to(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut next = std::ffi::OsString::from(".");
    next.push(name);
    next.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(next))
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
