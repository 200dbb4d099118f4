//! What a device can be asked: the [`Tool`] trait, the call that it gets, and the error that it may answer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use talkwire_proto::Code;
use talkwire_proto::capability::ToolSupport;
use talkwire_proto::command::CommandError;
use talkwire_proto::envelope::Trace;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The arguments of a call. Reads like a map; [`Args::read`] turns it into the author's own type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Args(pub Map<String, Value>);

impl Args {
    /// The arguments as a type of the author's.
    ///
    /// # Errors
    /// `E_INVALID_ARGS`, naming the field that does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        serde_json::from_value(Value::Object(self.0.clone())).map_err(|error| ToolError::invalid_args(error.to_string()))
    }
}

impl Deref for Args {
    type Target = Map<String, Value>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Map<String, Value>> for Args {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

/// One call of a tool.
#[derive(Debug, Clone)]
pub struct Call {
    /// The command's id, or the item's id within a batch.
    pub id: String,
    /// The op as it was asked, perhaps by an alias.
    pub op: String,
    /// The arguments.
    pub args: Args,
    /// Reports how far the call is.
    pub progress: Progress,
    /// The step of a diagnosis that the call belongs to.
    pub trace: Option<Trace>,
}

/// How a call says how far it is. Without effect once the call has ended.
#[derive(Clone)]
pub struct Progress {
    say: Arc<dyn Fn(Option<f64>, Option<String>) + Send + Sync>,
    open: Arc<AtomicBool>,
}

impl Progress {
    pub(crate) fn new(say: impl Fn(Option<f64>, Option<String>) + Send + Sync + 'static) -> Self {
        Self { say: Arc::new(say), open: Arc::new(AtomicBool::new(true)) }
    }

    /// A progress that nobody hears, for tests of a tool.
    pub fn silent() -> Self {
        Self::new(|_, _| {})
    }

    /// Percent done, 0–100.
    pub fn percent(&self, percent: f64) {
        if self.open.load(Ordering::Acquire) {
            (self.say)(Some(percent.clamp(0.0, 100.0)), None);
        }
    }

    /// What is going on, in words.
    pub fn text(&self, text: impl Into<String>) {
        if self.open.load(Ordering::Acquire) {
            (self.say)(None, Some(text.into()));
        }
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Why a tool did not do it; goes to the controller as `cmd.error/1.0`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ToolError {
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Particulars, such as `retry_after_ms`.
    pub details: Map<String, Value>,
}

impl ToolError {
    /// An error with one of the product's codes.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.as_str().into(), message: message.into(), details: Map::new() }
    }

    /// Arguments that the tool cannot take.
    pub fn invalid_args(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgs, message)
    }

    /// The tool cannot work now; `reason` is a stable word such as `device_busy`.
    pub fn not_available(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Code::LlmToolNotAvailable, message).with("reason", reason)
    }

    /// The device tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Device, message)
    }

    /// The same error with one more particular.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Whether it has this code.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }
}

impl From<ToolError> for CommandError {
    fn from(error: ToolError) -> Self {
        Self { code: error.code, message: error.message, details: error.details }
    }
}

impl From<CommandError> for ToolError {
    fn from(error: CommandError) -> Self {
        Self { code: error.code, message: error.message, details: error.details }
    }
}

/// A Read or Test tool: it looks or measures, and changes nothing. Calls run in parallel, up to the
/// `concurrent_limit` among the declared limitations.
pub trait Tool: Send + Sync + 'static {
    /// The op, for example `wifi.get_environment`. Its aliases are accepted as well.
    fn op(&self) -> &str;

    /// What the device declares of it.
    fn support(&self) -> ToolSupport {
        ToolSupport::plain()
    }

    /// Does it. The call is dropped when its time is over; a panic is answered as a failure.
    fn run(&self, call: Call) -> impl Future<Output = Result<Value, ToolError>> + Send;
}

/// A tool made of a function.
///
/// ```
/// use talkwire_device::{ToolSupport, tool_fn};
/// let tool = tool_fn("clients.list", ToolSupport::plain(), |call| async move { Ok(serde_json::json!({"asked_by": call.id})) });
/// ```
pub fn tool_fn<F, R>(op: impl Into<String>, support: ToolSupport, run: F) -> FnTool<F>
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, ToolError>> + Send + 'static,
{
    FnTool { op: op.into(), support, run }
}

/// A tool made by [`tool_fn`].
pub struct FnTool<F> {
    op: String,
    support: ToolSupport,
    run: F,
}

impl<F, R> Tool for FnTool<F>
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, ToolError>> + Send + 'static,
{
    fn op(&self) -> &str {
        &self.op
    }
    fn support(&self) -> ToolSupport {
        self.support.clone()
    }
    fn run(&self, call: Call) -> impl Future<Output = Result<Value, ToolError>> + Send {
        (self.run)(call)
    }
}

/// [`Tool`] behind a pointer.
pub(crate) trait AnyTool: Send + Sync {
    fn op(&self) -> &str;
    fn support(&self) -> ToolSupport;
    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Value, ToolError>>;
}

impl<T: Tool> AnyTool for T {
    fn op(&self) -> &str {
        Tool::op(self)
    }
    fn support(&self) -> ToolSupport {
        Tool::support(self)
    }
    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Value, ToolError>> {
        Box::pin(async move { Tool::run(&*self, call).await })
    }
}
