//! The values of a message: a stack and a memo over a handful of flat tables.

use super::fault::{Fault, Limits};

/// A text: a range of the one string that holds them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    start: u32,
    len: u32,
}

/// A Python value. The two pairs that members are made of need no storage of their own; `True`
/// and `False` are the numbers they equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// In the memo: nothing was put here. Nowhere else.
    Unset,
    None,
    Int(i64),
    Text(Text),
    /// A tuple of two numbers of 32 bits.
    Ints(u32, u32),
    /// A tuple of a text and a number of 16 bits.
    Address(Text, u16),
    /// Any other tuple: where its items begin, and how many they are.
    Tuple(u32, u32),
    List(u32),
    Dict(u32),
}

/// A list's length and, from `start` on, its first two items: no lab message has use for more.
#[derive(Clone, Copy, Debug, Default)]
struct List {
    start: u32,
    len: u32,
}

/// What was once set in one of the dicts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    dict: u32,
    key: Value,
    value: Value,
}

/// All that a message has built so far. Lists and dicts are known by their numbers, so they may
/// be referred to before they are filled, and may contain themselves.
#[derive(Debug, Default)]
pub(super) struct Data {
    limits: Limits,
    stack: Vec<Value>,
    marks: Vec<u32>,
    /// Where on the stack the innermost mark stands: nothing below it may be taken.
    fence: usize,
    memo: Vec<Value>,
    memo_set: usize,
    text: String,
    /// Where in `text` the last one begins.
    last_text: usize,
    items: Vec<Value>,
    lists: Vec<List>,
    dicts: u32,
    entries: Vec<Entry>,
}

/// Looking at it.
impl Data {
    pub(super) fn text(&self, text: Text) -> &str {
        let start = text.start as usize;
        self.text
            .get(start..start + text.len as usize)
            .unwrap_or("")
    }

    /// The items of a tuple or list of two.
    pub(super) fn pair(&self, value: Value) -> Option<[Value; 2]> {
        match value {
            Value::Ints(a, b) => Some([Value::Int(a.into()), Value::Int(b.into())]),
            Value::Address(host, port) => Some([Value::Text(host), Value::Int(port.into())]),
            _ if self.len(value) == 2 => self.items(value).try_into().ok(),
            _ => None,
        }
    }

    /// The items of a tuple that is not one of the two special pairs, or the first two of a list.
    pub(super) fn items(&self, value: Value) -> &[Value] {
        let (start, len) = match value {
            Value::Tuple(start, len) => (start, len),
            Value::List(list) => {
                let list = self.lists.get(list as usize).copied().unwrap_or_default();
                (list.start, list.len.min(2))
            }
            _ => (0, 0),
        };
        let start = start as usize;
        self.items.get(start..start + len as usize).unwrap_or(&[])
    }

    /// How many items a tuple or list has, or how often something was set in a dict.
    pub(super) fn len(&self, value: Value) -> usize {
        match value {
            Value::Ints(..) | Value::Address(..) => 2,
            Value::Tuple(_, len) => len as usize,
            Value::List(list) => self
                .lists
                .get(list as usize)
                .map_or(0, |list| list.len as usize),
            Value::Dict(dict) => self.entries(dict).count(),
            _ => 0,
        }
    }

