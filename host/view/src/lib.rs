#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod diagram;
mod explain;
mod line;
mod read;
mod run;
mod select;
pub mod top;

pub use diagram::sentence;
pub use explain::explain;
pub use line::{Conn, Direction, Kind, Line, Message as MessageLine, What};
pub use read::{LINE_MAX, LINES_MAX, Skipped, Source};
pub use run::{Clock, Fate, Lane, Message, Phase, Point, PointWhat, Run, Span, Who};
pub use select::{LANES_MAX, MESSAGES_MAX, Selection, Wanted};
