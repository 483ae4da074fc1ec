//! `--record`: the input of members, as files for `bully replay`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bully::{Config, Pid};
use bully_record::{FileSink, Recorded, recorded};

use super::Failure;
use super::capacity::Capacities;

/// How many bytes a recording takes at most, its older half included, by default: a day of
/// a quiet group, an hour of one of thirty that feign failures.
pub(crate) const LEN_MAX: &str = "16MB";

/// The least that a recording may be limited to: a table of a thousand members is 30 KB.
const LEN_MIN: u64 = 64 << 10;

/// Where a member is recorded.
#[derive(Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    sink: FileSink,
}

/// Why a recording has ended before its member did, once it has.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl Recording {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// What the user can do about it if that is not possible.
    pub(crate) fn create(path: &Path, len_max: u64) -> Result<Self, Failure> {
        let sink = FileSink::create(path, len_max).map_err(|error| unwritable(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            sink,
        })
    }

    /// Creates a file in this directory, named after the member.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create).
    pub(crate) fn create_in(directory: &Path, pid: Pid, len_max: u64) -> Result<Self, Failure> {
        Self::create(
            &directory.join(format!("{}-{}.byr", pid.days, pid.id)),
            len_max,
        )
    }

    /// A new member that is recorded here; `None` if there is none of that size. `origin` is the Unix
    /// time at its origin in microseconds.
    pub(crate) fn node(
        self,
        capacities: Capacities,
        config: Config,
        origin: u64,
    ) -> Option<(Box<dyn Recorded>, Watch)> {
        let watch = Watch {
            path: self.path,
            error: self.sink.error(),
        };
        let Capacities {
            capacity,
            connections,
        } = capacities;
        let node = recorded(capacity, connections, config, self.sink, origin)?;
        Some((node, watch))
    }
}

impl Watch {
    /// Returns why the recording has ended, the first time after it has.
    pub(crate) fn failed(&self) -> Option<String> {
        let mut error = self.error.try_lock().ok()?;
        let error = error.take()?;
        let path = self.path.display();
        Some(format!(
            "{path} cannot be written, so the recording ends: {error}"
        ))
    }
}

/// Makes a directory for recordings.
///
/// # Errors
///
/// What the user can do about it if that is not possible.
pub(crate) fn directory(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))
}

/// A recording cannot be written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        format!("{} cannot be written: {error}", path.display()),
        "give --record a place that can be",
    )
}

/// Reads a number of bytes: 1MB, 500k or a plain number.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) = match lower.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => lower.split_at(at),
        None => (lower.as_str(), ""),
    };
    let factor = match unit.trim() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes >= LEN_MIN => Ok(bytes),
        Some(_) => Err("a recording takes 64KB or more".to_owned()),
        None => Err("a size is written 16MB, 500KB or as a number of bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("65536", 65_536),
            ("64k", 65_536),
            ("1MB", 1 << 20),
            ("16 MiB", 16 << 20),
            ("2G", 2 << 30),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "MB", "1", "63k", "-5", "1.5MB", "99999999999G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
