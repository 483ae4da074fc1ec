//! Where recordings go on a host.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bully::Full;
use bully::record::Sink;

/// A recording in a file. When the file has grown to half of what is allowed it becomes `FILE.old`,
/// in place of an earlier one, and a new file continues it: each can be repeated by itself.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
    len: u64,
    len_max: u64,
    /// Why nothing can be written any more.
    error: Arc<Mutex<Option<io::Error>>>,
}

impl FileSink {
    /// A recording at `path`, of at most `len_max` bytes with its older half; an earlier recording
    /// there is overwritten, and its older half removed.
    ///
    /// # Errors
    ///
    /// The system's, or `InvalidInput` if there is something that is not a file: a pipe whose reader
    /// stops would stop the member.
    pub fn create(path: &Path, len_max: u64) -> io::Result<Self> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            let why = "it is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let sink = Self {
            path: path.to_owned(),
            file: File::create(path)?,
            len: 0,
            len_max,
            error: Arc::default(),
        };
        match std::fs::remove_file(sink.old()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(sink),
        }
    }

    /// Where the error will be that ends the recording, if one does.
    pub fn error(&self) -> Arc<Mutex<Option<io::Error>>> {
        Arc::clone(&self.error)
    }

    fn fail(&self, error: io::Error) {
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
    }

    /// Returns what the file of the older half is called.
    fn old(&self) -> PathBuf {
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        old.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, self.old())?;
        self.file = File::create(&self.path)?;
        self.len = 0;
        Ok(())
    }
}

impl Sink for FileSink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.file.write_all(bytes).map_err(|error| {
            self.fail(error);
            Full
        })?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn is_nearly_full(&self) -> bool {
        self.len >= self.len_max / 2
    }

    fn next_bank(&mut self) -> bool {
        let failed = self.error.lock().is_ok_and(|error| error.is_some());
        if failed {
            return false;
        }
        self.rotate().map_err(|error| self.fail(error)).is_ok()
    }
}

/// A recording in memory that somebody else can look at.
#[derive(Clone, Debug, Default)]
pub struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    /// What is recorded so far.
    pub fn take(&self) -> Vec<u8> {
        core::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for SharedBytes {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.lock().extend_from_slice(bytes);
        Ok(())
    }
}
