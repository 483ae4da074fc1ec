//! The program itself: cargo builds another package's binary for no test, so here it is again.

use std::process::ExitCode;

fn main() -> ExitCode {
    bully_host::cli::main()
}
