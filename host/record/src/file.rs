//! Where recordings go on a host.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bully::Full;
use bully::record::{Digest, Sink};

/// A recording in a file. When the file has grown to half of what is allowed it becomes `FILE.old`,
/// in place of an earlier one, and a new file continues it: each can be repeated by itself.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// How much of the file there will be with it.
    len: u64,
    len_max: u64,
    failed: bool,
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
            buffer: Vec::new(),
            len: 0,
            len_max,
            failed: false,
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

    fn fail(&mut self, error: io::Error) {
        self.failed = true;
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
        self.buffer.clear();
        self.len = 0;
        Ok(())
    }
}

impl Sink for FileSink {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        if self.failed {
            return Err(Full);
        }
        self.buffer.push(byte);
        self.len += 1;
        Ok(())
    }

    fn summed(&self, mut sum: Digest) -> Digest {
        sum.bytes(&self.buffer);
        sum
    }

    fn commit(&mut self) {
        match self.file.write_all(&self.buffer) {
            Ok(()) => self.buffer.clear(),
            Err(error) => self.fail(error),
        }
    }

    fn is_nearly_full(&self) -> bool {
        self.len >= self.len_max / 2
    }

    fn next_bank(&mut self) -> bool {
        if self.failed {
            return false;
        }
        self.rotate().map_err(|error| self.fail(error)).is_ok()
    }
}

/// A recording in memory that somebody else can look at.
#[derive(Clone, Debug, Default)]
pub struct SharedBytes {
    all: Arc<Mutex<Vec<u8>>>,
    /// What is not there yet.
    buffer: Vec<u8>,
}

impl SharedBytes {
    /// What is recorded so far.
    pub fn take(&self) -> Vec<u8> {
        core::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for SharedBytes {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        self.buffer.push(byte);
        Ok(())
    }

    fn summed(&self, mut sum: Digest) -> Digest {
        sum.bytes(&self.buffer);
        sum
    }

    fn commit(&mut self) {
        self.lock().extend_from_slice(&self.buffer);
        self.buffer.clear();
    }
}
