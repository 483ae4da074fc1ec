//! The values of a message as they are stored, each in one word, and what refers to them.

use crate::table::Zero;

/// A text, by its place among the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) u32);

/// A Python value, to be looked at. The two pairs that members are made of need no storage of their own; `True`
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

/// A [`Value`] as it is stored: 16 bits that say what it is, and 48 of what is in it. In one
/// word since the processor stalls where it writes a value in parts and reads it back whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Zero for Word {
    const ZERO: Self = Self(0);
}

/// Making them.
impl Word {
    /// In the memo: nothing was put here. Nowhere else.
    pub(crate) const UNSET: Self = Self::of(UNSET, 0);
    pub(crate) const NONE: Self = Self::of(NONE, 0);

    #[inline(always)]
    const fn of(kind: u64, content: u64) -> Self {
        Self(kind << CONTENT_BITS | content)
    }

    /// A number of at most 48 bits, or else [`Value::Huge`].
    #[inline]
    pub(crate) const fn int(number: i64) -> Self {
        let unused_bits = u64::BITS - CONTENT_BITS;
        if number << unused_bits >> unused_bits == number {
            Self::of(INT, number as u64 & CONTENT)
        } else {
            Self::of(HUGE, 0)
        }
    }

    /// A text, by its place among the texts.
    #[inline]
    pub(crate) const fn text(at: u32) -> Self {
        Self::of(TEXT, at as u64)
    }

    /// A tuple that is no pair, by its place among the sequences.
    #[inline]
    pub(crate) const fn tuple(at: u32) -> Self {
        Self::of(TUPLE, at as u64)
    }

    /// A list, by its place among the sequences.
    #[inline]
    pub(crate) const fn list(at: u32) -> Self {
        Self::of(LIST, at as u64)
    }

    /// A dict, by its number.
    #[inline]
    pub(crate) const fn dict(number: u32) -> Self {
        Self::of(DICT, number as u64)
    }

    /// A tuple of two, if it takes no room of its own.
    #[inline]
    pub(crate) fn pair(first: Self, second: Self) -> Option<Self> {
        if second.kind() != INT {
            return None;
        }
        let (first_number, second) = (first.number(), second.number());
        let (kind, first, second) = match first.kind() {
            INT => (
                INTS,
                u16::try_from(first_number).ok()?,
                u32::try_from(second).ok()?,
            ),
            TEXT => (ADDRESS, u16::try_from(second).ok()?, first.0 as u32),
            _ => return None,
        };
        Some(Self::of(kind, u64::from(first) << 32 | u64::from(second)))
    }
}

impl From<Word> for Value {
    #[inline(always)]
    fn from(Word(word): Word) -> Self {
        let (upper, lower) = ((word >> 32) as u16, word as u32);
        match word >> CONTENT_BITS {
            UNSET => Self::Unset,
            NONE => Self::None,
            INT => Self::Int(Word(word).number()),
            HUGE => Self::Huge,
            TEXT => Self::Text(Text(lower)),
            INTS => Self::Ints(upper, lower),
            ADDRESS => Self::Address(Text(lower), upper),
            TUPLE => Self::Tuple(lower),
            LIST => Self::List(lower),
            _ => Self::Dict(lower),
        }
    }
}

// The kinds. Those from `NONE` to `TEXT` may be keys of a dict, and so may tuples of them.
const UNSET: u64 = 0;
const NONE: u64 = 1;
const INT: u64 = 2;
const HUGE: u64 = 3;
const TEXT: u64 = 4;
const INTS: u64 = 5;
const ADDRESS: u64 = 6;
const TUPLE: u64 = 7;
const LIST: u64 = 8;
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
        Some(Self(Word::of(INTS, content)))
    }
}

/// Looking at them.
impl Word {
    #[inline]
    const fn kind(self) -> u64 {
        self.0 >> CONTENT_BITS
    }

    /// What is in it as a number with a sign.
    #[inline]
    const fn number(self) -> i64 {
        let unused_bits = u64::BITS - CONTENT_BITS;
        (self.0 << unused_bits).cast_signed() >> unused_bits
    }

    /// Returns `true` for what is neither a sequence nor a dict.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self.kind(), NONE | INT | HUGE | TEXT)
    }

    /// Returns `true` for a pair of two numbers, or of a text and a number, such as members are
    /// made of.
    #[inline]
    pub(crate) const fn is_pair(self) -> bool {
        matches!(self.kind(), INTS | ADDRESS)
    }

    /// The number, if it is one of at most 48 bits.
    #[inline]
    pub(crate) fn as_int(self) -> Option<i64> {
        (self.kind() == INT).then(|| self.number())
    }

    /// The text, if it is one.
    #[inline]
    pub(crate) fn as_text(self) -> Option<Text> {
        (self.kind() == TEXT).then_some(Text(self.0 as u32))
    }

    /// The number of the dict, if it is one.
    #[inline]
    pub(crate) fn as_dict(self) -> Option<u32> {
        (self.kind() == DICT).then_some(self.0 as u32)
    }

    /// The place among the sequences, if it is a list.
    #[inline]
    pub(crate) fn as_list(self) -> Option<u32> {
        (self.kind() == LIST).then_some(self.0 as u32)
    }

    /// The numbers, if it is a pair of such.
    #[inline]
    pub(crate) fn as_ints(self) -> Option<(u16, u32)> {
        (self.kind() == INTS).then_some(((self.0 >> 32) as u16, self.0 as u32))
    }

    /// The pair of this and a port, if it is a text.
    #[inline]
    pub(crate) fn with_port(self, port: u16) -> Option<Pair> {
        let host = self.0 & u64::from(u32::MAX);
        let pair = Pair(Self::of(ADDRESS, u64::from(port) << 32 | host));
        (self.kind() == TEXT).then_some(pair)
    }

    /// The text and the number, if it is a pair of such.
    #[inline]
    pub(crate) fn as_address(self) -> Option<(Text, u16)> {
        (self.kind() == ADDRESS).then_some((Text(self.0 as u32), (self.0 >> 32) as u16))
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
