//! The lab's wire against Python's own pickles, and against hostile ones.

mod attacks; // bounded, whatever comes
mod dialects; // messages of programs that speak another protocol
mod differential; // any bytes: what CPython makes of them, and what we do
mod fixed; // the same reader in arrays, as on a chip, against the one on the heap
mod golden; // every message as CPython pickles it, in any number of pieces
mod messages; // what is reported of a message besides what it is
mod origin; // who sent a message, after its end, where programs of the lab do not look
mod python; // runs the machine's Python
mod reading; // what we make of bytes, as text
mod refused; // each opcode that lab messages have no use for
mod written; // what we write, as CPython loads it
