//! The values of a message: a stack and a memo over a handful of flat tables.

use super::fault::{Fault, Limits};

/// A text, by its place among the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text(u32);

/// A Python value. The two pairs that members are made of need no storage of their own; `True`
/// and `False` are the numbers they equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
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
    pub(super) fn int(number: i64) -> Self {
        let unused_bits = u64::BITS - CONTENT_BITS;
        if number << unused_bits >> unused_bits == number {
            Self::Int(number)
        } else {
            Self::Huge
        }
    }

    /// A tuple of two, if it takes no room of its own.
    #[inline]
    fn pair(first: Self, second: Self) -> Option<Self> {
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

    fn is_plain(self) -> bool {
        matches!(self, Self::None | Self::Int(_) | Self::Huge | Self::Text(_))
    }
}

/// A [`Value`] as it is stored: 16 bits that tell what it is, and 48 of what is in it. In one
/// word since the processor stalls where it writes a value in parts and reads it back whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u64);

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
            Value::Dict(at) => (9, at.into()),
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

/// A tuple of two that takes no room of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair(Word);

impl Pair {
    /// Two numbers; of the second only 31 bits fit.
    #[inline]
    pub(super) fn ints(first: u16, second: i32) -> Option<Self> {
        let second = u32::try_from(second).ok()?;
        let content = u64::from(first) << 32 | u64::from(second);
        Some(Self(Word(INTS << CONTENT_BITS | content)))
    }
}

const CONTENT_BITS: u32 = 48;
const CONTENT: u64 = (1 << CONTENT_BITS) - 1;

/// Where a text, or the items of a tuple, begin, and how many they are. Of a list only the first
/// two are there: no lab message has use for more.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

/// What was once set in one of the dicts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    dict: u32,
    key: Word,
    value: Word,
}

/// All that a message has built so far. Lists and dicts are known by their numbers, so they may
/// be referred to before they are filled, and may contain themselves.
#[derive(Debug, Default)]
pub(super) struct Data {
    limits: Limits,
    stack: Vec<Word>,
    marks: Vec<u32>,
    /// Where on the stack the innermost mark stands: nothing below it may be taken.
    fence: usize,
    memo: Vec<Word>,
    memo_set: usize,
    /// All texts, one after the other.
    text: String,
    texts: Vec<Span>,
    items: Vec<Word>,
    sequences: Vec<Span>,
    dicts: u32,
    entries: Vec<Entry>,
}

/// Looking at it.
impl Data {
    pub(super) fn text(&self, text: Text) -> &str {
        let span = self.texts.get(text.0 as usize).copied().unwrap_or_default();
        let start = span.start as usize;
        self.text
            .get(start..start + span.len as usize)
            .unwrap_or("")
    }

    /// The items of a tuple or list of two.
    pub(super) fn pair(&self, value: Value) -> Option<[Value; 2]> {
        if self.len(value) != 2 {
            return None;
        }
        let mut items = self.items(value);
        Some([items.next()?, items.next()?])
    }

    /// The items of a tuple, or the first two of a list.
    pub(super) fn items(&self, value: Value) -> impl Iterator<Item = Value> {
        let (inline, stored) = match value {
            Value::Ints(a, b) => (Some([Value::Int(a.into()), Value::Int(b.into())]), &[][..]),
            Value::Address(a, b) => (Some([Value::Text(a), Value::Int(b.into())]), &[][..]),
            Value::Tuple(at) | Value::List(at) => {
                let span = self.span(at);
                let len = match value {
                    Value::List(_) => span.len.min(2),
                    _ => span.len,
                };
                let start = span.start as usize;
                let items = self.items.get(start..start + len as usize);
                (None, items.unwrap_or(&[]))
            }
            _ => (None, &[][..]),
        };
        let stored = stored.iter().map(|word| Value::from(*word));
        inline.into_iter().flatten().chain(stored)
    }

    /// How many items a tuple or list has.
    pub(super) fn len(&self, value: Value) -> usize {
        match value {
            Value::Ints(..) | Value::Address(..) => 2,
            Value::Tuple(at) | Value::List(at) => self.span(at).len as usize,
            _ => 0,
        }
    }

    /// What was set in a dict, in that order: a key may come again, and then its last value counts.
    pub(super) fn entries(&self, dict: u32) -> impl Iterator<Item = (Value, Value)> {
        self.entries
            .iter()
            .filter(move |entry| entry.dict == dict)
            .map(|entry| (entry.key.into(), entry.value.into()))
    }

    /// How many entries all dicts have together.
    pub(super) fn entries_max(&self) -> usize {
        self.entries.len()
    }

    fn span(&self, at: u32) -> Span {
        self.sequences.get(at as usize).copied().unwrap_or_default()
    }
}

