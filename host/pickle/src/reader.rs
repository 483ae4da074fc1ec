//! A pickle machine that can only build data, within bounds, from bytes in any number of pieces.

use crate::data::Data;
use crate::fault::{Kind, Refused};
use crate::opcode as op;
use crate::storage::sealed::FixedBounds;
use crate::storage::{Fixed, Storage};
use crate::table::Table;
use crate::value::{Pair, Word};
#[cfg(feature = "alloc")]
use crate::{fault::Limits, storage::Heap};

/// Reads one pickled message from bytes in any number of pieces.
///
/// It executes the opcodes that lab messages use as they come, and refuses all others. Every value
/// is a few bytes in one of a handful of flat tables: nothing nests, a memo reference copies
/// nothing, and the work is proportional to the bytes. [`clear`](Self::clear) it to read the next
/// message in the same memory.
#[derive(Debug)]
pub struct Reader<S: Storage> {
    machine: Machine<S>,
    end: End,
    /// An opcode whose operand has not come whole, and what it lacks.
    carry: S::Carry,
    lack: Lack,
    beginning: S::Beginning,
}

/// What executes opcodes.
#[derive(Debug)]
struct Machine<S: Storage> {
    data: Data<S>,
    /// Where in the message the next opcode begins.
    offset: usize,
    /// Where in the message the last frame that was announced ends.
    frame_end: usize,
}

// With a tag of its own, so that a new reader is all zeros.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum End {
    Open,
    Stopped,
    Refused(Refused),
}

/// What an opcode that was cut off at the end of a piece still needs.
#[derive(Clone, Copy, Debug)]
enum Lack {
    Bytes(usize),
    Newline,
}

/// Why no further opcode is executed for now.
enum Halt {
    Lack(Lack),
    Stop,
    Fault(Kind),
}

impl From<Kind> for Halt {
    fn from(kind: Kind) -> Self {
        Self::Fault(kind)
    }
}

#[cfg(feature = "alloc")]
impl Reader<Heap> {
    /// A reader of messages within `limits`. It allocates as bytes come, not before.
    pub const fn new(limits: Limits) -> Self {
        Self::within(limits)
    }
}

#[cfg(feature = "alloc")]
impl Default for Reader<Heap> {
    /// With the default [`Limits`].
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl<const MEMBERS: usize> Reader<Fixed<MEMBERS>> {
    /// A reader in place, all zeros.
    pub const fn fixed() -> Self {
        Self::within(FixedBounds)
    }
}

impl<const MEMBERS: usize> Default for Reader<Fixed<MEMBERS>> {
    fn default() -> Self {
        Self::fixed()
    }
}

impl<S: Storage> Reader<S> {
    const fn within(bounds: S::Bounds) -> Self {
        Self {
            machine: Machine {
                data: Data::new(bounds),
                offset: 0,
                frame_end: 0,
            },
            end: End::Open,
            carry: S::Carry::EMPTY,
            lack: Lack::Bytes(0),
            beginning: S::Beginning::EMPTY,
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
        let free = S::BEGINNING_MAX.saturating_sub(self.beginning.count());
        let kept = piece.get(..free).unwrap_or(piece);
        // It fits: the table has capacity for all that is kept.
        let _ = self.beginning.extend(kept);
        match self.end {
            End::Stopped => return Ok(Some(0)),
            End::Refused(refused) => return Err(refused),
            End::Open => {}
        }
        let bytes_max = self.machine.data.limits().bytes;
        let taken = self.machine.offset + self.carry.count();
        let within_max = piece.len().min(bytes_max.saturating_sub(taken));
        let (within, beyond) = piece.split_at_checked(within_max).unwrap_or_default();
        let (left, halt) = self.read(within);
        let what = match halt {
            Halt::Stop => {
                self.end = End::Stopped;
                return Ok(Some(within.len() - left));
            }
            Halt::Lack(_) if beyond.is_empty() => return Ok(None),
            Halt::Lack(_) => Kind::Bytes,
            Halt::Fault(kind) => kind,
        };
        let what = self.machine.data.fault(what);
        let offset = self.machine.offset;
        let refused = Refused { what, offset };
        self.end = End::Refused(refused);
        Err(refused)
    }

    /// Forgets the message, whole or not, and keeps its memory for the next.
    pub fn clear(&mut self) {
        self.machine.data.clear();
        self.end = End::Open;
        self.machine.offset = 0;
        self.machine.frame_end = 0;
        self.carry.truncate(0);
        self.beginning.truncate(0);
    }

    /// The first bytes that were pushed, refused or not, for telling people what came instead of a
    /// message: at most 1,024 on the heap, 96 in arrays.
    pub fn beginning(&self) -> &[u8] {
        self.beginning.as_slice()
    }

    /// The value of a whole message, and what it is made of.
    pub(crate) fn message(&self) -> Option<(Word, &Data<S>)> {
        match self.end {
            End::Stopped => Some((self.machine.data.top().ok()?, &self.machine.data)),
            _ => None,
        }
    }

    /// Reads a piece that is within the limit of bytes: how many of them are left, and why.
    fn read(&mut self, mut rest: &[u8]) -> (usize, Halt) {
        while self.carry.count() > 0 {
            let lacking = match self.lack {
                Lack::Bytes(missing) => missing,
                // No more than it takes to find the line too long.
                Lack::Newline => match rest.iter().position(|byte| *byte == b'\n') {
                    Some(at) => at + 1,
                    None => self.machine.data.limits().text + 2,
                },
            };
            let (taken, after) = rest
                .split_at_checked(lacking.min(rest.len()))
                .unwrap_or_default();
            rest = after;
            if !self.carry.extend(taken) {
                return (rest.len(), Halt::Fault(Kind::Text));
            }
            let (used, halt) = self.machine.run(self.carry.as_slice());
            // It was one opcode and no more, so either it was executed whole or not at all.
            if used > 0 {
                self.carry.truncate(0);
            }
            match halt {
                Halt::Fault(_) => return (rest.len(), halt),
                Halt::Lack(lack) => self.lack = lack,
                Halt::Stop => {}
            }
            if rest.is_empty() {
                return (0, Halt::Lack(self.lack));
            }
        }
        let (used, halt) = self.machine.run(rest);
        rest = rest.get(used..).unwrap_or(&[]);
        if let Halt::Lack(lack) = halt {
            self.lack = lack;
            if !self.carry.extend(rest) {
                return (0, Halt::Fault(Kind::Text));
            }
            rest = &[];
        }
        (rest.len(), halt)
    }
}

impl<S: Storage> Machine<S> {
    /// Executes opcodes until something stops it: how many bytes that took, and what it was.
    fn run(&mut self, bytes: &[u8]) -> (usize, Halt) {
        let begin = self.offset;
        let mut at = 0;
        loop {
            if !S::COMPACT {
                at += pairs(&mut self.data, bytes.get(at..).unwrap_or(&[]));
            }
            self.offset = begin + at;
            let rest = bytes.get(at..).and_then(<[u8]>::split_first);
            let Some((&opcode, operand)) = rest else {
                return (at, Halt::Lack(Lack::Bytes(1)));
            };
            match self.step(opcode, operand) {
                Ok(used) => at += 1 + used,
                Err(halt @ Halt::Stop) => return (at + 1, halt),
                Err(halt) => return (at, halt),
            }
        }
    }

