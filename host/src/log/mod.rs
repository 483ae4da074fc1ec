//! The log: what happens, as lines for people on stderr or as JSON on stdout.
//!
//! `event` and `message` are what is recorded, `text` and `json` how it is written, `writer` writes it
//! in a thread of its own, and `log` brings them together. `trace` watches a network for messages, and
//! `repeated` a recording.
//! `schema.md` describes the JSON.

mod args;
mod event;
mod form;
mod json;
#[expect(
    clippy::module_inception,
    reason = "the log itself, beside what it is made of"
)]
mod log;
mod message;
mod notes;
mod ports;
mod progress;
mod repeated;
mod repeats;
mod tap;
mod terminal;
mod text;
mod trace;
mod wall;
mod writer;

pub(crate) use args::LogArgs;
pub(crate) use event::{Event, HostPort, Summary, pid_text, printable};
pub(crate) use json::line as json_line;
pub(crate) use log::Log;
pub(crate) use message::{Conn, Direction, Kind, Message, Party, Problem};
pub(crate) use notes::NoteWriter;
pub(crate) use ports::Ports;
pub(crate) use progress::Progress;
pub(crate) use repeated::{Repeated, host_port};
#[cfg(unix)]
pub(crate) use tap::Tap;
pub(crate) use trace::Trace;
pub(crate) use writer::{End, OnError};
