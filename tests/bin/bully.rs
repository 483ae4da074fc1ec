//! The program itself: cargo builds another package's binary for no test, so here it is again.

use std::process::ExitCode;

#[global_allocator]
static HEAP: bully_bench::heap::Counting = bully_bench::heap::Counting;

fn main() -> ExitCode {
    bully_host::cli::main()
}
