//! The chores of this repository: `cargo xtask` lists them.

mod bench;
mod browser;
mod check;
mod console;
mod demo;
mod house;
mod libraries;
mod package;
mod process;
mod server;
mod stage;
mod suite;
mod task;
mod tidy;
mod tools;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        print!("{}", task::list());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", task::list());
        return ExitCode::SUCCESS;
    }
    let Some(task) = task::find(&name) else {
        eprint!("there is no task {name:?}; these there are:\n\n{}", task::list());
        return ExitCode::from(2);
    };
    let words: Vec<String> = words.collect();
    (task.run)(&words).unwrap_or_else(|error| {
        eprintln!("\n{name}: {error:#}");
        ExitCode::FAILURE
    })
}
