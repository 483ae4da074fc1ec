//! The run of a recorded node, again.

use core::fmt;

use bully::record::{Digest, Recordable, image_digest};
use bully::{Event, Instant};
use bully_sim::AnyNode;

use crate::cursor::{Cursor, Unread, What};
use crate::node::{AnyRecordable, restored};
use crate::player::{Divergence, Observer, Player, Stopped, is_continued, marked};
use crate::read::{Bank, Recording};

/// The shipped node, with the input it had when it was recorded.
pub struct Replay {
    banks: std::vec::IntoIter<Bank>,
    cursor: Cursor,
    damaged: Option<usize>,
    node: Box<dyn AnyRecordable>,
    digest: Digest,
    /// The last record after which all was as recorded.
    agreed: u32,
    /// The last bank read has ended as it should, and whether another follows.
    ended: Option<bool>,
}

/// What a step of a replay was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The node was polled at this time, and reported this.
    Polled(Instant, Option<Event>),
    /// The node was made to leave.
    Resigned(Instant),
}

/// How a replay that went well ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How many records there are.
    pub records: u32,
    /// The time of the last poll.
    pub at: Instant,
}

/// Why a replay cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The node does not do what was recorded.
    Diverged(Divergence),
    /// Up to here all was as recorded; then the recording is cut short.
    CutShort(Ended),
    /// Up to here all was as recorded; then these many bytes are damaged.
    Damaged(Ended, usize),
    /// After this record there are bytes that are none, though their checksum is right.
    Malformed(u32),
    /// The node that the bank of this number begins with cannot be made.
    NoNode(u32),
    /// Before the bank of this number so many records are missing. It can be repeated by itself.
    Missing(u32, u32),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |f: &mut fmt::Formatter<'_>, ended: &Ended| {
            let at = ended.at.as_micros() as f64 / 1e6;
            write!(
                f,
                "up to record {} at {at:.6} s all is as recorded, and ",
                ended.records
            )
        };
        match self {
            Self::Diverged(divergence) => divergence.fmt(f),
            Self::CutShort(ended) => {
                until(f, ended)?;
                f.write_str("there it is cut short")
            }
            Self::Damaged(ended, bytes) => {
                until(f, ended)?;
                write!(f, "the {bytes} bytes after that are damaged")
            }
            Self::Malformed(record) => write!(f, "what follows record {record} is none"),
            Self::NoNode(bank) => write!(f, "bank {bank} begins with bytes that are no node"),
            Self::Missing(bank, count) => {
                write!(f, "before bank {bank} {count} records are missing")
            }
        }
    }
}