    /// What was set in a dict, in that order: a key may come again, and then its last value counts.
    pub(super) fn entries(&self, dict: u32) -> impl Iterator<Item = (Value, Value)> {
        self.entries
            .iter()
            .filter(move |entry| entry.dict == dict)
            .map(|entry| (entry.key, entry.value))
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
        self.last_text = 0;
        self.items.clear();
        self.lists.clear();
        self.dicts = 0;
        self.entries.clear();
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), Fault> {
        if self.stack.len() >= self.limits.values {
            return Err(Fault::Values(self.limits.values));
        }
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn push_text(&mut self, text: &[u8]) -> Result<(), Fault> {
        // A peer that writes each host out writes the same one over and over: it is kept once.
        if self.text.as_bytes().get(self.last_text..) != Some(text) {
            let text = core::str::from_utf8(text).map_err(|_| Fault::Unicode)?;
            self.last_text = self.text.len();
            self.text.push_str(text);
        }
        self.push(Value::Text(Text {
            start: self.last_text as u32,
            len: text.len() as u32,
        }))
    }

    /// The topmost value.
    pub(super) fn top(&self) -> Result<Value, Fault> {
        Ok(self.stack[self.last(1)?])
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
    pub(super) fn tuple(&mut self, start: usize) -> Result<(), Fault> {
        let tuple = match self.stack[start..] {
            [Value::Int(a), Value::Int(b)] => u32::try_from(a)
                .ok()
                .zip(u32::try_from(b).ok())
                .map(|(a, b)| Value::Ints(a, b)),
            [Value::Text(host), Value::Int(port)] => u16::try_from(port)
                .ok()
                .map(|port| Value::Address(host, port)),
            _ => None,
        };
        let tuple = match tuple {
            Some(tuple) => tuple,
            None => {
                let (from, len) = (self.items.len(), self.stack.len() - start);
                self.room_for_items(len)?;
                self.items.extend_from_slice(&self.stack[start..]);
                Value::Tuple(from as u32, len as u32)
            }
        };
        self.stack.truncate(start);
        self.push(tuple)
    }

    /// Makes the values from `start` on a list.
    pub(super) fn list(&mut self, start: usize) -> Result<(), Fault> {
        if self.lists.len() >= self.limits.members {
            return Err(Fault::Members(self.limits.members));
        }
        let list = self.lists.len() as u32;
        self.lists.push(List::default());
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
    pub(super) fn memoize(&mut self, index: Option<u64>, bytes: usize) -> Result<(), Fault> {
        let value = self.top()?;
        let index = index.unwrap_or(self.memo_set as u64);
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if at >= self.limits.values {
            return Err(Fault::Values(self.limits.values));
        }
        if at > bytes {
            return Err(Fault::Sparse(index));
        }
        if at >= self.memo.len() {
            self.memo.resize(at, Value::Unset);
            self.memo.push(value);
            self.memo_set += 1;
        } else {
            self.memo_set += usize::from(self.memo[at] == Value::Unset);
            self.memo[at] = value;
        }
        Ok(())
    }

    /// Pushes what was put under `index`.
    pub(super) fn recall(&mut self, index: u64) -> Result<(), Fault> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        match self.memo.get(at) {
            None | Some(Value::Unset) => Err(Fault::Unset(index)),
            Some(value) => self.push(*value),
        }
    }

    /// The value before `start`, if it is above the innermost mark.
    fn below(&self, start: usize) -> Result<Value, Fault> {
        match start.checked_sub(1) {
            Some(at) if at >= self.fence => Ok(self.stack[at]),
            _ => Err(Fault::Operand),
        }
    }

    fn fill_list(&mut self, list: u32, start: usize) -> Result<(), Fault> {
        let mut filled = self.lists[list as usize];
        for &value in &self.stack[start..] {
            match filled.len {
                0 => {
                    self.room_for_items(2)?;
                    filled.start = self.items.len() as u32;
                    self.items.extend([value, Value::None]);
                }
                1 => self.items[filled.start as usize + 1] = value,
                _ => {}
            }
            filled.len += 1;
        }
        self.lists[list as usize] = filled;
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
            if !self.can_be_key(key) {
                return Err(Fault::Key);
            }
            self.entries.push(Entry { dict, key, value });
        }
        self.stack.truncate(start);
        Ok(())
    }

    fn can_be_key(&self, key: Value) -> bool {
        let plain = |value: &Value| matches!(value, Value::None | Value::Int(_) | Value::Text(_));
        match key {
            Value::Ints(..) | Value::Address(..) => true,
            Value::Tuple(_, 0..=3) => self.items(key).iter().all(plain),
            key => plain(&key),
        }
    }

    fn room_for_items(&self, more: usize) -> Result<(), Fault> {
        if more > self.limits.values - self.items.len() {
            return Err(Fault::Values(self.limits.values));
        }
        Ok(())
    }
}
