//! The tools of a simulated device behind the SDK's traits, and the configuration that survives a power cut.

use super::{Shared, as_tool_error};
use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_device::{Act, Applied, Args, Call, Code, Tool, ToolError, ToolSupport};

/// What a device keeps of its configuration: sections by tool and interface.
const FLASH: &str = "configuration.json";
/// A line for each Act that was really applied or put back; nothing reads it but people and fault tests.
const DEEDS: &str = "deeds.log";

/// The clock of the house moves in steps; an answer waits this long for the one that passes its end.
const CATCH_UP: Duration = Duration::from_millis(400);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A started tool, forgotten when its call is dropped.
struct Ticket {
    shared: Shared,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.lock().cancel(self.number);
    }
}

/// A Read or Test tool of a simulated device.
pub(super) struct HomeTool {
    shared: Shared,
    device_id: String,
    op: &'static str,
    support: ToolSupport,
}

impl HomeTool {
    pub(super) fn new(shared: Shared, device_id: String, op: &'static str, support: ToolSupport) -> Self {
        Self { shared, device_id, op, support }
    }
}

impl Tool for HomeTool {
    fn op(&self) -> &str {
        self.op
    }

    fn support(&self) -> ToolSupport {
        self.support.clone()
    }

    async fn run(&self, call: Call) -> Result<Value, ToolError> {
        let args = Value::Object(call.args.0.clone());
        let (started, end_s) = {
            let mut house = self.shared.lock();
            let started = house.start(&self.device_id, self.op, &args).map_err(as_tool_error)?;
            (started, house.clock().elapsed_s() + started.duration.as_secs_f64())
        };
        let ticket = Ticket { shared: self.shared.clone(), number: started.ticket };
        let real = self.shared.real(started.duration);
        let parts = if real > Duration::from_millis(400) { 8 } else { 1 };
        for part in 1..=parts {
            tokio::time::sleep(real / parts).await;
            if part < parts {
                call.progress.percent(f64::from(part) * 100.0 / f64::from(parts));
            }
        }
        let mut waited = Duration::ZERO;
        while waited < CATCH_UP && self.shared.lock().clock().elapsed_s() < end_s {
            tokio::time::sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
        self.shared.lock().finish(ticket.number).map_err(as_tool_error)
    }
}

/// An Act tool of a simulated device.
pub(super) struct HomeAct {
    shared: Shared,
    device_id: String,
    op: &'static str,
    support: ToolSupport,
    folder: PathBuf,
}

impl HomeAct {
    pub(super) fn new(shared: Shared, device_id: String, op: &'static str, support: ToolSupport, folder: PathBuf) -> Self {
        Self { shared, device_id, op, support, folder }
    }

    fn section(&self, args: &Value) -> Result<Value, ToolError> {
        self.shared.lock().section(&self.device_id, self.op, args).map_err(as_tool_error)
    }

    /// The configuration is on the disk before the answer is given. The deed is noted first: a power cut in between must not hide one.
    fn keep(&self, deed: &str, section: &Value) -> Result<(), ToolError> {
        note(&self.folder, deed, self.op, section)
            .and_then(|()| remember(&self.folder, self.op, section))
            .map_err(|error| ToolError::new(Code::Device, format!("the configuration cannot be kept: {error}")))
    }
}

impl Act for HomeAct {
    fn op(&self) -> &str {
        self.op
    }

    fn support(&self) -> ToolSupport {
        self.support.clone()
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        // Tried on a copy of the house: nothing happens in the real one.
        let args = Value::Object(args.0.clone());
        self.shared.lock().preview(&self.device_id, self.op, &args).map_err(as_tool_error)
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        self.section(&Value::Object(args.0.clone()))
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let args = Value::Object(args.0.clone());
        let started = self.shared.lock().start(&self.device_id, self.op, &args).map_err(as_tool_error)?;
        let section = self.section(&args)?;
        self.keep("applied", &section)?;
        tokio::time::sleep(self.shared.real(started.duration)).await;
        let result = self.shared.lock().finish(started.ticket).map_err(as_tool_error)?;
        Ok(Applied { result: result.as_object().cloned().unwrap_or_default(), section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        self.shared.lock().restore(&self.device_id, self.op, previous).map_err(as_tool_error)?;
        let section = self.section(previous)?;
        self.keep("restored", &section)?;
        Ok(section)
    }
}

fn slot(op: &str, section: &Value) -> String {
    section.get("interface").and_then(Value::as_str).map_or_else(|| op.to_owned(), |interface| format!("{op}@{interface}"))
}

fn remember(folder: &Path, op: &str, section: &Value) -> io::Result<()> {
    if section.is_null() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(FLASH);
    let mut kept: Map<String, Value> = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    kept.insert(slot(op, section), section.clone());
    let beside = folder.join("configuration.tmp");
    let mut file = File::create(&beside)?;
    file.write_all(Value::Object(kept).to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(folder)?.sync_all()
}

fn note(folder: &Path, deed: &str, op: &str, section: &Value) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut log = OpenOptions::new().create(true).append(true).open(folder.join(DEEDS))?;
    writeln!(log, "{}", json!({"deed": deed, "op": op, "section": section}))?;
    log.sync_data()
}

/// After a power cut the device runs the configuration that it kept.
pub(super) fn recall(shared: &Shared, folder: &Path, device_id: &str) {
    let Ok(bytes) = fs::read(folder.join(FLASH)) else { return };
    match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(kept) => {
            for (slot, section) in kept {
                let op = slot.split('@').next().unwrap_or(&slot);
                if let Err(fault) = shared.lock().restore(device_id, op, &section) {
                    tracing::warn!(device_id, op, fault = fault.message, "a kept configuration does not fit this home");
                }
            }
        }
        Err(error) => tracing::warn!(device_id, %error, "the kept configuration cannot be read; the home file's holds"),
    }
}
