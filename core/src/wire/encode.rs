//! Frames as bytes.

use serde::Serialize;

use super::frame::{Frame, GONE, NOBODY, REFUSALS, kind};
use super::framing::Framer;
use crate::net::{Exchange, Full, Incoming, Reply, Request};
use crate::roster::{Member, Origin, Roster};

/// Writes one direction's frames.
#[derive(Debug, Default)]
pub struct Encoder {
    session: u8,
    sequence: u8,
    /// The list sent last in this session.
    list: Option<(u32, usize)>,
}

impl Encoder {
    /// An encoder outside any session.
    pub const fn new() -> Self {
        Self {
            session: 0,
            sequence: 0,
            list: None,
        }
    }

    /// Begins a session, or leaves it if `session` is 0.
    pub fn begin(&mut self, session: u8) {
        *self = Self {
            session,
            ..Self::new()
        };
    }

    /// Writes `frame` at the start of `into`, and before it the list that it carries, unless the
    /// other end has that already. Returns the number of bytes.
    ///
    /// Two lists of equal revision and length are taken for equal.
    ///
    /// # Errors
    ///
    /// [`Full`] if it does not fit, which for a list of `n` cannot happen from
    /// [`message_max(n)`](super::message_max) bytes on, or if a list has more than 65,535 members or an
    /// exchange a number above that. Nothing has changed then but the bytes of `into`.
    pub fn encode(&mut self, frame: &Frame<'_>, into: &mut [u8]) -> Result<usize, Full> {
        let before = (self.sequence, self.list);
        let written = self.list_first(frame.list(), into).and_then(|at| {
            let mut out = self.out(into, at);
            out.frame(frame)?;
            out.end()
        });
        match written {
            Ok(_) => self.sequence = self.sequence.wrapping_add(1),
            Err(Full) => (self.sequence, self.list) = before,
        }
        written
    }

    /// Writes `list` unless the list sent last begins with it.
    fn list_first(&mut self, list: Roster<'_>, into: &mut [u8]) -> Result<usize, Full> {
        let sent = self.list.is_some_and(|(revision, length)| {
            Some(revision) == list.revision() && length >= list.len()
        });
        if sent || list.is_empty() {
            return Ok(0);
        }
        let mut out = self.out(into, 0);
        out.put(kind::LIST)?;
        out.count(list)?;
        let mut last = NOBODY;
        for member in list.members() {
            out.number(member.pid.days.wrapping_sub(last.pid.days))?;
            out.difference(last.pid.id.into(), member.pid.id.into(), 32)?;
            out.difference(last.addr.0, member.addr.0, 64)?;
            last = *member;
        }
        let end = out.end()?;
        self.sequence = self.sequence.wrapping_add(1);
        self.list = list.revision().map(|revision| (revision, list.len()));
        Ok(end)
    }

    fn out<'a>(&self, into: &'a mut [u8], at: usize) -> Out<'a> {
        let mut out = Out(postcard::Serializer {
            output: Framer::new(into, at),
        });
        // They are two bytes: a framer takes them, even when the buffer is full.
        let _ = out.put(self.session);
        let _ = out.put(self.sequence);
        out
    }
}

/// A frame that is being written.
struct Out<'a>(postcard::Serializer<Framer<'a>>);

