//! Statics that are lent to whoever uses them for good.

/// Lends a static.
macro_rules! lend {
    ($kind:ty, $value:expr) => {{
        static mut VALUE: $kind = $value;
        // SAFETY: only its caller names it, which runs once.
        unsafe { &mut *(&raw mut VALUE) }
    }};
}

pub(crate) use lend;
