//! `talkwire device`: this Linux machine as a device.

use super::notify::Notify;
use super::say::say;
use super::{Failure, run};
use crate::serve;
use anyhow::Context;
use serde_json::json;
use std::path::{Path, PathBuf};
use talkwire_device::DeviceConfig;
use talkwire_linux::{ExecClass, LinuxError, Root, Settings, run_with};

/// Where the package puts the configuration.
const USUAL: &str = "/etc/talkwire/device.toml";

/// What the command line says; each flag wins over the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceFlags {
    /// Configuration file [default: /etc/talkwire/device.toml when it is there].
    #[arg(long, value_name = "FILE", env = "TALKWIRE_DEVICE_CONFIG")]
    config: Option<PathBuf>,
    /// The broker: mqtt(s)://[user[:password]@]host[:port]. A password stands better in a file, as broker.password_file.
    #[arg(long, value_name = "URL", env = "TALKWIRE_BROKER", hide_env_values = true)]
    broker: Option<String>,
    /// Tenant.
    #[arg(long, value_name = "NAME", env = "TALKWIRE_TENANT")]
    tenant: Option<String>,
    /// Site.
    #[arg(long, value_name = "NAME", env = "TALKWIRE_SITE")]
    site: Option<String>,
    /// Device id [default: the MAC address of the first real port].
    #[arg(long, value_name = "ID", env = "TALKWIRE_DEVICE_ID")]
    device_id: Option<String>,
    /// Folder of the change journal; it must survive a restart.
    #[arg(long, value_name = "DIR", env = "TALKWIRE_DEVICE_DATA")]
    data: Option<PathBuf>,
    /// Print the commented default configuration.
    #[arg(long, conflicts_with = "print_config")]
    example_config: bool,
    /// Check the configuration and print what file and flags come to, as JSON.
    #[arg(long)]
    print_config: bool,
    /// Print entries for the server's catalogue from [exec]: put them into DIR/tools/NAME.toml for `talkwire serve --catalog DIR`.
    #[arg(long, conflicts_with_all = ["print_config", "example_config"])]
    print_catalog: bool,
    /// With --print-catalog: what you know that a tool does to the world: read, test or act [default: act, for administrators].
    #[arg(long, value_name = "OP=CLASS", requires = "print_catalog", value_parser = decided)]
    class: Vec<(String, ExecClass)>,
    /// Print JSON for programs: one line when the device is connected.
    #[arg(long)]
    json: bool,
}

impl DeviceFlags {
    fn settings(&self) -> Result<Settings, Failure> {
        let usual = Path::new(USUAL);
        let path = self.config.as_deref().or(usual.exists().then_some(usual));
        let mut settings = path.map_or_else(|| Ok(Settings::default()), Settings::read).map_err(misuse)?;
        let over = |field: &mut String, flag: &Option<String>| {
            if let Some(text) = flag {
                field.clone_from(text);
            }
        };
        over(&mut settings.broker.url, &self.broker);
        over(&mut settings.device.tenant, &self.tenant);
        over(&mut settings.device.site, &self.site);
        settings.device.device_id = self.device_id.clone().or(settings.device.device_id);
        settings.device.data = self.data.clone().or(settings.device.data);
        Ok(settings)
    }
}

/// `fan.read=read`
fn decided(text: &str) -> Result<(String, ExecClass), String> {
    let (op, class) = text.split_once('=').ok_or("write it as OP=CLASS, for example fan.read=read")?;
    Ok((op.to_owned(), class.parse()?))
}

fn misuse(error: talkwire_linux::SettingsError) -> Failure {
    Failure::Misuse(error.to_string())
}

/// Runs until it is told to stop.
pub fn device(flags: &DeviceFlags) -> Result<(), Failure> {
    if flags.example_config {
        print!("{}", Settings::commented_default());
        return Ok(());
    }
    let root = Root::default();
    let settings = flags.settings()?;
    if flags.print_catalog {
        let text = settings.catalogue(&flags.class.iter().cloned().collect()).map_err(misuse)?;
        say!("{}", text.trim_end());
        return Ok(());
    }
    let config = settings.device(&root).map_err(misuse)?;
    if flags.print_config {
        let device = json!({"key": config.key.to_string(), "device_type": config.device_type, "data": config.data_dir});
        println!("{}", serde_json::to_string_pretty(&json!({"device": device, "settings": settings})).context("the configuration cannot be printed")?);
        return Ok(());
    }
    run::log();
    run::runtime()?.block_on(until_stopped(&root, &settings, config, flags.json))
}

async fn until_stopped(root: &Root, settings: &Settings, config: DeviceConfig, as_json: bool) -> Result<(), Failure> {
    let notify = Notify::of_this_process();
    let (key, device_type, url) = (config.key.to_string(), config.device_type.clone(), settings.broker.address().map_err(misuse)?);
    let running = run_with(root, settings, config).await.map_err(explain)?;
    notify.say(&format!("READY=1\nSTATUS={key} connects to {url}"));
    if !as_json {
        println!("{key} ({device_type}) connects to {url}; Ctrl-C stops it");
    }
    let device = running.device();
    let watch = async {
        device.online().await;
        notify.say(&format!("STATUS={key} is connected to {url}"));
        match as_json {
            true => println!("{}", json!({"online": true, "device": key, "device_type": device_type, "broker": url.to_string()})),
            false => println!("{key} is online"),
        }
        std::future::pending::<()>().await;
    };
    let alive = async {
        let Some(period) = notify.period() else { return std::future::pending::<()>().await };
        loop {
            notify.say("WATCHDOG=1");
            tokio::time::sleep(period).await;
        }
    };
    tokio::select! {
        stopped = serve::until_stopped() => stopped?,
        () = watch => {}
        () = alive => {}
    }
    notify.say("STOPPING=1");
    running.shutdown().await;
    Ok(())
}

fn explain(error: LinuxError) -> Failure {
    Failure::Other(anyhow::Error::new(error))
}
