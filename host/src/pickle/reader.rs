//! A pickle machine that can only build data, within bounds, from bytes in any number of pieces.

use std::borrow::Cow;

use super::data::{Data, Pair, Value};
use super::fault::{Fault, Limits, Refused};
use super::opcode as op;

/// How much of what came is kept for [`Reader::beginning`], in bytes. A coordinator that answers
/// in raw text quotes at most one such buffer.
const BEGINNING_MAX: usize = 1024;

/// Reads one pickled message from bytes in any number of pieces.
///
/// It executes the opcodes that lab messages use as they come, and refuses all others. Every value
/// is a few bytes in one of a handful of flat tables: nothing nests, a memo reference copies
/// nothing, and the work is proportional to the bytes. [`clear`](Self::clear) it to read the next
/// message in the same memory.
#[derive(Debug, Default)]
pub struct Reader {
    limits: Limits,
    data: Data,
    end: Option<End>,
    /// Where in the message the next opcode begins.
    offset: usize,
    /// Where in the message the last frame that was announced ends.
    frame_end: usize,
    /// An opcode whose operand has not come whole, and what it lacks.
    carry: Vec<u8>,
    lack: Lack,
    beginning: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Stopped(Value),
    Refused(Refused),
}

/// What an opcode that was cut off at the end of a piece still needs.
#[derive(Clone, Copy, Debug)]
enum Lack {
    Bytes(usize),
    Newline,
}

impl Default for Lack {
    fn default() -> Self {
        Self::Bytes(1)
    }
}

/// Why no further opcode is executed for now.
enum Halt {
    Lack(Lack),
    Stop(Value),
    Fault(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Reader {
    /// A reader of messages within `limits`. It allocates as bytes come, not before.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            data: Data::new(limits),
            ..Self::default()
        }
    }

