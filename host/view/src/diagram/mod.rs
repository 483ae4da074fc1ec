//! Space-time diagrams: a line a member, an arrow a message.

mod layout;
mod mermaid;
mod perfetto;
mod picture;
mod shiviz;
mod words;

pub use layout::Scale;
pub use mermaid::{MERMAID_CHARS_MAX, MERMAID_MESSAGES_MAX, TooLarge, mermaid};
pub use perfetto::perfetto;
pub use picture::{html, svg};
pub use shiviz::shiviz;
pub use words::sentence;
pub(crate) use words::sentence_of;
