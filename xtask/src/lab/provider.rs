//! Beyond the home: a provider with its address and name servers, and the world with public resolvers, a web and a speed server.

use super::space::{Space, cable};
use super::watch;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// The provider's end of the line, and the first hop of the home.
pub const GATEWAY: &str = "198.51.100.1";
/// The provider's name server.
pub const RESOLVER: &str = "198.51.100.53";
/// Where the web answers; the names of the world lie from here on.
pub const WEB: &str = "203.0.113.80";
/// The speed server, a Talkwire of its own.
pub const SPEED_SERVER: &str = "http://203.0.113.250:5000";
/// What the line carries, in Mbit/s, down and up.
pub const PLAN_MBPS: u32 = 100;

/// Names that exist in this world.
const NAMES: [&str; 24] = [
    "connectivitycheck.gstatic.com",
    "detectportal.firefox.com",
    "example.com",
    "example.org",
    "example.net",
    "wikipedia.org",
    "www.wikipedia.org",
    "iana.org",
    "www.iana.org",
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
    "film.example",
];
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Provider and world.
pub struct Provider {
    /// The provider's router: `line0` goes to the home, `core0` to the world.
    pub isp: Space,
    /// What lies behind it.
    pub world: Space,
}

impl Provider {
    /// Builds both and starts their servers.
    pub fn build(prefix: &str, folder: &Path, binary: &Path) -> Result<Self> {
        let isp = Space::new(prefix, "isp", folder)?;
        let mut world = Space::new(prefix, "world", folder)?;
        cable((&isp, "core0"), (&world, "eth0"))?;
        isp.script("ip addr add 192.0.2.1/30 dev core0; sysctl -qw net.ipv4.ip_forward=1; for net in 203.0.113.0/24 1.1.1.1 8.8.8.8 9.9.9.9; do ip route add $net via 192.0.2.2; done")?;
        world.script(
            "ip addr add 192.0.2.2/30 dev eth0; ip route add default via 192.0.2.1
             for net in 203.0.113.0/24 1.1.1.1/32 8.8.8.8/32 9.9.9.9/32; do ip route add local $net dev lo; done",
        )?;
        world.write("/etc/names", &names())?;
        world.start(
            "names",
            world
                .command("dnsmasq")
                .args("--keep-in-foreground --no-resolv --no-hosts --addn-hosts=/etc/names --pid-file= --user=root --log-facility=-".split(' ')),
        )?;
        let lab = std::env::current_exe()?;
        let own = |space: &Space, words: &[&str]| {
            let mut command = space.command(&lab.display().to_string());
            command.arg("lab").args(words);
            command
        };
        world.start("web", &mut own(&world, &["web", "0.0.0.0:80"]))?;
        world.start("speed-relay", &mut own(&world, &["relay", "203.0.113.250:5000", "127.0.0.1:5000"]))?;
        let data = world.folder().join("data");
        let ready = world.folder().join("serving.json");
        let _ = std::fs::remove_dir_all(&data);
        let _ = std::fs::remove_file(&ready);
        world.start("speed-server", world.command(&binary.display().to_string()).arg("serve").arg("--data").arg(data).arg("--ready-file").arg(&ready))?;
        let mut provider = Self { isp, world };
        watch::until("the speed server", READY_WITHIN, || ready.exists().then_some(()))?;
        provider.resolver()?;
        Ok(provider)
    }

    /// Starts what the home's line needs: its rate, addresses, and the way back. `line0` must be there.
    pub fn open_line(&mut self) -> Result<()> {
        self.isp.script(&format!("ip addr add {GATEWAY}/24 dev line0; ip addr add {RESOLVER}/24 dev line0"))?;
        self.limit(PLAN_MBPS)?;
        let addresses = format!(
            "--keep-in-foreground --port=0 --interface=line0 --bind-dynamic --dhcp-range=198.51.100.60,198.51.100.69,255.255.255.0,12h \
             --dhcp-option=option:dns-server,{RESOLVER} --dhcp-authoritative --no-ping --pid-file= --user=root --log-facility=- --log-dhcp"
        );
        let mut command = self.isp.command("dnsmasq");
        command.args(addresses.split_whitespace());
        self.isp.start("addresses", &mut command)
    }

    /// Lets the line carry so much in each direction.
    pub fn limit(&self, mbps: u32) -> Result<()> {
        // Towards the home the provider shapes; from the home it shapes before its core, so that the home's own queue is untouched.
        let burst_kb = (mbps * 3).max(32);
        self.isp
            .script(&format!("for port in line0 core0; do tc qdisc replace dev $port root tbf rate {mbps}mbit burst {burst_kb}kb latency 25ms; done"))
            .map(drop)
    }

    /// The upload passes a modem with a deep queue, a little slower than the line: `line0` becomes its port towards the home, and the
    /// provider's addresses move behind it. The gateway keeps its hardware address, so that nobody at home notices.
    pub fn deepen_the_queue(&self) -> Result<()> {
        let rate = PLAN_MBPS - 5;
        self.isp
            .script(&format!(
                "mac=$(cat /sys/class/net/line0/address)
                 # The bridge must not answer for the address that lies behind it.
                 sysctl -qw net.ipv4.conf.all.arp_ignore=1
                 ip link add modem0 type veth peer name line1; ip link add modem type bridge
                 tc qdisc add dev modem0 root tbf rate {rate}mbit burst 64kb latency 300ms
                 ip addr flush dev line0; ip link set line0 down; ip link set line0 address 02:a1:b2:c3:d4:f0; ip link set line1 address $mac
                 ip link set line0 master modem; ip link set modem0 master modem
                 for port in line0 line1 modem0 modem; do ip link set $port up; done
                 ip addr add {GATEWAY}/24 dev line1; ip addr add {RESOLVER}/24 dev line1"
            ))
            .map(drop)
    }

    fn resolver(&mut self) -> Result<()> {
        let words = "--keep-in-foreground --no-resolv --no-hosts --server=1.1.1.1 --cache-size=0 --pid-file= --user=root --log-facility=-";
        let mut command = self.isp.command("dnsmasq");
        command.args(words.split(' '));
        self.isp.start("names", &mut command)
    }
}

/// Each name has an address of its own, as in the real world.
fn names() -> String {
    NAMES.iter().enumerate().map(|(at, name)| format!("203.0.113.{} {name}\n", 80 + at)).collect()
}
