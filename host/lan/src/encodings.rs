//! Messages as bytes until they are sent: written once, and shared by all who are sent the same.

use bully::{Origin, Roster};
use bully_pickle::Buffer;
use bully_pickle::writer::Forms;

/// How many messages may wait at once: a broadcast, an answer, a JOIN and one to spare.
pub(crate) const ENCODINGS: usize = 4;

/// Bytes of one: a list of 64 members of one host each fits in 1,100, one of 32 hosts in 850.
pub(crate) const ENCODING_BYTES: usize = 1_184;

/// Which message it is, where the same list makes several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Election,
    Coordinator,
    Probe,
    Ok,
}

/// What makes two messages the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    kind: Kind,
    revision: Option<u32>,
    len: usize,
    origin: Option<Origin>,
    forms: Forms,
}

impl Key {
    /// `None` if the message is not the same as any other for certain.
    pub(crate) fn of(
        kind: Kind,
        list: Roster<'_>,
        with_members: bool,
        forms: Forms,
    ) -> Option<Self> {
        let (revision, len) = match (with_members, list.revision()) {
            (true, None) if !list.is_empty() => return None,
            (true, revision) => (revision, list.len()),
            (false, _) => (None, 0),
        };
        Some(Self {
            kind,
            revision,
            len,
            origin: list.origin(),
            forms,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Encoding {
    key: Option<Key>,
    users: u8,
    len: u16,
}

/// The bytes of all encodings.
pub(crate) type EncodingBytes = [[u8; ENCODING_BYTES]; ENCODINGS];

/// All that wait, and the latest that were sent.
#[derive(Debug)]
pub(crate) struct Encodings<'a> {
    encodings: [Encoding; ENCODINGS],
    bytes: &'a mut EncodingBytes,
}

impl<'a> Encodings<'a> {
    pub(crate) fn new(bytes: &'a mut EncodingBytes) -> Self {
        let encodings = [Encoding {
            key: None,
            users: 0,
            len: 0,
        }; ENCODINGS];
        Self { encodings, bytes }
    }

    /// Takes what `write` writes, or what it wrote before for the same `key`: its number, to be
    /// [released](Self::release). `None` if all are in use, or it is too long.
    pub(crate) fn take(
        &mut self,
        key: Option<Key>,
        write: impl FnOnce(&mut Buffer<'_>),
    ) -> Option<u8> {
        let same = |encoding: &Encoding| key.is_some() && encoding.key == key;
        let at = match self.encodings.iter().position(same) {
            Some(at) => at,
            None => {
                let is_free = |encoding: &Encoding| encoding.users == 0;
                let at = self.encodings.iter().position(is_free)?;
                let encoding = self.encodings.get_mut(at)?;
                encoding.key = None;
                let mut out = Buffer::new(self.bytes.get_mut(at)?);
                write(&mut out);
                encoding.len = u16::try_from(out.end()?).ok()?;
                encoding.key = key;
                at
            }
        };
        let encoding = self.encodings.get_mut(at)?;
        encoding.users = encoding.users.checked_add(1)?;
        u8::try_from(at).ok()
    }

    pub(crate) fn bytes(&self, number: u8) -> &[u8] {
        let at = usize::from(number);
        let len = self.encodings.get(at).map_or(0, |encoding| encoding.len);
        let bytes = self.bytes.get(at);
        bytes
            .and_then(|bytes| bytes.get(..usize::from(len)))
            .unwrap_or(&[])
    }

    pub(crate) fn release(&mut self, number: u8) {
        if let Some(encoding) = self.encodings.get_mut(usize::from(number)) {
            encoding.users = encoding.users.saturating_sub(1);
        }
    }
}
