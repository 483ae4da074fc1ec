//! What the log of a recorded member has beside what the member reports, in a few bytes: it goes into
//! the recording, so that the log of a repeated run has the same lines.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use bully::{Instant, Pid};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::json;
use super::message::{Conn, Direction, Kind, Message, Party, Problem};
use super::text::{self, Detail};
use crate::net::Ends;

/// Writes notes, one for each line of the log.
#[derive(Debug, Default)]
pub(crate) struct NoteWriter {
    recent: Recent,
    /// The bank that the last note went to; a reader of the next one knows nothing of it.
    bank: u32,
}

/// Reads notes.
#[derive(Debug, Default)]
pub(super) struct NoteReader(Recent);

/// What is logged, and so many microseconds after the poll that was recorded last.
#[derive(Debug, Serialize, Deserialize)]
enum Note {
    /// What the member reported.
    Reported(i64),
    Waiting(i64),
    Message(i64, Compact),
    Other(i64, Written),
}

/// What a note says.
#[derive(Debug)]
pub(super) enum Noted {
    /// When what the member reported was logged.
    Reported(i64),
    Event(i64, Event),
    Written(i64, Written),
}

/// An event that only the host knew of, as it was written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Written {
    /// The event's object in JSON.
    pub(super) json: String,
    /// The sentence for people.
    pub(super) text: String,
    /// It is shown only to those who ask for routine.
    pub(super) routine: bool,
}

