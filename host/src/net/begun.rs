//! A message as far as it has come, decoded only if nobody has sent the same lately.

use std::rc::Rc;

use super::known::{Known, KnownLists, Scope, same_up_to_shorter};
use super::shared::Readers;
use crate::pickle::message::Due;
use crate::pickle::{Reader, Refused};

/// What has come of a message.
#[derive(Debug, Default)]
pub(super) enum Begun {
    #[default]
    Nothing,
    /// So many bytes, all as in this message.
    Like(Rc<Known>, usize),
    /// Something else; in a box since there is seldom one.
    Read(Box<Reader>),
}

/// What a piece has made of it.
#[derive(Debug)]
pub(super) enum Taken {
    /// More is to come.
    More(Begun),
    /// It is whole, and the same as this one. It ended with byte `end` of the piece.
    Known { known: Rc<Known>, end: usize },
    /// It is whole, and ended with byte `end` of the piece. `alone`: it came in one piece.
    Read {
        reader: Reader,
        end: usize,
        alone: bool,
    },
    /// It cannot become a message.
    Refused(Reader, Refused),
}

impl Begun {
    /// Takes in the next piece.
    pub(super) fn take(
        self,
        piece: &[u8],
        due: Option<Due>,
        scope: Scope,
        lists: &KnownLists,
        readers: &mut Readers,
    ) -> Taken {
        let (known, at) = match self {
            Self::Read(reader) => return read(*reader, piece, false),
            Self::Like(known, at) => (known, at),
            Self::Nothing => match lists.find(piece, due, scope) {
                Some(known) => (Rc::clone(known), 0),
                None => return read(readers.take(), piece, true),
            },
        };
        let (before, rest) = known.bytes().split_at(at);
        if known.means_to(scope) && same_up_to_shorter(rest, piece) {
            return match at + piece.len() {
                at if at < known.bytes().len() => Taken::More(Self::Like(known, at)),
                _ => {
                    let end = known.bytes().len() - at;
                    Taken::Known { known, end }
                }
            };
        }
        let mut reader = readers.take();
        match reader.push(before) {
            Ok(_) => read(reader, piece, false),
            Err(refused) => Taken::Refused(reader, refused),
        }
    }

    /// The first bytes of it, at most 1,024 if it was read.
    pub(super) fn beginning(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Like(known, at) => known.bytes().get(..*at).unwrap_or(&[]),
            Self::Read(reader) => reader.beginning(),
        }
    }
}

fn read(mut reader: Reader, piece: &[u8], first: bool) -> Taken {
    match reader.push(piece) {
        Ok(Some(end)) => Taken::Read {
            reader,
            end,
            alone: first,
        },
        Ok(None) => Taken::More(Begun::Read(Box::new(reader))),
        Err(refused) => Taken::Refused(reader, refused),
    }
}
