//! The program with an allocator that counts, as `host/src/bin/bully-heap.rs`.

use std::process::ExitCode;

#[global_allocator]
static HEAP: bully_bench::heap::Counting = bully_bench::heap::Counting;

fn main() -> ExitCode {
    bully_host::cli::main()
}
