//! What one run is given.

use core::sync::atomic::AtomicBool;
use std::path::Path;
use std::time::Instant;

use jiff::civil::Date;

use crate::program::Keeping;
use crate::template::Template;
use crate::wire::{Codec, Dialect};

/// What all runs of one grading have in common, and what differs between them.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) codec: &'a dyn Codec,
    pub(crate) template: &'a Template,
    pub(crate) keeping: &'a Keeping,
    /// Where the program runs; `None`: here.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) dialect: Dialect,
    pub(crate) su_id: u32,
    pub(crate) days: u32,
    pub(crate) birthday: Date,
    /// Multiplies every limit of time.
    pub(crate) slack: f64,
    /// Of what is random in this run.
    pub(crate) seed: u64,
    /// Set when nobody waits for this run any more.
    pub(crate) cancelled: &'a AtomicBool,
    /// When all grading ends.
    pub(crate) until: Instant,
}
