//! Puts messages together from what was recorded at their two ends.
//!
//! A connection carries one message and perhaps its answer, so that each has a sending and a receiving
//! record at most. Ports are used again; then a record that a connection has already begins another.

use std::collections::{BTreeMap, HashMap};

use super::model::{Fate, Message, Who};
use super::time::micros;
use crate::line::{self, Conn, Direction, Kind, Line, What};
use crate::read::Source;

/// A record of a message: which log, and its place among the lines there.
pub(super) type End = (usize, usize);

/// All records of messages.
pub(super) struct Ends<'a> {
    sources: &'a [Source],
    /// In the order of logs and lines.
    all: Vec<Record<'a>>,
}

#[derive(Clone, Copy)]
struct Record<'a> {
    end: End,
    line: &'a Line,
    message: &'a line::Message,
}

/// The records that are of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Joint {
    pub(super) sent: Option<End>,
    pub(super) received: Option<End>,
    /// A second record of its sender: that it failed after all.
    pub(super) failed: Option<End>,
    /// What it answers, by its place among all.
    answers: Option<usize>,
}

/// A connection: a message and its answer.
#[derive(Default)]
struct Talk {
    /// When its message, and its answer, came.
    came: [Option<i64>; 2],
    request: Joint,
    answer: Joint,
}

/// What is sent later than this after something came, in microseconds, is another message: ports are
/// used again. Less is a clock that was set.
const SET_BACK_MAX: i64 = 10_000_000;

/// What distinguishes connections: those of different simulations have the same numbers.
type Key<'a> = (Option<usize>, &'a Conn);

/// Who listens where, as far as the records say.
pub(super) type Listeners = HashMap<String, Who>;

impl<'a> Ends<'a> {
    pub(super) fn collect(sources: &'a [Source]) -> Self {
        let records = sources.iter().enumerate().flat_map(|(number, source)| {
            messages_of(source).map(move |(index, line, message)| Record {
                end: (number, index),
                line,
                message,
            })
        });
        Self {
            sources,
            all: records.collect(),
        }
    }

    /// Returns how the clocks of two logs differ: for messages from one to another,
    /// whose connection nobody confuses, the logs and by how much the receiver's clock was later.
    pub(super) fn delays(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        let mut talks = BTreeMap::<(Key<'_>, bool), Vec<&Record<'_>>>::new();
        for record in &self.all {
            if let Some(key) = record.key() {
                let slot = (key, record.message.is_answer());
                talks.entry(slot).or_default().push(record);
            }
        }
        talks.into_values().filter_map(|records| {
            let &[one, other] = records.as_slice() else {
                return None;
            };
            let (sent, received) = match (one.message.dir, other.message.dir) {
                (Direction::Send, Direction::Recv) => (one, other),
                (Direction::Recv, Direction::Send) => (other, one),
                _ => return None,
            };
            let failed = sent.message.error.is_some() || received.message.error.is_some();
            let later = micros(received.line.time).saturating_sub(micros(sent.line.time));
            (!failed && sent.end.0 != received.end.0).then_some((sent.end.0, received.end.0, later))
        })
    }

    /// Returns all messages, with each record in one of them. `shifts` are added to the times of the
    /// logs.
    pub(super) fn messages(&self, shifts: &[i64]) -> Vec<Joint> {
        let at = |record: &Record<'_>| {
            let shift = shifts.get(record.end.0).copied().unwrap_or(0);
            micros(record.line.time).saturating_add(shift)
        };
        let mut records: Vec<_> = self.all.iter().map(|record| (at(record), record)).collect();
        records.sort_by_key(|(at, record)| (*at, record.end));
        let mut talks: Vec<Talk> = Vec::new();
        let mut latest = HashMap::<Key<'_>, usize>::new();
        for (at, record) in records {
            let key = record.key();
            let known = key.and_then(|key| latest.get(&key).copied());
            let talk = known.and_then(|known| talks.get_mut(known));
            if talk.is_some_and(|talk| self.put(talk, record, at)) {
                continue;
            }
            let mut talk = Talk::default();
            self.put(&mut talk, record, at);
            if let Some(key) = key {
                latest.insert(key, talks.len());
            }
            talks.push(talk);
        }
        let mut messages = Vec::new();
        for talk in talks {
            let mut answer = talk.answer;
            if !talk.request.is_empty() {
                answer.answers = Some(messages.len());
                messages.push(talk.request);
            }
            if !answer.is_empty() {
                messages.push(answer);
            }
        }
        messages
    }

    /// Puts `record`, of the time `at`, into `talk`. Returns `false` if it is not of that.
    fn put(&self, talk: &mut Talk, record: &Record<'_>, at: i64) -> bool {
        let [request, answer] = &mut talk.came;
        let (joint, came) = if record.message.is_answer() {
            (&mut talk.answer, answer)
        } else {
            (&mut talk.request, request)
        };
        if record.message.dir == Direction::Recv {
            came.get_or_insert(at);
        } else if came.is_some_and(|came| at.saturating_sub(came) > SET_BACK_MAX) {
            return false;
        }
        let slot = match record.message.dir {
            Direction::Recv => &mut joint.received,
            Direction::Send => {
                // Of one whose sending went well its sender may say later that nobody took it.
                let before = joint.sent.and_then(|sent| self.get(sent));
                let went_well = |(_, message): (_, &line::Message)| {
                    message.error.is_none() && Some(&message.kind) == Some(&record.message.kind)
                };
                if record.message.error.is_some() && before.is_some_and(went_well) {
                    &mut joint.failed
                } else {
                    &mut joint.sent
                }
            }
        };
        let is_free = slot.is_none();
        if is_free {
            *slot = Some(record.end);
        }
        is_free
    }

