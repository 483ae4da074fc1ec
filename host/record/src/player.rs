//! A network that gives a node the input of a recording.

use core::fmt;

use bully::record::{Digest, op};
use bully::{Addr, Exchange, Full, Incoming, Instant, Net, Reply, Request, Roster};

use crate::cursor::{Carried, Cursor, Entry, Received, Unread, What};
use crate::words;

/// Takes a node's input and output as it is repeated.
pub trait Observer {
    /// A bank begins, the first or one that continues the one before.
    fn bank(&mut self) {}
    /// A poll begins.
    fn polled(&mut self, _at: Instant) {}
    /// The node opened an exchange.
    fn opened(&mut self, _exchange: Exchange, _to: Addr, _request: Request<'_>) {}
    /// The node received something.
    fn received(&mut self, _exchange: Exchange, _incoming: Incoming<'_>) {}
    /// The node answered.
    fn replied(&mut self, _on: Exchange, _reply: Reply<'_>) {}
    /// The node closed an exchange.
    fn closed(&mut self, _exchange: Exchange) {}
    /// The node opened or closed its listener.
    fn listening(&mut self, _on: bool) {}
    /// A note follows what came last: see [`Recorder::note`](bully::record::Recorder::note).
    fn noted(&mut self, _note: &[u8]) {}
}

/// Nobody.
impl Observer for () {}

/// Where a replay does not come to what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of the record, from 1.
    pub record: u32,
    /// The time of the poll.
    pub at: Instant,
    /// What the recording says.
    pub expected: String,
    /// What the node did.
    pub came: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_micros() as f64 / 1e6;
        let Self {
            record,
            expected,
            came,
            ..
        } = self;
        write!(
            f,
            "record {record} at {at:.6} s: the recording says {expected}; {came}"
        )
    }
}

impl core::error::Error for Divergence {}

/// Why there is no more input.
#[derive(Clone, Debug)]
pub(crate) enum Stopped {
    Diverged(Divergence),
    Unread(Unread),
}

/// The network of one poll.
pub(crate) struct Player<'a> {
    pub(crate) cursor: &'a mut Cursor,
    pub(crate) digest: &'a mut Digest,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) stopped: Option<Stopped>,
    /// The last record that was as it should be.
    pub(crate) agreed: &'a mut u32,
}

impl Player<'_> {
    /// The next record; `None` if there is none, or no more input is given.
    fn peek(&mut self) -> Option<Entry> {
        self.pass_notes();
        if self.stopped.is_some() {
            return None;
        }
        match self.cursor.peek() {
            Ok(entry) => entry.cloned(),
            Err(unread) => {
                self.stopped = Some(Stopped::Unread(unread));
                None
            }
        }
    }

    /// Hands on the notes to what was taken last.
    pub(crate) fn pass_notes(&mut self) {
        while self.stopped.is_none()
            && let Ok(Some(Entry {
                what: What::Note(note),
                ..
            })) = self.cursor.peek()
        {
            self.observer.noted(note);
            self.cursor.take();
        }
    }

    /// The node does something that the recording does not have next.
    fn diverge(&mut self, came: String) {
        let next = self.peek();
        if self.stopped.is_some() {
            return;
        }
        let Some(next) = next else {
            self.stopped = Some(Stopped::Unread(Unread::Short));
            return;
        };
        self.stopped = Some(Stopped::Diverged(Divergence {
            record: next.number,
            at: self.cursor.now(),
            expected: words::entry(&next, self.cursor),
            came,
        }));
    }

    /// The node's poll is over.
    pub(crate) fn end(&mut self) {
        match self.peek().map(|entry| entry.what) {
            None | Some(What::Poll(_) | What::Resigned | What::Mark(_) | What::End { .. }) => {}
            Some(_) => self.diverge("the node ends its poll before".to_owned()),
        }
    }

    /// Holds the check of an exchange that is opened against what the node did.
    fn check(&mut self, record: u32, check: u8, came: impl FnOnce() -> String) -> bool {
        if self.digest.check() == check {
            *self.agreed = record;
            return true;
        }
        let agreed = *self.agreed;
        self.stopped = Some(Stopped::Diverged(Divergence {
            record,
            at: self.cursor.now(),
            expected: format!(
                "that what the node did since record {agreed} comes to the check {check:02x}"
            ),
            came: format!("it comes to {:02x}, and {}", self.digest.check(), came()),
        }));
        false
    }
}

impl Net for Player<'_> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        self.digest.open(to, request);
        let Some(entry) = self.peek() else {
            self.diverge(words::opens(to, request));
            return Err(Full);
        };
        let (opened, check) = match entry.what {
            What::Opened(exchange, check) => (Ok(exchange), check),
            What::Full(check) => (Err(Full), check),
            _ => {
                self.diverge(words::opens(to, request));
                return Err(Full);
            }
        };
        if !self.check(entry.number, check, || words::opens(to, request)) {
            return Err(Full);
        }
        self.cursor.take();
        if let Ok(exchange) = opened {
            self.observer.opened(exchange, to, request);
            self.pass_notes();
        }
        opened
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let entry = self.peek()?;
        let (exchange, received) = match entry.what {
            What::None => {
                self.cursor.take();
                return None;
            }
            What::Received(exchange, received) => (exchange, received),
            _ => return None,
        };
        self.cursor.take();
        let incoming = incoming(received, self.cursor.list())?;
        self.observer.received(exchange, incoming);
        Some((exchange, incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.digest.reply(on, reply);
        if self.stopped.is_none() {
            self.observer.replied(on, reply);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        self.digest.close(exchange);
        if self.stopped.is_none() {
            self.observer.closed(exchange);
        }
    }

    fn set_listening(&mut self, on: bool) {
        self.digest.set_listening(on);
        if self.stopped.is_none() {
            self.observer.listening(on);
        }
    }
}

/// The node's input; `None` never, as lists are ascending when they are read.
fn incoming(received: Received, list: &[bully::Member]) -> Option<Incoming<'_>> {
    let carried = |carried: Carried| {
        let members = if carried.list { list } else { &[] };
        Some(Roster::new(members)?.with_origin(carried.origin))
    };
    Some(match received {
        Received::Accepted => Incoming::Accepted,
        Received::Sent => Incoming::Sent,
        Received::Done => Incoming::Done,
        Received::Gone(gone) => Incoming::Gone(gone),
        Received::Join(member) => Incoming::Request(Request::Join(member)),
        Received::Election(list) => Incoming::Request(Request::Election(carried(list)?)),
        Received::Coordinator(list) => Incoming::Request(Request::Coordinator(carried(list)?)),
        Received::Probe(list) => Incoming::Request(Request::Probe(carried(list)?)),
        Received::Ok(list) => Incoming::Reply(Reply::Ok(carried(list)?)),
        Received::Members(list) => Incoming::Reply(Reply::Members(carried(list)?)),
        Received::Refused(why) => Incoming::Reply(Reply::Refused(why)),
        Received::Unfit(why) => Incoming::Unfit(why),
    })
}

/// How the digest compares with a mark.
pub(crate) fn marked(
    digest: Digest,
    expected: u32,
    (agreed, record): (u32, u32),
    at: Instant,
) -> Result<(), Divergence> {
    if digest.value() == expected {
        return Ok(());
    }
    Err(Divergence {
        record,
        at,
        expected: format!(
            "that what the node opened, answered, closed and reported since record {agreed} comes to \
             {expected:08x}"
        ),
        came: format!("it comes to {:08x}", digest.value()),
    })
}

/// Why a bank ends.
pub(crate) const fn is_continued(why: u8) -> bool {
    why == op::CONTINUED
}
