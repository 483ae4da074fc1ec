//! Bytes as frames.

use postcard::de_flavors::Slice;
use serde::Deserialize;

use super::frame::{Frame, GONE, Hello, NOBODY, REFUSALS, Ready, kind, members_max};
use super::framing::{Deframer, Ended};
use crate::net::{Exchange, Incoming, Reply, Request};
use crate::roster::{Addr, Member, Origin, Pid, Roster};

/// What was received over the line, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Sound frames, in order.
    pub sound: u32,
    /// What lay between two zeros and was no frame: damaged, cut off, too long or foreign.
    pub corrupt: u32,
    /// Sound frames that came again, or of another session; dropped.
    pub stale: u32,
    /// Times that frames were found missing.
    pub gaps: u32,
}

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received {
    /// A frame: see [`Decoder::frame`].
    Frame,
    /// Frames are missing, or one cannot be understood, or there is no session: nothing more is
    /// received before a new session begins.
    Gap,
}

/// Reads the other direction's frames, byte by byte, into memory that is lent.
pub struct Decoder<'b> {
    deframer: Deframer<'b>,
    list: &'b mut [Member],
    list_len: usize,
    list_max: usize,
    session: u8,
    sequence: u8,
    /// The eight sessions that HELLO began last, a byte each: as many as begin in 400 ms on a line
    /// that spoils everything. No repetition begins one of them again.
    past: u64,
    counts: Counts,
}

impl<'b> Decoder<'b> {
    /// A decoder outside any session, which holds a frame in `bytes` and the last list in `list`.
    /// Longer ones are dropped as corrupt; [`members_max`](Self::members_max) is what fits.
    pub fn new(bytes: &'b mut [u8], list: &'b mut [Member]) -> Self {
        let list_max = members_max(bytes.len()).min(list.len());
        Self {
            deframer: Deframer::new(bytes),
            list,
            list_len: 0,
            list_max,
            session: 0,
            sequence: 0,
            past: 0,
            counts: Counts::default(),
        }
    }

    /// The longest list that can be read, at most 65,535 members.
    pub fn members_max(&self) -> u16 {
        // It was bounded when it was made.
        u16::try_from(self.list_max).unwrap_or(u16::MAX)
    }

    /// Begins a session, or leaves it if `session` is 0. A [`Frame::Hello`] does so by itself.
    pub fn begin(&mut self, session: u8) {
        self.session = session;
        self.sequence = 0;
        self.list_len = 0;
    }

    /// The session under way; 0 if there is none.
    pub fn session(&self) -> u8 {
        self.session
    }

    /// What was received so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes one byte. Returns what it completed, if anything.
    pub fn push(&mut self, byte: u8) -> Option<Received> {
        match self.deframer.push(byte)? {
            Ended::Nothing => return None,
            Ended::Corrupt => {
                self.counts.corrupt = self.counts.corrupt.wrapping_add(1);
                return None;
            }
            Ended::Frame => {}
        }
        let mut read = In::new(self.deframer.payload());
        let header = (read.take(), read.take::<u8>(), read.take());
        let (Some(session), Some(sequence), Some(kind)) = header else {
            return self.gap();
        };
        let understood = self.frame().is_some();
        match kind {
            // Its session begins, unless it is one of the last.
            kind::HELLO
                if understood && session != 0 && !self.past.to_le_bytes().contains(&session) =>
            {
                self.begin(session);
                self.past = self.past << 8 | u64::from(session);
                self.sequence = sequence.wrapping_add(1);
                self.sound()
            }
            // Who sends it has no session.
            kind::LOST if understood && session != self.session => self.sound(),
            _ if session != self.session => self.stale(),
            _ => match sequence.wrapping_sub(self.sequence) {
                0 => {
                    self.sequence = self.sequence.wrapping_add(1);
                    match kind {
                        kind::LIST if self.read_list().is_some() => None,
                        _ if understood => self.sound(),
                        _ => self.gap(),
                    }
                }
                // As far behind as that is nothing but a repetition.
                128.. => self.stale(),
                _ => self.gap(),
            },
        }
    }

    /// The frame that was completed last; `None` if it was a list or cannot be understood.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let list = self.list.get(..self.list_len).unwrap_or(&[]);
        In::new(self.deframer.payload()).frame(list)
    }

    fn sound(&mut self) -> Option<Received> {
        self.counts.sound = self.counts.sound.wrapping_add(1);
        Some(Received::Frame)
    }

    fn stale(&mut self) -> Option<Received> {
        self.counts.stale = self.counts.stale.wrapping_add(1);
        // The other end believes in a session that has ended here.
        (self.session == 0).then_some(Received::Gap)
    }

    fn gap(&mut self) -> Option<Received> {
        self.counts.gaps = self.counts.gaps.wrapping_add(1);
        self.begin(0);
        Some(Received::Gap)
    }

    /// Takes the list that was completed; whole, or not at all.
    fn read_list(&mut self) -> Option<()> {
        let mut read = In::new(self.deframer.payload());
        read.header()?;
        let length = usize::from(read.take::<u16>()?);
        self.list_len = 0;
        let mut last = NOBODY;
        let places = self.list.get_mut(..self.list_max)?.get_mut(..length)?;
        for place in places.iter_mut() {
            let (days, id, addr): (u32, i32, i64) = (read.take()?, read.take()?, read.take()?);
            let pid = Pid {
                days: last.pid.days.wrapping_add(days),
                id: last.pid.id.wrapping_add_signed(id),
            };
            let addr = Addr(last.addr.0.wrapping_add_signed(addr));
            last = Member { pid, addr };
            *place = last;
        }
        read.end()?;
        Roster::new(places)?;
        self.list_len = length;
        Some(())
    }
}