/// A [`Message`], its connection by its place among the recent ones.
#[derive(Debug, Serialize, Deserialize)]
struct Compact {
    sent: bool,
    alone: bool,
    kind: Option<Name>,
    conn: Place,
    peer: Option<(u32, u32)>,
    leader: Option<(u32, u32)>,
    members: Option<usize>,
    bytes: u64,
    error: Option<u8>,
    request: Option<Name>,
    party: Whom,
    /// Microseconds.
    waited: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Name {
    Known(u8),
    Other(String),
}

#[derive(Debug, Serialize, Deserialize)]
enum Place {
    Nowhere,
    New(SocketAddr, SocketAddr, Option<u64>),
    Again(u8),
    Number(u64),
}

#[derive(Debug, Serialize, Deserialize)]
enum Whom {
    Caller,
    Coordinator,
    /// The member that listens at the other end of the connection.
    Listener,
    Member(String),
}

const KINDS: [Kind; 7] = [
    Kind::Join,
    Kind::Members,
    Kind::Refused,
    Kind::Election,
    Kind::Ok,
    Kind::Coordinator,
    Kind::Probe,
];

const PROBLEMS: [Problem; 9] = [
    Problem::Refused,
    Problem::Reset,
    Problem::Closed,
    Problem::TimedOut,
    Problem::GivenUp,
    Problem::Malformed,
    Problem::Rejected,
    Problem::Stopped,
    Problem::Lost,
];

impl NoteWriter {
    /// The note for `event`, which is logged at `at`, for this bank of a recording whose last poll
    /// was at `polled`.
    pub(crate) fn note(
        &mut self,
        bank: u32,
        polled: Instant,
        at: Instant,
        event: &Event,
    ) -> Vec<u8> {
        if self.bank != bank {
            *self = Self {
                bank,
                ..Self::default()
            };
        }
        let after = at
            .as_micros()
            .wrapping_sub(polled.as_micros())
            .cast_signed();
        let note = match event {
            Event::Waiting => Note::Waiting(after),
            Event::Message(message) => Note::Message(after, self.recent.compact(message)),
            event if is_reported(event) => Note::Reported(after),
            other => Note::Other(
                after,
                Written {
                    json: json::object(other),
                    text: text::sentence(other, None).0,
                    routine: text::detail(other) == Detail::Verbose,
                },
            ),
        };
        // Nothing in a note can fail.
        postcard::to_allocvec(&note).unwrap_or_default()
    }
}

/// Returns `true` if the member reports it again when it is repeated, in the same words.
pub(super) fn is_reported(event: &Event) -> bool {
    matches!(
        event,
        Event::Joined { .. }
            | Event::Election { .. }
            | Event::Leader { .. }
            | Event::LeaderLost { .. }
            | Event::Failed { .. }
            | Event::Recovered
            | Event::RosterFull { .. }
            | Event::Resigned { .. }
    )
}

impl NoteReader {
    /// What a note says; `None` if it is none.
    pub(super) fn read(&mut self, note: &[u8]) -> Option<Noted> {
        Some(match postcard::from_bytes(note).ok()? {
            Note::Reported(after) => Noted::Reported(after),
            Note::Waiting(after) => Noted::Event(after, Event::Waiting),
            Note::Message(after, compact) => {
                Noted::Event(after, Event::Message(self.0.message(compact)?))
            }
            Note::Other(after, written) => Noted::Written(after, written),
        })
    }
}

/// The connections of late, the youngest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<Conn>);

/// How many connections are remembered: about as many as are open at once.
const RECENT: usize = 32;

impl Recent {
    fn compact(&mut self, message: &Message) -> Compact {
        let listener = match message.conn {
            Some(Conn::Tcp(ends, _)) => Some(ends.listener.to_string()),
            _ => None,
        };
        Compact {
            sent: message.dir == Direction::Send,
            alone: message.alone,
            kind: message.kind.as_ref().map(Name::of),
            conn: match message.conn {
                None => Place::Nowhere,
                Some(Conn::Number(number)) => Place::Number(number),
                Some(conn @ Conn::Tcp(ends, number)) => match self.place(conn) {
                    Some(place) => Place::Again(place),
                    None => Place::New(ends.initiator, ends.listener, number),
                },
            },
            peer: message.peer.map(|pid| (pid.days, pid.id)),
            leader: message.leader.map(|pid| (pid.days, pid.id)),
            members: message.members,
            bytes: message.bytes,
            error: message.error.and_then(|error| place(&PROBLEMS, &error)),
            request: message.request.as_ref().map(Name::of),
            party: match &message.party {
                Party::Caller => Whom::Caller,
                Party::Coordinator => Whom::Coordinator,
                Party::Member(shown) if listener.as_ref() == Some(shown) => Whom::Listener,
                Party::Member(shown) => Whom::Member(shown.clone()),
            },
            waited: u64::try_from(message.waited.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn message(&mut self, compact: Compact) -> Option<Message> {
        let conn = match compact.conn {
            Place::Nowhere => None,
            Place::Number(number) => Some(Conn::Number(number)),
            Place::New(initiator, listener, number) => {
                let ends = Ends {
                    initiator,
                    listener,
                };
                Some(self.remember(Conn::Tcp(ends, number)))
            }
            Place::Again(place) => Some(*self.0.get(usize::from(place))?),
        };
        let pid = |(days, id)| Pid { days, id };
        Some(Message {
            at: Instant::ZERO,
            node: None,
            dir: match compact.sent {
                true => Direction::Send,
                false => Direction::Recv,
            },
            kind: read(compact.kind)?,
            conn,
            peer: compact.peer.map(pid),
            leader: compact.leader.map(pid),
            members: compact.members,
            bytes: compact.bytes,
            error: match compact.error {
                None => None,
                Some(error) => Some(*PROBLEMS.get(usize::from(error))?),
            },
            request: read(compact.request)?,
            party: match (compact.party, conn) {
                (Whom::Caller, _) => Party::Caller,
                (Whom::Coordinator, _) => Party::Coordinator,
                (Whom::Listener, Some(Conn::Tcp(ends, _))) => {
                    Party::Member(ends.listener.to_string())
                }
                (Whom::Listener, _) => return None,
                (Whom::Member(shown), _) => Party::Member(shown),
            },
            alone: compact.alone,
            waited: Duration::from_micros(compact.waited),
        })
    }

    /// The place of a connection; one that has none is remembered.
    fn place(&mut self, conn: Conn) -> Option<u8> {
        let place = place_in(self.0.iter(), &conn);
        if place.is_none() {
            self.remember(conn);
        }
        place
    }

    fn remember(&mut self, conn: Conn) -> Conn {
        self.0.push_front(conn);
        self.0.truncate(RECENT);
        conn
    }
}

impl Name {
    fn of(kind: &Kind) -> Self {
        match place(&KINDS, kind) {
            Some(place) => Self::Known(place),
            None => Self::Other(kind.name().to_owned()),
        }
    }
}

/// The kind of this name; `None` if there is none of that number.
fn read(name: Option<Name>) -> Option<Option<Kind>> {
    Some(match name {
        None => None,
        Some(Name::Known(place)) => Some(KINDS.get(usize::from(place))?.clone()),
        Some(Name::Other(name)) => Some(Kind::Other(name)),
    })
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Option<u8> {
    place_in(all.iter(), one)
}

fn place_in<'a, T: PartialEq + 'a>(all: impl IntoIterator<Item = &'a T>, one: &T) -> Option<u8> {
    let place = all.into_iter().position(|other| other == one)?;
    u8::try_from(place).ok()
}
