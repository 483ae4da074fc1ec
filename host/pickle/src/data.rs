//! What a message has built so far: a stack and a memo over a handful of flat tables.

use crate::fault::{Fault, Kind, Limits};
use crate::storage::sealed::{Bounds as _, Storage, Texts as _};
use crate::table::Table as _;
use crate::value::{Entry, Pair, Span, Text, Value, Word};

/// How many items of a list are there: no lab message has use for more.
const LIST_ITEMS: usize = 2;

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
    /// What a fault is about, if that is no limit.
    pub(crate) figure: u64,
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
    pub(crate) fn pair(&self, value: Word) -> Option<[Word; 2]> {
        match self.len(value) {
            2 => Some([self.item(value, 0)?, self.item(value, 1)?]),
            _ => None,
        }
    }

    /// An item of a tuple, or one of the first two of a list.
    pub(crate) fn item(&self, value: Word, at: usize) -> Option<Word> {
        let pair = match value.into() {
            Value::Ints(a, b) => [Word::int(a.into()), Word::int(b.into())],
            Value::Address(Text(a), b) => [Word::text(a), Word::int(b.into())],
            Value::Tuple(place) => return self.stored(place, at),
            Value::List(place) if at < LIST_ITEMS => return self.stored(place, at),
            _ => return None,
        };
        pair.get(at).copied()
    }

    fn stored(&self, place: u32, at: usize) -> Option<Word> {
        let Span { start, len } = self.span(place);
        let item = self.items.as_slice().get(start as usize + at)?;
        (at < len as usize).then_some(*item)
    }

    /// The items of a tuple, or the first two of a list.
    pub(crate) fn items(&self, value: Word) -> impl Iterator<Item = Word> {
        (0..self.len(value)).map_while(move |at| self.item(value, at))
    }

    /// How many items a tuple or list has.
    pub(crate) fn len(&self, value: Word) -> usize {
        match value.into() {
            Value::Ints(..) | Value::Address(..) => 2,
            Value::Tuple(at) | Value::List(at) => self.span(at).len as usize,
            _ => 0,
        }
    }

    /// What was set in a dict, in that order: a key may come again, and then its last value counts.
    #[inline]
    pub(crate) fn entries(&self, dict: u32) -> impl Iterator<Item = (Word, Word)> {
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
            figure: 0,
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

    /// The fault of this kind, in full.
    #[cold]
    pub(crate) fn fault(&self, kind: Kind) -> Fault {
        kind.fault(&self.limits(), self.figure)
    }

    #[inline]
    pub(crate) fn push(&mut self, word: Word) -> Result<(), Kind> {
        self.settle()?;
        if self.stack.count() >= self.limits().values || !self.stack.push(word) {
            return Err(Kind::Values);
        }
        Ok(())
    }

    /// Moves the two values above the innermost mark into the dict below it, if they are a process
    /// id and an address: so that a list of any length takes two places on the stack. What could
    /// then be made of the values above that mark but to set them in the dict is refused.
    #[inline]
    fn settle(&mut self) -> Result<(), Kind> {
        let stack = self.stack.as_slice();
        if stack.len() == self.base + 2
            && let Some(&[below, key, value]) = stack.get(self.base.wrapping_sub(1)..)
            && let Some(dict) = below.as_dict()
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
    fn insert(&mut self, dict: u32, key: Word, value: Word) -> Result<(), Kind> {
        let has_capacity = self.entries.count() < self.limits().members;
        if has_capacity && self.entries.push(Entry { dict, key, value }) {
            Ok(())
        } else {
            Err(Kind::Members)
        }
    }

    #[inline]
    pub(crate) fn push_text(&mut self, text: &[u8]) -> Result<(), Kind> {
        // A peer that writes each host out writes the same one over and over: it is kept once.
        if self.last_text() != Some(text) {
            let text = core::str::from_utf8(text).map_err(|_| Kind::Unicode)?;
            let start = self.text.bytes().len();
            if !self.text.push_str(text) {
                return Err(Kind::Values);
            }
            self.add_text(start)?;
        }
        self.push_last_text()
    }

    /// As [`push_text`](Self::push_text), letter by letter; `None` is none.
    pub(crate) fn push_letters(
        &mut self,
        letters: impl Iterator<Item = Option<char>>,
    ) -> Result<(), Kind> {
        let start = self.text.bytes().len();
        for letter in letters {
            let letter = letter.ok_or(Kind::Unicode)?;
            if !self.text.push_str(letter.encode_utf8(&mut [0; 4])) {
                return Err(Kind::Values);
            }
        }
        if self.last_text() == self.text.bytes().get(start..) {
            self.text.truncate(start);
        } else {
            self.add_text(start)?;
        }
        self.push_last_text()
    }

    /// The text that was made last, if any.
    fn last_text(&self) -> Option<&[u8]> {
        let Span { start, len } = *self.texts.as_slice().last()?;
        let start = start as usize;
        self.text.bytes().get(start..start + len as usize)
    }

    /// Makes what was written from `start` on a text.
    fn add_text(&mut self, start: usize) -> Result<(), Kind> {
        self.room(self.texts.count(), 1)?;
        let len = (self.text.bytes().len() - start) as u32;
        let start = start as u32;
        if self.texts.push(Span { start, len }) {
            Ok(())
        } else {
            Err(Kind::Values)
        }
    }

    fn push_last_text(&mut self) -> Result<(), Kind> {
        let last = self.texts.count().checked_sub(1);
        let last = last.ok_or(Kind::Operand)?;
        self.push(Word::text(last as u32))
    }

    /// Makes the topmost value and `second` a tuple, if that takes no room of its own.
    #[inline]
    pub(crate) fn pair_with(&mut self, second: Word) -> bool {
        let Some(pair) = self.top().ok().and_then(|first| Word::pair(first, second)) else {
            return false;
        };
        if let Some(top) = self.stack.as_mut_slice().last_mut() {
            *top = pair;
        }
        true
    }

    /// The topmost value.
    #[inline]
    pub(crate) fn top(&self) -> Result<Word, Kind> {
        self.at(self.last(1)?)
    }

    pub(crate) fn mark(&mut self) -> Result<(), Kind> {
        if self.settled
            && let Some(mark) = self.marks.as_mut_slice().last_mut()
        {
            *mark |= SETTLED;
        }
        let base = self.stack.count();
        if self.marks.count() >= self.limits().marks || !self.marks.push(base as u32) {
            return Err(Kind::Marks);
        }
        self.base = base;
        self.settled = false;
        Ok(())
    }

    #[inline]
    fn at(&self, at: usize) -> Result<Word, Kind> {
        self.stack.as_slice().get(at).copied().ok_or(Kind::Operand)
    }

    /// Where the last `count` values begin, if there are so many above the innermost mark.
    #[inline]
    pub(crate) fn last(&self, count: usize) -> Result<usize, Kind> {
        match self.stack.count().checked_sub(count) {
            Some(start) if start >= self.base => Ok(start),
            _ => Err(Kind::Operand),
        }
    }

    /// Removes the innermost mark: where the values above it begin, if they all are still there.
    pub(crate) fn unmark(&mut self) -> Result<usize, Kind> {
        let (start, settled) = self.unmark_settled()?;
        if settled {
            return Err(Kind::Operand);
        }
        Ok(start)
    }

    /// Removes the innermost mark: where the values above it begin, and whether some of them have
    /// been set in the dict below it.
    #[inline]
    fn unmark_settled(&mut self) -> Result<(usize, bool), Kind> {
        let (_, outer) = self.marks.as_slice().split_last().ok_or(Kind::Operand)?;
        let (start, settled) = (self.base, self.settled);
        let (left, outer) = (outer.len(), outer.last().copied().unwrap_or(0));
        self.marks.truncate(left);
        self.base = (outer & !SETTLED) as usize;
        self.settled = outer & SETTLED != 0;
        Ok((start, settled))
    }

    /// Makes the values from `start` on a tuple.
    #[inline]
    pub(crate) fn tuple(&mut self, start: usize) -> Result<(), Kind> {
        let values = self.stack.as_slice().get(start..).unwrap_or(&[]);
        let pair = match *values {
            [first, second] => Word::pair(first, second),
            _ => None,
        };
        let tuple = match pair {
            Some(pair) => pair,
            None => {
                let (at, len) = (self.items.count(), values.len());
                self.room(at, len)?;
                if !self.items.extend(values) {
                    return Err(Kind::Values);
                }
                let (start, len) = (at as u32, len as u32);
                Word::tuple(self.new_sequence(Span { start, len })?)
            }
        };
        // In the place of its first item, unless two values below may have to be settled.
        match self.stack.as_mut_slice().get_mut(start) {
            Some(place) if start != self.base + 2 => {
                *place = tuple;
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
    pub(crate) fn list(&mut self, start: usize) -> Result<(), Kind> {
        let list = self.new_sequence(Span::default())?;
        self.fill_list(list, start)?;
        self.push(Word::list(list))
    }

    /// Makes the values from `start` on, keys and values in turn, a dict.
    pub(crate) fn dict(&mut self, start: usize) -> Result<(), Kind> {
        // There are at most as many as bytes, so this number does not overflow.
        let dict = self.dicts;
        self.dicts += 1;
        self.fill_dict(dict, start)?;
        self.push(Word::dict(dict))
    }

    /// Moves the values from `start` on to the end of the list below them.
    pub(crate) fn append(&mut self, start: usize) -> Result<(), Kind> {
        let list = self.below(start)?.as_list().ok_or(Kind::Operand)?;
        self.fill_list(list, start)
    }

    /// Moves the values above the innermost mark, keys and values in turn, into the dict below it.
    pub(crate) fn set_items(&mut self) -> Result<(), Kind> {
        let (start, _) = self.unmark_settled()?;
        self.set(start)
    }

    /// Moves the values from `start` on, keys and values in turn, into the dict below them.
    pub(crate) fn set(&mut self, start: usize) -> Result<(), Kind> {
        let dict = self.below(start)?.as_dict().ok_or(Kind::Operand)?;
        self.fill_dict(dict, start)
    }

    /// Puts the topmost value under `index`, or under the next one; `bytes` came before.
    #[inline]
    pub(crate) fn memoize(&mut self, index: Option<u64>, bytes: usize) -> Result<(), Kind> {
        let value = self.at(self.last(1)?)?;
        let index = index.unwrap_or(self.memo_set as u64);
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if at == self.memo.count() && at < self.limits().values && self.memo.push(value) {
            self.memo_set += 1;
            return Ok(());
        }
        self.memoize_at(at, value, bytes)
    }

    /// Pushes what was put under `index`.
    #[inline]
    pub(crate) fn recall(&mut self, index: u64) -> Result<(), Kind> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        match self.memo.as_slice().get(at) {
            Some(word) if *word != Word::UNSET => self.push(*word),
            _ => {
                self.figure = index;
                Err(Kind::Unset)
            }
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
        let memo = self.memo.count();
        // Indices follow each other where nobody names them.
        if memoized && (self.memo_set != memo || memo >= max) {
            return false;
        }
        if self.settle().is_err() || self.stack.count() >= max {
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
    fn memoize_at(&mut self, at: usize, value: Word, bytes: usize) -> Result<(), Kind> {
        if at >= self.limits().values {
            return Err(Kind::Values);
        }
        if at > bytes {
            self.figure = at as u64;
            return Err(Kind::Sparse);
        }
        while at >= self.memo.count() {
            if !self.memo.push(Word::UNSET) {
                // Most of what is memoized is never asked for; what is not there is refused then.
                self.memo_set += 1;
                return Ok(());
            }
        }
        if let Some(slot) = self.memo.as_mut_slice().get_mut(at) {
            self.memo_set += usize::from(*slot == Word::UNSET);
            *slot = value;
        }
        Ok(())
    }

    /// The value before `start`, if it is above the innermost mark.
    fn below(&self, start: usize) -> Result<Word, Kind> {
        match start.checked_sub(1) {
            Some(at) if at >= self.base => self.at(at),
            _ => Err(Kind::Operand),
        }
    }

    fn new_sequence(&mut self, span: Span) -> Result<u32, Kind> {
        let at = self.sequences.count();
        self.room(at, 1)?;
        if self.sequences.push(span) {
            Ok(at as u32)
        } else {
            Err(Kind::Values)
        }
    }

    fn fill_list(&mut self, list: u32, start: usize) -> Result<(), Kind> {
        let mut span = self.span(list);
        for at in start..self.stack.count() {
            let value = self.at(at)?;
            match span.len {
                0 => {
                    let at = self.items.count();
                    self.room(at, LIST_ITEMS)?;
                    span.start = at as u32;
                    if !self.items.extend(&[value; LIST_ITEMS]) {
                        return Err(Kind::Values);
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

    fn fill_dict(&mut self, dict: u32, start: usize) -> Result<(), Kind> {
        let values = self.stack.count().saturating_sub(start);
        if values % 2 != 0 {
            return Err(Kind::Operand);
        }
        let mut at = start;
        while let Some(&[key, value]) = self.stack.as_slice().get(at..at + 2) {
            at += 2;
            if !self.can_be_key(key) {
                return Err(Kind::Key);
            }
            self.insert(dict, key, value)?;
        }
        self.stack.truncate(start);
        Ok(())
    }

    #[inline]
    fn can_be_key(&self, key: Word) -> bool {
        key.is_pair() || key.is_plain() || self.is_tuple_of_few(key)
    }

    /// Returns `true` for a tuple of up to three that are neither sequences nor dicts.
    fn is_tuple_of_few(&self, key: Word) -> bool {
        let Value::Tuple(place) = key.into() else {
            return false;
        };
        let Span { start, len } = self.span(place);
        let (start, len) = (start as usize, len as usize);
        let items = self.items.as_slice().get(start..start + len);
        len <= 3 && items.unwrap_or(&[]).iter().all(|item| item.is_plain())
    }

    /// Fails if a table of `len` values has no capacity for `more`.
    fn room(&self, len: usize, more: usize) -> Result<(), Kind> {
        if more > self.limits().values.saturating_sub(len) {
            return Err(Kind::Values);
        }
        Ok(())
    }
}