    /// Reads the next piece of the message.
    ///
    /// `Some(n)`: the message is whole, and ended with the `n`-th byte of this piece; what follows
    /// is not looked at. `None`: more is to come. A whole message stays as it is, whatever is
    /// pushed; `Some(0)` is returned for that.
    ///
    /// # Errors
    ///
    /// [`Refused`] as soon as the bytes cannot become a lab message within the limits, and again
    /// for each further piece. Only [`clear`](Self::clear) gets the reader out of that.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<usize>, Refused> {
        let kept = piece.len().min(BEGINNING_MAX - self.beginning.len());
        self.beginning.extend_from_slice(&piece[..kept]);
        match self.end {
            Some(End::Stopped(_)) => return Ok(Some(0)),
            Some(End::Refused(refused)) => return Err(refused),
            None => {}
        }
        let room = self
            .limits
            .bytes
            .saturating_sub(self.offset + self.carry.len());
        let (within, beyond) = piece.split_at(piece.len().min(room));
        let (left, halt) = self.read(within);
        let what = match halt {
            Halt::Stop(value) => {
                self.end = Some(End::Stopped(value));
                return Ok(Some(within.len() - left));
            }
            Halt::Lack(_) if beyond.is_empty() => return Ok(None),
            Halt::Lack(_) => Fault::Bytes(self.limits.bytes),
            Halt::Fault(fault) => fault,
        };
        let offset = self.offset;
        let refused = Refused { what, offset };
        self.end = Some(End::Refused(refused));
        Err(refused)
    }

    /// Forgets the message, whole or not, and keeps its memory for the next.
    pub fn clear(&mut self) {
        self.data.clear();
        self.end = None;
        self.offset = 0;
        self.frame_end = 0;
        self.carry.clear();
        self.beginning.clear();
    }

    /// The first bytes that were pushed, at most 1,024, refused or not: for telling people what
    /// came instead of a message.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// The value of a whole message, and what it is made of.
    pub(super) fn message(&self) -> Option<(Value, &Data)> {
        match self.end {
            Some(End::Stopped(value)) => Some((value, &self.data)),
            _ => None,
        }
    }

    /// Reads a piece that is within the limit of bytes: how many of them are left, and why.
    fn read(&mut self, mut rest: &[u8]) -> (usize, Halt) {
        while !self.carry.is_empty() {
            let lacking = match self.lack {
                Lack::Bytes(missing) => missing,
                // No more than it takes to find the line too long.
                Lack::Newline => match rest.iter().position(|byte| *byte == b'\n') {
                    Some(at) => at + 1,
                    None => self.limits.text + 2,
                },
            };
            let (taken, after) = rest.split_at(lacking.min(rest.len()));
            rest = after;
            let mut opcode = core::mem::take(&mut self.carry);
            opcode.extend_from_slice(taken);
            let (used, halt) = self.run(&opcode);
            // It was one opcode and no more, so either it was executed whole or not at all.
            if used > 0 {
                opcode.clear();
            }
            self.carry = opcode;
            match halt {
                Halt::Fault(_) => return (rest.len(), halt),
                Halt::Lack(lack) => self.lack = lack,
                Halt::Stop(_) => {}
            }
            if rest.is_empty() {
                return (0, Halt::Lack(self.lack));
            }
        }
        let (used, halt) = self.run(rest);
        rest = &rest[used..];
        if let Halt::Lack(lack) = halt {
            self.lack = lack;
            self.carry.extend_from_slice(rest);
            rest = &[];
        }
        (rest.len(), halt)
    }

    /// Executes opcodes until something stops it: how many bytes that took, and what it was.
    fn run(&mut self, bytes: &[u8]) -> (usize, Halt) {
        let begin = self.offset;
        let mut at = 0;
        loop {
            at += pairs(&mut self.data, &bytes[at..]);
            self.offset = begin + at;
            let Some((&opcode, operand)) = bytes[at..].split_first() else {
                return (at, Halt::Lack(Lack::default()));
            };
            match self.step(opcode, operand) {
                Ok(used) => at += 1 + used,
                Err(halt @ Halt::Stop(_)) => return (at + 1, halt),
                Err(halt) => return (at, halt),
            }
        }
    }

    /// Executes one opcode: how many bytes its operand has. Nothing has changed if it lacks some.
    #[inline]
    fn step(&mut self, opcode: u8, operand: &[u8]) -> Result<usize, Halt> {
        let text_max = self.limits.text;
        let data = &mut self.data;
        let mut used = 0;
        match opcode {
            op::BININT1 | op::BININT2 | op::BININT => {
                let number = match opcode {
                    op::BININT1 => u8::from_le_bytes(fixed(operand, &mut used)?).into(),
                    op::BININT2 => u16::from_le_bytes(fixed(operand, &mut used)?).into(),
                    _ => i32::from_le_bytes(fixed(operand, &mut used)?).into(),
                };
                if operand.get(used) == Some(&op::TUPLE2) && data.pair_with(Value::Int(number)) {
                    used += 1;
                } else {
                    data.push(Value::Int(number))?;
                }
            }
            op::LONG1 => {
                let [len] = fixed(operand, &mut used)?;
                if len > 8 {
                    return Err(Fault::Number.into());
                }
                data.push(long(sized(operand, &mut used, len.into())?))?;
            }
            op::INT => {
                let line = number_line(operand, &mut used, text_max, b"-")?;
                data.push(Value::int(integer(line).ok_or(Fault::Number)?))?;
            }
            op::LONG => {
                let line = number_line(operand, &mut used, text_max, b"-L")?;
                let number = line.strip_suffix(b"L").unwrap_or(line);
                data.push(Value::int(decimal(number).ok_or(Fault::Number)?))?;
            }
            // In Python they equal these numbers, as keys of a dict too.
            op::NEWTRUE => data.push(Value::Int(1))?,
            op::NEWFALSE => data.push(Value::Int(0))?,
            op::NONE => data.push(Value::None)?,

            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => {
                let len = match opcode {
                    op::SHORT_BINUNICODE => u8::from_le_bytes(fixed(operand, &mut used)?).into(),
                    op::BINUNICODE => u32::from_le_bytes(fixed(operand, &mut used)?).into(),
                    _ => u64::from_le_bytes(fixed(operand, &mut used)?),
                };
                if len > text_max as u64 {
                    return Err(Fault::Text(text_max).into());
                }
                data.push_text(sized(operand, &mut used, len as usize)?)?;
            }
            op::UNICODE => {
                let text = raw_unicode_escape(line(operand, &mut used, text_max)?);
                data.push_text(text.ok_or(Fault::Unicode)?.as_bytes())?;
            }

            op::EMPTY_TUPLE => data.tuple(data.last(0)?)?,
            op::TUPLE1 => data.tuple(data.last(1)?)?,
            op::TUPLE2 => data.tuple(data.last(2)?)?,
            op::TUPLE3 => data.tuple(data.last(3)?)?,
            op::EMPTY_LIST => data.list(data.last(0)?)?,
            op::EMPTY_DICT => data.dict(data.last(0)?)?,
            op::APPEND => data.append(data.last(1)?)?,
            op::SETITEM => data.set(data.last(2)?)?,

            op::MARK => data.mark()?,
            op::TUPLE => data.unmark().and_then(|start| data.tuple(start))?,
            op::LIST => data.unmark().and_then(|start| data.list(start))?,
            op::DICT => data.unmark().and_then(|start| data.dict(start))?,
            op::APPENDS => data.unmark().and_then(|start| data.append(start))?,
            op::SETITEMS => data.unmark().and_then(|start| data.set(start))?,

            op::MEMOIZE => data.memoize(None, self.offset)?,
            op::BINPUT | op::LONG_BINPUT | op::PUT => {
                let index = match opcode {
                    op::BINPUT => u8::from_le_bytes(fixed(operand, &mut used)?).into(),
                    op::LONG_BINPUT => u32::from_le_bytes(fixed(operand, &mut used)?).into(),
                    _ => index(number_line(operand, &mut used, text_max, b"")?)
                        .ok_or(Fault::Number)?,
                };
                data.memoize(Some(index), self.offset)?;
            }
            op::BINGET | op::LONG_BINGET | op::GET => {
                data.recall(match opcode {
                    op::BINGET => u8::from_le_bytes(fixed(operand, &mut used)?).into(),
                    op::LONG_BINGET => u32::from_le_bytes(fixed(operand, &mut used)?).into(),
                    _ => index(number_line(operand, &mut used, text_max, b"")?)
                        .ok_or(Fault::Number)?,
                })?;
            }

            op::PROTO => match fixed(operand, &mut used)? {
                [0..=5] => {}
                [version] => return Err(Fault::Protocol(version).into()),
            },
            op::FRAME => {
                let len = u64::from_le_bytes(fixed(operand, &mut used)?);
                let begin = self.offset + 1 + used;
                let end = begin.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                if end > self.limits.bytes {
                    return Err(Fault::Bytes(self.limits.bytes).into());
                }
                self.frame_end = self.frame_end.max(end);
            }
            op::STOP => {
                if self.offset + 1 < self.frame_end {
                    return Err(Fault::Frame.into());
                }
                return Err(Halt::Stop(data.top()?));
            }
            byte => {
                return Err(Halt::Fault(match op::foreign(byte) {
                    Some(name) => Fault::Foreign { name, byte },
                    None => Fault::Unknown(byte),
                }));
            }
        }
        Ok(used)
    }
}

