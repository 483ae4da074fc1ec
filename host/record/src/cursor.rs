//! The records of a bank, one by one.

use bully::record::{Digest, GONE, NOBODY, REFUSALS, op};
use bully::{Addr, Exchange, Gone, Instant, Member, Origin, Pid, Refusal};

/// Why there is no further record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The bytes end in the middle of it.
    Short,
    /// The bytes are none, though their checksum is right.
    Malformed,
}

/// Bytes that are read as numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Unread> {
        let (byte, rest) = self.0.split_first().ok_or(Unread::Short)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Unread> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Unread::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Unread> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(Unread::Malformed)
    }

    pub(crate) fn short(&mut self) -> Result<u32, Unread> {
        u32::try_from(self.number()?).map_err(|_| Unread::Malformed)
    }

    pub(crate) fn size(&mut self) -> Result<usize, Unread> {
        usize::try_from(self.number()?).map_err(|_| Unread::Malformed)
    }

    fn signed(&mut self) -> Result<i64, Unread> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(crate) fn word(&mut self) -> Result<u32, Unread> {
        let bytes = self.bytes(4)?.try_into().map_err(|_| Unread::Malformed)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn member(&mut self, last: Member) -> Result<Member, Unread> {
        let days = last.pid.days.wrapping_add(self.short()?);
        let id = i32::try_from(self.signed()?).map_err(|_| Unread::Malformed)?;
        let id = last.pid.id.wrapping_add_signed(id);
        let addr = Addr(last.addr.0.wrapping_add_signed(self.signed()?));
        Ok(Member {
            pid: Pid { days, id },
            addr,
        })
    }
}

/// The bytes of a checksum.
pub(crate) const SUM_BYTES: usize = 4;

/// How many of `bytes`, with which the records of a bank begin, are as they were written: up to the last
/// checksum that is right. `sum` is that of what stands before them.
pub(crate) fn sound(bytes: &[u8], mut sum: Digest) -> usize {
    let mut from = Numbers::new(bytes);
    let (mut sound, mut list) = (0, Vec::new());
    while let Ok(op) = from.byte() {
        if op & op::POLL != 0 && from.number().is_err() {
            break;
        }
        match record(op & !op::POLL, &mut from, &mut list) {
            Ok(Read::Sum(expected)) => {
                let end = bytes.len() - from.left();
                sum.bytes(bytes.get(sound..end - SUM_BYTES).unwrap_or(&[]));
                if sum.value() != expected {
                    break;
                }
                sum.add(expected);
                sound = end;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    sound
}

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its number in the whole recording, from 1.
    pub(crate) number: u32,
    pub(crate) what: What,
}

/// What a record says.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A poll begins.
    Poll(Instant),
    Opened(Exchange, u8),
    Full(u8),
    None,
    Resigned,
    Mark(u32),
    End {
        why: u8,
        /// The digest of the node's image, if the recording was ended.
        image: Option<u32>,
    },
    Note(Vec<u8>),
    Received(Exchange, Received),
}

/// What is received on an exchange. A list is the [cursor's](Cursor::list).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Received {
    Accepted,
    Sent,
    Done,
    Gone(Gone),
    Join(Member),
    Election(Carried),
    Coordinator(Carried),
    Probe(Carried),
    Ok(Carried),
    Members(Carried),
    Refused(Refusal),
    Unfit(Refusal),
}

/// What a message that can have a list carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    /// The current list; else an empty one.
    pub(crate) list: bool,
    pub(crate) origin: Option<Origin>,
}

/// Reads records.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    bytes: Vec<u8>,
    at: usize,
    now: Instant,
    /// The number of the last record.
    number: u32,
    list: Vec<Member>,
    /// What was looked at and not taken.
    next: Option<Entry>,
    /// The first record of a poll is read as two: that the poll begins, and then what it is.
    second: Option<u8>,
}

impl Cursor {
    pub(crate) fn new(bytes: Vec<u8>, from: Instant, records_before: u32) -> Self {
        Self {
            bytes,
            at: 0,
            now: from,
            number: records_before,
            list: Vec::new(),
            next: None,
            second: None,
        }
    }

    /// The time of the last poll that was read.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    /// The number of the last record that was read.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The list of the message that was taken last.
    pub(crate) fn list(&self) -> &[Member] {
        &self.list
    }

    /// The next record; `None` after the last one.
    pub(crate) fn peek(&mut self) -> Result<Option<&Entry>, Unread> {
        if self.next.is_none() {
            self.next = self.read()?;
        }
        Ok(self.next.as_ref())
    }

    /// Takes what was looked at.
    pub(crate) fn take(&mut self) -> Option<Entry> {
        self.next.take()
    }

