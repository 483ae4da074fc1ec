//! Bytes as decisions.

/// Bytes that are taken for decisions; at their end there are none left to take.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, 0 at the end.
    pub(super) fn any(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    /// Up to so many bytes as they are.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (now, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        now
    }
}
