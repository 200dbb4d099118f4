//! A Read or Test tool that is a command.

use super::{ExecEntry, ExecResult};
use crate::program::{self, Bounds, Trouble};
use crate::root::Root;
use crate::text::clean;
use serde_json::{Value, json};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use talkwire_device::{Args, Call, Code, Tool, ToolError, ToolSupport};

/// Most lines of a result.
const LINES: usize = 1000;
/// `ENOEXEC`.
const EXEC_FORMAT: i32 = 8;
/// Most characters of a line.
const LINE_CHARS: usize = 1000;

/// A command as a tool.
#[derive(Debug, Clone)]
pub(crate) struct ExecTool {
    pub(super) op: String,
    pub(super) entry: Arc<ExecEntry>,
    pub(super) root: Root,
}

impl ExecTool {
    pub(crate) fn new(root: &Root, op: &str, entry: &ExecEntry) -> Self {
        Self { op: op.into(), entry: Arc::new(entry.clone()), root: root.clone() }
    }

    /// Runs one of the entry's commands; what it says, as bytes.
    pub(super) async fn command(&self, words: &[String], args: &Args, input: Option<Vec<u8>>) -> Result<String, ToolError> {
        let program = PathBuf::from(words.first().map(String::as_str).unwrap_or_default());
        let arguments = self.entry.words(words, args)?;
        let bound = self.entry.max_output_bytes;
        let bounds = Bounds { time: self.entry.time(), keep: bound, most: bound, input };
        let program = self.root.path(program.strip_prefix("/").unwrap_or(&program).to_string_lossy().as_ref());
        let said = program::bounded(&program, &arguments, bounds).await.map_err(|trouble| self.explain(&program, trouble))?;
        Ok(said.text)
    }

    fn explain(&self, program: &Path, trouble: Trouble) -> ToolError {
        let (name, entry) = (program.display(), &self.entry);
        match trouble {
            Trouble::Start(error) => {
                let (reason, advice) = match error.kind() {
                    std::io::ErrorKind::NotFound => ("program_missing", "install it, or correct the path in [exec]"),
                    std::io::ErrorKind::PermissionDenied => ("program_refused", "let the user of this device run it (chmod, or its group)"),
                    std::io::ErrorKind::ArgumentListTooLong => ("program_failed", "its arguments are too long"),
                    // The kernel knows neither the architecture nor, in a script, who reads it.
                    _ if error.raw_os_error() == Some(EXEC_FORMAT) => {
                        ("program_failed", "a script must begin with a line such as #!/bin/sh, and a binary must be made for this processor")
                    }
                    _ => ("program_failed", "try it by hand as the user of this device"),
                };
                ToolError::not_available(reason, format!("{name} cannot be run: {error}; {advice}"))
            }
            Trouble::Time => ToolError::new(
                Code::Timeout,
                format!("{name} did not end within {} s and was stopped; if it may take longer, raise timeout_s of its entry in [exec]", entry.timeout_s),
            )
            .with("timeout_ms", u64::try_from(entry.time().as_millis()).unwrap_or(u64::MAX)),
            Trouble::Flood => ToolError::new(
                Code::TooLarge,
                format!(
                    "{name} said more than {} bytes and was stopped; let it say less, or raise max_output_bytes of its entry in [exec]",
                    entry.max_output_bytes
                ),
            )
            .with("limit", entry.max_output_bytes),
            Trouble::Failed { status, complaint } if complaint.is_empty() => {
                ToolError::failed(format!("{name} failed ({status}) and gave no reason on its standard error"))
            }
            Trouble::Failed { status, complaint } => ToolError::failed(format!("{name} failed ({status}): {complaint}")),
        }
    }

    /// What a program said, as the result of the tool.
    pub(super) fn result(&self, said: &str) -> Result<Value, ToolError> {
        let line = |line: &str| clean(line, LINE_CHARS);
        match self.entry.result {
            ExecResult::Json => match parse_json(self.entry.run.first(), said)? {
                object @ Value::Object(_) => Ok(object),
                other => Ok(json!({"value": other})),
            },
            ExecResult::Text => {
                let lines: Vec<_> = said.lines().map(|text| clean(text, usize::MAX)).collect();
                Ok(json!({"text": lines.join("\n").trim()}))
            }
            ExecResult::Lines => {
                let lines: Vec<_> = said.lines().take(LINES).map(line).collect();
                Ok(json!({"lines": lines, "total": said.lines().count()}))
            }
        }
    }
}

/// What a program said as JSON.
pub(super) fn parse_json(program: Option<&String>, said: &str) -> Result<Value, ToolError> {
    serde_json::from_str(said.trim()).map_err(|error| {
        let (name, begin) = (program.map_or("the program", String::as_str), clean(said.lines().next().unwrap_or_default(), 80));
        let what = match said.trim().is_empty() {
            true => "it said nothing".to_owned(),
            false => format!("it began with {begin:?} ({error})"),
        };
        ToolError::failed(format!("{name} should have said JSON, but {what}; mend it, or set result = \"text\" or \"lines\" for its entry in [exec]"))
            .with("reason", "not_json")
    })
}

impl Tool for ExecTool {
    fn op(&self) -> &str {
        &self.op
    }
    fn support(&self) -> ToolSupport {
        self.entry.support(&self.root)
    }
    fn run(&self, call: Call) -> impl Future<Output = Result<Value, ToolError>> + Send {
        let tool = self.clone();
        async move {
            let said = tool.command(&tool.entry.run, &call.args, None).await?;
            tool.result(&said)
        }
    }
}
