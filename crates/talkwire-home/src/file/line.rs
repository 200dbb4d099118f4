//! The line, the addresses, the names and the shaper.

use crate::error::HomeError;
use crate::physics::line::LineClass;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What kind of line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fibre with DHCP.
    Fibre,
    /// Coaxial cable with DHCP.
    Cable,
    /// Fibre or copper with PPPoE.
    Pppoe,
    /// A 4G or 5G radio line behind carrier NAT.
    Radio,
}

/// The line that was bought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Downlink in Mbps.
    pub down_mbps: f64,
    /// Uplink in Mbps.
    pub up_mbps: f64,
    /// Kind of line.
    pub kind: Kind,
    /// Behaviour at peak time.
    pub class: LineClass,
    /// Idle round trip to the nearest test server in ms.
    #[serde(default = "idle")]
    pub idle_ms: f64,
    /// Jitter in ms.
    #[serde(default = "jitter")]
    pub jitter_ms: f64,
    /// Buffer before the downlink in kB.
    #[serde(default = "buffer_down")]
    pub buffer_down_kb: f64,
    /// Buffer before the uplink in kB.
    #[serde(default = "buffer_up")]
    pub buffer_up_kb: f64,
    /// Part of the plan that is delivered at best; drawn between 0.95 and 1.08 if absent.
    #[serde(default)]
    pub delivered: Option<f64>,
}

fn idle() -> f64 {
    6.0
}
fn jitter() -> f64 {
    0.8
}
fn buffer_down() -> f64 {
    1000.0
}
fn buffer_up() -> f64 {
    256.0
}

/// The address server of the router.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dhcp {
    /// First three numbers of the subnet.
    pub subnet: String,
    /// First address of the pool.
    pub first: u8,
    /// Last address of the pool.
    pub last: u8,
    /// Lease time in seconds.
    pub lease_s: u32,
    /// Addresses that are given to things which are not in this file.
    pub extra_used: u32,
    /// Pings an unused address before offering it, which costs three seconds.
    pub ping_check: bool,
}

impl Default for Dhcp {
    fn default() -> Self {
        Self { subnet: "192.168.1".into(), first: 100, last: 249, lease_s: 43_200, extra_used: 0, ping_check: true }
    }
}

impl Dhcp {
    pub(crate) fn check(&self) -> Result<(), HomeError> {
        if format!("{}.0", self.subnet).parse::<Ipv4Addr>().is_err() {
            return Err(HomeError::invalid("dhcp.subnet", "write the first three numbers, such as 192.168.1"));
        }
        if self.first < 2 || self.last < self.first || self.last > 254 {
            return Err(HomeError::invalid("dhcp", "first and last must satisfy 2 <= first <= last <= 254"));
        }
        Ok(())
    }
}

/// The resolvers that the router asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Addresses, in order.
    pub servers: Vec<String>,
}

impl Default for Dns {
    fn default() -> Self {
        Self { servers: vec!["203.0.113.53".into(), "203.0.113.54".into()] }
    }
}

/// The shaper.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Qos {
    /// Is it on?
    pub enabled: bool,
    /// Cap of the downlink in Mbps.
    pub cap_down_mbps: Option<f64>,
    /// Cap of the uplink in Mbps.
    pub cap_up_mbps: Option<f64>,
}
