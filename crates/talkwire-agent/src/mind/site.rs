//! Who is who at a site: the router, access points, computers that can measure.

use talkwire_core::device::Device;

const ROUTERS: &[&str] = &["router", "wifi_router", "gateway", "home_gateway", "mesh_root"];
const ACCESS_POINTS: &[&str] = &["access_point", "ap", "wireless_access_point", "mesh_node", "mesh_relay", "mesh_leaf", "repeater", "extender"];
const MOST_AGENTS: usize = 3;
const MOST_DEVICES: usize = 12;

/// The devices of a site by role. Only devices that are online can be asked.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    devices: Vec<&'a Device>,
}

impl<'a> Site<'a> {
    /// Sorts the devices, so that the same site is always walked in the same order.
    pub fn new(devices: &[&'a Device]) -> Self {
        let mut devices = devices.to_vec();
        devices.sort_by(|a, b| a.key.device_id.cmp(&b.key.device_id));
        Self { devices }
    }

    /// All devices.
    pub fn all(&self) -> &[&'a Device] {
        &self.devices
    }

    /// A device by its id, online or not.
    pub fn device(&self, id: &str) -> Option<&'a Device> {
        self.devices.iter().copied().find(|device| device.key.device_id.as_str() == id)
    }

    /// The way out of the house: a router that is online, else one that is not, else nothing.
    pub fn router(&self) -> Option<&'a Device> {
        let routers = || self.devices.iter().copied().filter(|device| is_router(device));
        routers().find(|device| device.online).or_else(|| routers().next()).or_else(|| {
            let declares = |device: &&Device| device.online && !device.tools.is_empty() && device.can("diagnostics.wan_connectivity");
            self.devices.iter().copied().find(declares)
        })
    }

    /// Its id.
    pub fn router_id(&self) -> Option<&'a str> {
        self.router().map(|device| device.key.device_id.as_str())
    }

    /// Everything with a radio that serves clients, the router included when it says that it has one.
    pub fn access_points(&self) -> Vec<&'a Device> {
        let serves = |device: &&Device| device.online && (is_access_point(device) || (is_router(device) && device.can("wifi.get_environment")));
        self.devices.iter().copied().filter(serves).take(MOST_DEVICES).collect()
    }

    /// Computers that are devices themselves and can run a speed test.
    pub fn agents(&self) -> Vec<&'a Device> {
        let measures = |device: &&Device| {
            device.online && !is_router(device) && !is_access_point(device) && !device.tools.is_empty() && device.can("network.speedtest_full")
        };
        self.devices.iter().copied().filter(measures).take(MOST_AGENTS).collect()
    }

    /// Router and access points.
    pub fn infrastructure(&self) -> Vec<&'a Device> {
        let ours = |device: &&Device| device.online && (is_router(device) || is_access_point(device));
        self.devices.iter().copied().filter(ours).take(MOST_DEVICES).collect()
    }

    /// `router`, `access_point`, `client` or `unknown`.
    pub fn role_word(&self, id: &str) -> &'static str {
        match self.device(id) {
            Some(device) if is_router(device) => "router",
            Some(device) if is_access_point(device) => "access_point",
            Some(_) => "client",
            None => "unknown",
        }
    }
}

fn is_router(device: &Device) -> bool {
    ROUTERS.contains(&device.device_type.as_str())
}

fn is_access_point(device: &Device) -> bool {
    ACCESS_POINTS.contains(&device.device_type.as_str())
}
