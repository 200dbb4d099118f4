//! Numbers of devices and series, looked up once and remembered.

use crate::error::{Doing, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use talkwire_proto::DeviceKey;

/// More remembered series than this and all are forgotten, so that memory stays bounded.
const MOST: usize = 100_000;

/// What was looked up. To be cleared after a rollback: numbers given within it never came to be.
#[derive(Default)]
pub(crate) struct Names {
    devices: HashMap<DeviceKey, Known>,
    held: usize,
}

struct Known {
    id: i64,
    /// By metric: the last unit and the series.
    series: HashMap<String, (String, i64)>,
}

impl Names {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn make_room(&mut self) {
        if self.held >= MOST {
            self.clear();
        }
        self.held += 1;
    }

    /// The number of a device, given now if it had none.
    pub(crate) fn device(&mut self, db: &Connection, key: &DeviceKey) -> Result<i64, StoreError> {
        if let Some(known) = self.devices.get(key) {
            return Ok(known.id);
        }
        let id = look_up_device(db, key)?;
        self.make_room();
        self.devices.insert(key.clone(), Known { id, series: HashMap::new() });
        Ok(id)
    }

    /// The number of a series, given now if it had none.
    pub(crate) fn series(&mut self, db: &Connection, key: &DeviceKey, metric: &str, unit: &str) -> Result<i64, StoreError> {
        let device = match self.devices.get(key) {
            None => self.device(db, key)?,
            Some(known) => match known.series.get(metric) {
                Some((last, id)) if last == unit => return Ok(*id),
                _ => known.id,
            },
        };
        let id = look_up_series(db, device, metric, unit)?;
        self.make_room();
        let known = self.devices.entry(key.clone()).or_insert_with(|| Known { id: device, series: HashMap::new() });
        known.series.insert(metric.to_owned(), (unit.to_owned(), id));
        Ok(id)
    }
}

fn look_up_device(db: &Connection, key: &DeviceKey) -> Result<i64, StoreError> {
    let names = params![key.tenant.as_str(), key.site.as_str(), key.device_id.as_str()];
    let find = || -> rusqlite::Result<i64> {
        let found =
            db.prepare_cached("SELECT id FROM device_key WHERE tenant = ?1 AND site = ?2 AND device_id = ?3")?.query_row(names, |row| row.get(0)).optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
        db.prepare_cached("INSERT INTO device_key (tenant, site, device_id) VALUES (?1, ?2, ?3)")?.insert(names)
    };
    find().doing(|| format!("naming device {key}"))
}

fn look_up_series(db: &Connection, device: i64, metric: &str, unit: &str) -> Result<i64, StoreError> {
    let names = params![device, metric, unit];
    let find = || -> rusqlite::Result<i64> {
        let found =
            db.prepare_cached("SELECT id FROM series WHERE device = ?1 AND metric = ?2 AND unit = ?3")?.query_row(names, |row| row.get(0)).optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
        db.prepare_cached("INSERT INTO series (device, metric, unit) VALUES (?1, ?2, ?3)")?.insert(names)
    };
    find().doing(|| format!("naming series {metric}"))
}
