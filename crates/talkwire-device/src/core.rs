//! What the tasks of one running device share.

use crate::act::AnyAct;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{DeviceConfig, StateReport};
use crate::counters::Counters;
use crate::keeper::Keeper;
use crate::memory::Memory;
use crate::voice::Voice;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};

/// Asked for the state each time that it is said.
pub(crate) type StateSource = Box<dyn Fn() -> StateReport + Send + Sync>;

pub(crate) struct Core {
    pub(crate) config: DeviceConfig,
    pub(crate) voice: Voice,
    pub(crate) counters: Arc<Counters>,
    pub(crate) catalog: Catalog,
    pub(crate) acts: BTreeMap<String, Arc<dyn AnyAct>>,
    pub(crate) has_acts: bool,
    pub(crate) keeper: tokio::sync::Mutex<Keeper>,
    /// Told whenever the keeper may have something new to wait for or to report.
    pub(crate) keeper_moved: Notify,
    pub(crate) memory: Mutex<Memory>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Since when the controller is out of reach, on the steady clock; `None`: it is there.
    pub(crate) lost_since: watch::Sender<Option<Duration>>,
    pub(crate) state_source: Option<StateSource>,
    pub(crate) state: Mutex<StateReport>,
}

impl Core {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_report(&self) -> StateReport {
        match &self.state_source {
            Some(source) => source(),
            None => self.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
