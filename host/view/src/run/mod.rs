//! A run, put together from both ends of its messages.
//!
//! `ends` finds the two ends of each message, `clocks` brings several logs' clocks together, `order`
//! gives everything an order, and `build` makes of it a run as `model` has it. `phase` and `cause` tell
//! what follows from that.

mod build;
mod cause;
mod clocks;
mod ends;
mod model;
mod order;
mod phase;
mod time;

pub use model::{Clock, Fate, Lane, Message, Phase, Point, PointWhat, Run, Span, Who};
pub(crate) use time::{seconds_text, span_text};
