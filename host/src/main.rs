//! The program `bully`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bully_host::cli::main()
}
