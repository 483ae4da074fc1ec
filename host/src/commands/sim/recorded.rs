//! `bully sim --record`: a file for each start of each member.

use core::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bully::{Config, Instant, Net, Pid};
use bully_record::{FileSink, Recorded, reads_of, recorded};
use bully_sim::{AnyNode, Scenario, exchanges};

use super::super::{Failure, record};
use crate::log::{Event, NoteWriter};

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
    /// What is to be noted in the recording of each: of its last start.
    events: HashMap<Pid, Events>,
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
            Some(file) => {
                let events = Events::default();
                let mut made = self.made.borrow_mut();
                made.events.insert(config.me.pid, Rc::clone(&events));
                Some(Box::new(Noted {
                    node: recorded(capacity, exchanges, config, file, 0)?,
                    events,
                    writer: NoteWriter::default(),
                }))
            }
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

    /// Notes an event of a member in its recording: a replay has its messages with their connections.
    pub(super) fn note(&self, pid: Pid, at: Instant, event: &Event) {
        if let Some(events) = self.made.borrow().events.get(&pid) {
            events.borrow_mut().push((at, event.clone()));
        }
    }

    /// Returns why not every member was recorded, if that is so.
    pub(super) fn error(self) -> Option<Failure> {
        self.made.into_inner().error
    }
}

/// What has happened to a member and is not noted in its recording yet.
type Events = Rc<RefCell<Vec<(Instant, Event)>>>;

/// A member that is recorded with notes.
struct Noted {
    node: Box<dyn Recorded>,
    events: Events,
    writer: NoteWriter,
}

impl Noted {
    /// Notes what has happened since the last poll, if anything is recorded yet.
    fn note(&mut self) {
        if let Some((bank, polled)) = self.node.position() {
            for (at, event) in self.events.take() {
                let note = self.writer.note(bank, polled, at, &event);
                self.node.note(&note);
            }
        }
    }
}

impl AnyNode for Noted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<bully::Event> {
        self.note();
        self.node.poll(now, net)
    }

    fn resign(&mut self) {
        self.note();
        self.node.resign();
    }

    reads_of!(node);
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.note();
    }
}
