//! What the tests of a machine measure against: names, resolvers, web pages and the speed server; and which port leads out.

use crate::line::web::Url;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Faster than any line that a house has.
const FASTEST_MBPS: f64 = 1e6;

/// The machine's surroundings as its owner knows them. The defaults fit a machine on the public internet.
///
/// ```
/// let surroundings: talkwire_linux::Surroundings = talkwire_linux::Surroundings {
///     speed_server: Some("http://192.0.2.7:5000".into()),
///     ..Default::default()
/// };
/// assert_eq!(surroundings.public.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Surroundings {
    /// IPv4 addresses that stand for the world in `diagnostics.latency_matrix`; three or more, of different owners.
    pub public: Vec<Ipv4Addr>,
    /// Resolvers that the configured ones are compared with in `name.resolve_test`.
    pub resolvers: Vec<IpAddr>,
    /// Names that exist, for `name.resolve_test`.
    pub names: Vec<String>,
    /// Pages (`http://`, never `https://`) that answer 204, or 200 with the one word `success`: all else is a portal.
    pub web: Vec<String>,
    /// Whose `/api/v1/speedtest` is used by `network.speedtest_full`, for example `http://192.0.2.7:5000`.
    pub speed_server: Option<String>,
    /// The interface that leads out; when it is not given, the one with the default route.
    pub wan: Option<String>,
    /// What the line should carry downwards, in Mbit/s, as its owner pays for it.
    pub plan_down_mbps: Option<f64>,
    /// What the line should carry upwards, in Mbit/s.
    pub plan_up_mbps: Option<f64>,
}

impl Default for Surroundings {
    fn default() -> Self {
        let names = [
            "example.com",
            "example.org",
            "example.net",
            "wikipedia.org",
            "www.wikipedia.org",
            "iana.org",
            "www.kernel.org",
            "debian.org",
            "openwrt.org",
            "www.google.com",
            "www.apple.com",
            "www.microsoft.com",
            "github.com",
            "www.cloudflare.com",
            "www.mozilla.org",
            "www.ietf.org",
            "www.rust-lang.org",
            "www.youtube.com",
            "www.amazon.com",
            "www.bing.com",
        ];
        Self {
            public: vec![Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(9, 9, 9, 9)],
            resolvers: vec![Ipv4Addr::new(1, 1, 1, 1).into(), Ipv4Addr::new(8, 8, 8, 8).into()],
            names: names.map(str::to_owned).into(),
            web: vec!["http://connectivitycheck.gstatic.com/generate_204".into(), "http://detectportal.firefox.com/success.txt".into()],
            speed_server: None,
            wan: None,
            plan_down_mbps: None,
            plan_up_mbps: None,
        }
    }
}

/// Name of the key, what was given and what it must be.
pub(crate) type Misfit = (&'static str, String, &'static str);

impl Surroundings {
    /// Says the first thing that nothing could be measured against.
    pub(crate) fn check(&self) -> Result<(), Misfit> {
        let shown = |list: &[String]| format!("[{}]", list.join(", "));
        let texts = |list: &[Ipv4Addr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (name, speed) in [("plan_down_mbps", self.plan_down_mbps), ("plan_up_mbps", self.plan_up_mbps)] {
            if let Some(speed) = speed.filter(|speed| !(*speed > 0.0 && *speed <= FASTEST_MBPS)) {
                return Err((name, speed.to_string(), "a speed in Mbps above 0 and at most 1000000, or left out"));
            }
        }
        if self.public.iter().collect::<std::collections::BTreeSet<_>>().len() < 3 {
            return Err(("public", shown(&texts(&self.public)), "three or more IPv4 addresses of different owners, or left out"));
        }
        if self.resolvers.is_empty() {
            return Err(("resolvers", "[]".into(), "one resolver's address or more, or left out"));
        }
        if self.names.is_empty() || !self.names.iter().all(|name| crate::exec::is_host(name)) {
            return Err(("names", shown(&self.names), "one host name or more, such as example.com, or left out"));
        }
        if self.web.is_empty() || !self.web.iter().all(|page| Url::parse(page).is_some()) {
            return Err(("web", shown(&self.web), "one page or more that begins with http://, or left out"));
        }
        match &self.speed_server {
            Some(server) if Url::parse(server).is_none() => Err(("speed_server", server.clone(), "an address such as http://192.0.2.7:5000, or left out")),
            _ => Ok(()),
        }
    }
}
