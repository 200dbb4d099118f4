//! The flash memory of a simulated device: the sections that Acts left, so that a restart finds what was running.

use crate::house::House;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The file of one device.
#[derive(Clone)]
pub(super) struct Settings {
    folder: PathBuf,
    /// Section by op and interface.
    kept: Arc<Mutex<Map<String, Value>>>,
}

impl Settings {
    /// Reads the file, if there is one.
    pub fn open(folder: PathBuf) -> Self {
        let kept = match std::fs::read(folder.join("settings.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(folder = %folder.display(), %error, "settings of a simulated device are unreadable; it starts with those of its home file");
                Map::new()
            }),
            Err(_) => Map::new(),
        };
        Self { folder, kept: Arc::new(Mutex::new(kept)) }
    }

    /// Lets the house run what was kept.
    pub fn load(&self, house: &mut House, device_id: &str) {
        for (name, section) in self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let op = name.split('#').next().unwrap_or(name);
            if let Err(fault) = house.restore(device_id, op, section) {
                tracing::warn!(device_id, op, %fault, "a kept setting does not fit this home and is left out");
            }
        }
    }

    /// Keeps a section on the disk.
    pub fn keep(&self, op: &str, section: &Value) -> io::Result<()> {
        if section.is_null() {
            return Ok(());
        }
        let interface = section.get("interface").and_then(Value::as_str).unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(format!("{op}#{interface}"), section.clone());
        std::fs::create_dir_all(&self.folder)?;
        let new = self.folder.join("settings.new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(Value::Object(kept.clone()).to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, self.folder.join("settings.json"))
    }
}
