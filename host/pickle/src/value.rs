//! The values of a message as they are stored, each in one word, and what refers to them.

use crate::table::Zero;

/// A text, by its place among the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) u32);

/// A Python value. The two pairs that members are made of need no storage of their own; `True`
/// and `False` are the numbers they equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// In the memo: nothing was put here. Nowhere else.
    Unset,
    None,
    /// A number of at most 48 bits.
    Int(i64),
    /// A number that is greater than anything a lab message has use for.
    Huge,
    Text(Text),
    /// A tuple of two numbers, such as a process id.
    Ints(u16, u32),
    /// A tuple of a text and a number, such as an address.
    Address(Text, u16),
    /// Any other tuple, by its place among the sequences.
    Tuple(u32),
    /// A list, by its place among the sequences.
    List(u32),
    /// A dict, by its number.
    Dict(u32),
}

impl Value {
    #[inline]
    pub(crate) fn int(number: i64) -> Self {
        let unused_bits = u64::BITS - CONTENT_BITS;
        if number << unused_bits >> unused_bits == number {
            Self::Int(number)
        } else {
            Self::Huge
        }
    }

    /// A tuple of two, if it takes no room of its own.
    #[inline]
    pub(crate) fn pair(first: Self, second: Self) -> Option<Self> {
        let Self::Int(second) = second else {
            return None;
        };
        match first {
            Self::Int(first) => {
                let (first, second) = (first.try_into().ok()?, second.try_into().ok()?);
                Some(Self::Ints(first, second))
            }
            Self::Text(host) => Some(Self::Address(host, second.try_into().ok()?)),
            _ => None,
        }
    }

    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::None | Self::Int(_) | Self::Huge | Self::Text(_))
    }
}

/// A [`Value`] as it is stored: 16 bits that tell what it is, and 48 of what is in it. In one
/// word since the processor stalls where it writes a value in parts and reads it back whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Zero for Word {
    const ZERO: Self = Self(0);
}

impl From<Value> for Word {
    #[inline(always)]
    fn from(value: Value) -> Self {
        let (kind, content) = match value {
            Value::Unset => (0, 0),
            Value::None => (1, 0),
            Value::Int(number) => (2, number as u64 & CONTENT),
            Value::Huge => (3, 0),
            Value::Text(Text(text)) => (TEXT, text.into()),
            Value::Ints(a, b) => (INTS, u64::from(a) << 32 | u64::from(b)),
            Value::Address(Text(host), port) => (ADDRESS, u64::from(port) << 32 | u64::from(host)),
            Value::Tuple(at) => (7, at.into()),
            Value::List(at) => (8, at.into()),
            Value::Dict(at) => (DICT, at.into()),
        };
        Self(kind << CONTENT_BITS | content)
    }
}

impl From<Word> for Value {
    #[inline(always)]
    fn from(Word(word): Word) -> Self {
        let (upper, lower) = ((word >> 32) as u16, word as u32);
        match word >> CONTENT_BITS {
            0 => Self::Unset,
            1 => Self::None,
            2 => Self::Int((word << 16) as i64 >> 16),
            3 => Self::Huge,
            TEXT => Self::Text(Text(lower)),
            INTS => Self::Ints(upper, lower),
            ADDRESS => Self::Address(Text(lower), upper),
            7 => Self::Tuple(lower),
            8 => Self::List(lower),
            _ => Self::Dict(lower),
        }
    }
}

// The kinds that pairs are made of, and these.
const TEXT: u64 = 4;
const INTS: u64 = 5;
const ADDRESS: u64 = 6;
const DICT: u64 = 9;

/// A tuple of two that takes no room of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair(pub(crate) Word);

impl Pair {
    /// Two numbers; of the second only 31 bits fit.
    #[inline]
    pub(crate) fn ints(first: u16, second: i32) -> Option<Self> {
        let second = u32::try_from(second).ok()?;
        let content = u64::from(first) << 32 | u64::from(second);
        Some(Self(Word(INTS << CONTENT_BITS | content)))
    }
}

impl Word {
    /// Returns `true` for a pair of two numbers, or of a text and a number, such as members are
    /// made of.
    #[inline]
    pub(crate) const fn is_pair(self) -> bool {
        matches!(self.0 >> CONTENT_BITS, INTS | ADDRESS)
    }

    /// The number of the dict, if it is one.
    #[inline]
    pub(crate) const fn dict(self) -> Option<u32> {
        if self.0 >> CONTENT_BITS == DICT {
            Some(self.0 as u32)
        } else {
            None
        }
    }

    /// The numbers, if it is a pair of such.
    #[inline]
    pub(crate) const fn ints(self) -> Option<(u16, u32)> {
        if self.0 >> CONTENT_BITS == INTS {
            Some(((self.0 >> 32) as u16, self.0 as u32))
        } else {
            None
        }
    }

    /// The pair of this and a port, if it is a text.
    #[inline]
    pub(crate) fn with_port(self, port: u16) -> Option<Pair> {
        let Self(text) = self;
        let is_text = text >> CONTENT_BITS == TEXT;
        let host = text & u64::from(u32::MAX);
        is_text.then_some(Pair(Self(
            ADDRESS << CONTENT_BITS | u64::from(port) << 32 | host,
        )))
    }

    /// The text and the number, if it is a pair of such.
    #[inline]
    pub(crate) const fn address(self) -> Option<(Text, u16)> {
        if self.0 >> CONTENT_BITS == ADDRESS {
            Some((Text(self.0 as u32), (self.0 >> 32) as u16))
        } else {
            None
        }
    }
}

const CONTENT_BITS: u32 = 48;
const CONTENT: u64 = (1 << CONTENT_BITS) - 1;

/// Where a text, or the items of a tuple, begin, and how many they are. Of a list only the first
/// two are there: no lab message has use for more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Zero for Span {
    const ZERO: Self = Self { start: 0, len: 0 };
}

/// What was once set in one of the dicts.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub(crate) dict: u32,
    pub(crate) key: Word,
    pub(crate) value: Word,
}

impl Zero for Entry {
    const ZERO: Self = Self {
        dict: 0,
        key: Word::ZERO,
        value: Word::ZERO,
    };
}
