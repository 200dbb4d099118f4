//! The MQTT broker alone, open, on loopback: `talkwire broker` and `cargo run --bin broker`.

use anyhow::{Context, bail};
use clap::Parser;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use talkwire_broker::{Broker, BrokerConfig, Listener, ListenerKind, OpenGate, RumqttdToml};

const FILE: &str = "rumqttd.toml";

/// Starts only the MQTT broker, without accounts: MQTT on 1883 and 8884, MQTT over WebSocket on 8885.
#[derive(Debug, Parser)]
#[command(name = "broker", version, after_help = "Example: broker --mqtt 127.0.0.1:1883 --ws 127.0.0.1:8885")]
pub struct Arguments {
    /// A file as for rumqttd; ./rumqttd.toml is read when it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// MQTT address, in place of those configured (repeatable)
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_MQTT", value_delimiter = ',')]
    mqtt: Vec<SocketAddr>,
    /// MQTT over WebSocket address, in place of those configured (repeatable)
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_WS", value_delimiter = ',')]
    ws: Vec<SocketAddr>,
    /// Serve everybody who can reach an address that is not this machine's own
    #[arg(long)]
    allow_open: bool,
}

/// Parses the command line of the `broker` binary and runs it.
#[must_use]
pub fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the broker until it is stopped.
///
/// # Errors
/// When the configuration cannot be used or an address is taken.
pub fn start(arguments: &Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,mqtt5=error".into()))
        .with_writer(std::io::stderr)
        .try_init()
        .ok();
    let config = configuration(arguments)?;
    refuse_to_be_open(&config, arguments.allow_open)?;
    let broker = Broker::start(config, Arc::new(OpenGate)).await?;
    for address in broker.addresses() {
        let scheme = match address.kind {
            ListenerKind::Tcp => "mqtt",
            ListenerKind::WebSocket => "ws",
        };
        say(&format!("listening on {scheme}://{}", address.addr));
    }
    stop_signal().await?;
    broker.stop().await;
    Ok(())
}

fn configuration(arguments: &Arguments) -> anyhow::Result<BrokerConfig> {
    let mut config = read_file(arguments.config.as_ref())?.unwrap_or_default();
    let mut replace = |kind: ListenerKind, addresses: &[SocketAddr]| {
        if !addresses.is_empty() {
            config.listeners.retain(|known| known.kind != kind);
            let given = addresses.iter().map(|&addr| Listener { addr, kind });
            config.listeners.extend(given);
        }
    };
    replace(ListenerKind::Tcp, &arguments.mqtt);
    replace(ListenerKind::WebSocket, &arguments.ws);
    Ok(config)
}

fn read_file(given: Option<&PathBuf>) -> anyhow::Result<Option<BrokerConfig>> {
    let path = given.cloned().unwrap_or_else(|| FILE.into());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if given.is_none() && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let read = RumqttdToml::parse(&text).with_context(|| format!("cannot use {}", path.display()))?;
    for line in &read.not_kept {
        eprintln!("{}: not kept: {line}", path.display());
    }
    Ok(Some(read.config))
}

/// Without accounts, the broker serves this machine only, unless somebody says otherwise.
fn refuse_to_be_open(config: &BrokerConfig, allowed: bool) -> anyhow::Result<()> {
    let outside = config.listeners.iter().find(|listener| !listener.addr.ip().is_loopback());
    match outside {
        Some(listener) if !allowed => bail!(
            "{} can be reached from other machines and this broker has no accounts: listen on 127.0.0.1:{} instead, \
             run `talkwire serve` with access control, or add --allow-open if everybody may read and write everything",
            listener.addr,
            listener.addr.port(),
        ),
        _ => Ok(()),
    }
}

async fn stop_signal() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
}

/// Whoever reads the addresses may have gone; that is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
