//! What a message has built so far: a stack and a memo over a handful of flat tables.

use crate::fault::{Fault, Limits};
use crate::storage::sealed::{Bounds as _, Storage, Texts as _};
use crate::table::Table as _;
use crate::value::{Entry, Pair, Span, Text, Value, Word};

/// In a mark: some of the values above it have been set in the dict below it.
const SETTLED: u32 = 1 << 31;

/// All that a message has built so far. Lists and dicts are known by their numbers, so they may
/// be referred to before they are filled, and may contain themselves.
#[derive(Debug)]
pub(crate) struct Data<S: Storage> {
    bounds: S::Bounds,
    stack: S::Stack,
    marks: S::Marks,
    /// Where on the stack the values above the innermost mark begin: nothing below may be taken.
    base: usize,
    /// Some of the values above the innermost mark have been set in the dict below it.
    settled: bool,
    memo: S::Memo,
    memo_set: usize,
    /// All texts, one after the other.
    text: S::Text,
    texts: S::Texts,
    items: S::Items,
    sequences: S::Sequences,
    dicts: u32,
    entries: S::Entries,
}

/// Looking at it.
impl<S: Storage> Data<S> {
    pub(crate) fn text(&self, text: Text) -> &str {
        let span = self.texts.as_slice().get(text.0 as usize);
        let span = span.copied().unwrap_or_default();
        let start = span.start as usize;
        let text = self.text.get(start..start + span.len as usize);
        text.unwrap_or("")
    }

    /// The items of a tuple or list of two.
    pub(crate) fn pair(&self, value: Value) -> Option<[Value; 2]> {
        match value {
            Value::Ints(a, b) => Some([Value::Int(a.into()), Value::Int(b.into())]),
            Value::Address(a, b) => Some([Value::Text(a), Value::Int(b.into())]),
            Value::Tuple(at) | Value::List(at) => {
                let Span { start, len: 2 } = self.span(at) else {
                    return None;
                };
                let items = self.items.as_slice().get(start as usize..)?;
                let [first, second] = *items.first_chunk()?;
                Some([first.into(), second.into()])
            }
            _ => None,
        }
    }

    /// The items of a tuple, or the first two of a list.
    pub(crate) fn items(&self, value: Value) -> impl Iterator<Item = Value> {
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
                let items = self.items.as_slice();
                let items = items.get(start..start + len as usize);
                (None, items.unwrap_or(&[]))
            }
            _ => (None, &[][..]),
        };
        let stored = stored.iter().map(|word| Value::from(*word));
        inline.into_iter().flatten().chain(stored)
    }

    /// How many items a tuple or list has.
    pub(crate) fn len(&self, value: Value) -> usize {
        match value {
            Value::Ints(..) | Value::Address(..) => 2,
            Value::Tuple(at) | Value::List(at) => self.span(at).len as usize,
            _ => 0,
        }
    }

    /// What was set in a dict, in that order: a key may come again, and then its last value counts.
    pub(crate) fn entries(&self, dict: u32) -> impl Iterator<Item = (Value, Value)> {
        self.words(dict)
            .map(|(key, value)| (key.into(), value.into()))
    }

    /// The same, as it is stored.
    #[inline]
    pub(crate) fn words(&self, dict: u32) -> impl Iterator<Item = (Word, Word)> {
        self.entries
            .as_slice()
            .iter()
            .filter(move |entry| entry.dict == dict)
            .map(|entry| (entry.key, entry.value))
    }

    fn span(&self, at: u32) -> Span {
        let span = self.sequences.as_slice().get(at as usize);
        span.copied().unwrap_or_default()
    }
}

/// Building it. On a [`Fault`] nothing more may be built, only [`clear`](Self::clear)ed.
impl<S: Storage> Data<S> {
    pub(crate) const fn new(bounds: S::Bounds) -> Self {
        Self {
            bounds,
            stack: S::Stack::EMPTY,
            marks: S::Marks::EMPTY,
            base: 0,
            settled: false,
            memo: S::Memo::EMPTY,
            memo_set: 0,
            text: S::Text::EMPTY,
            texts: S::Texts::EMPTY,
            items: S::Items::EMPTY,
            sequences: S::Sequences::EMPTY,
            dicts: 0,
            entries: S::Entries::EMPTY,
        }
    }

    #[inline(always)]
    pub(crate) fn limits(&self) -> Limits {
        self.bounds.limits()
    }

