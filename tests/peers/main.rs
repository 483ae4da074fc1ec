//! The program as users run it, among Python programs that know nothing of it.
//!
//! Everything happens on the loopback interface. A test waits for what programs say, and never
//! relies on how long something takes.

#![cfg(unix)] // the Python programs end by SIGALRM, and tests stop programs by SIGSTOP

mod client; // a program that connects by hand, and waits
mod coordinator; // JOIN: ours, theirs, late, broken and blocked
mod crowd; // many members in one process, and what they may begin
mod descriptors; // what happens when descriptors run out
mod failing; // leaders that feign failure, and one that stands still
mod forger; // a thousand members that do not exist
mod gateway; // a chip behind its gateway leads, dies and comes back
mod groups; // who leads: greatest, middle and least; killed, and started again
mod habits; // what real programs do that the assignment does not say
mod hostile; // every attack, on a node and on a coordinator
mod lab; // the practice group at scale
mod laws; // the rules between core and network, on real sockets
mod origin; // who sent a message, where our own kind says it
mod party; // a group of both kinds of program
mod quirks; // each quirk alone among ours, in both worlds
mod recorded; // a member does the same again, from its recording
mod steady; // what an exchange costs: nothing on the heap, each list once
mod tcp; // the rules of connections, over real ones
