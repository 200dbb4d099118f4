//! A tool of the running device: what the machine lacks now, not what it lacked when the device started.

use crate::machine::Machine;
use crate::tool::LinuxTool;
use serde_json::Value;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use talkwire_device::{Call, Tool, ToolError, ToolSupport};

/// Tools are asked one after the other; within this time one look at the machine serves all of them.
const FRESH: Duration = Duration::from_millis(500);

/// The tools as the machine has them now.
pub(crate) struct Bench {
    machine: Arc<Machine>,
    seen: Mutex<(Instant, Vec<LinuxTool>)>,
}

impl Bench {
    pub(crate) fn new(machine: &Arc<Machine>) -> Arc<Self> {
        Arc::new(Self { machine: machine.clone(), seen: Mutex::new((Instant::now(), machine.tools())) })
    }

    /// All of them, to be given to a device.
    pub(crate) fn tools(self: &Arc<Self>) -> Vec<LiveTool> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.1.iter().map(|tool| LiveTool { op: tool.op().to_owned(), bench: self.clone() }).collect()
    }

    fn tool(&self, op: &str, look: bool) -> Option<LinuxTool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if look && seen.0.elapsed() > FRESH {
            *seen = (Instant::now(), self.machine.tools());
        }
        seen.1.iter().find(|tool| tool.op() == op).cloned()
    }
}

/// One of them.
pub(crate) struct LiveTool {
    op: String,
    bench: Arc<Bench>,
}

impl Tool for LiveTool {
    fn op(&self) -> &str {
        &self.op
    }
    fn support(&self) -> ToolSupport {
        // The list of tools is the same on every machine.
        let gone = || ToolSupport { supported: false, reason: Some("gone".into()), ..ToolSupport::plain() };
        self.bench.tool(&self.op, true).map_or_else(gone, |tool| tool.support())
    }
    fn run(&self, call: Call) -> impl Future<Output = Result<Value, ToolError>> + Send {
        let tool = self.bench.tool(&self.op, false);
        async move {
            match tool {
                Some(tool) => tool.run(call).await,
                None => Err(ToolError::failed("the tool is gone")),
            }
        }
    }
}
