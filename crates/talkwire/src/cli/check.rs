//! `talkwire check`: the verification list run against one device, for people, programs and customers.

use super::Failure;
use super::say::say;
use crate::check::access::Credentials;
use crate::check::inspect::Step;
use crate::check::target::Secret;
use crate::check::{CannotRun, Options, Report, Status, Target, inspect_until, page, tap};
use crate::payload_keys::{self, PayloadKeys};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_proto::{DeviceId, DeviceKey};

/// What `talkwire check` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The device's id (a MAC address in any form, or a free id).
    device_id: String,
    /// The broker: mqtt:// or mqtts://, with name:password@ when it asks for them.
    #[arg(long, value_name = "URL", env = "TALKWIRE_BROKER", hide_env_values = true, default_value = "mqtt://127.0.0.1:1883")]
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
    /// At Talkwire's own broker: the server's data folder, to check as its owner [default: for a broker on this machine, the folder in
    /// TALKWIRE_DATA or talkwire-data, when the broker knows its owner].
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
    /// The broker is meant to let everybody in: do not try whether it does.
    #[arg(long)]
    open_broker: bool,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// Write a report that can be handed on: .html, or else Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// The name of the owner at Talkwire's own broker.
const OWNER: &str = "owner";

/// Why there is no report, for programs and for people.
struct NoReport {
    code: &'static str,
    text: String,
}

impl From<CannotRun> for NoReport {
    fn from(error: CannotRun) -> Self {
        Self { code: error.code(), text: error.to_string() }
    }
}

impl NoReport {
    fn misuse(error: &anyhow::Error) -> Self {
        Self { code: "misuse", text: format!("{error:#}") }
    }

    fn file(path: &Path, error: &std::io::Error) -> Self {
        Self { code: "report_file", text: format!("the report {} cannot be written: {error}; name another file with --report", path.display()) }
    }
}

/// Checks; an error when a check failed, or when none could be made.
pub fn check(arguments: &Arguments) -> Result<(), Failure> {
    let report = made(arguments).map_err(|no| {
        if arguments.json {
            say!("{}", json!({"error": {"code": no.code, "text": no.text}}));
        }
        if no.code == "interrupted" { Failure::Interrupted } else { Failure::CannotRun(no.text) }
    })?;
    if arguments.json {
        say!("{}", report.json());
    } else {
        say!("{}", report.text().trim_end());
    }
    // The results are out already: nothing is lost when the file cannot be written after all.
    if let Some(path) = &arguments.report {
        std::fs::write(path, page::for_file(&report, path)).map_err(|error| Failure::CannotRun(NoReport::file(path, &error).text))?;
    }
    match report.count(Status::Failed) {
        _ if report.interrupted => Err(Failure::Interrupted),
        0 => Ok(()),
        count => Err(Failure::Refused(format!("{count} checks failed"))),
    }
}

fn made(arguments: &Arguments) -> Result<Report, NoReport> {
    let mut options = options(arguments).map_err(|error| NoReport::misuse(&error))?;
    // A check takes minutes: whether its report can be written is seen before.
    let begun = arguments.report.as_deref().map(begin_file).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| NoReport::misuse(&error.into()))?;
    let bar = Bar { shown: std::io::stderr().is_terminal() };
    let evidence = runtime.block_on(async {
        as_owner_here(arguments, &mut options).await;
        inspect_until(&options, |step| bar.show(&step), interrupted()).await
    });
    bar.clear();
    match evidence {
        Ok(evidence) => Ok(Report::judge(&evidence, &options.target.shown())),
        Err(error) => {
            if let Some(path) = begun.flatten() {
                // An empty file that this check made says nothing.
                let _ = std::fs::remove_file(path);
            }
            Err(error.into())
        }
    }
}

/// Makes the report's file when there is none, and gives its path then.
fn begin_file(path: &Path) -> Result<Option<&Path>, NoReport> {
    let is_new = !path.exists();
    std::fs::OpenOptions::new().append(true).create(true).open(path).map_err(|error| NoReport::file(path, &error))?;
    Ok(is_new.then_some(path))
}

/// Ctrl-C, or a polite end by another program. Without a way to hear of it, it ends the process as it always does.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut pressed), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = pressed.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// A server of this machine, with its data where the other commands look for it, is checked as its owner, unless somebody is named.
/// The token goes to this machine only.
async fn as_owner_here(arguments: &Arguments, options: &mut Options) {
    let is_named = arguments.data.is_some() || arguments.password.is_some() || options.target.username.is_some();
    let is_here = options.target.host == "localhost" || options.target.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_named || !is_here {
        return;
    }
    let data = std::env::var_os("TALKWIRE_DATA").map_or_else(|| PathBuf::from("talkwire-data"), PathBuf::from);
    let Ok(token) = std::fs::read_to_string(data.join("owner.token")) else { return };
    let target = Target { username: Some(OWNER.into()), password: Some(Secret(token.trim().to_owned())), ..options.target.clone() };
    // Another broker may be there, which does not know this owner.
    let Ok((link, _events)) = tap::let_in(target.link(&format!("{}owner", tap::PREFIX))).await else { return };
    link.close(Duration::from_secs(1)).await;
    eprintln!("checking as the owner of {} (--data DIR or --username NAME for somebody else)", data.display());
    options.target = target;
    if options.fernet.is_none() {
        options.fernet = PayloadKeys::open(&data).ok().and_then(|keys| keys.of(&options.key));
    }
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let mut target = Target::parse(&arguments.broker).map_err(anyhow::Error::msg)?;
    if let Some(dir) = &arguments.data {
        let path = dir.join("owner.token");
        let token = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        (target.username, target.password) = (Some(OWNER.into()), Some(Secret(token.trim().to_owned())));
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
    options.open_broker = arguments.open_broker;
    options.fernet = match (&arguments.fernet_key_file, &arguments.data) {
        (Some(file), _) => Some(payload_keys::single(file)?),
        // The server knows its devices' keys.
        (None, Some(data)) => PayloadKeys::open(data)?.of(&options.key),
        (None, None) => None,
    };
    if let Some(seconds) = arguments.watch {
        options.watch = Duration::from_secs(seconds);
        options.watch_least = options.watch_least.max(Duration::from_secs(61)).min(options.watch);
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