/// Executes what opcodes there are at the beginning that make pairs as those of members are written,
/// each pair in one step: how many bytes that took. All else is left to [`Reader::step`], which would
/// do the same in twice the time.
#[inline]
fn pairs(data: &mut Data, bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some((pair, len)) = bytes.get(at..).and_then(|rest| pair(data, rest)) {
        let memoized = bytes.get(at + len) == Some(&op::MEMOIZE);
        if !data.push_pair(pair, memoized) {
            break;
        }
        at += len + usize::from(memoized);
    }
    at
}

/// A process id or an address, and how many bytes make it.
#[inline]
fn pair(data: &Data, bytes: &[u8]) -> Option<(Pair, usize)> {
    let ints = |days, [a, b, c, d]: [u8; 4]| Pair::ints(days, i32::from_le_bytes([a, b, c, d]));
    match *bytes {
        [op::BININT1, days, op::BININT, a, b, c, d, op::TUPLE2, ..] => {
            Some((ints(days.into(), [a, b, c, d])?, 8))
        }
        [op::BININT2, lo, hi, op::BININT, a, b, c, d, op::TUPLE2, ..] => {
            let days = u16::from_le_bytes([lo, hi]);
            Some((ints(days, [a, b, c, d])?, 9))
        }
        [op::BINGET, host, op::BININT2, lo, hi, op::TUPLE2, ..] => {
            let port = u16::from_le_bytes([lo, hi]);
            Some((data.address(host, port)?, 6))
        }
        _ => None,
    }
}

