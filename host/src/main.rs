//! The program `bully`.

use std::process::ExitCode;

/// Counts, for the figures that `bully bench` has of the heap.
#[global_allocator]
static HEAP: bully_bench::heap::Counting = bully_bench::heap::Counting;

fn main() -> ExitCode {
    bully_host::cli::main()
}
