//! Both sides of one direction of a line: what was sent, and what is taken for sound.
//!
//! A frame counts as sent when it was written whole, and as delivered when a decoder fed the same
//! bytes as the receiver's says so. Its meaning, with the list it carries, has to be that of a frame
//! that was sent in that session, and each counts once; only LOST, which is outside any session and says
//! nothing but that, may count again.

use std::collections::HashMap;

use bully::wire::{Decoder, Received};
use bully::{Addr, Member, Pid};

/// Frames that this direction carries never have more members in this test.
const MEMBERS: usize = 64;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToChip,
    ToGateway,
}

/// A frame's session, and its meaning.
type Key = (u8, String);

#[derive(Debug)]
pub(crate) struct Watch {
    way: Way,
    sender: Tap,
    receiver: Tap,
    sent: HashMap<Key, u32>,
    /// Frames that were checked.
    pub(crate) checked: u32,
}

/// A decoder of one's own, and the frame under way as it lies on the line.
#[derive(Debug)]
struct Tap {
    decoder: Decoder<'static>,
    raw: Vec<u8>,
}

impl Tap {
    fn new() -> Self {
        let nobody = Member {
            pid: Pid { days: 0, id: 0 },
            addr: Addr(0),
        };
        // Two for each line, and few lines.
        let bytes = vec![0; bully::wire::frame_max(MEMBERS)].leak();
        Self {
            decoder: Decoder::new(bytes, vec![nobody; MEMBERS].leak()),
            raw: Vec::new(),
        }
    }

    /// Takes a byte; the frame it completes, if that is sound. `begins` says whether a frame, of
    /// this session and kind, is one that a session begins with.
    fn push(&mut self, byte: u8, begins: impl Fn(u8, u8) -> bool) -> Option<Key> {
        if byte != 0 {
            self.raw.push(byte);
            self.decoder.push(byte);
            return None;
        }
        let plain = unstuffed(&self.raw);
        self.raw.clear();
        let (session, kind) = (plain.first().copied(), plain.get(2).copied());
        if let (Some(session), Some(kind)) = (session, kind)
            && begins(session, kind)
        {
            self.decoder.begin(session);
        }
        let received = self.decoder.push(0)?;
        let frame = (received == Received::Frame).then(|| self.decoder.frame())??;
        Some((session?, format!("{frame:?}")))
    }
}

impl Watch {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way,
            sender: Tap::new(),
            receiver: Tap::new(),
            sent: HashMap::new(),
            checked: 0,
        }
    }

    /// The gateway asks for a session of this number: what was said in an earlier one of that
    /// number is past.
    pub(crate) fn begin(&mut self, session: u8) {
        self.sent.retain(|(of, _), _| *of != session);
        if self.way == Way::ToGateway {
            self.receiver.decoder.begin(session);
        }
    }

    pub(crate) fn sent(&mut self, byte: u8) {
        // The chip says READY where a session begins; HELLO begins one by itself.
        let from_chip = self.way == Way::ToGateway;
        let sent = self.sender.push(byte, |_, kind| from_chip && kind == READY);
        if let Some(key) = sent {
            *self.sent.entry(key).or_default() += 1;
        }
    }

    pub(crate) fn delivered(&mut self, byte: u8) {
        let Some(key) = self.receiver.push(byte, |_, _| false) else {
            return;
        };
        self.checked += 1;
        let left = self.sent.get_mut(&key).filter(|left| **left > 0);
        let left = left.unwrap_or_else(|| panic!("{:?}: never sent: {key:?}", self.way));
        // What is said outside any session has no number that would show a repetition.
        if key.0 != 0 {
            *left -= 1;
        }
    }
}

const READY: u8 = 1;

/// What COBS made `stuffed` of, or nothing if it is no such thing.
fn unstuffed(stuffed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = stuffed;
    while let Some((length, after)) = rest.split_first() {
        let Some((block, next)) = after.split_at_checked(usize::from(*length) - 1) else {
            return Vec::new();
        };
        plain.extend_from_slice(block);
        if *length < 255 && !next.is_empty() {
            plain.push(0);
        }
        rest = next;
    }
    plain
}
