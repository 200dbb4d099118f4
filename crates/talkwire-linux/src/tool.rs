//! One tool of the machine: its op, what is declared of it, and what it does.

use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use talkwire_device::{Args, BoxFuture, Call, Tool, ToolError, ToolSupport};

type Run = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync>;

/// A Read or Test tool of a Linux machine. Give it to [`talkwire_device::Builder::tool`].
#[derive(Clone)]
pub struct LinuxTool {
    op: &'static str,
    support: ToolSupport,
    run: Run,
}

impl LinuxTool {
    /// A tool that waits for something.
    pub(crate) fn new<F, R>(op: &'static str, support: ToolSupport, run: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        Self { op, support, run: Arc::new(move |call| Box::pin(run(call))) }
    }

    /// A tool that only reads files, away from the threads that must not wait: a driver may take its time to answer.
    pub(crate) fn reading<F>(op: &'static str, support: ToolSupport, read: F) -> Self
    where
        F: Fn(&Args) -> Result<Value, ToolError> + Send + Sync + 'static,
    {
        let read = Arc::new(read);
        Self::new(op, support, move |call| {
            let read = read.clone();
            async move {
                let ended = tokio::task::spawn_blocking(move || read(&call.args)).await;
                ended.unwrap_or_else(|_| Err(ToolError::failed("reading the machine's files broke off")))
            }
        })
    }

    /// A tool that this machine lacks; `reason` is a stable word.
    pub(crate) fn lacking(op: &'static str, reason: &'static str) -> Self {
        let support = ToolSupport { supported: false, reason: Some(reason.into()), ..ToolSupport::plain() };
        Self::new(op, support, move |_| async move { Err(ToolError::not_available(reason, format!("this machine lacks what {op} needs: {reason}"))) })
    }
}

/// A cheap tool that usually answers within the time.
pub(crate) fn cheap(response_time_ms: u64) -> ToolSupport {
    ToolSupport { version: Some("1.0".into()), response_time_ms: Some(response_time_ms), resource_usage: Some("low".into()), ..ToolSupport::plain() }
}

/// A tool that takes a while, or some of the line.
pub(crate) fn medium(response_time_ms: u64) -> ToolSupport {
    ToolSupport { resource_usage: Some("medium".into()), ..cheap(response_time_ms) }
}

/// The same with at most so many calls at once.
pub(crate) fn limited(mut support: ToolSupport, calls: u64) -> ToolSupport {
    support.limitations.insert("concurrent_limit".into(), calls.into());
    support
}

/// Runs all at the same time and gives the answers in order.
pub(crate) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut open = false;
        for (future, answer) in &mut running {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(said) => *answer = Some(said),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, answer)| answer).collect()
}

impl Tool for LinuxTool {
    fn op(&self) -> &str {
        self.op
    }
    fn support(&self) -> ToolSupport {
        self.support.clone()
    }
    fn run(&self, call: Call) -> impl Future<Output = Result<Value, ToolError>> + Send {
        (self.run)(call)
    }
}

impl fmt::Debug for LinuxTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxTool").field("op", &self.op).field("support", &self.support).finish_non_exhaustive()
    }
}
