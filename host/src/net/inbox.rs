//! From bytes to messages: what has come of a message, and the lists that came lately.

use std::rc::Rc;

use bully::{Member, Origin, Refusal, Roster};

use crate::names::{self, Names};
use crate::pickle::message::{self, Answer, Due, Keyed, Listed, Received};
use crate::pickle::{Limits, Reader, Refused};

/// Reads messages for everybody in the process.
///
/// In a group that agrees all lists are the same, so a list that came lately is recognised by its
/// bytes instead of being decoded: for a list of 1,000 members that is 20,000 instructions instead
/// of 300,000 (`bully-counts`). `bully lab --members 1000 --for 8s` takes 9.4 µs a message in user
/// mode; 14.1 µs if no list is recognised, 11.1 µs if no reader is kept for the next message.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Readers that nobody uses, with the memory of their last message.
    readers: Vec<Reader>,
    /// The lists that came last, in a ring.
    recent: Vec<Rc<List>>,
    next: usize,
    /// Where lists are decoded to.
    members: Vec<Member>,
}

/// The beginning of a message that is not whole yet.
#[derive(Debug, Default)]
pub(super) enum Partial {
    #[default]
    Nothing,
    /// So many bytes, all as in this message.
    Like(Rc<List>, usize),
    /// Something else; in a box since there is seldom one.
    Read(Box<Reader>),
}

/// A message with a list of members, as bytes and decoded.
#[derive(Debug)]
pub(super) struct List {
    /// The message up to its end; nothing if it came in several pieces.
    bytes: Vec<u8>,
    /// Strictly ascending.
    members: Vec<Member>,
    about: About,
}

/// What a message says besides its list, and to whom.
#[derive(Clone, Copy, Debug)]
struct About {
    /// What it was read as an answer to.
    due: Option<Due>,
    kind: Kind,
    keyed: Option<Keyed>,
    /// Whose names its addresses are of; `None`: they are the same to everyone.
    scope: Option<Scope>,
}

/// Who reads a message, and as what.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// What it answers; `None`: it is a message of theirs.
    pub(super) due: Option<Due>,
    /// How many bytes of it have come, the present piece included.
    pub(super) received: usize,
    pub(super) names: &'a mut Names,
    /// Whose names these are.
    pub(super) scope: Scope,
}

/// The messages and answers that may have a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Election,
    Coordinator,
    Probe,
    Ok,
    Members,
}

/// The names of one user until some of them are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// No other user's.
    pub(super) user: u64,
    /// How often names were forgotten.
    pub(super) sweeps: u64,
}

/// What a piece has made of a message.
#[derive(Debug)]
pub(super) enum Arrival {
    /// More is to come.
    Partial,
    /// It is whole, and has a list of members.
    List(Rc<List>, Obtained),
    /// It is whole, and has no list, or nobody is in it.
    Plain(Kind, Option<Keyed>),
    /// Somebody wants to join.
    Join(Member),
    /// A whole message that is not served; `detail` is for the answer to it.
    Unfit { refusal: Refusal, detail: String },
    /// The coordinator's reason not to let us in.
    Refused(String),
    /// A whole message that answers nothing of ours; what it was.
    NotAnAnswer(String),
    /// It cannot become a message, for this reason; with its first bytes.
    NotAMessage(String, Vec<u8>),
}

/// How a list was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obtained {
    Decoded,
    Recognised,
}

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
const KEEP_MAX: usize = 64 * 1024;

/// How many lists are kept: ELECTION and COORDINATOR, as all have them and as newcomers do.
const RECENT_MAX: usize = 8;

impl List {
    pub(super) fn kind(&self) -> Kind {
        self.about.kind
    }

    /// What its keys were, if that can be seen.
    pub(super) fn keyed(&self) -> Option<Keyed> {
        self.about.keyed
    }

    pub(super) fn roster(&self) -> Roster<'_> {
        // Ascending since it was made, so this is never the empty list.
        Roster::new(&self.members).unwrap_or(Roster::EMPTY)
    }

    /// Returns `true` if its addresses are the same in these names.
    fn is_for(&self, scope: Scope) -> bool {
        self.about.scope.is_none_or(|whose| whose == scope)
    }
}

