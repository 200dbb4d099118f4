//! The table of tasks.

use crate::{bench, check, demo, house, lab, package, suite, tidy};
use anyhow::Result;
use std::fmt::Write as _;
use std::process::ExitCode;

/// A task: its name, what may follow it, one line about it, and what it does.
pub struct Task {
    name: &'static str,
    takes: &'static str,
    about: &'static str,
    /// Does it, with the words that follow its name.
    pub run: fn(&[String]) -> Result<ExitCode>,
}

const TASKS: &[Task] = &[
    Task { name: "demo", takes: "[flags of talkwire demo]", about: "build everything, then start the server with a simulated home", run: demo::run },
    Task { name: "test", takes: "[--quick]", about: "run every test, installing what they need; --quick leaves out documents and browser", run: suite::run },
    Task { name: "build", takes: "", about: "build the console and the binary target/release/talkwire", run: house::run },
    Task {
        name: "package",
        takes: "[--binary FILE] [--out DIR]",
        about: "build the Debian package target/package/talkwire_*.deb, unpack and try it",
        run: package::run,
    },
    Task { name: "check", takes: "", about: "what CI runs: format, lints, tidy, tests, licences", run: check::run },
    Task { name: "tidy", takes: "", about: "check the rules of this repository that no compiler knows", run: tidy::run },
    Task { name: "picture", takes: "", about: "draw docs/images/console.png from the running demo", run: demo::picture },
    Task { name: "bench", takes: "NAME|all [--json]", about: "measure Talkwire, beside its peers where they are installed", run: bench::run },
    Task {
        name: "lab",
        takes: "[--case NAME] [--json]",
        about: "break a small real network in namespaces, see what the assistant says (Linux, root)",
        run: lab::run,
    },
    Task { name: "crash", takes: "--trials N [--json]", about: "kill server and device at random instants, count what was lost", run: bench::crash },
    Task {
        name: "faults",
        takes: "[--only FAULT] [--trials N] [--seconds S] [--json]",
        about: "keep the broker away, let cables go dead, make disk and clock fail; judge what came of it",
        run: bench::faults,
    },
];

/// The task of this name.
pub fn find(name: &str) -> Option<&'static Task> {
    TASKS.iter().find(|task| task.name == name)
}

/// All tasks, a line each.
pub fn list() -> String {
    let mut text = String::from("cargo xtask TASK\n\n");
    for task in TASKS {
        let call = format!("{} {}", task.name, task.takes);
        let _ = writeln!(text, "  {:<30} {}", call.trim_end(), task.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_task_once_on_a_line_of_its_own() {
        let text = list();
        for task in TASKS {
            let lines = text.lines().filter(|line| line.split_whitespace().next() == Some(task.name)).count();
            assert_eq!(lines, 1, "{}", task.name);
        }
    }

    #[test]
    fn an_unknown_task_is_not_found() {
        assert!(find("build").is_some() && find("biuld").is_none());
    }
}
