//! Recordings: what is recorded is repeated, and what differs is found.

mod banks; // memory and files that are too small for all of it
mod command; // `bully replay` as users run it
mod damaged; // every byte flipped, every length cut
mod groups; // every member of simulated groups
mod page; // the page that describes the format, and its bytes
mod planted; // a core with a bug in it does something else
mod size; // bytes a second