impl core::error::Error for Problem {}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("record", &self.cursor.number())
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// The node as it was when the recording began.
    ///
    /// # Errors
    ///
    /// [`Problem::NoNode`].
    pub fn new(recording: Recording) -> Result<Self, Problem> {
        let mut banks = recording.banks.into_iter();
        let first = banks.next().ok_or(Problem::NoNode(0))?;
        let node = begin(&first)?;
        Ok(Self {
            banks,
            agreed: first.header.records_before,
            damaged: first.damaged,
            cursor: cursor(first),
            node,
            digest: Digest::new(),
            ended: None,
        })
    }

    /// Replaces the node by another one, which has to do what was recorded.
    #[must_use]
    pub fn with_node(self, node: Box<dyn AnyRecordable>) -> Self {
        Self { node, ..self }
    }

    /// The node as it is now.
    pub fn node(&self) -> &dyn AnyRecordable {
        &*self.node
    }

    /// How far it is.
    pub fn so_far(&self) -> Ended {
        Ended {
            records: self.agreed,
            at: self.cursor.now(),
        }
    }

    /// Repeats the next poll. Returns `None` at the end of the recording.
    ///
    /// # Errors
    ///
    /// [`Problem`], after which it cannot go on.
    pub fn step(&mut self, observer: &mut dyn Observer) -> Result<Option<Step>, Problem> {
        loop {
            let malformed = Problem::Malformed(self.cursor.number());
            let next = match self.cursor.peek() {
                Ok(entry) => entry.cloned(),
                Err(Unread::Short) => None,
                Err(Unread::Malformed) => return Err(malformed),
            };
            let Some(entry) = next else {
                if !self.next_bank()? {
                    return Ok(None);
                }
                observer.bank();
                continue;
            };
            self.cursor.take();
            let record = entry.number;
            let at = self.cursor.now();
            match entry.what {
                What::Poll(now) => {
                    observer.polled(now);
                    let event = self.poll(now, observer)?;
                    return Ok(Some(Step::Polled(now, event)));
                }
                What::Resigned => {
                    Recordable::resign(&mut *self.node);
                    return Ok(Some(Step::Resigned(at)));
                }
                What::Mark(expected) => {
                    marked(self.digest, expected, (self.agreed, record), at)
                        .map_err(Problem::Diverged)?;
                    self.agreed = record;
                }
                What::End { why, image } => {
                    let came = image_digest(&*self.node).value();
                    if let Some(image) = image.filter(|image| *image != came) {
                        return Err(Problem::Diverged(Divergence {
                            record,
                            at,
                            expected: format!("that the node's state has the digest {image:08x}"),
                            came: format!("it has {came:08x}"),
                        }));
                    }
                    self.agreed = record;
                    self.ended = Some(is_continued(why));
                }
                What::Note(note) => observer.noted(&note),
                // Of a poll that has ended: whoever wrote this is not the recorder.
                _ => return Err(malformed),
            }
        }
    }

    fn poll(
        &mut self,
        now: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Option<Event>, Problem> {
        let mut player = Player {
            cursor: &mut self.cursor,
            digest: &mut self.digest,
            observer,
            stopped: None,
            agreed: &mut self.agreed,
        };
        let event = AnyNode::poll(&mut *self.node, now, &mut player);
        player.end();
        match player.stopped {
            Some(Stopped::Diverged(divergence)) => return Err(Problem::Diverged(divergence)),
            Some(Stopped::Unread(Unread::Malformed)) => {
                return Err(Problem::Malformed(self.cursor.number()));
            }
            Some(Stopped::Unread(Unread::Short)) => return Err(self.cut_short()),
            None => {}
        }
        if let Some(event) = &event {
            self.digest.event(event);
        }
        self.digest.polled();
        Ok(event)
    }

    /// The records end before the bank does.
    fn cut_short(&self) -> Problem {
        let so_far = Ended {
            records: self.cursor.number(),
            at: self.cursor.now(),
        };
        match self.damaged {
            Some(bytes) => Problem::Damaged(so_far, bytes),
            None => Problem::CutShort(so_far),
        }
    }

    /// Goes on with the next bank. Returns `false` if the recording is over.
    fn next_bank(&mut self) -> Result<bool, Problem> {
        if self.damaged.is_some() {
            return Err(self.cut_short());
        }
        let Some(bank) = self.banks.next() else {
            return match self.ended {
                Some(false) => Ok(false),
                _ => Err(self.cut_short()),
            };
        };
        let node = begin(&bank)?;
        let (number, before) = (bank.header.bank, bank.header.records_before);
        let missing = before.wrapping_sub(self.cursor.number());
        if missing > 0 {
            return Err(Problem::Missing(number, missing));
        }
        let [expected, came] = [&*node, &*self.node].map(|node| image_digest(node).value());
        if expected != came {
            return Err(Problem::Diverged(Divergence {
                record: before,
                at: bank.header.from,
                expected: format!(
                    "that bank {number} begins with a state of digest {expected:08x}"
                ),
                came: format!("the node's has {came:08x}"),
            }));
        }
        self.damaged = bank.damaged;
        self.ended = None;
        self.digest = Digest::new();
        self.cursor = cursor(bank);
        Ok(true)
    }
}

fn begin(bank: &Bank) -> Result<Box<dyn AnyRecordable>, Problem> {
    let header = &bank.header;
    restored(header.members, header.exchanges, &header.image).ok_or(Problem::NoNode(header.bank))
}

fn cursor(bank: Bank) -> Cursor {
    Cursor::new(bank.records, bank.header.from, bank.header.records_before)
}