    /// Forgets everything but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.stack.truncate(0);
        self.marks.truncate(0);
        self.base = 0;
        self.settled = false;
        self.memo.truncate(0);
        self.memo_set = 0;
        self.text.truncate(0);
        self.texts.truncate(0);
        self.items.truncate(0);
        self.sequences.truncate(0);
        self.dicts = 0;
        self.entries.truncate(0);
    }

    /// More of something than there may be.
    fn values(&self) -> Fault {
        Fault::Values(self.limits().values)
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.push_word(value.into())
    }

    #[inline]
    fn push_word(&mut self, word: Word) -> Result<(), Fault> {
        self.settle()?;
        if self.stack.as_slice().len() >= self.limits().values || !self.stack.push(word) {
            return Err(self.values());
        }
        Ok(())
    }

    /// Moves the two values above the innermost mark into the dict below it, if they are a process
    /// id and an address: so that a list of any length takes two places on the stack. What could
    /// then be made of the values above that mark but to set them in the dict is refused.
    #[inline]
    fn settle(&mut self) -> Result<(), Fault> {
        let stack = self.stack.as_slice();
        if stack.len() == self.base + 2
            && let Some(&[below, key, value]) = stack.get(self.base.wrapping_sub(1)..)
            && let Some(dict) = below.dict()
            && key.is_pair()
            && value.is_pair()
        {
            self.insert(dict, key, value)?;
            self.stack.truncate(self.base);
            self.settled = true;
        }
        Ok(())
    }

    #[inline]
    fn insert(&mut self, dict: u32, key: Word, value: Word) -> Result<(), Fault> {
        let max = self.limits().members;
        let has_capacity = self.entries.as_slice().len() < max;
        if has_capacity && self.entries.push(Entry { dict, key, value }) {
            Ok(())
        } else {
            Err(Fault::Members(max))
        }
    }

    #[inline]
    pub(crate) fn push_text(&mut self, text: &[u8]) -> Result<(), Fault> {
        // A peer that writes each host out writes the same one over and over: it is kept once.
        let last = self.texts.as_slice().last();
        let last = last.and_then(|last| self.text.bytes().get(last.start as usize..));
        if last != Some(text) {
            let text = core::str::from_utf8(text).map_err(|_| Fault::Unicode)?;
            let start = self.text.bytes().len();
            if !self.text.push_str(text) {
                return Err(self.values());
            }
            self.add_text(start)?;
        }
        self.push_last_text()
    }

    /// As [`push_text`](Self::push_text), letter by letter; `None` is none.
    pub(crate) fn push_letters(
        &mut self,
        letters: impl Iterator<Item = Option<char>>,
    ) -> Result<(), Fault> {
        let start = self.text.bytes().len();
        for letter in letters {
            let letter = letter.ok_or(Fault::Unicode)?;
            if !self.text.push_str(letter.encode_utf8(&mut [0; 4])) {
                return Err(self.values());
            }
        }
        let (before, text) = self
            .text
            .bytes()
            .split_at_checked(start)
            .unwrap_or_default();
        let last = self.texts.as_slice().last();
        let last = last.and_then(|span| before.get(span.start as usize..));
        if last == Some(text) {
            self.text.truncate(start);
        } else {
            self.add_text(start)?;
        }
        self.push_last_text()
    }

    /// Makes what was written from `start` on a text.
    fn add_text(&mut self, start: usize) -> Result<(), Fault> {
        self.room(self.texts.as_slice().len(), 1)?;
        let len = (self.text.bytes().len() - start) as u32;
        let start = start as u32;
        if self.texts.push(Span { start, len }) {
            Ok(())
        } else {
            Err(self.values())
        }
    }

    fn push_last_text(&mut self) -> Result<(), Fault> {
        let last = self.texts.as_slice().len().checked_sub(1);
        let last = last.ok_or(Fault::Operand)?;
        self.push(Value::Text(Text(last as u32)))
    }

    /// Makes the topmost value and `second` a tuple, if that takes no room of its own.
    #[inline]
    pub(crate) fn pair_with(&mut self, second: Value) -> bool {
        let Some(pair) = self.top().ok().and_then(|first| Value::pair(first, second)) else {
            return false;
        };
        if let Some(top) = self.stack.as_mut_slice().last_mut() {
            *top = pair.into();
        }
        true
    }

    /// The topmost value.
    #[inline]
    pub(crate) fn top(&self) -> Result<Value, Fault> {
        Ok(self.at(self.last(1)?)?.into())
    }

    pub(crate) fn mark(&mut self) -> Result<(), Fault> {
        let max = self.limits().marks;
        if self.settled
            && let Some(mark) = self.marks.as_mut_slice().last_mut()
        {
            *mark |= SETTLED;
        }
        let base = self.stack.as_slice().len();
        if self.marks.as_slice().len() >= max || !self.marks.push(base as u32) {
            return Err(Fault::Marks(max));
        }
        self.base = base;
        self.settled = false;
        Ok(())
    }

    #[inline]
    fn at(&self, at: usize) -> Result<Word, Fault> {
        self.stack.as_slice().get(at).copied().ok_or(Fault::Operand)
    }

    /// Where the last `count` values begin, if there are so many above the innermost mark.
    #[inline]
    pub(crate) fn last(&self, count: usize) -> Result<usize, Fault> {
        match self.stack.as_slice().len().checked_sub(count) {
            Some(start) if start >= self.base => Ok(start),
            _ => Err(Fault::Operand),
        }
    }

    /// Removes the innermost mark: where the values above it begin, if they all are still there.
    pub(crate) fn unmark(&mut self) -> Result<usize, Fault> {
        let (start, settled) = self.unmark_settled()?;
        if settled {
            return Err(Fault::Operand);
        }
        Ok(start)
    }

    /// Removes the innermost mark: where the values above it begin, and whether some of them have
    /// been set in the dict below it.
    #[inline]
    fn unmark_settled(&mut self) -> Result<(usize, bool), Fault> {
        let (_, outer) = self.marks.as_slice().split_last().ok_or(Fault::Operand)?;
        let (start, settled) = (self.base, self.settled);
        let (left, outer) = (outer.len(), outer.last().copied().unwrap_or(0));
        self.marks.truncate(left);
        self.base = (outer & !SETTLED) as usize;
        self.settled = outer & SETTLED != 0;
        Ok((start, settled))
    }

    /// Makes the values from `start` on a tuple.
    #[inline]
    pub(crate) fn tuple(&mut self, start: usize) -> Result<(), Fault> {
        let values = self.stack.as_slice().get(start..).unwrap_or(&[]);
        let pair = match *values {
            [first, second] => Value::pair(first.into(), second.into()),
            _ => None,
        };
        let tuple = match pair {
            Some(pair) => pair,
            None => {
                let (at, len) = (self.items.as_slice().len(), values.len());
                self.room(at, len)?;
                if !self.items.extend(values) {
                    return Err(self.values());
                }
                let (start, len) = (at as u32, len as u32);
                Value::Tuple(self.new_sequence(Span { start, len })?)
            }
        };
        // In the place of its first item, unless two values below may have to be settled.
        match self.stack.as_mut_slice().get_mut(start) {
            Some(place) if start != self.base + 2 => {
                *place = tuple.into();
                self.stack.truncate(start + 1);
                Ok(())
            }
            _ => {
                self.stack.truncate(start);
                self.push(tuple)
            }
        }
    }

    /// Makes the values from `start` on a list.
    pub(crate) fn list(&mut self, start: usize) -> Result<(), Fault> {
        let list = self.new_sequence(Span::default())?;
        self.fill_list(list, start)?;
        self.push(Value::List(list))
    }

    /// Makes the values from `start` on, keys and values in turn, a dict.
    pub(crate) fn dict(&mut self, start: usize) -> Result<(), Fault> {
        // There are at most as many as bytes, so this number does not overflow.
        let dict = self.dicts;
        self.dicts += 1;
        self.fill_dict(dict, start)?;
        self.push(Value::Dict(dict))
    }

    /// Moves the values from `start` on to the end of the list below them.
    pub(crate) fn append(&mut self, start: usize) -> Result<(), Fault> {
        match self.below(start)? {
            Value::List(list) => self.fill_list(list, start),
            _ => Err(Fault::Operand),
        }
    }

    /// Moves the values above the innermost mark, keys and values in turn, into the dict below it.
    pub(crate) fn set_items(&mut self) -> Result<(), Fault> {
        let (start, _) = self.unmark_settled()?;
        self.set(start)
    }

    /// Moves the values from `start` on, keys and values in turn, into the dict below them.
    pub(crate) fn set(&mut self, start: usize) -> Result<(), Fault> {
        match self.below(start)? {
            Value::Dict(dict) => self.fill_dict(dict, start),
            _ => Err(Fault::Operand),
        }
    }

    /// Puts the topmost value under `index`, or under the next one; `bytes` came before.
    #[inline]
    pub(crate) fn memoize(&mut self, index: Option<u64>, bytes: usize) -> Result<(), Fault> {
        let value = self.at(self.last(1)?)?;
        let index = index.unwrap_or(self.memo_set as u64);
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if at == self.memo.as_slice().len() && at < self.limits().values && self.memo.push(value) {
            self.memo_set += 1;
            return Ok(());
        }
        self.memoize_at(at, value, bytes)
    }

    /// Pushes what was put under `index`.
    #[inline]
    pub(crate) fn recall(&mut self, index: u64) -> Result<(), Fault> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        match self.memo.as_slice().get(at).map(|word| Value::from(*word)) {
            None | Some(Value::Unset) => Err(Fault::Unset(index)),
            Some(value) => self.push(value),
        }
    }

    /// What begins with the text that was put under `index` and ends in `port`.
    #[inline]
    pub(crate) fn address(&self, index: u8, port: u16) -> Option<Pair> {
        self.memo
            .as_slice()
            .get(usize::from(index))?
            .with_port(port)
    }

    /// Pushes a tuple of two and, if it is `memoized`, puts it under the next index. Returns `true`
    /// if there was capacity; otherwise nothing has changed that [`push`](Self::push) would not.
    #[inline]
    pub(crate) fn push_pair(&mut self, Pair(pair): Pair, memoized: bool) -> bool {
        let max = self.limits().values;
        let memo = self.memo.as_slice().len();
        // Indices follow each other where nobody names them.
        if memoized && (self.memo_set != memo || memo >= max) {
            return false;
        }
        if self.settle().is_err() || self.stack.as_slice().len() >= max {
            return false;
        }
        if memoized && !self.memo.push(pair) {
            return false;
        }
        if !self.stack.push(pair) {
            self.memo.truncate(memo);
            return false;
        }
        self.memo_set += usize::from(memoized);
        true
    }

    /// Puts a value where one has been put before, or where that leaves a gap.
    #[cold]
    fn memoize_at(&mut self, at: usize, value: Word, bytes: usize) -> Result<(), Fault> {
        if at >= self.limits().values {
            return Err(self.values());
        }
        if at > bytes {
            return Err(Fault::Sparse(at as u64));
        }
        while at >= self.memo.as_slice().len() {
            if !self.memo.push(Value::Unset.into()) {
                // Most of what is memoized is never asked for; what is not there is refused then.
                self.memo_set += 1;
                return Ok(());
            }
        }
        if let Some(slot) = self.memo.as_mut_slice().get_mut(at) {
            self.memo_set += usize::from(*slot == Value::Unset.into());
            *slot = value;
        }
        Ok(())
    }

    /// The value before `start`, if it is above the innermost mark.
    fn below(&self, start: usize) -> Result<Value, Fault> {
        match start.checked_sub(1) {
            Some(at) if at >= self.base => Ok(self.at(at)?.into()),
            _ => Err(Fault::Operand),
        }
    }

    fn new_sequence(&mut self, span: Span) -> Result<u32, Fault> {
        let at = self.sequences.as_slice().len();
        self.room(at, 1)?;
        if self.sequences.push(span) {
            Ok(at as u32)
        } else {
            Err(self.values())
        }
    }

    fn fill_list(&mut self, list: u32, start: usize) -> Result<(), Fault> {
        let mut span = self.span(list);
        for at in start..self.stack.as_slice().len() {
            let value = self.at(at)?;
            match span.len {
                0 => {
                    let at = self.items.as_slice().len();
                    self.room(at, 2)?;
                    span.start = at as u32;
                    if !self.items.extend(&[value; 2]) {
                        return Err(self.values());
                    }
                }
                1 => {
                    let items = self.items.as_mut_slice();
                    if let Some(second) = items.get_mut(span.start as usize + 1) {
                        *second = value;
                    }
                }
                _ => {}
            }
            span.len += 1;
        }
        if let Some(place) = self.sequences.as_mut_slice().get_mut(list as usize) {
            *place = span;
        }
        self.stack.truncate(start);
        Ok(())
    }

    fn fill_dict(&mut self, dict: u32, start: usize) -> Result<(), Fault> {
        let end = self.stack.as_slice().len();
        let values = end.saturating_sub(start);
        if values % 2 != 0 {
            return Err(Fault::Operand);
        }
        let max = self.limits().members;
        if values / 2 > max.saturating_sub(self.entries.as_slice().len()) {
            return Err(Fault::Members(max));
        }
        for at in (start..end).step_by(2) {
            let (key, value) = (self.at(at)?, self.at(at + 1)?);
            if !self.can_be_key(key.into()) {
                return Err(Fault::Key);
            }
            self.insert(dict, key, value)?;
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
        if more > self.limits().values.saturating_sub(len) {
            return Err(self.values());
        }
        Ok(())
    }
}
