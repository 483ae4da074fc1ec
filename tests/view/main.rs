//! Diagrams and explanations of runs, as users of the program get them.

mod diagram;
mod formats;
mod merged;
mod runs;
