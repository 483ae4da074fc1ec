//! What all [`Tcp`](super::Tcp)s of one [`Poll`](super::Poll) have in common: a thousand members in
//! one process read one after the other, and mostly the same.

use std::rc::Rc;

use bully::Member;

use super::known::KnownLists;
use crate::pickle::{Limits, Reader};

/// Memory that is needed by one connection at a time, and what was read and written last.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where everything is read to.
    pub(super) buffer: Box<[u8]>,
    pub(super) readers: Readers,
    pub(super) known: KnownLists,
    /// Where lists are decoded to.
    pub(super) members: Vec<Member>,
    /// Where messages are encoded to.
    pub(super) scratch: Vec<u8>,
    pub(super) encodings: Encodings,
    owners: u64,
}

/// How much is read at once: a list of some 4,000 members.
const BUFFER: usize = 64 * 1024;

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            readers: Readers::default(),
            known: KnownLists::default(),
            members: Vec::new(),
            scratch: Vec::new(),
            encodings: Encodings::default(),
            owners: 0,
        }
    }

    /// A number that no other `Tcp` of this poll ever has.
    pub(super) fn number(&mut self) -> u64 {
        self.owners += 1;
        self.owners
    }
}

/// Readers that nobody uses, with the memory of their last message.
#[derive(Debug, Default)]
pub(super) struct Readers(Vec<Reader>);

/// What a message may hold at most. A quarter of what the reader takes by itself: 2,500 members in
/// any protocol, well above any lab, and less than 2 MiB of memory for each connection.
pub(crate) const LIMITS: Limits = Limits {
    bytes: 1 << 18,
    text: 4096,
    marks: 64,
    values: 1 << 14,
    members: 1 << 12,
};

/// How many readers are kept: most messages come in one piece, so that one is enough.
const READERS_MAX: usize = 4;

/// From this message size on a reader's memory is given back instead of being kept.
const KEEP_MAX: usize = BUFFER;

impl Readers {
    pub(super) fn take(&mut self) -> Reader {
        self.0.pop().unwrap_or_else(|| Reader::new(LIMITS))
    }

    /// Takes `reader` back after a message of `bytes`.
    pub(super) fn give(&mut self, mut reader: Reader, bytes: usize) {
        if bytes <= KEEP_MAX && self.0.len() < READERS_MAX {
            reader.clear();
            self.0.push(reader);
        }
    }
}

/// The latest encodings of lists, whoever's: members that agree send the same bytes.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    kept: Vec<Rc<[u8]>>,
    next: usize,
}

/// How many encodings are kept.
const ENCODINGS_MAX: usize = 16;

impl Encodings {
    /// `bytes`, shared with whoever wrote the same lately.
    pub(super) fn share(&mut self, bytes: &[u8]) -> Rc<[u8]> {
        if let Some(kept) = self.kept.iter().find(|kept| ***kept == *bytes) {
            return Rc::clone(kept);
        }
        let shared: Rc<[u8]> = Rc::from(bytes);
        let place = self.next % ENCODINGS_MAX;
        match self.kept.get_mut(place) {
            Some(kept) => *kept = Rc::clone(&shared),
            None => self.kept.push(Rc::clone(&shared)),
        }
        self.next = place + 1;
        shared
    }
}
