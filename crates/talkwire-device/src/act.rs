//! What a device can be changed by: the [`Act`] trait. The SDK keeps the journal; the author says what the section is.

use crate::tool::{Args, BoxFuture, ToolError};
use serde_json::{Map, Value};
use std::future::Future;
use std::sync::Arc;
use talkwire_proto::capability::ToolSupport;

/// What an Act did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Applied {
    /// Fields of the tool's own for the answer, beside those of the journal.
    pub result: Map<String, Value>,
    /// The configuration section as it really runs now, read back from the device, not copied from the arguments.
    pub section: Value,
}

impl Applied {
    /// Nothing to say but the section.
    pub fn section(section: Value) -> Self {
        Self { result: Map::new(), section }
    }
}

/// A tool that changes a *section* of the device's configuration: the part that it may touch, as one JSON value.
///
/// The SDK captures the section, writes it to the journal, then applies; it restores the section when the change is not
/// confirmed in time. `check`, `capture`, `apply` and `restore` never run at the same time as those of another Act.
/// All sections of one Act have the same shape, whoever returns them: they are compared by their canonical hash, and a
/// restore that leaves another section than the captured one counts as failed and is tried again.
///
/// What leaves nothing to put back, such as a restart, has the section `null` everywhere; the catalogue says
/// `restores = "nothing"` of it, and the server then ends its change set as done instead of taking it back.
pub trait Act: Send + Sync + 'static {
    /// The op, for example `wifi.set_channel`. Its aliases are accepted as well.
    fn op(&self) -> &str;

    /// What the device declares of it. `rollback_supported: true` and the permission `config_change` are added.
    fn support(&self) -> ToolSupport {
        ToolSupport::plain()
    }

    /// Checks the arguments and tells the section that would run; changes nothing.
    fn check(&self, args: &Args) -> impl Future<Output = Result<Value, ToolError>> + Send;

    /// The section that runs now; changes nothing.
    fn capture(&self, args: &Args) -> impl Future<Output = Result<Value, ToolError>> + Send;

    /// Does it. When it fails or takes too long, what it did so far is restored.
    fn apply(&self, args: &Args) -> impl Future<Output = Result<Applied, ToolError>> + Send;

    /// Makes a captured section run again and tells the section that runs now. May be asked more than once, also when
    /// nothing is to be done.
    fn restore(&self, previous: &Value) -> impl Future<Output = Result<Value, ToolError>> + Send;

    /// Names the part of the machine that a section is of, when the machine forgets it at a boot: what was confirmed there is then kept
    /// and put back after the next boot ([`crate::Builder::boot`]). `None`, the default: the machine remembers it by itself.
    fn lasting(&self, _section: &Value) -> Option<String> {
        None
    }

    /// Makes a confirmed section run again after a boot and tells the section that runs now; an error, or another section, means that
    /// it is tried again later. The default is [`Act::restore`].
    fn put_back(&self, section: &Value) -> impl Future<Output = Result<Value, ToolError>> + Send {
        self.restore(section)
    }
}

/// [`Act`] behind a pointer.
pub(crate) trait AnyAct: Send + Sync {
    fn op(&self) -> &str;
    fn support(&self) -> ToolSupport;
    fn check(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Value, ToolError>>;
    fn capture(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Value, ToolError>>;
    fn apply(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Applied, ToolError>>;
    fn restore(self: Arc<Self>, previous: Value) -> BoxFuture<'static, Result<Value, ToolError>>;
    fn lasting(&self, section: &Value) -> Option<String>;
    fn put_back(self: Arc<Self>, section: Value) -> BoxFuture<'static, Result<Value, ToolError>>;
}

impl<T: Act> AnyAct for T {
    fn op(&self) -> &str {
        Act::op(self)
    }
    fn support(&self) -> ToolSupport {
        let mut support = Act::support(self);
        support.rollback_supported = Some(true);
        if support.permissions.is_empty() {
            support.permissions.push("config_change".into());
        }
        support
    }
    fn check(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Value, ToolError>> {
        Box::pin(async move { Act::check(&*self, &args).await })
    }
    fn capture(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Value, ToolError>> {
        Box::pin(async move { Act::capture(&*self, &args).await })
    }
    fn apply(self: Arc<Self>, args: Args) -> BoxFuture<'static, Result<Applied, ToolError>> {
        Box::pin(async move { Act::apply(&*self, &args).await })
    }
    fn restore(self: Arc<Self>, previous: Value) -> BoxFuture<'static, Result<Value, ToolError>> {
        Box::pin(async move { Act::restore(&*self, &previous).await })
    }
    fn lasting(&self, section: &Value) -> Option<String> {
        Act::lasting(self, section)
    }
    fn put_back(self: Arc<Self>, section: Value) -> BoxFuture<'static, Result<Value, ToolError>> {
        Box::pin(async move { Act::put_back(&*self, &section).await })
    }
}
