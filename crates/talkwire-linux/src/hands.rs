//! The hands: tools that change something on the machine. Each captures what it replaces, changes it, and reads back what runs now.

mod channel;
mod dhcpdns;
mod disconnect;
mod hostapd;
mod layout;
mod openwrt;
mod power;
mod programs;
mod qos;
mod radio;
#[cfg(test)]
mod real;
#[cfg(test)]
mod recorded;
mod service;
mod tc;

use crate::root::Root;
use crate::settings::Settings;
use hostapd::{ControlSockets, Hostapd};
use programs::{Installed, Programs};
use std::sync::Arc;
use talkwire_device::{Builder, ToolSupport};
use talkwire_proto::op::canonical;

/// What the hands work with: the machine's programs and hostapd, each behind a seam so that recorded exchanges can stand in.
#[derive(Clone)]
pub(crate) struct Hands {
    root: Root,
    programs: Arc<dyn Programs>,
    hostapd: Arc<dyn Hostapd>,
    settings: Arc<Settings>,
}

impl Hands {
    pub(crate) fn new(root: &Root, settings: &Settings) -> Self {
        let folder = root.path(settings.wifi.hostapd.to_string_lossy().trim_start_matches('/'));
        Self {
            root: root.clone(),
            programs: Arc::new(Installed(root.clone())),
            hostapd: Arc::new(ControlSockets(folder)),
            settings: Arc::new(settings.clone()),
        }
    }

    /// Whether the machine is configured through `uci`, as OpenWrt is.
    fn is_openwrt(&self) -> bool {
        self.programs.has("uci") && self.programs.has("ubus")
    }

    /// Adds the Acts to a device, except those whose op a command of the configuration has taken.
    pub(crate) fn give_to(&self, builder: Builder) -> Builder {
        let is_free = |op: &str| !self.settings.exec.keys().any(|command| canonical(command) == op);
        let mut builder = builder;
        if is_free(channel::OP) {
            builder = builder.act(channel::SetChannel(self.clone()));
        }
        if is_free(power::OP) {
            builder = builder.act(power::SetPower(self.clone()));
        }
        if is_free(disconnect::OP) {
            builder = builder.act(disconnect::ClientDisconnect(self.clone()));
        }
        if is_free(qos::OP) {
            builder = builder.act(qos::ApplyPolicy(self.clone()));
        }
        if is_free(dhcpdns::OP) {
            builder = builder.act(dhcpdns::SetDhcpDns(self.clone()));
        }
        if is_free(service::OP) {
            builder = builder.act(service::RestartService(self.clone()));
        }
        builder
    }
}

/// What is declared of an Act: there, or lacking with a stable word.
fn support(response_time_ms: u64, lacks: Option<&'static str>) -> ToolSupport {
    ToolSupport {
        supported: lacks.is_none(),
        reason: lacks.map(str::to_owned),
        version: Some("1.0".into()),
        response_time_ms: Some(response_time_ms),
        resource_usage: Some("low".into()),
        ..ToolSupport::plain()
    }
}
