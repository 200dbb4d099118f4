//! The home's router, a Linux machine as an installer would leave it: uplink by DHCP, dnsmasq for addresses and names, NAT, and
//! `talkwire device`. Nothing on it knows that it is in a lab.

use super::provider::{PLAN_MBPS, SPEED_SERVER};
use super::space::Space;
use super::watch;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Its address at home.
pub const ADDRESS: &str = "192.168.77.1";
/// How many addresses it can hand out.
pub const POOL: usize = 10;
/// Its id: the address of its uplink port.
pub const DEVICE_ID: &str = "02a1b2c3d4e5";

const ADDRESS_WITHIN: Duration = Duration::from_secs(20);

const DNSMASQ: &str = "interface=br-lan
except-interface=lo
bind-dynamic
listen-address=127.0.0.1
dhcp-range=192.168.77.100,192.168.77.109,255.255.255.0,12h
dhcp-authoritative
resolv-file=/run/dnsmasq-resolv.conf
conf-dir=/etc/dnsmasq.d/,*.conf
user=root
";
const NFT: &str = "table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname \"br-lan\" accept
  }
}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname \"eth0\" masquerade
  }
}
";
/// What the DHCP client of the uplink does with what it hears.
const UPLINK: &str = "#!/bin/sh
case \"$1\" in
bound|renew)
  logger -t udhcpc -p daemon.info \"$interface: $1, address $ip from $serverid for $lease s, router $router\"
  ip addr replace \"$ip/${mask:-24}\" dev \"$interface\" valid_lft \"$lease\" preferred_lft \"$lease\"
  [ -z \"$router\" ] || ip route replace default via \"$router\" dev \"$interface\"
  : > /run/dnsmasq-resolv.conf
  for server in $dns; do echo \"nameserver $server\" >> /run/dnsmasq-resolv.conf; done ;;
deconfig)
  logger -t udhcpc -p daemon.notice \"$interface: no address\"
  ip addr flush dev \"$interface\" ;;
leasefail) logger -t udhcpc -p daemon.warn \"$interface: nobody offers an address\" ;;
esac
";

/// Sets up ports, addresses, NAT and dnsmasq, then takes an address for the uplink `eth0`. `eth0` and the LAN ports must be there.
pub fn configure(router: &mut Space, lan_ports: &[String]) -> Result<()> {
    router.script(&format!(
        "ip link set eth0 down; ip link set eth0 address 02:a1:b2:c3:d4:e5; ip link set eth0 up
         ip link add br-lan address 02:a1:b2:c3:d4:e6 type bridge; ip link set br-lan up; ip addr add {ADDRESS}/24 dev br-lan
         for port in {}; do ip link set $port master br-lan; done
         sysctl -qw net.ipv4.ip_forward=1; sysctl -qw net.netfilter.nf_conntrack_acct=1 || true",
        lan_ports.join(" ")
    ))?;
    // The log of the system, as of any small machine without systemd.
    router.start("syslog", router.command("busybox").args("syslogd -n -O /var/log/messages".split(' ')))?;
    watch::until("the router's system log", ADDRESS_WITHIN, || router.script("[ -S /dev/log ]").ok())?;
    router.write("/etc/nftables.conf", NFT)?;
    router.run(&["nft", "-f", "/etc/nftables.conf"])?;
    router.write("/etc/dnsmasq.conf", DNSMASQ)?;
    router.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")?;
    router.script(": > /run/dnsmasq-resolv.conf")?;
    router.write("/etc/udhcpc-uplink", UPLINK)?;
    router.script("chmod +x /etc/udhcpc-uplink")?;
    router.start("uplink", router.command("udhcpc").args("-i eth0 -f -s /etc/udhcpc-uplink -t 5 -T 1 -A 2".split(' ')))?;
    watch::until("the router's address from the provider", ADDRESS_WITHIN, || {
        router.script("ip route show default | grep -q via && ip -4 addr show eth0 | grep -q inet").ok()
    })?;
    router.start("dnsmasq", router.command("dnsmasq").arg("--keep-in-foreground"))?;
    watch::until("the router's name server", ADDRESS_WITHIN, || router.script("ss -lun | grep -q ':53 '").ok())?;
    Ok(())
}

/// Starts `talkwire device` as the router's owner would.
pub fn join(router: &mut Space, binary: &Path, broker: &str) -> Result<()> {
    let data = router.folder().join("data");
    let _ = std::fs::remove_dir_all(&data);
    let config = format!(
        "[broker]
url = \"{broker}\"

[device]
tenant = \"lab\"
site = \"home\"
device_id = \"{DEVICE_ID}\"
device_type = \"router\"
name = \"router\"
data = {data:?}

[surroundings]
speed_server = \"{SPEED_SERVER}\"
plan_down_mbps = {PLAN_MBPS}
plan_up_mbps = {PLAN_MBPS}
"
    );
    router.write("/etc/talkwire-device.toml", &config)?;
    let mut command = router.command(&binary.display().to_string());
    command.args(["device", "--config", "/etc/talkwire-device.toml"]);
    router.start("talkwire-device", &mut command)
}
