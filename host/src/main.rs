//! The program `bully`.

use std::process::ExitCode;

/// For what `bully bench` tells of the heap.
#[global_allocator]
static HEAP: bully_host::heap::Counting = bully_host::heap::Counting;

fn main() -> ExitCode {
    bully_host::cli::main()
}
