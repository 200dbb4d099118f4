//! One machine: its root, what is remembered between calls, and the list of its tools.

use crate::cpu::{self, Load, Times};
use crate::ports::History;
use crate::root::Root;
use crate::route::{self, WayOut};
use crate::surroundings::Surroundings;
use crate::tool::LinuxTool;
use crate::{clients, hardware, line, logs, mesh, names, ports, radio, status, topology, traffic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Readings of the processors that are closer together say little.
const LEAST_PERIOD: Duration = Duration::from_millis(200);

/// A machine and what was seen of it before.
pub(crate) struct Machine {
    pub(crate) root: Root,
    pub(crate) surroundings: Surroundings,
    /// The device id and name under which the machine is known, when it runs as a device.
    pub(crate) identity: Option<(String, String)>,
    /// Where the controller's HTTP door should be, when the machine runs as a device: the speed server that nobody named.
    pub(crate) controller: Option<String>,
    began: Instant,
    /// The way out, remembered for the time when it is gone.
    way_out: Mutex<Option<WayOut>>,
    ports: Mutex<History>,
    processors: Mutex<Option<(Instant, Times)>>,
}

impl Machine {
    pub(crate) fn new(root: Root) -> Arc<Self> {
        Self::within(root, Surroundings::default(), None, None)
    }

    pub(crate) fn within(root: Root, surroundings: Surroundings, identity: Option<(String, String)>, controller: Option<String>) -> Arc<Self> {
        let processors = cpu::times(&root).map(|times| (Instant::now(), times));
        let (ports, processors) = (Mutex::default(), Mutex::new(processors));
        let machine = Self { root, surroundings, identity, controller, began: Instant::now(), way_out: Mutex::default(), ports, processors };
        machine.watch();
        Arc::new(machine)
    }

    /// Remembers the counters of the ports, so that a rate can be told later.
    pub(crate) fn watch(&self) {
        let counts = ports::counts(&self.root);
        self.ports().note(self.began.elapsed(), counts);
        self.way_out();
    }

    /// The way out as it is now; when there is none, the one that there was, without its gateway.
    pub(crate) fn way_out(&self) -> Option<WayOut> {
        let now = route::way_out(&self.root).flatten();
        let mut last = self.way_out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &self.surroundings.wan {
            let gateway = now.filter(|way| way.interface == *told).and_then(|way| way.gateway);
            return Some(WayOut { interface: told.clone(), gateway });
        }
        match now {
            Some(way) => {
                *last = Some(way.clone());
                Some(way)
            }
            None => {
                let named = || ["wan", "ppp0", "pppoe-wan", "eth0.2"].into_iter().find(|name| ports::has_link(&self.root, name).is_some()).map(str::to_owned);
                let interface = last.as_ref().map(|way| way.interface.clone()).or_else(named)?;
                Some(WayOut { interface, gateway: None })
            }
        }
    }

    /// Whether others reach the world through this machine: it forwards, and has addresses on both sides.
    pub(crate) async fn is_router(&self) -> bool {
        if self.root.whole("proc/sys/net/ipv4/ip_forward") != Some(1) {
            return false;
        }
        let way_out = self.way_out().map(|way| way.interface);
        crate::address::all(&self.root).await.iter().any(|address| Some(&address.interface) != way_out.as_ref())
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
        let mut tools = vec![status::tool(self), hardware::tool(self), ports::tool(self), logs::tool(self), clients::tool(self), clients::health_tool(self)];
        tools.extend(line::tools(self));
        tools.extend(names::tools(self));
        tools.extend(traffic::tools(self));
        tools.extend(topology::tools(self));
        tools.extend(radio::tools(self));
        tools.extend(mesh::tools(self));
        tools
    }
}

/// The tools of the machine below the root. What it lacks is among them, declared `supported: false` with the reason.
pub fn tools(root: &Root) -> Vec<LinuxTool> {
    Machine::new(root.clone()).tools()
}

/// [`tools`] that measure against other surroundings than the public internet.
pub fn tools_within(root: &Root, surroundings: Surroundings) -> Vec<LinuxTool> {
    Machine::within(root.clone(), surroundings, None, None).tools()
}