/// Building it. On a [`Fault`] nothing more may be built, only [`clear`](Self::clear)ed.
impl Data {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Forgets everything but keeps the memory.
    pub(super) fn clear(&mut self) {
        self.stack.clear();
        self.marks.clear();
        self.fence = 0;
        self.memo.clear();
        self.memo_set = 0;
        self.text.clear();
        self.texts.clear();
        self.items.clear();
        self.sequences.clear();
        self.dicts = 0;
        self.entries.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, value: Value) -> Result<(), Fault> {
        if self.stack.len() >= self.limits.values {
            return Err(Fault::Values(self.limits.values));
        }
        self.stack.push(value.into());
        Ok(())
    }

    #[inline]
    pub(super) fn push_text(&mut self, text: &[u8]) -> Result<(), Fault> {
        // A peer that writes each host out writes the same one over and over: it is kept once.
        let last = self.texts.last().map(|span| span.start as usize..);
        if last.and_then(|last| self.text.as_bytes().get(last)) != Some(text) {
            let (start, len) = (self.text.len() as u32, text.len() as u32);
            let text = core::str::from_utf8(text).map_err(|_| Fault::Unicode)?;
            self.room(self.texts.len(), 1)?;
            self.text.push_str(text);
            self.texts.push(Span { start, len });
        }
        self.push(Value::Text(Text(self.texts.len() as u32 - 1)))
    }

    /// Makes the topmost value and `second` a tuple, if that takes no room of its own.
    #[inline]
    pub(super) fn pair_with(&mut self, second: Value) -> bool {
        let Some(pair) = self.top().ok().and_then(|first| Value::pair(first, second)) else {
            return false;
        };
        if let Some(top) = self.stack.last_mut() {
            *top = pair.into();
        }
        true
    }

    /// The topmost value.
    #[inline]
    pub(super) fn top(&self) -> Result<Value, Fault> {
        Ok(self.stack[self.last(1)?].into())
    }

    pub(super) fn mark(&mut self) -> Result<(), Fault> {
        if self.marks.len() >= self.limits.marks {
            return Err(Fault::Marks(self.limits.marks));
        }
        self.fence = self.stack.len();
        self.marks.push(self.fence as u32);
        Ok(())
    }

