//! Where messages are written to.

/// Bytes that are written one after the other.
pub trait Output {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// How many have been written.
    fn written(&self) -> usize;

    /// Takes back all but the first `len`.
    fn take_back(&mut self, len: usize);

    /// Makes it a little faster to append `bytes` more.
    fn expect(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

#[cfg(feature = "alloc")]
impl Output for alloc::vec::Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn written(&self) -> usize {
        self.len()
    }

    fn take_back(&mut self, len: usize) {
        self.truncate(len);
    }

    fn expect(&mut self, bytes: usize) {
        self.reserve(bytes);
    }
}

/// Writes into a slice, and nothing past its end.
#[derive(Debug)]
pub struct Buffer<'b> {
    bytes: &'b mut [u8],
    /// What it would take, should it be more than there are.
    written: usize,
}

impl<'b> Buffer<'b> {
    /// Nothing has been written yet.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, written: 0 }
    }

    /// How many bytes were written, or `None` if not all of them fit.
    pub fn end(self) -> Option<usize> {
        Some(self.written).filter(|written| *written <= self.bytes.len())
    }
}

impl Output for Buffer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        if let Some(places) = self.bytes.get_mut(self.written..end) {
            for (place, byte) in places.iter_mut().zip(bytes) {
                *place = *byte;
            }
        }
        self.written = end;
    }

    #[inline]
    fn written(&self) -> usize {
        self.written
    }

    fn take_back(&mut self, len: usize) {
        self.written = self.written.min(len);
    }
}

/// Text that is formatted into an output.
pub(crate) struct Formatted<'o, O>(pub(crate) &'o mut O);

impl<O: Output> core::fmt::Write for Formatted<'_, O> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}
