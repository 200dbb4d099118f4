//! `device-keys.toml`: read strictly, written whole and at once.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use talkwire_proto::{DeviceKey, FernetKey};

const FILE: &str = "device-keys.toml";
const HEAD: &str = "# The keys of devices that encrypt their payloads, newest first. Written by `talkwire keys`; a running server reads it anew.\n";

/// Each device's keys, newest first; none is empty.
pub type Lines = BTreeMap<DeviceKey, Vec<FernetKey>>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Several(Vec<String>),
}

/// Where the keys of a data folder are.
pub fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// The content of a secret file that nobody else can read.
pub fn secret(file: &Path) -> Result<String> {
    let name = file.display();
    let about = fs::metadata(file).with_context(|| format!("E_CONFIG: {name} cannot be read"))?;
    if about.permissions().mode() & 0o077 != 0 {
        bail!("E_CONFIG: {name} can be read by others; `chmod 600 {name}`");
    }
    fs::read_to_string(file).with_context(|| format!("E_CONFIG: {name} cannot be read"))
}

/// Reads the file.
///
/// # Errors
/// A file that others may read, or a line that is no device or no key; the key itself is never shown.
pub fn read(file: &Path) -> Result<Lines> {
    let (text, name) = (secret(file)?, file.display());
    // The parser's own message would show the line with the key.
    let Ok(lines) = toml::from_str::<BTreeMap<String, Keys>>(&text) else {
        bail!("E_CONFIG: {name} must have lines of the form \"tenant/site/device\" = \"key\", or = [\"newest\", \"older\"]");
    };
    let mut found = Lines::new();
    for (device, keys) in lines {
        let keys = match keys {
            Keys::One(key) => vec![key],
            Keys::Several(keys) if keys.is_empty() => bail!("E_CONFIG: {name}: {device} has an empty list; leave the line out"),
            Keys::Several(keys) => keys,
        };
        let keys: Result<Vec<FernetKey>, _> = keys.iter().map(|key| key.parse()).collect();
        let keys = keys.with_context(|| format!("E_CONFIG: {name}: the key of {device}"))?;
        let device: DeviceKey = device.parse().with_context(|| format!("E_CONFIG: {name}: {device:?} is not tenant/site/device"))?;
        found.insert(device, keys);
    }
    Ok(found)
}

/// Changes the file: the new one is complete on the disk, readable by its owner alone, before it takes the old one's place.
///
/// # Errors
/// When the file cannot be read or written, somebody else is changing it, or `change` refuses.
pub fn change<T>(data: &Path, change: impl FnOnce(&mut Lines) -> Result<T>) -> Result<T> {
    let file = path(data);
    let beside = file.with_extension("toml.new");
    let shown = beside.display();
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(0o600).open(&beside).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow::anyhow!("somebody else is changing the keys; if that is not so, remove {shown}"),
        _ => anyhow::Error::from(error).context(format!("{shown} cannot be written")),
    })?;
    let outcome = (|| {
        let mut lines = if file.exists() { read(&file)? } else { Lines::new() };
        let told = change(&mut lines)?;
        // The server may run as somebody else than who types this: the keys belong to whom the folder belongs to.
        let (folder, own) = (fs::metadata(data)?, new.metadata()?);
        if (folder.uid(), folder.gid()) != (own.uid(), own.gid()) {
            let given = std::os::unix::fs::fchown(&new, Some(folder.uid()), Some(folder.gid()));
            given.with_context(|| format!("{} must belong to the owner of {}; do this as that user or as root", file.display(), data.display()))?;
        }
        new.write_all(text(&lines).as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, &file)?;
        fs::File::open(data)?.sync_all()?;
        Ok(told)
    })();
    if outcome.is_err() {
        let _ = fs::remove_file(&beside);
    }
    outcome
}

fn text(lines: &Lines) -> String {
    let line = |(device, keys): (&DeviceKey, &Vec<FernetKey>)| {
        let keys: Vec<String> = keys.iter().map(|key| format!("\"{}\"", key.encode())).collect();
        format!("\"{device}\" = [{}]\n", keys.join(", "))
    };
    HEAD.to_owned() + &lines.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

    fn with(text: &str, mode: u32) -> Result<Lines> {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        read(&file)
    }

    #[test]
    fn a_wrong_file_is_refused_without_showing_a_key() {
        let good = format!("\"acme/home/aabbccddeeff\" = \"{KEY}\"\n");
        assert!(with(&good, 0o600).is_ok());
        let wrong = [
            (good.as_str(), 0o644),
            (&format!("acme = [[\"{KEY}\"]]"), 0o600),
            (&format!("nobody = \"{KEY}\""), 0o600),
            ("\"acme/home/aabbccddeeff\" = []", 0o600),
            (&format!("\"acme/home/aabbccddeeff\" = [\"{KEY}\", \"{}\"]", &KEY[1..]), 0o600),
        ];
        for (text, mode) in wrong {
            let said = format!("{:#}", with(text, mode).unwrap_err());
            assert!(said.contains("E_CONFIG") && !said.contains(&KEY[1..]), "{said}");
        }
    }

    #[test]
    fn a_change_is_whole_or_not_at_all_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let device: DeviceKey = "acme/home/aabbccddeeff".parse().unwrap();
        let (old, new) = (KEY.parse::<FernetKey>().unwrap(), FernetKey::new([7; 32]));
        change(dir.path(), |lines| Ok(lines.insert(device.clone(), vec![old.clone()]))).unwrap();
        let newer = |lines: &mut Lines| {
            lines.get_mut(&device).unwrap().insert(0, new.clone());
            Ok(())
        };
        change(dir.path(), newer).unwrap();
        let half_way = |lines: &mut Lines| -> Result<()> {
            lines.clear();
            bail!("no")
        };
        assert!(change(dir.path(), half_way).is_err());
        let file = path(dir.path());
        assert_eq!(read(&file).unwrap()[&device], [new, old]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(file.with_extension("toml.new"), "").unwrap();
        let said = format!("{:#}", change(dir.path(), |_| Ok(())).unwrap_err());
        assert!(said.contains("somebody else") && file.with_extension("toml.new").exists(), "{said}");
    }
}