/// The next `N` bytes of an operand of which `used` have been read.
#[inline]
fn fixed<const N: usize>(operand: &[u8], used: &mut usize) -> Result<[u8; N], Halt> {
    let rest = operand.get(*used..).unwrap_or(&[]);
    let bytes = rest.first_chunk().ok_or(lack(N, rest))?;
    *used += N;
    Ok(*bytes)
}

/// The next `len` bytes of an operand of which `used` have been read.
#[inline]
fn sized<'b>(operand: &'b [u8], used: &mut usize, len: usize) -> Result<&'b [u8], Halt> {
    let rest = operand.get(*used..).unwrap_or(&[]);
    let bytes = rest.get(..len).ok_or(lack(len, rest))?;
    *used += len;
    Ok(bytes)
}

/// The line at the beginning of an operand, without its end.
fn line<'b>(operand: &'b [u8], used: &mut usize, max: usize) -> Result<&'b [u8], Halt> {
    let within = operand.get(..=max).unwrap_or(operand);
    match within.iter().position(|byte| *byte == b'\n') {
        Some(len) => {
            *used += len + 1;
            Ok(&within[..len])
        }
        None if within.len() <= max => Err(Halt::Lack(Lack::Newline)),
        None => Err(Fault::Text(max).into()),
    }
}

/// A line of digits and `others` alone: what is no number is known before the line has ended, so
/// that text that merely begins like an opcode is refused at once.
fn number_line<'b>(
    operand: &'b [u8],
    used: &mut usize,
    max: usize,
    others: &[u8],
) -> Result<&'b [u8], Halt> {
    let mut within = operand.iter().take_while(|byte| **byte != b'\n');
    if within.all(|byte| byte.is_ascii_digit() || others.contains(byte)) {
        line(operand, used, max)
    } else {
        Err(Fault::Number.into())
    }
}

#[inline]
fn lack(needed: usize, have: &[u8]) -> Halt {
    Halt::Lack(Lack::Bytes(needed.saturating_sub(have.len())))
}

/// The least significant byte first, in two's complement; at most 8 bytes.
fn long(bytes: &[u8]) -> Value {
    let sign = bytes.last().map_or(0, |last| (*last as i8) >> 7);
    let mut number = [sign as u8; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    Value::int(i64::from_le_bytes(number))
}

/// A line of INT: a number, or one of the booleans `01` and `00`.
fn integer(line: &[u8]) -> Option<i64> {
    match line {
        b"01" => Some(1),
        b"00" => Some(0),
        _ => decimal(line),
    }
}

/// `12` and `-12`. Python reads octal and more; nothing writes it.
fn decimal(line: &[u8]) -> Option<i64> {
    match line.strip_prefix(b"-").unwrap_or(line) {
        b"0" => Some(0),
        [b'1'..=b'9', ..] => core::str::from_utf8(line).ok()?.parse().ok(),
        _ => None,
    }
}

/// A memo index: digits and nothing else.
fn index(line: &[u8]) -> Option<u64> {
    let digits = line.iter().all(u8::is_ascii_digit).then_some(line)?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Protocol 0's text: Latin-1, with `\uXXXX` or `\UXXXXXXXX` for what that has not.
fn raw_unicode_escape(line: &[u8]) -> Option<Cow<'_, str>> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return core::str::from_utf8(line).ok().map(Cow::Borrowed);
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let len = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(&other)) => {
                text.extend(['\\', char::from(other)]);
                rest = &after[1..];
                continue;
            }
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        let digits = after.get(1..=len)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let code = u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
        text.push(char::from_u32(code)?);
        rest = &after[1 + len..];
    }
    Some(Cow::Owned(text))
}
