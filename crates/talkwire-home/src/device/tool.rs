//! A Read or Test tool of a simulated device.

use super::Shared;
use crate::error::ToolFault;
use crate::tools::{Class, Tool};
use serde_json::Value;
use std::time::Duration;
use talkwire_device::{Call, ToolError, ToolSupport};

/// Calls of at least this real length say how far they are.
const LONG: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct HomeTool {
    pub op: &'static str,
    pub id: String,
    pub tool: Tool,
    pub house: Shared,
    pub speed: f64,
}

/// What a device declares of one of its tools.
pub(super) fn support(tool: &Tool) -> ToolSupport {
    let mut support = ToolSupport::plain();
    support.version = Some("1.0".into());
    support.response_time_ms = Some(u64::from(tool.response_ms));
    support.resource_usage = Some(tool.resource_usage.into());
    if tool.op == "network.speedtest_full" {
        support.limitations.insert("max_duration".into(), 60.into());
        support.limitations.insert("concurrent_limit".into(), 1.into());
    }
    if tool.op == "device.restart" {
        support.permissions.push("admin".into());
    } else if tool.class == Class::Act {
        support.permissions.push("config_change".into());
    }
    support
}

/// The error that the SDK sends for a refusal of the house.
pub(super) fn refused(fault: ToolFault) -> ToolError {
    ToolError { code: fault.code.into(), message: fault.message, details: serde_json::Map::new() }
}

/// Forgets a started tool whose call was dropped.
struct Ticket {
    house: Shared,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.house.lock().cancel(self.number);
    }
}

impl talkwire_device::Tool for HomeTool {
    fn op(&self) -> &str {
        self.op
    }

    fn support(&self) -> ToolSupport {
        support(&self.tool)
    }

    async fn run(&self, call: Call) -> Result<Value, ToolError> {
        let (ticket, duration, end_s) = {
            let mut house = self.house.lock();
            let started = house.start(&self.id, self.tool.op, &Value::Object(call.args.0.clone())).map_err(refused)?;
            let ticket = Ticket { house: self.house.clone(), number: started.ticket };
            (ticket, started.duration, house.clock().elapsed_s() + started.duration.as_secs_f64())
        };
        let real = duration.div_f64(self.speed);
        if real >= LONG {
            for tenth in 1..=10_u32 {
                tokio::time::sleep(real / 10).await;
                call.progress.percent(f64::from(tenth) * 10.0);
            }
        } else {
            tokio::time::sleep(real).await;
        }
        // The clock of the house moves in ticks; wait for the one that passes the end.
        while self.house.lock().clock().elapsed_s() < end_s {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.house.lock().finish(ticket.number).map_err(refused)
    }
}