impl Partial {
    /// The first bytes of it, at most 1,024 if it was read.
    pub(super) fn beginning(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Like(list, at) => list.bytes.get(..*at).unwrap_or(&[]),
            Self::Read(reader) => reader.beginning(),
        }
    }
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Self {
            readers: Vec::new(),
            recent: Vec::new(),
            next: 0,
            members: Vec::new(),
        }
    }

    /// Takes in the next piece of the message in `partial`. What follows a message in its last
    /// piece may say which program of our own kind sent it.
    pub(super) fn take(
        &mut self,
        partial: &mut Partial,
        piece: &[u8],
        context: Context<'_>,
    ) -> (Arrival, Option<Origin>) {
        let (list, at) = match core::mem::take(partial) {
            Partial::Read(reader) => return self.read(*reader, partial, piece, context),
            Partial::Like(list, at) => (list, at),
            Partial::Nothing => match self.find(piece, &context) {
                Some(list) => (Rc::clone(list), 0),
                None => {
                    let reader = self.reader();
                    return self.read(reader, partial, piece, context);
                }
            },
        };
        let (before, rest) = list.bytes.split_at(at);
        if list.is_for(context.scope) && same_up_to_shorter(rest, piece) {
            let Some(after) = piece.get(rest.len()..) else {
                *partial = Partial::Like(list, at + piece.len());
                return (Arrival::Partial, None);
            };
            let mut origin = None;
            if !after.is_empty() {
                let mut reader = self.reader();
                origin = message::origin(after, &mut reader);
                self.keep_reader(reader, after.len());
            }
            return (Arrival::List(list, Obtained::Recognised), origin);
        }
        let mut reader = self.reader();
        match reader.push(before) {
            Ok(_) => self.read(reader, partial, piece, context),
            Err(refused) => (self.refuse(reader, &refused, context.received), None),
        }
    }

    /// Gives back what a message took that will not become whole.
    pub(super) fn forget(&mut self, partial: &mut Partial, received: usize) {
        if let Partial::Read(reader) = core::mem::take(partial) {
            self.keep_reader(*reader, received);
        }
    }

    fn read(
        &mut self,
        mut reader: Reader,
        partial: &mut Partial,
        piece: &[u8],
        context: Context<'_>,
    ) -> (Arrival, Option<Origin>) {
        let received = context.received;
        match reader.push(piece) {
            Ok(Some(end)) => {
                let alone = received == piece.len();
                let (message, after) = piece.split_at_checked(end).unwrap_or_default();
                let bytes = if alone { message } else { &[] };
                let arrival = self.understand(&reader, bytes, context);
                let origin = message::origin(after, &mut reader);
                self.keep_reader(reader, received);
                (arrival, origin)
            }
            Ok(None) => {
                *partial = Partial::Read(Box::new(reader));
                (Arrival::Partial, None)
            }
            Err(refused) => (self.refuse(reader, &refused, received), None),
        }
    }

    fn refuse(&mut self, reader: Reader, refused: &Refused, received: usize) -> Arrival {
        let beginning = reader.beginning().to_vec();
        self.keep_reader(reader, received);
        Arrival::NotAMessage(refused.to_string(), beginning)
    }

    /// What a whole message says. `bytes` is all of it, or nothing if it came in pieces.
    fn understand(&mut self, reader: &Reader, bytes: &[u8], context: Context<'_>) -> Arrival {
        let Context {
            due, names, scope, ..
        } = context;
        let members = &mut self.members;
        let (kind, listed) = match due {
            None => match message::request(reader, names, members) {
                Received::Join(member) => return Arrival::Join(member),
                Received::Election(listed) => (Kind::Election, listed),
                Received::Coordinator(listed) => (Kind::Coordinator, listed),
                Received::Probe(listed) => (Kind::Probe, listed),
                Received::Unfit(refusal) => {
                    let detail = message::detail(reader, refusal).to_string();
                    return Arrival::Unfit { refusal, detail };
                }
            },
            Some(due) => match message::answer(reader, due, names, members) {
                Answer::Ok(listed) => (Kind::Ok, listed),
                Answer::Members(listed) => (Kind::Members, listed),
                Answer::Text(text) => return Arrival::Refused(text.to_owned()),
                Answer::Unfit => {
                    return Arrival::NotAnAnswer(message::describe(reader).to_string());
                }
            },
        };
        let Listed { keyed, left_out } = listed;
        if members.is_empty() {
            return Arrival::Plain(kind, keyed);
        }
        let same_to_all =
            left_out == 0 && members.iter().all(|member| names::is_plain(member.addr));
        let about = About {
            due,
            kind,
            keyed,
            scope: (!same_to_all).then_some(scope),
        };
        Arrival::List(self.keep(bytes, about), Obtained::Decoded)
    }

    /// A list that begins with all of `piece`, or that `piece` begins with.
    fn find(&self, piece: &[u8], context: &Context<'_>) -> Option<&Rc<List>> {
        self.recent.iter().find(|list| {
            list.about.due == context.due
                && list.is_for(context.scope)
                && same_up_to_shorter(&list.bytes, piece)
        })
    }

    /// The members decoded last as a list, which is kept in place of the oldest, and in its memory
    /// unless that is in use. Without its bytes it could not be recognised, and is not kept.
    fn keep(&mut self, bytes: &[u8], about: About) -> Rc<List> {
        let members = Roster::sorted(&mut self.members).members();
        let place = self.next % RECENT_MAX;
        self.next += usize::from(!bytes.is_empty());
        let oldest = self.recent.get_mut(place).filter(|_| !bytes.is_empty());
        if let Some(oldest) = oldest
            && let Some(list) = Rc::get_mut(oldest)
        {
            refill(&mut list.bytes, bytes);
            refill(&mut list.members, members);
            list.about = about;
            return Rc::clone(oldest);
        }
        let list = Rc::new(List {
            bytes: bytes.to_vec(),
            members: members.to_vec(),
            about,
        });
        if !bytes.is_empty() {
            match self.recent.get_mut(place) {
                Some(oldest) => *oldest = Rc::clone(&list),
                None => self.recent.push(Rc::clone(&list)),
            }
        }
        list
    }

    fn reader(&mut self) -> Reader {
        self.readers.pop().unwrap_or_else(|| Reader::new(LIMITS))
    }

    /// Takes `reader` back after a message of so many bytes.
    fn keep_reader(&mut self, mut reader: Reader, bytes: usize) {
        if bytes <= KEEP_MAX && self.readers.len() < READERS_MAX {
            reader.clear();
            self.readers.push(reader);
        }
    }
}

/// Returns `true` if one of them begins with the other.
fn same_up_to_shorter(a: &[u8], b: &[u8]) -> bool {
    let shorter = a.len().min(b.len());
    a.get(..shorter) == b.get(..shorter)
}

/// Puts `with` into `old`, in no more memory than that takes.
fn refill<T: Copy>(old: &mut Vec<T>, with: &[T]) {
    old.clear();
    old.extend_from_slice(with);
}
