//! The `talkwire` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    talkwire::cli::main()
}
