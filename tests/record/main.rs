//! Recordings: what is recorded is repeated, and what differs is found.

mod groups;
