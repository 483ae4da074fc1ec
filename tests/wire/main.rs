//! The serial line of a chip: its frames, and the [`Link`](bully::Link) that speaks in them.

mod frames;
mod link;
