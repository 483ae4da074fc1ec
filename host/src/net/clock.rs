//! The one conversion between the system's time and the core's.

use bully::Instant;

/// The core's clock: microseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }

    /// The time since this clock was made.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
