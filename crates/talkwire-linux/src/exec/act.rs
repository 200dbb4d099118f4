//! An Act that is three commands: one says what runs now, one changes it, one puts it back.

use super::ExecTool;
use super::tool::parse_json;
use serde_json::{Map, Value, json};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport, canonical};

/// Most bytes of a captured section.
const SECTION_BYTES: usize = 64 * 1024;

/// A command that changes something.
///
/// The section holds the arguments of the capture beside what it said, so that a restore knows what to look at.
#[derive(Debug, Clone)]
pub(crate) struct ExecAct(pub(crate) ExecTool);

impl ExecAct {
    async fn section(&self, args: &Args) -> Result<Value, ToolError> {
        let tool = &self.0;
        let running = parse_json(tool.entry.capture.first(), &tool.command(&tool.entry.capture, args, None).await?)?;
        let section = json!({"args": self.captured_by(args), "running": running});
        if canonical(&section).len() > SECTION_BYTES {
            return Err(ToolError::failed(format!("the captured section has more than {SECTION_BYTES} bytes")));
        }
        Ok(section)
    }

    /// Only the arguments that the capture looks at: two calls that differ in others change the same section.
    fn captured_by(&self, args: &Args) -> Map<String, Value> {
        let used = self.0.entry.check_command("capture", &self.0.entry.capture).unwrap_or_default();
        args.iter().filter(|(name, _)| used.contains(*name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl Act for ExecAct {
    fn op(&self) -> &str {
        &self.0.op
    }

    fn support(&self) -> ToolSupport {
        self.0.entry.support(&self.0.root)
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        self.0.entry.words(&self.0.entry.run, args)?;
        // What would run only the program knows; the arguments are what is asked of it.
        Ok(json!({"args": args.0}))
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        // All arguments are checked, also those that only the change uses.
        self.0.entry.words(&self.0.entry.run, args)?;
        self.section(args).await
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let tool = &self.0;
        let said = tool.command(&tool.entry.run, args, None).await?;
        let result = match said.trim().is_empty() {
            true => Map::new(),
            false => tool.result(&said)?.as_object().cloned().unwrap_or_default(),
        };
        Ok(Applied { result, section: self.section(args).await? })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        let tool = &self.0;
        tool.command(&tool.entry.restore, &Args::default(), Some(format!("{previous}\n").into_bytes())).await?;
        let args = previous.get("args").and_then(Value::as_object).cloned().unwrap_or_default();
        self.section(&Args(args)).await
    }

    fn lasting(&self, section: &Value) -> Option<String> {
        self.0.entry.lost_at_boot.then(|| canonical(section.get("args").unwrap_or(&Value::Null)))
    }
}
