//! An Act of a simulated device: it changes the house, and what it changed outlives a restart of the program.

use super::Shared;
use super::settings::Settings;
use super::tool::{refused, support};
use crate::tools::Tool;
use serde_json::{Map, Value};
use std::time::Duration;
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) struct HomeAct {
    pub id: String,
    pub tool: Tool,
    pub house: Shared,
    pub settings: Settings,
    pub speed: f64,
}

impl HomeAct {
    fn args(args: &Args) -> Value {
        Value::Object(args.0.clone())
    }

    fn keep(&self, section: &Value) -> Result<(), ToolError> {
        self.settings.keep(self.tool.op, section).map_err(|error| ToolError::failed(format!("the setting was not written: {error}")))
    }
}

impl Act for HomeAct {
    fn op(&self) -> &str {
        self.tool.op
    }

    fn support(&self) -> ToolSupport {
        support(&self.tool)
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        self.house.lock().preview(&self.id, self.tool.op, &Self::args(args)).map_err(refused)
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        self.house.lock().section(&self.id, self.tool.op, &Self::args(args)).map_err(refused)
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let args = Self::args(args);
        let (duration, result, section) = {
            let mut house = self.house.lock();
            let started = house.start(&self.id, self.tool.op, &args).map_err(refused)?;
            let result = house.finish(started.ticket).map_err(refused)?;
            let section = house.section(&self.id, self.tool.op, &args).map_err(refused)?;
            (started.duration, result, section)
        };
        self.keep(&section)?;
        tokio::time::sleep(duration.div_f64(self.speed).min(Duration::from_secs(5))).await;
        let result = match result {
            Value::Object(result) => result,
            _ => Map::new(),
        };
        Ok(Applied { result, section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        let section = {
            let mut house = self.house.lock();
            house.restore(&self.id, self.tool.op, previous).map_err(refused)?;
            house.section(&self.id, self.tool.op, previous).map_err(refused)?
        };
        self.keep(&section)?;
        Ok(section)
    }
}
