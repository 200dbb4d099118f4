//! Measures Talkwire beside its peers, and kills it to see what it keeps.

mod api;
mod chance;
mod cli;
mod crash;
mod faults;
mod figures;
mod keeper;
mod load;
mod machine;
mod member;
mod peer;
mod play;
mod report;
mod sample;
mod server;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("talkwire-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
