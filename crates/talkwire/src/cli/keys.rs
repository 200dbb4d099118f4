//! `talkwire keys`: the keys with which devices encrypt their payloads, given, changed and taken away beside a running server.

use super::Failure;
use super::say::say;
use crate::identity::seed;
use crate::payload_keys::{Lines, change, path, read};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use talkwire_proto::{DeviceKey, FernetKey};

/// Where the keys are.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The server's data folder.
    #[arg(long, value_name = "DIR", env = "TALKWIRE_DATA", default_value = "talkwire-data")]
    data: PathBuf,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// List the devices that have a key. No key is shown.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Give a device its first key. From then on only what is sealed with it is taken from the device.
    Add {
        #[command(flatten)]
        place: Place,
        /// `tenant/site/device_id`.
        device: DeviceKey,
        /// Write the key into this new file (mode 0600) instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Give a device a new key. The old one is good until it is removed with `talkwire keys remove --old`.
    Rotate {
        #[command(flatten)]
        place: Place,
        /// `tenant/site/device_id`.
        device: DeviceKey,
        /// Write the key into this new file (mode 0600) instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take a device's keys away: it then speaks and hears in clear. With --old, only those that a newer one replaces.
    Remove {
        #[command(flatten)]
        place: Place,
        /// `tenant/site/device_id`.
        device: DeviceKey,
        /// Keep the newest key.
        #[arg(long)]
        old: bool,
    },
}

/// Does it; a running server takes it up within two seconds.
pub fn keys(command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::List { place } => Ok(list(&place)?),
        KeysCommand::Add { place, device, out } => Ok(give(&place, &device, out.as_deref(), |lines| {
            let known = lines.contains_key(&device);
            if known { bail!("{device} has a key already; `talkwire keys rotate {device}` gives it a new one") } else { Ok(()) }
        })?),
        KeysCommand::Rotate { place, device, out } => Ok(give(&place, &device, out.as_deref(), |lines| match lines.get(&device).map(Vec::len) {
            None => bail!("{device} has no key yet; `talkwire keys add {device}` gives it one"),
            Some(1) => Ok(()),
            Some(count) => bail!("{device} has {count} keys; when it uses the newest, `talkwire keys remove --old {device}` first"),
        })?),
        KeysCommand::Remove { place, device, old } => Ok(remove(&place, &device, old)?),
    }
}

fn list(place: &Place) -> Result<()> {
    let file = path(&place.data);
    let lines = if file.exists() { read(&file)? } else { Lines::new() };
    if place.json {
        say!("{}", json!({"items": lines.iter().map(|(device, keys)| json!({"device": device.to_string(), "keys": keys.len()})).collect::<Vec<_>>()}));
        return Ok(());
    }
    if lines.is_empty() {
        say!("no device has a key; `talkwire keys add TENANT/SITE/DEVICE` gives one");
    }
    for (device, keys) in &lines {
        match keys.len() {
            1 => say!("{device}"),
            count => say!("{device}  {count} keys: the old ones are good until `talkwire keys remove --old {device}`"),
        }
    }
    Ok(())
}

/// A new key, told once: it is on the disk before anybody sees it.
fn give(place: &Place, device: &DeviceKey, out: Option<&Path>, may: impl FnOnce(&Lines) -> Result<()>) -> Result<()> {
    let key = FernetKey::new(seed());
    change(&place.data, |lines| {
        may(lines)?;
        if let Some(out) = out {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
            let written = file.and_then(|mut file| writeln!(file, "{}", key.encode()).and_then(|()| file.sync_all()));
            written.with_context(|| format!("{} cannot be written (it must not exist yet)", out.display()))?;
        }
        lines.entry(device.clone()).or_default().insert(0, key.clone());
        Ok(())
    })?;
    match (place.json, out) {
        (true, None) => say!("{}", json!({"device": device.to_string(), "key": key.encode()})),
        (true, Some(out)) => say!("{}", json!({"device": device.to_string(), "file": out})),
        (false, Some(out)) => say!("The key of {device} is in {}; carry it to the device.", out.display()),
        (false, None) => {
            say!("{}", key.encode());
            eprintln!("This key of {device} is not shown again. Put it on the device where nobody else can read it:");
            eprintln!("  talkwire device   a file with mode 0600, named by fernet_key_file in [broker]");
            eprintln!("  SDK               DeviceConfig::fernet_key");
        }
    }
    Ok(())
}

fn remove(place: &Place, device: &DeviceKey, old: bool) -> Result<()> {
    let gone = change(&place.data, |lines| {
        let Some(keys) = lines.get_mut(device) else { bail!("{device} has no key; `talkwire keys list` shows who has") };
        if old {
            let before = keys.len();
            keys.truncate(1);
            return Ok(before - 1);
        }
        Ok(lines.remove(device).map_or(0, |keys| keys.len()))
    })?;
    match place.json {
        true => say!("{}", json!({"device": device.to_string(), "removed": gone})),
        false if old => say!("{device}: {gone} old {} removed", if gone == 1 { "key" } else { "keys" }),
        false => say!("{device} has no key any more: it speaks and hears in clear"),
    }
    Ok(())
}
