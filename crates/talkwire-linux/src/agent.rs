//! The agent: the tools of this machine on the device SDK.

use crate::error::LinuxError;
use crate::exec::{ExecAct, ExecClass, ExecTool};
use crate::hands::Hands;
use crate::live::Bench;
use crate::machine::Machine;
use crate::root::Root;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::text::clean;
use crate::{cpu, maker, ports, route, status};
use serde_json::json;
use std::time::Duration;
use talkwire_device::{Attributes, Builder, Device, DeviceConfig, Running, Tool};
use talkwire_proto::op::canonical;

/// How long the processors are watched before the first state is said.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const NAME_CHARS: usize = 64;
/// Where the controller serves HTTP when it is not told another port.
const SPEED_PORT: u16 = 5000;

/// Runs the agent of this machine until it is shut down. A broker that is away is no error.
///
/// # Errors
/// When this is no Linux, or the SDK does not start.
pub async fn run(config: DeviceConfig) -> Result<Running, LinuxError> {
    run_on(&Root::default(), config).await
}

/// [`run`] for the machine below another root.
///
/// # Errors
/// The same as [`run`].
pub async fn run_on(root: &Root, config: DeviceConfig) -> Result<Running, LinuxError> {
    run_with(root, &Settings::default(), config).await
}

/// [`run_on`] with settings: the hands and the commands of the configuration as well. `config` is [`Settings::device`]'s, perhaps changed.
///
/// # Errors
/// The same as [`run`].
pub async fn run_with(root: &Root, settings: &Settings, config: DeviceConfig) -> Result<Running, LinuxError> {
    if cpu::times(root).is_none() {
        return Err(LinuxError::NoProc(root.path("proc/stat")));
    }
    let builder = builder_with(root, settings, config);
    tokio::time::sleep(FIRST_LOOK).await;
    Ok(builder.start().await?)
}

/// The device before it starts, with all tools, the state and the attributes of the machine: for a program that adds tools of its own.
pub fn builder(root: &Root, config: DeviceConfig) -> Builder {
    builder_with(root, &Settings::default(), config)
}

/// [`builder`] with tests that measure against other surroundings than the public internet.
pub fn builder_within(root: &Root, surroundings: Surroundings, config: DeviceConfig) -> Builder {
    builder_with(root, &Settings { surroundings, ..Settings::default() }, config)
}

/// [`builder`] with settings. A command of the configuration stands in for a tool of the machine with the same op.
pub fn builder_with(root: &Root, settings: &Settings, mut config: DeviceConfig) -> Builder {
    // The controller's HTTP door is usually where its broker is.
    let host = config.broker.host.as_str();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let controller = format!("http://{host}:{SPEED_PORT}");
    fill(root, &mut config.attributes);
    let id = config.key.device_id.as_str().to_owned();
    let name = config.attributes.name.clone().unwrap_or_else(|| id.clone());
    let machine = Machine::within(root.clone(), settings.surroundings.clone(), Some((id, name)), Some(controller));
    let mut builder = Device::builder(config);
    let is_command = |op: &str| settings.exec.keys().any(|command| canonical(command) == canonical(op));
    for tool in Bench::new(&machine).tools().into_iter().filter(|tool| !is_command(tool.op())) {
        builder = builder.tool(tool);
    }
    if let Some(boot) = root.word("proc/sys/kernel/random/boot_id") {
        builder = builder.boot(boot);
    }
    for (op, entry) in &settings.exec {
        let tool = ExecTool::new(root, op, entry.get_ref());
        builder = if entry.get_ref().class == ExecClass::Act { builder.act(ExecAct(tool)) } else { builder.tool(tool) };
    }
    Hands::new(root, settings).give_to(builder).state(move || {
        machine.watch();
        status::report(&machine)
    })
}

/// Says of the machine what the configuration leaves open. Maker and model are always told; `identity_from` says of what kind each is.
fn fill(root: &Root, attributes: &mut Attributes) {
    let Attributes { name, manufacturer, model, firmware_version, mac_address, features, extra, .. } = attributes;
    let fill = |field: &mut Option<String>, look: &dyn Fn() -> Option<String>| {
        if field.is_none() {
            *field = look().map(|text| clean(&text, NAME_CHARS)).filter(|text| !text.is_empty());
        }
    };
    fill(name, &|| root.word("proc/sys/kernel/hostname"));
    fill(firmware_version, &|| maker::firmware_version(root));
    fill(mac_address, &|| ports::mac_of(root, &route::way_out(root)??.interface));
    let told = |field: &mut Option<String>, found: maker::Name| match field {
        Some(_) => "configuration",
        None => {
            *field = Some(found.text);
            found.from
        }
    };
    let from = json!({"manufacturer": told(manufacturer, maker::manufacturer(root)), "model": told(model, maker::model(root))});
    extra.entry("identity_from").or_insert(from);
    if features.is_empty() {
        *features = ports::features(root);
    }
}