    /// Executes one opcode: how many bytes its operand has. Nothing has changed if it lacks some.
    #[inline]
    fn step(&mut self, opcode: u8, operand: &[u8]) -> Result<usize, Halt> {
        let data = &mut self.data;
        let text_max = data.limits().text;
        let mut used = 0;
        match opcode {
            op::BININT1 | op::BININT2 | op::BININT => {
                let number = match opcode {
                    op::BININT1 => unsigned(operand, &mut used, 1)?.cast_signed(),
                    op::BININT2 => unsigned(operand, &mut used, 2)?.cast_signed(),
                    _ => i64::from(unsigned(operand, &mut used, 4)? as i32),
                };
                let number = Word::int(number);
                if operand.get(used) == Some(&op::TUPLE2) && data.pair_with(number) {
                    used += 1;
                } else {
                    data.push(number)?;
                }
            }
            op::LONG1 => {
                let len = unsigned(operand, &mut used, 1)?;
                if len > 8 {
                    return Err(Kind::Number.into());
                }
                data.push(long(sized(operand, &mut used, len as usize)?))?;
            }
            op::INT => {
                let line = number_line(operand, &mut used, text_max, b"-")?;
                data.push(Word::int(integer(line).ok_or(Kind::Number)?))?;
            }
            op::LONG => {
                let line = number_line(operand, &mut used, text_max, b"-L")?;
                let number = line.strip_suffix(b"L").unwrap_or(line);
                data.push(Word::int(decimal(number).ok_or(Kind::Number)?))?;
            }
            // In Python they equal these numbers, as keys of a dict too.
            op::NEWTRUE => data.push(Word::int(1))?,
            op::NEWFALSE => data.push(Word::int(0))?,
            op::NONE => data.push(Word::NONE)?,

            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => {
                let len = match opcode {
                    op::SHORT_BINUNICODE => unsigned(operand, &mut used, 1)?,
                    op::BINUNICODE => unsigned(operand, &mut used, 4)?,
                    _ => unsigned(operand, &mut used, 8)?,
                };
                if len > text_max as u64 {
                    return Err(Kind::Text.into());
                }
                data.push_text(sized(operand, &mut used, len as usize)?)?;
            }
            op::UNICODE => {
                let line = line(operand, &mut used, text_max)?;
                if !S::COMPACT && line.is_ascii() && !line.contains(&b'\\') {
                    data.push_text(line)?;
                } else {
                    data.push_letters(raw_unicode_escape(line))?;
                }
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
            op::SETITEMS => data.set_items()?,

            op::MEMOIZE => data.memoize(None, self.offset)?,
            op::BINPUT | op::LONG_BINPUT | op::PUT => {
                let index = match opcode {
                    op::BINPUT => unsigned(operand, &mut used, 1)?,
                    op::LONG_BINPUT => unsigned(operand, &mut used, 4)?,
                    _ => index(number_line(operand, &mut used, text_max, b"")?)
                        .ok_or(Kind::Number)?,
                };
                data.memoize(Some(index), self.offset)?;
            }
            op::BINGET | op::LONG_BINGET | op::GET => {
                data.recall(match opcode {
                    op::BINGET => unsigned(operand, &mut used, 1)?,
                    op::LONG_BINGET => unsigned(operand, &mut used, 4)?,
                    _ => index(number_line(operand, &mut used, text_max, b"")?)
                        .ok_or(Kind::Number)?,
                })?;
            }

            op::PROTO => match unsigned(operand, &mut used, 1)? as u8 {
                0..=5 => {}
                version => {
                    data.figure = version.into();
                    return Err(Kind::Protocol.into());
                }
            },
            op::FRAME => {
                let len = unsigned(operand, &mut used, 8)?;
                let begin = self.offset + 1 + used;
                let end = begin.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                if end > data.limits().bytes {
                    return Err(Kind::Bytes.into());
                }
                self.frame_end = self.frame_end.max(end);
            }
            op::STOP => {
                if self.offset + 1 < self.frame_end {
                    return Err(Kind::Frame.into());
                }
                data.top()?;
                return Err(Halt::Stop);
            }
            byte => {
                data.figure = byte.into();
                return Err(Kind::Opcode.into());
            }
        }
        Ok(used)
    }
}

/// Executes what opcodes there are at the beginning that make pairs as those of members are written,
/// each pair in one step: how many bytes that took. All else is left to [`Reader::step`], which would
/// do the same in twice the time.
#[inline]
fn pairs<S: Storage>(data: &mut Data<S>, bytes: &[u8]) -> usize {
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
fn pair<S: Storage>(data: &Data<S>, bytes: &[u8]) -> Option<(Pair, usize)> {
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

/// The number in the next `len` bytes of an operand of which `used` have been read, the least
/// significant byte first; at most 8.
#[cfg_attr(feature = "alloc", inline)]
#[cfg_attr(not(feature = "alloc"), inline(never))]
fn unsigned(operand: &[u8], used: &mut usize, len: usize) -> Result<u64, Halt> {
    let mut number = [0; 8];
    for (place, byte) in number.iter_mut().zip(sized(operand, used, len)?) {
        *place = *byte;
    }
    Ok(u64::from_le_bytes(number))
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
            Ok(within.get(..len).unwrap_or(&[]))
        }
        None if within.len() <= max => Err(Halt::Lack(Lack::Newline)),
        None => Err(Kind::Text.into()),
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
        Err(Kind::Number.into())
    }
}

#[inline]
fn lack(needed: usize, have: &[u8]) -> Halt {
    Halt::Lack(Lack::Bytes(needed.saturating_sub(have.len())))
}

/// The least significant byte first, in two's complement; at most 8 bytes.
fn long(bytes: &[u8]) -> Word {
    let sign = bytes.last().map_or(0, |last| (*last as i8) >> 7);
    let mut number = [sign as u8; 8];
    for (place, byte) in number.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Word::int(i64::from_le_bytes(number))
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
    match line.strip_prefix(b"-") {
        None if !line.starts_with(b"0") => index(line)?.try_into().ok(),
        Some(digits @ [b'1'..=b'9', ..]) => 0_i64.checked_sub_unsigned(index(digits)?),
        _ if line == b"0" || line == b"-0" => Some(0),
        _ => None,
    }
}

/// A memo index: digits and nothing else.
fn index(line: &[u8]) -> Option<u64> {
    let (first, rest) = line.split_first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    rest.iter().try_fold(digit(first)?, |number, byte| {
        number.checked_mul(10)?.checked_add(digit(byte)?)
    })
}

/// Protocol 0's text: Latin-1, with `\uXXXX` or `\UXXXXXXXX` for what that has not. `None` in place of
/// a letter that is none.
fn raw_unicode_escape(line: &[u8]) -> impl Iterator<Item = Option<char>> {
    let mut rest = line;
    // What a backslash that begins no escape is followed by stands for itself.
    let mut plain = false;
    core::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        let len = match (byte, after.first()) {
            _ if plain => 0,
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(_)) => {
                plain = true;
                return Some(Some('\\'));
            }
            _ => 0,
        };
        plain = false;
        if len == 0 {
            return Some(Some(char::from(byte)));
        }
        let digits = after.get(1..=len);
        rest = after.get(1 + len..).unwrap_or(&[]);
        Some(digits.and_then(hexadecimal).and_then(char::from_u32))
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        number.checked_mul(16)?.checked_add(digit)
    })
}
