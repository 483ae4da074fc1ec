//! The program `bully` with an allocator that counts. `bully bench` starts it for the figures that are
//! counts of allocations; nodes run with the system's allocator.

use std::process::ExitCode;

#[global_allocator]
static HEAP: bully_bench::heap::Counting = bully_bench::heap::Counting;

fn main() -> ExitCode {
    bully_host::cli::main()
}
