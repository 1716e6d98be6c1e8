//! Arguments to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    circus_bench::main()
}