    fn get(&self, (source, index): End) -> Option<(&'a Line, &'a line::Message)> {
        let (_, line) = self.sources.get(source)?.lines.get(index)?;
        match &line.what {
            line::What::Message(message) => Some((line, message)),
            _ => None,
        }
    }

    /// Returns who listens where: those who received there, and else those whom their peers name.
    pub(super) fn listeners(&self) -> Listeners {
        let mut listeners = Listeners::new();
        for received in [false, true] {
            for record in &self.all {
                let message = record.message;
                let is_theirs = (message.dir == Direction::Recv) == received;
                let Some(listener) = message.conn.as_ref().and_then(Conn::listener) else {
                    continue;
                };
                if message.is_answer() || !is_theirs {
                    continue;
                }
                let who = match message.dir {
                    Direction::Recv => Some(record.who()),
                    Direction::Send => message.peer.map(Who::Member),
                };
                if let Some(who) = who {
                    listeners.insert(listener.to_owned(), who);
                }
            }
        }
        listeners
    }

    /// Returns the message that `joint` is, without its points. `lane` knows the lanes.
    pub(super) fn message(
        &self,
        joint: &Joint,
        listeners: &Listeners,
        lane: impl Fn(Who) -> Option<usize>,
    ) -> Message {
        let [sent, received, failed] =
            [joint.sent, joint.received, joint.failed].map(|end| end.and_then(|end| self.get(end)));
        let ends = [sent, received];
        let seen = || ends.into_iter().flatten().map(|(_, message)| message);
        let mut kinds = seen().filter_map(|message| message.kind.clone());
        let conn = seen().find_map(|message| message.conn.clone());
        let own = |end: Option<(&Line, &line::Message)>| {
            end.map(|(line, _)| line.node.map_or(Who::Coordinator, Who::Member))
        };
        let peer = |end: Option<(&Line, &line::Message)>| {
            end.and_then(|(_, message)| message.peer.map(Who::Member))
        };
        let is_answer = seen().any(line::Message::is_answer);
        let is_request = |name: Kind| seen().any(|message| message.kind.as_ref() == Some(&name));
        let listener = conn.as_ref().and_then(Conn::listener);
        let listener = listener.and_then(|at| listeners.get(at).copied());
        let (mut from, mut to) = (
            own(sent).or_else(|| peer(received)),
            own(received).or_else(|| peer(sent)),
        );
        let taker = if is_answer { &mut from } else { &mut to };
        *taker = taker.or(listener);
        // Only the coordinator is sent JOIN, and only the coordinator answers like that.
        if is_request(Kind::Join) {
            to = to.or(Some(Who::Coordinator));
        }
        if is_request(Kind::Members) || is_request(Kind::Refused) {
            from = from.or(Some(Who::Coordinator));
        }
        let fate = fate(sent, received, failed);
        Message {
            kind: kinds.next_back(),
            conn,
            from: from.and_then(&lane),
            to: to.and_then(&lane),
            sent: None,
            received: None,
            failed: None,
            fate,
            answers: joint.answers,
            leader: seen().find_map(|message| message.leader),
            members: seen().find_map(|message| message.members),
            bytes: seen().map(|message| message.bytes).max().unwrap_or(0),
        }
    }
}

fn fate(
    sent: Option<(&Line, &line::Message)>,
    received: Option<(&Line, &line::Message)>,
    failed: Option<(&Line, &line::Message)>,
) -> Fate {
    let error = |end: Option<(&Line, &line::Message)>| end.and_then(|(_, end)| end.error.clone());
    match (sent, received) {
        (None, Some(_)) => error(received).map_or(Fate::HalfSeen, Fate::Missing),
        // Whatever its sender believes.
        (Some(_), Some((_, end))) if end.error.is_none() => Fate::Arrived,
        _ => {
            let why = error(failed).or_else(|| error(sent));
            why.or_else(|| error(received))
                .map_or(Fate::HalfSeen, Fate::Failed)
        }
    }
}

impl<'a> Record<'a> {
    fn key(&self) -> Option<Key<'a>> {
        let conn = self.message.conn.as_ref()?;
        let of = matches!(conn, Conn::Number(_)).then_some(self.end.0);
        Some((of, conn))
    }

    fn who(&self) -> Who {
        self.line.node.map_or(Who::Coordinator, Who::Member)
    }
}

impl line::Message {
    fn is_answer(&self) -> bool {
        self.kind.as_ref().is_some_and(Kind::is_answer)
    }
}

impl Joint {
    fn is_empty(&self) -> bool {
        self.sent.or(self.received).or(self.failed).is_none()
    }
}

/// Returns the lines of `source`, as messages where they are.
fn messages_of(source: &Source) -> impl Iterator<Item = (usize, &Line, &line::Message)> {
    source
        .lines
        .iter()
        .enumerate()
        .filter_map(|(index, (_, line))| match &line.what {
            What::Message(message) => Some((index, line, message)),
            _ => None,
        })
}
