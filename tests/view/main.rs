//! What makes runs visible, as users of the program get it: diagrams, explanations, and what a running
//! program says of itself.

#[cfg(unix)]
mod control;
mod diagram;
mod explain;
mod formats;
mod merged;
mod runs;