    /// Where the last `count` values begin, if there are so many above the innermost mark.
    #[inline]
    pub(super) fn last(&self, count: usize) -> Result<usize, Fault> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.fence => Ok(start),
            _ => Err(Fault::Operand),
        }
    }

    /// Removes the innermost mark: where the values above it begin.
    pub(super) fn unmark(&mut self) -> Result<usize, Fault> {
        let start = self.marks.pop().ok_or(Fault::Operand)?;
        self.fence = self.marks.last().map_or(0, |mark| *mark as usize);
        Ok(start as usize)
    }

    /// Makes the values from `start` on a tuple.
    #[inline]
    pub(super) fn tuple(&mut self, start: usize) -> Result<(), Fault> {
        let values = &self.stack[start..];
        let pair = match *values {
            [first, second] => Value::pair(first.into(), second.into()),
            _ => None,
        };
        let tuple = match pair {
            Some(pair) => pair,
            None => {
                self.room(self.items.len(), values.len())?;
                let (start, len) = (self.items.len() as u32, values.len() as u32);
                self.items.extend_from_slice(values);
                Value::Tuple(self.new_sequence(Span { start, len })?)
            }
        };
        self.stack.truncate(start);
        self.push(tuple)
    }

    /// Makes the values from `start` on a list.
    pub(super) fn list(&mut self, start: usize) -> Result<(), Fault> {
        let list = self.new_sequence(Span::default())?;
        self.fill_list(list, start)?;
        self.push(Value::List(list))
    }

    /// Makes the values from `start` on, keys and values in turn, a dict.
    pub(super) fn dict(&mut self, start: usize) -> Result<(), Fault> {
        // There are at most as many as bytes, so this number does not overflow.
        let dict = self.dicts;
        self.dicts += 1;
        self.fill_dict(dict, start)?;
        self.push(Value::Dict(dict))
    }

    /// Moves the values from `start` on to the end of the list below them.
    pub(super) fn append(&mut self, start: usize) -> Result<(), Fault> {
        match self.below(start)? {
            Value::List(list) => self.fill_list(list, start),
            _ => Err(Fault::Operand),
        }
    }

    /// Moves the values from `start` on, keys and values in turn, into the dict below them.
    pub(super) fn set(&mut self, start: usize) -> Result<(), Fault> {
        match self.below(start)? {
            Value::Dict(dict) => self.fill_dict(dict, start),
            _ => Err(Fault::Operand),
        }
    }

    /// Puts the topmost value under `index`, or under the next one; `bytes` came before.
    #[inline]
    pub(super) fn memoize(&mut self, index: Option<u64>, bytes: usize) -> Result<(), Fault> {
        let value = self.stack[self.last(1)?];
        let index = index.unwrap_or(self.memo_set as u64);
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if at == self.memo.len() && at < self.limits.values {
            self.memo.push(value);
            self.memo_set += 1;
            return Ok(());
        }
        self.memoize_at(at, value, bytes)
    }

    /// Pushes what was put under `index`.
    #[inline]
    pub(super) fn recall(&mut self, index: u64) -> Result<(), Fault> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        match self.memo.get(at).map(|word| Value::from(*word)) {
            None | Some(Value::Unset) => Err(Fault::Unset(index)),
            Some(value) => self.push(value),
        }
    }

    /// What begins with the text that was put under `index` and ends in `port`.
    #[inline]
    pub(super) fn address(&self, index: u8, port: u16) -> Option<Pair> {
        let &Word(host) = self.memo.get(usize::from(index))?;
        let is_text = host >> CONTENT_BITS == TEXT;
        let host = host & u64::from(u32::MAX);
        is_text.then_some(Pair(Word(
            ADDRESS << CONTENT_BITS | u64::from(port) << 32 | host,
        )))
    }

    /// Pushes a tuple of two and, if it is `memoized`, puts it under the next index; whether there was
    /// room, for otherwise nothing has changed.
    #[inline]
    pub(super) fn push_pair(&mut self, Pair(pair): Pair, memoized: bool) -> bool {
        let room = self.limits.values;
        // Indices follow each other where nobody names them.
        let in_turn = self.memo_set == self.memo.len() && self.memo.len() < room;
        if self.stack.len() >= room || memoized && !in_turn {
            return false;
        }
        self.stack.push(pair);
        if memoized {
            self.memo.push(pair);
            self.memo_set += 1;
        }
        true
    }

    /// Puts a value where one has been put before, or where that leaves a gap.
    #[cold]
    fn memoize_at(&mut self, at: usize, value: Word, bytes: usize) -> Result<(), Fault> {
        if at >= self.limits.values {
            return Err(Fault::Values(self.limits.values));
        }
        if at > bytes {
            return Err(Fault::Sparse(at as u64));
        }
        if at >= self.memo.len() {
            self.memo.resize(at + 1, Value::Unset.into());
        }
        let slot = &mut self.memo[at];
        self.memo_set += usize::from(*slot == Value::Unset.into());
        *slot = value;
        Ok(())
    }

    /// The value before `start`, if it is above the innermost mark.
    fn below(&self, start: usize) -> Result<Value, Fault> {
        match start.checked_sub(1) {
            Some(at) if at >= self.fence => Ok(self.stack[at].into()),
            _ => Err(Fault::Operand),
        }
    }

    fn new_sequence(&mut self, span: Span) -> Result<u32, Fault> {
        self.room(self.sequences.len(), 1)?;
        self.sequences.push(span);
        Ok(self.sequences.len() as u32 - 1)
    }

    fn fill_list(&mut self, list: u32, start: usize) -> Result<(), Fault> {
        let mut span = self.span(list);
        for &value in &self.stack[start..] {
            match span.len {
                0 => {
                    self.room(self.items.len(), 2)?;
                    span.start = self.items.len() as u32;
                    self.items.extend([value; 2]);
                }
                1 => self.items[span.start as usize + 1] = value,
                _ => {}
            }
            span.len += 1;
        }
        self.sequences[list as usize] = span;
        self.stack.truncate(start);
        Ok(())
    }

    fn fill_dict(&mut self, dict: u32, start: usize) -> Result<(), Fault> {
        let (pairs, odd) = self.stack[start..].as_chunks::<2>();
        if !odd.is_empty() {
            return Err(Fault::Operand);
        }
        if pairs.len() > self.limits.members - self.entries.len() {
            return Err(Fault::Members(self.limits.members));
        }
        for &[key, value] in pairs {
            if !self.can_be_key(key.into()) {
                return Err(Fault::Key);
            }
            self.entries.push(Entry { dict, key, value });
        }
        self.stack.truncate(start);
        Ok(())
    }

    #[inline]
    fn can_be_key(&self, key: Value) -> bool {
        match key {
            Value::Ints(..) | Value::Address(..) => true,
            Value::Tuple(_) if self.len(key) > 3 => false,
            Value::Tuple(_) => self.items(key).all(Value::is_plain),
            key => key.is_plain(),
        }
    }

    /// Whether a table of `len` values has room for `more`.
    fn room(&self, len: usize, more: usize) -> Result<(), Fault> {
        if more > self.limits.values.saturating_sub(len) {
            return Err(Fault::Values(self.limits.values));
        }
        Ok(())
    }
}