impl core::fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decoder")
            .field("session", &self.session)
            .field("sequence", &self.sequence)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// A frame that is being read.
struct In<'a>(postcard::Deserializer<'a, Slice<'a>>);

impl<'a> In<'a> {
    fn new(payload: &'a [u8]) -> Self {
        Self(postcard::Deserializer::from_bytes(payload))
    }

    fn take<T: Deserialize<'a>>(&mut self) -> Option<T> {
        T::deserialize(&mut self.0).ok()
    }

    /// Passes session, sequence number and kind, and returns the kind.
    fn header(&mut self) -> Option<u8> {
        self.take::<u8>()?;
        self.take::<u8>()?;
        self.take()
    }

    /// Nothing may follow.
    fn end(self) -> Option<()> {
        self.0.finalize().ok().filter(|rest| rest.is_empty())?;
        Some(())
    }

    fn frame(mut self, list: &'a [Member]) -> Option<Frame<'a>> {
        let frame = match self.header()? {
            kind::HELLO => Frame::Hello(Hello {
                version: self.take()?,
                instance: self.take()?,
                addr: Addr(self.take()?),
                directory: Addr(self.take()?),
            }),
            kind::READY => Frame::Ready(Ready {
                version: self.take()?,
                members_max: self.take()?,
                exchanges_max: self.take()?,
                listening: self.take()?,
            }),
            kind::LOST => Frame::Lost,
            kind::PING => Frame::Ping,
            kind::PONG => Frame::Pong,
            kind::LISTENING => Frame::Listening(self.take()?),
            kind::OPEN => {
                let (exchange, to) = (self.exchange()?, Addr(self.take()?));
                let kind = self.take()?;
                Frame::Open(exchange, to, self.request(kind, list)?)
            }
            kind::REPLY => Frame::Reply(self.exchange()?, self.reply(list)?),
            kind::CLOSE => Frame::Close(self.exchange()?),
            kind::INPUT => {
                let exchange = self.exchange()?;
                let incoming = match self.take::<u8>()? {
                    0 => Incoming::Accepted,
                    1 => Incoming::Sent,
                    2 => match self.take::<u8>()? {
                        4 => Incoming::Unfit(*REFUSALS.get(usize::from(self.take::<u8>()?))?),
                        kind => Incoming::Request(self.request(kind, list)?),
                    },
                    3 => Incoming::Reply(self.reply(list)?),
                    4 => Incoming::Done,
                    5 => Incoming::Gone(*GONE.get(usize::from(self.take::<u8>()?))?),
                    _ => return None,
                };
                Frame::Input(exchange, incoming)
            }
            kind::RECORD => Frame::Record,
            kind::RECORDED => Frame::Recorded(self.take()?, self.take()?),
            _ => return None,
        };
        self.end()?;
        Some(frame)
    }

    fn exchange(&mut self) -> Option<Exchange> {
        self.take::<u16>().map(|number| Exchange(number.into()))
    }

    fn member(&mut self) -> Option<Member> {
        let pid = self.pid()?;
        let addr = Addr(self.take()?);
        Some(Member { pid, addr })
    }

    /// The first so many of the last list, and who sent it.
    fn list(&mut self, list: &'a [Member]) -> Option<Roster<'a>> {
        let length = usize::from(self.take::<u16>()?);
        let origin = match self.take::<u8>()? {
            0 => None,
            known @ 1..=4 => Some(Origin {
                pid: self.pid()?,
                large: known % 2 == 0,
                leads: known > 2,
            }),
            _ => return None,
        };
        Some(Roster::new(list.get(..length)?)?.with_origin(origin))
    }

    fn pid(&mut self) -> Option<Pid> {
        let (days, id) = (self.take()?, self.take()?);
        Some(Pid { days, id })
    }

    fn request(&mut self, kind: u8, list: &'a [Member]) -> Option<Request<'a>> {
        Some(match kind {
            0 => Request::Join(self.member()?),
            1 => Request::Election(self.list(list)?),
            2 => Request::Coordinator(self.list(list)?),
            3 => Request::Probe(self.list(list)?),
            _ => return None,
        })
    }

    fn reply(&mut self, list: &'a [Member]) -> Option<Reply<'a>> {
        Some(match self.take::<u8>()? {
            0 => Reply::Ok(self.list(list)?),
            1 => Reply::Members(self.list(list)?),
            2 => Reply::Refused(*REFUSALS.get(usize::from(self.take::<u8>()?))?),
            _ => return None,
        })
    }
}
