//! Lists that grow up to some length of their own: on the heap, or in arrays.

use core::fmt;

use bully::{Addr, Member, Pid};

/// A list that grows up to some length of its own.
pub trait Table<T> {
    /// A list of nothing.
    const EMPTY: Self;

    /// Its items.
    fn as_slice(&self) -> &[T];

    /// Its items, to be changed.
    fn as_mut_slice(&mut self) -> &mut [T];

    /// How many items it has.
    fn count(&self) -> usize {
        self.as_slice().len()
    }

    /// Adds an item at the end; `false`, and nothing has changed, if the list is full.
    fn push(&mut self, item: T) -> bool;

    /// Removes the items from `len` on.
    fn truncate(&mut self, len: usize);

    /// Adds all of `items` at the end; `false`, and nothing has changed, if they do not fit.
    fn extend(&mut self, items: &[T]) -> bool;
}

#[cfg(feature = "alloc")]
impl<T: Copy> Table<T> for alloc::vec::Vec<T> {
    const EMPTY: Self = Self::new();

    #[inline]
    fn as_slice(&self) -> &[T] {
        self
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }

    #[inline]
    fn push(&mut self, item: T) -> bool {
        self.push(item);
        true
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }

    #[inline]
    fn extend(&mut self, items: &[T]) -> bool {
        self.extend_from_slice(items);
        true
    }
}

/// A list of at most `PER * N` items, in place. Empty it is all zeros, so that a static of it costs no
/// flash.
#[derive(Clone)]
pub struct Array<T, const PER: usize, const N: usize> {
    // Rust has no arithmetic on the parameters of types yet: hence in rows.
    rows: [[T; PER]; N],
    len: usize,
}

impl<T: Zero, const PER: usize, const N: usize> Table<T> for Array<T, PER, N> {
    const EMPTY: Self = Self {
        rows: [[T::ZERO; PER]; N],
        len: 0,
    };

    #[inline]
    fn as_slice(&self) -> &[T] {
        self.rows.as_flattened().get(..self.len).unwrap_or(&[])
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [T] {
        let items = self.rows.as_flattened_mut();
        items.get_mut(..self.len).unwrap_or(&mut [])
    }

    #[inline]
    fn count(&self) -> usize {
        self.len
    }

    #[inline]
    fn push(&mut self, item: T) -> bool {
        let Some(place) = self.rows.as_flattened_mut().get_mut(self.len) else {
            return false;
        };
        *place = item;
        self.len += 1;
        true
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn extend(&mut self, items: &[T]) -> bool {
        let end = self.len + items.len();
        let Some(places) = self.rows.as_flattened_mut().get_mut(self.len..end) else {
            return false;
        };
        for (place, item) in places.iter_mut().zip(items) {
            *place = *item;
        }
        self.len = end;
        true
    }
}

impl<T: Zero + fmt::Debug, const PER: usize, const N: usize> fmt::Debug for Array<T, PER, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl<T: Zero, const PER: usize, const N: usize> Default for Array<T, PER, N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// What has a value of all zeros.
pub trait Zero: Copy {
    /// That value.
    const ZERO: Self;
}

impl Zero for u8 {
    const ZERO: Self = 0;
}

impl Zero for u32 {
    const ZERO: Self = 0;
}

impl Zero for (u64, u32) {
    const ZERO: Self = (0, 0);
}

impl Zero for Member {
    const ZERO: Self = Self {
        pid: Pid { days: 0, id: 0 },
        addr: Addr(0),
    };
}
