//! Where the bytes go.

use super::digest::Digest;
use crate::net::Full;

/// Where a recording goes.
pub trait Sink {
    /// Adds `byte` to the present bank.
    ///
    /// # Errors
    ///
    /// [`Full`] if it does not fit, or cannot be written; nothing was added then, nor will be
    /// until the next bank, in which the recorder goes on.
    fn put(&mut self, byte: u8) -> Result<(), Full>;

    /// Returns `sum` with the [bytes](Digest::bytes) that were put since the last
    /// [`commit`](Self::commit), or since this bank began.
    fn summed(&self, sum: Digest) -> Digest;

    /// The bytes that were put so far can be read by themselves; those since the call before could not,
    /// and are of no use if the bank ends without another call.
    fn commit(&mut self);

    /// Returns `true` if the next bank should begin, since there is little left of this one.
    fn is_nearly_full(&self) -> bool {
        false
    }

    /// Begins the next bank, which may drop what is in it. Returns `false` if there is none: the
    /// recording ends.
    fn next_bank(&mut self) -> bool {
        false
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        (**self).put(byte)
    }

    fn summed(&self, sum: Digest) -> Digest {
        (**self).summed(sum)
    }

    fn commit(&mut self) {
        (**self).commit();
    }

    fn is_nearly_full(&self) -> bool {
        (**self).is_nearly_full()
    }

    fn next_bank(&mut self) -> bool {
        (**self).next_bank()
    }
}
