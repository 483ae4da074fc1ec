//! Moments and spans of time, in microseconds, and as people write them.

/// Returns seconds as microseconds; what is beyond all reason becomes some great number.
pub(crate) fn micros(seconds: f64) -> i64 {
    // 290 million years: sums of some of these do not overflow.
    const MAX: f64 = 9e15;
    (seconds * 1e6).round().clamp(-MAX, MAX) as i64
}

/// Returns a span of microseconds as people write it.
pub(crate) fn span_text(micros: i64) -> String {
    match micros.unsigned_abs() {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.3} ms", micros as f64 / 1e3),
        _ => format!("{:.3} s", micros as f64 / 1e6),
    }
}

/// Returns a moment in seconds.
pub(crate) fn seconds_text(micros: i64) -> String {
    format!("{:.6} s", micros as f64 / 1e6)
}
