//! Where the bytes go.

use crate::net::Full;

/// Where a recording goes.
pub trait Sink {
    /// Adds `bytes` to the present bank, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Full`] if they do not fit, or cannot be written; nothing was added then, and the recorder
    /// goes on in the next bank.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;

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
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        (**self).put(bytes)
    }

    fn is_nearly_full(&self) -> bool {
        (**self).is_nearly_full()
    }

    fn next_bank(&mut self) -> bool {
        (**self).next_bank()
    }
}
