//! `talkwire check`: the verification list run against one device, for people, programs and customers.

use super::Failure;
use super::say::say;
use crate::check::access::Credentials;
use crate::check::inspect::Step;
use crate::check::target::Secret;
use crate::check::{Options, Report, Status, Target, inspect, page};
use crate::payload_keys::{self, PayloadKeys};
use anyhow::Context;
use clap::Args;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use talkwire_proto::{DeviceId, DeviceKey};

/// What `talkwire check` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The device's id (a MAC address in any form, or a free id).
    device_id: String,
    /// The broker: mqtt:// or mqtts://, with name:password@ when it asks for them.
    #[arg(long, value_name = "URL", env = "TALKWIRE_BROKER", default_value = "mqtt://127.0.0.1:1883")]
    broker: String,
    /// The device's tenant.
    #[arg(long)]
    tenant: String,
    /// The device's site.
    #[arg(long)]
    site: String,
    /// User name of the check's own account.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Password of the check's own account.
    #[arg(long, value_name = "PASSWORD", env = "TALKWIRE_CHECK_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// At Talkwire's own broker: the server's data folder, to check as its owner.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Certificate authority of the broker (PEM), when the system does not know it.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The check's own certificate (PEM), for brokers that ask for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The key with which the device's payloads are encrypted (Fernet), in a file that only you can read.
    #[arg(long, value_name = "FILE")]
    fernet_key_file: Option<PathBuf>,
    /// Listen here for the device and pass it on to the broker: it can then be cut off.
    #[arg(long, value_name = "ADDR")]
    proxy: Option<SocketAddr>,
    /// Half a minute instead of up to ten: what needs longer is skipped.
    #[arg(long)]
    quick: bool,
    /// Watch the device for at most so many seconds.
    #[arg(long, value_name = "SECONDS")]
    watch: Option<u64>,
    /// Wait so many seconds for the device to appear.
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// The harmless op to ask [default: device.status, else device.get_capabilities].
    #[arg(long, value_name = "OP")]
    command: Option<String>,
    /// An op that makes the device send an event.
    #[arg(long, value_name = "OP")]
    event_op: Option<String>,
    /// The device's user name at the broker, to try what it may do.
    #[arg(long, value_name = "NAME", requires = "device_password")]
    device_username: Option<String>,
    /// The device's password at the broker.
    #[arg(long, value_name = "PASSWORD", env = "TALKWIRE_DEVICE_PASSWORD", hide_env_values = true)]
    device_password: Option<String>,
    /// A device that connects without TLS fails.
    #[arg(long)]
    require_tls: bool,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// Write a report that can be handed on: .html, or else Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Checks; an error when a check failed, or when none could be made.
pub fn check(arguments: &Arguments) -> Result<(), Failure> {
    let options = options(arguments).map_err(|error| Failure::CannotRun(format!("{error:#}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| Failure::CannotRun(error.to_string()))?;
    let bar = Bar { shown: std::io::stderr().is_terminal() };
    let evidence = runtime.block_on(inspect(&options, |step| bar.show(&step)));
    bar.clear();
    let report = Report::judge(&evidence.map_err(|error| Failure::CannotRun(error.to_string()))?, &options.target.shown());
    if let Some(path) = &arguments.report {
        let written = std::fs::write(path, page::for_file(&report, path));
        written.map_err(|error| Failure::CannotRun(format!("{} cannot be written: {error}", path.display())))?;
    }
    if arguments.json {
        say!("{}", report.json());
    } else {
        say!("{}", report.text().trim_end());
    }
    match report.count(Status::Failed) {
        0 => Ok(()),
        count => Err(Failure::Refused(format!("{count} checks failed"))),
    }
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let mut target = Target::parse(&arguments.broker).map_err(anyhow::Error::msg)?;
    if let Some(dir) = &arguments.data {
        let path = dir.join("owner.token");
        let token = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        (target.username, target.password) = (Some("owner".into()), Some(Secret(token.trim().to_owned())));
    }
    if let Some(name) = &arguments.username {
        target.username = Some(name.clone());
    }
    if let Some(password) = &arguments.password {
        target.password = Some(Secret(password.clone()));
    }
    target.ca_file.clone_from(&arguments.ca);
    target.identity = arguments.cert.clone().zip(arguments.key.clone());
    if !target.tls && (target.ca_file.is_some() || target.identity.is_some()) {
        anyhow::bail!("--ca, --cert and --key are for TLS; write the broker's address as mqtts://…");
    }
    if let Some(tls) = target.protection() {
        tls.check()?;
    }
    let key = DeviceKey { tenant: arguments.tenant.parse()?, site: arguments.site.parse()?, device_id: DeviceId::from_door(&arguments.device_id)? };
    let mut options = Options::new(key, target);
    if arguments.quick {
        options = options.quick();
    }
    options.proxy = arguments.proxy;
    options.command.clone_from(&arguments.command);
    options.event_op.clone_from(&arguments.event_op);
    options.require_tls = arguments.require_tls;
    options.fernet = match (&arguments.fernet_key_file, &arguments.data) {
        (Some(file), _) => Some(payload_keys::single(file)?),
        // The server knows its devices' keys.
        (None, Some(data)) => PayloadKeys::open(data)?.of(&options.key),
        (None, None) => None,
    };
    if let Some(seconds) = arguments.watch {
        options.watch = Duration::from_secs(seconds);
    }
    if let Some(seconds) = arguments.patience {
        options.patience = Duration::from_secs(seconds);
    }
    if let (Some(username), Some(password)) = (&arguments.device_username, &arguments.device_password) {
        options.credentials = Some(Credentials { username: username.clone(), password: Secret(password.clone()) });
    }
    Ok(options)
}

/// How far it is: one line that is written over at a terminal, a line each elsewhere.
struct Bar {
    shown: bool,
}

impl Bar {
    fn show(&self, step: &Step) {
        let full = "█".repeat(step.done * 2) + &"░".repeat((step.of - step.done) * 2);
        if self.shown {
            eprint!("\r\x1b[2K{full} {}", step.what);
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{}/{} {}", step.done, step.of, step.what);
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[2K");
        }
    }
}