impl Out<'_> {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        byte.serialize(&mut self.0).map_err(|_| Full)
    }

    /// As postcard writes it, whose own code has indices of which the compiler cannot see that they are in
    /// bounds, and so a panic.
    fn number(&mut self, number: impl Into<u64>) -> Result<(), Full> {
        let mut rest = number.into();
        while rest >= 128 {
            self.put(rest as u8 | 128)?;
            rest >>= 7;
        }
        self.put(rest as u8)
    }

    /// How far `to` is from `from`, either way, in numbers of `bits`.
    fn difference(&mut self, from: u64, to: u64, bits: u32) -> Result<(), Full> {
        let unused = u64::BITS - bits;
        let difference = to.wrapping_sub(from).cast_signed() << unused >> unused;
        self.number(((difference << 1) ^ (difference >> 63)).cast_unsigned())
    }

    fn count(&mut self, list: Roster<'_>) -> Result<(), Full> {
        self.number(u16::try_from(list.len()).map_err(|_| Full)?)
    }

    /// How much of the last list is meant, and who sent it.
    fn list(&mut self, list: Roster<'_>) -> Result<(), Full> {
        self.count(list)?;
        match list.origin() {
            None => self.put(0_u8),
            Some(Origin { pid, large, leads }) => {
                self.put(1 + u8::from(large) + 2 * u8::from(leads))?;
                self.number(pid.days)?;
                self.number(pid.id)
            }
        }
    }

    fn exchange(&mut self, exchange: Exchange) -> Result<(), Full> {
        self.number(u16::try_from(exchange.0).map_err(|_| Full)?)
    }

    fn member(&mut self, member: Member) -> Result<(), Full> {
        self.number(member.pid.days)?;
        self.number(member.pid.id)?;
        self.number(member.addr.0)
    }

    fn end(self) -> Result<usize, Full> {
        self.0.output.end()
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Full> {
        match *frame {
            Frame::Hello(hello) => {
                self.put(kind::HELLO)?;
                self.put(hello.version)?;
                self.number(hello.instance)?;
                self.number(hello.addr.0)?;
                self.number(hello.directory.0)
            }
            Frame::Ready(ready) => {
                self.put(kind::READY)?;
                self.put(ready.version)?;
                self.number(ready.members_max)?;
                self.number(ready.exchanges_max)?;
                self.put(ready.listening.into())
            }
            Frame::Lost => self.put(kind::LOST),
            Frame::Ping => self.put(kind::PING),
            Frame::Pong => self.put(kind::PONG),
            Frame::Listening(on) => {
                self.put(kind::LISTENING)?;
                self.put(on.into())
            }
            Frame::Open(exchange, to, request) => {
                self.put(kind::OPEN)?;
                self.exchange(exchange)?;
                self.number(to.0)?;
                self.request(request)
            }
            Frame::Reply(exchange, reply) => {
                self.put(kind::REPLY)?;
                self.exchange(exchange)?;
                self.reply(reply)
            }
            Frame::Close(exchange) => {
                self.put(kind::CLOSE)?;
                self.exchange(exchange)
            }
            Frame::Record => self.put(kind::RECORD),
            Frame::Recorded(left, bytes) => {
                self.put(kind::RECORDED)?;
                self.number(left)?;
                // As many as a byte can count.
                self.put(
                    u8::try_from(bytes.len())
                        .ok()
                        .filter(|length| *length < 128)
                        .ok_or(Full)?,
                )?;
                bytes.iter().try_for_each(|byte| self.put(*byte))
            }
            Frame::Input(exchange, incoming) => {
                self.put(kind::INPUT)?;
                self.exchange(exchange)?;
                match incoming {
                    Incoming::Accepted => self.put(0_u8),
                    Incoming::Sent => self.put(1_u8),
                    Incoming::Request(request) => {
                        self.put(2_u8)?;
                        self.request(request)
                    }
                    Incoming::Unfit(refusal) => {
                        self.put(2_u8)?;
                        self.put(4_u8)?;
                        self.put(place(&REFUSALS, refusal))
                    }
                    Incoming::Reply(reply) => {
                        self.put(3_u8)?;
                        self.reply(reply)
                    }
                    Incoming::Done => self.put(4_u8),
                    Incoming::Gone(gone) => {
                        self.put(5_u8)?;
                        self.put(place(&GONE, gone))
                    }
                }
            }
        }
    }

    fn request(&mut self, request: Request<'_>) -> Result<(), Full> {
        match request {
            Request::Join(member) => {
                self.put(0_u8)?;
                self.member(member)
            }
            Request::Election(list) => {
                self.put(1_u8)?;
                self.list(list)
            }
            Request::Coordinator(list) => {
                self.put(2_u8)?;
                self.list(list)
            }
            Request::Probe(list) => {
                self.put(3_u8)?;
                self.list(list)
            }
        }
    }

    fn reply(&mut self, reply: Reply<'_>) -> Result<(), Full> {
        match reply {
            Reply::Ok(list) => {
                self.put(0_u8)?;
                self.list(list)
            }
            Reply::Members(list) => {
                self.put(1_u8)?;
                self.list(list)
            }
            Reply::Refused(refusal) => {
                self.put(2_u8)?;
                self.put(place(&REFUSALS, refusal))
            }
        }
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> u8 {
    let at = all.iter().position(|other| *other == one);
    // Every one is there, and they are few.
    at.map_or(u8::MAX, |at| at as u8)
}
