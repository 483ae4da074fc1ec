//! Where a reader keeps what a message is made of: on the heap, or in arrays.

use core::fmt;

use crate::fault::Limits;
use crate::table::{Array, Table};
use crate::value::{Entry, Span, Word};

/// The tables of a [`Reader`](crate::Reader): [`Heap`] or [`Fixed`].
pub trait Storage: sealed::Storage {}

impl<S: sealed::Storage> Storage for S {}

/// On the heap, as much as the message needs and the [`Limits`] allow.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// In arrays: lists of up to `MEMBERS` members, of which each may be on a host of its own.
///
/// A reader of it takes some 66 bytes for each member and 1.3 KiB besides. It is all zeros when
/// new, so that a static of it costs no flash. What does not fit is refused as what is beyond the
/// [`Limits`] is, with these: texts of 255 bytes, 16 marks, 24 values on the stack and in tuples,
/// and three values for each member in the memo. What is no lab message is shown as its first bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed<const MEMBERS: usize>;

pub(crate) mod sealed {
    use core::ops::Range;

    use super::*;

    /// What the tables are.
    pub trait Storage: fmt::Debug {
        type Bounds: Bounds;
        type Stack: Table<Word> + fmt::Debug;
        type Marks: Table<u32> + fmt::Debug;
        type Memo: Table<Word> + fmt::Debug;
        type Text: Texts + fmt::Debug;
        type Texts: Table<Span> + fmt::Debug;
        type Items: Table<Word> + fmt::Debug;
        type Sequences: Table<Span> + fmt::Debug;
        type Entries: Table<Entry> + fmt::Debug;
        type Carry: Table<u8> + fmt::Debug;
        type Beginning: Table<u8> + fmt::Debug;
        /// How many bytes of the beginning are kept.
        const BEGINNING_MAX: usize;
        /// Flash counts for more than speed and wording: no second path for common opcodes, and what
        /// is no lab message is shown as bytes, not as Python would.
        const COMPACT: bool;
    }

    /// All texts, one after the other.
    pub trait Texts {
        const EMPTY: Self;
        fn bytes(&self) -> &[u8];
        fn get(&self, range: Range<usize>) -> Option<&str>;
        fn push_str(&mut self, text: &str) -> bool;
        fn truncate(&mut self, len: usize);
    }

    #[cfg(feature = "alloc")]
    impl Texts for alloc::string::String {
        const EMPTY: Self = Self::new();

        #[inline]
        fn bytes(&self) -> &[u8] {
            self.as_bytes()
        }

        #[inline]
        fn get(&self, range: Range<usize>) -> Option<&str> {
            str::get(self, range)
        }

        #[inline]
        fn push_str(&mut self, text: &str) -> bool {
            self.push_str(text);
            true
        }

        #[inline]
        fn truncate(&mut self, len: usize) {
            self.truncate(len);
        }
    }

    impl<const PER: usize, const N: usize> Texts for Array<u8, PER, N> {
        const EMPTY: Self = <Self as Table<u8>>::EMPTY;

        fn bytes(&self) -> &[u8] {
            self.as_slice()
        }

        fn get(&self, range: Range<usize>) -> Option<&str> {
            // It was UTF-8 when it came.
            core::str::from_utf8(self.as_slice().get(range)?).ok()
        }

        fn push_str(&mut self, text: &str) -> bool {
            self.extend(text.as_bytes())
        }

        fn truncate(&mut self, len: usize) {
            Table::truncate(self, len);
        }
    }

    /// Where the limits come from.
    pub trait Bounds: Copy + fmt::Debug {
        fn limits(&self) -> Limits;
    }

    impl Bounds for Limits {
        #[inline(always)]
        fn limits(&self) -> Limits {
            *self
        }
    }

    /// The limits of [`Fixed`], in no memory.
    #[derive(Clone, Copy, Debug)]
    pub struct FixedBounds<const MEMBERS: usize>;

    impl<const MEMBERS: usize> Bounds for FixedBounds<MEMBERS> {
        #[inline(always)]
        fn limits(&self) -> Limits {
            Limits {
                bytes: u32::MAX as usize,
                text: TEXT_MAX,
                marks: MARKS,
                values: usize::MAX,
                members: MEMBERS,
            }
        }
    }

    /// The longest text, in bytes: no DNS name is longer.
    const TEXT_MAX: usize = 255;
    const MARKS: usize = 16;
    const VALUES: usize = 24;
    /// The longest opcode: its byte, eight of length, and a text; a line of protocol 0 may escape
    /// each letter in six.
    const CARRY: usize = 1 + 8 + TEXT_MAX;
    /// What is shown of a message that is none.
    const BEGINNING: usize = 96;
    /// Bytes of text for each member: `255.255.255.255`, and one more for the message's name.
    const HOST: usize = 16;

    impl<const MEMBERS: usize> Storage for Fixed<MEMBERS> {
        type Bounds = FixedBounds<MEMBERS>;
        type Stack = Array<Word, VALUES, 1>;
        type Marks = Array<u32, MARKS, 1>;
        type Memo = Array<Word, 3, MEMBERS>;
        type Text = Array<u8, HOST, MEMBERS>;
        type Texts = Array<Span, 2, MEMBERS>;
        type Items = Array<Word, VALUES, 1>;
        type Sequences = Array<Span, VALUES, 1>;
        type Entries = Array<Entry, 1, MEMBERS>;
        type Carry = Array<u8, CARRY, 1>;
        type Beginning = Array<u8, BEGINNING, 1>;
        const BEGINNING_MAX: usize = BEGINNING;
        const COMPACT: bool = true;
    }

    #[cfg(feature = "alloc")]
    impl Storage for Heap {
        type Bounds = Limits;
        type Stack = alloc::vec::Vec<Word>;
        type Marks = alloc::vec::Vec<u32>;
        type Memo = alloc::vec::Vec<Word>;
        type Text = alloc::string::String;
        type Texts = alloc::vec::Vec<Span>;
        type Items = alloc::vec::Vec<Word>;
        type Sequences = alloc::vec::Vec<Span>;
        type Entries = alloc::vec::Vec<Entry>;
        type Carry = alloc::vec::Vec<u8>;
        type Beginning = alloc::vec::Vec<u8>;
        /// A coordinator that answers in raw text quotes at most one buffer of 1,024.
        const BEGINNING_MAX: usize = 1024;
        const COMPACT: bool = false;
    }
}
