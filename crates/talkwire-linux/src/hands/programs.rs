//! The machine's programs as the hands use them.

use crate::program;
use crate::root::Root;
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_device::{BoxFuture, ToolError};

/// How long one program may take.
const TIME: Duration = Duration::from_secs(30);

/// A place where programs can be run by name, without a shell.
pub(crate) trait Programs: Send + Sync {
    /// Whether it is there; a path or a name.
    fn has(&self, program: &str) -> bool;

    /// Runs it; what it said.
    ///
    /// # Errors
    /// `E_LLM_TOOL_NOT_AVAILABLE` when it is missing or hangs, `E_DEVICE` when it fails.
    fn run<'a>(&'a self, program: &'a str, args: &'a [&'a str]) -> BoxFuture<'a, Result<String, ToolError>>;
}

/// The programs that are installed on the machine.
pub(crate) struct Installed(pub(crate) Root);

impl Installed {
    fn path(&self, program: &str) -> Option<PathBuf> {
        match program.strip_prefix('/') {
            Some(path) => Some(self.0.path(path)).filter(|path| Path::exists(path)),
            None => self.0.program(program),
        }
    }
}

impl Programs for Installed {
    fn has(&self, program: &str) -> bool {
        self.path(program).is_some()
    }

    fn run<'a>(&'a self, program: &'a str, args: &'a [&'a str]) -> BoxFuture<'a, Result<String, ToolError>> {
        Box::pin(async move {
            let missing = || ToolError::not_available("program_missing", format!("{program} is not installed on this machine"));
            let path = self.path(program).ok_or_else(missing)?;
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            Ok(program::run(&path, &args, TIME).await?.text)
        })
    }
}
