//! One machine: its root, what is remembered between calls, and the list of its tools.

use crate::cpu::{self, Load, Times};
use crate::ports::History;
use crate::root::Root;
use crate::tool::LinuxTool;
use crate::{clients, hardware, logs, ports, status};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Readings of the processors that are closer together say little.
const LEAST_PERIOD: Duration = Duration::from_millis(200);

/// A machine and what was seen of it before.
pub(crate) struct Machine {
    pub(crate) root: Root,
    began: Instant,
    ports: Mutex<History>,
    processors: Mutex<Option<(Instant, Times)>>,
}

impl Machine {
    pub(crate) fn new(root: Root) -> Arc<Self> {
        let processors = cpu::times(&root).map(|times| (Instant::now(), times));
        let machine = Self { root, began: Instant::now(), ports: Mutex::default(), processors: Mutex::new(processors) };
        machine.watch();
        Arc::new(machine)
    }

    /// Remembers the counters of the ports, so that a rate can be told later.
    pub(crate) fn watch(&self) {
        let counts = ports::counts(&self.root);
        self.ports().note(self.began.elapsed(), counts);
    }

    pub(crate) fn ports(&self) -> MutexGuard<'_, History> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the clock of [`History`].
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// How busy the processors were since this was asked last.
    pub(crate) fn load_since_last(&self) -> Option<Load> {
        let (now, times) = (Instant::now(), cpu::times(&self.root)?);
        let mut last = self.processors.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, _)) if now.duration_since(*at) < LEAST_PERIOD => None,
            Some((_, before)) => {
                let load = cpu::load(before, &times);
                *last = Some((now, times));
                load
            }
            None => {
                *last = Some((now, times));
                None
            }
        }
    }

    pub(crate) fn tools(self: &Arc<Self>) -> Vec<LinuxTool> {
        vec![status::tool(self), hardware::tool(self), ports::tool(self), logs::tool(self), clients::tool(self)]
    }
}

/// The tools of the machine below the root. What it lacks is among them, declared `supported: false` with the reason.
pub fn tools(root: &Root) -> Vec<LinuxTool> {
    Machine::new(root.clone()).tools()
}