    fn read(&mut self) -> Result<Option<Entry>, Unread> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or(&[]);
            let mut from = Numbers::new(rest);
            let op = match self.second.take() {
                Some(op) => op,
                None if rest.is_empty() => return Ok(None),
                None => {
                    let op = from.byte()?;
                    self.number = self.number.wrapping_add(1);
                    if op & op::POLL != 0 {
                        let since = from.number()?;
                        let now = self
                            .now
                            .as_micros()
                            .checked_add(since)
                            .ok_or(Unread::Malformed)?;
                        self.now = Instant::from_micros(now);
                        self.second = Some(op & !op::POLL);
                        self.at = self.bytes.len() - from.left();
                        return Ok(Some(self.entry(What::Poll(self.now))));
                    }
                    op
                }
            };
            let mut list = core::mem::take(&mut self.list);
            let what = record(op, &mut from, &mut list);
            self.list = list;
            self.at = self.bytes.len() - from.left();
            match what? {
                Read::Nothing | Read::Sum(_) => {}
                Read::Back(by) => {
                    let now = self
                        .now
                        .as_micros()
                        .checked_sub(by)
                        .ok_or(Unread::Malformed)?;
                    self.now = Instant::from_micros(now);
                }
                Read::What(what) => return Ok(Some(self.entry(what))),
            }
        }
    }

    fn entry(&self, what: What) -> Entry {
        Entry {
            number: self.number,
            what,
        }
    }
}

enum Read {
    /// Nothing that a node notices.
    Nothing,
    /// A checksum.
    Sum(u32),
    Back(u64),
    What(What),
}

fn record(op: u8, from: &mut Numbers<'_>, list: &mut Vec<Member>) -> Result<Read, Unread> {
    let what = match op {
        op::NOTHING => return Ok(Read::Nothing),
        op::BACK => return Ok(Read::Back(from.number()?)),
        op::SUM => return Ok(Read::Sum(from.word()?)),
        op::LIST => {
            *list = changed(from, list)?;
            return is_list(list);
        }
        op::OPENED => What::Opened(exchange(from)?, from.byte()?),
        op::FULL => What::Full(from.byte()?),
        op::NONE => What::None,
        op::RESIGNED => What::Resigned,
        op::MARK => What::Mark(from.word()?),
        op::END => {
            let why = from.byte()?;
            let image = (why == op::FINISHED).then(|| from.word()).transpose()?;
            What::End { why, image }
        }
        op::NOTE => {
            let length = from.size()?;
            What::Note(from.bytes(length)?.to_vec())
        }
        _ => {
            let exchange = exchange(from)?;
            What::Received(exchange, received(op, from, list)?)
        }
    };
    Ok(Read::What(what))
}

fn received(op: u8, from: &mut Numbers<'_>, list: &[Member]) -> Result<Received, Unread> {
    Ok(match op {
        op::ACCEPTED => Received::Accepted,
        op::SENT => Received::Sent,
        op::DONE => Received::Done,
        op::JOIN => {
            let carried = carried(from, list)?;
            let only = list.first().filter(|_| carried.list);
            Received::Join(*only.ok_or(Unread::Malformed)?)
        }
        op::ELECTION => Received::Election(carried(from, list)?),
        op::COORDINATOR => Received::Coordinator(carried(from, list)?),
        op::PROBE => Received::Probe(carried(from, list)?),
        op::OK => Received::Ok(carried(from, list)?),
        op::MEMBERS => Received::Members(carried(from, list)?),
        op::REFUSED => Received::Refused(refusal(from)?),
        op::UNFIT => Received::Unfit(refusal(from)?),
        _ => {
            let place = op.checked_sub(op::GONE).ok_or(Unread::Malformed)?;
            Received::Gone(*GONE.get(usize::from(place)).ok_or(Unread::Malformed)?)
        }
    })
}

fn carried(from: &mut Numbers<'_>, list: &[Member]) -> Result<Carried, Unread> {
    let flags = from.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let origin = if has(op::HAS_ORIGIN) {
        let pid = if has(op::WHOLE_PID) {
            let (days, id) = (from.short()?, from.short()?);
            Pid { days, id }
        } else {
            list.get(from.size()?).ok_or(Unread::Malformed)?.pid
        };
        Some(Origin {
            pid,
            large: has(op::LARGE),
            leads: has(op::LEADS),
        })
    } else {
        None
    };
    Ok(Carried {
        list: has(op::HAS_LIST),
        origin,
    })
}

fn changed(from: &mut Numbers<'_>, old: &[Member]) -> Result<Vec<Member>, Unread> {
    let (before, after, added) = (from.size()?, from.size()?, from.size()?);
    let (before, rest) = old.split_at_checked(before).ok_or(Unread::Malformed)?;
    let skipped = rest.len().checked_sub(after).ok_or(Unread::Malformed)?;
    let mut list = before.to_vec();
    let mut last = before.last().copied().unwrap_or(NOBODY);
    for _ in 0..added {
        last = from.member(last)?;
        list.push(last);
    }
    list.extend_from_slice(rest.get(skipped..).unwrap_or(&[]));
    Ok(list)
}

fn is_list(list: &[Member]) -> Result<Read, Unread> {
    let ascending = list.is_sorted_by(|a, b| a < b);
    ascending.then_some(Read::Nothing).ok_or(Unread::Malformed)
}

fn exchange(from: &mut Numbers<'_>) -> Result<Exchange, Unread> {
    from.short().map(Exchange)
}

fn refusal(from: &mut Numbers<'_>) -> Result<Refusal, Unread> {
    let place = usize::from(from.byte()?);
    REFUSALS.get(place).copied().ok_or(Unread::Malformed)
}
