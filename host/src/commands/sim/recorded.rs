//! `bully sim --record`: a file for each start of each member.

use core::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bully::{Config, Pid};
use bully_record::{FileSink, recorded};
use bully_sim::{AnyNode, Scenario, exchanges};

use super::super::{Failure, record};

/// Where the members of a run are recorded.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    made: RefCell<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// How often each has started.
    starts: HashMap<Pid, u32>,
    error: Option<Failure>,
}

impl Files {
    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// What the user can do about it if that is not possible.
    pub(super) fn create(directory: &Path) -> Result<Self, Failure> {
        record::directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            made: RefCell::default(),
        })
    }

    /// Makes a member that is recorded; one whose file cannot be made is not.
    pub(super) fn node(
        &self,
        scenario: &Scenario,
        capacity: usize,
        config: Config,
    ) -> Option<Box<dyn AnyNode>> {
        let exchanges = exchanges(scenario, capacity);
        match self.file(config.me.pid) {
            Some(file) => Some(recorded(capacity, exchanges, config, file, 0)?),
            None => bully_sim::node(scenario, capacity, config),
        }
    }

    fn file(&self, pid: Pid) -> Option<FileSink> {
        let mut made = self.made.borrow_mut();
        let starts = made.starts.entry(pid).or_default();
        *starts += 1;
        let again = match *starts {
            1 => String::new(),
            starts => format!(".{starts}"),
        };
        let name = format!("{}-{}{again}.byr", pid.days, pid.id);
        let path = self.directory.join(name);
        // A run is bounded in time and messages.
        match FileSink::create(&path, u64::MAX) {
            Ok(file) => Some(file),
            Err(error) => {
                made.error = Some(record::unwritable(&path, &error));
                None
            }
        }
    }

    /// Returns why not every member was recorded, if that is so.
    pub(super) fn error(self) -> Option<Failure> {
        self.made.into_inner().error
    }
}
