//! How each case breaks the network: as it breaks in a home, with nothing told to the router or to the server.

use super::network::Network;
use super::provider::{GATEWAY, WEB};
use super::space::Space;
use super::{house, router, watch};
use anyhow::{Result, ensure};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);

/// Nothing is broken.
pub fn nothing(_: &mut Network) -> Result<()> {
    Ok(())
}

/// The provider's end of the cable is pulled.
pub fn pull_the_line(network: &mut Network) -> Result<()> {
    network.provider.isp.run(&["ip", "link", "set", "line0", "down"])?;
    let router = &network.router;
    watch::until("the loss of the link", SOON, || router.script("[ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]").ok()).map(drop)
}

/// The provider's name server dies.
pub fn kill_the_resolver(network: &mut Network) -> Result<()> {
    network.provider.isp.stop("names")
}

/// Beyond the provider's first router everything disappears.
pub fn blackhole(network: &mut Network) -> Result<()> {
    network.provider.isp.script(
        "for net in 203.0.113.0/24 1.1.1.1 8.8.8.8 9.9.9.9; do ip route replace blackhole $net; done
         ip route replace blackhole default",
    )?;
    // The provider itself still answers.
    network.router.run(&["busybox", "ping", "-c", "1", "-W", "2", GATEWAY]).map(drop)
}

/// An old router is plugged in by a LAN port and hands out addresses of its own; a new tablet falls for it.
pub fn second_server(network: &mut Network) -> Result<()> {
    let old = network.plug_in("old-router")?;
    old.script("ip addr add 192.168.0.1/24 dev eth0")?;
    let words = "--keep-in-foreground --port=0 --interface=eth0 --bind-dynamic --dhcp-range=192.168.0.100,192.168.0.150,255.255.255.0,12h --dhcp-authoritative --no-ping --pid-file= --user=root --log-facility=-";
    let mut command = old.command("dnsmasq");
    command.args(words.split(' '));
    old.start("addresses", &mut command)?;
    watch::until("the second address server", SOON, || old.script("ss -lun | grep -q ':67 '").ok())?;
    // The router first looks whether an address is free before it offers it to somebody new; the old one does not, and wins.
    let tablet = network.plug_in("new-tablet")?;
    house::ask_for_address(tablet, "new-tablet")?;
    let address = house::address_of(tablet)?;
    ensure!(address.starts_with("192.168.0."), "the new tablet did not fall for the old router: it has {address}");
    Ok(())
}

/// Visitors' devices take every address that is left, and one more finds none.
pub fn use_up_the_pool(network: &mut Network) -> Result<()> {
    let left = router::POOL - network.clients.len();
    let visitors = network.plug_in("visitors")?;
    visitors.write("/etc/take", "#!/bin/sh\n[ \"$1\" != bound ] || ip addr add \"$ip/24\" dev \"$interface\"\n")?;
    visitors.script("chmod +x /etc/take; ip link add br0 type bridge; ip link set br0 up; ip link set eth0 master br0")?;
    for at in 0..left {
        visitors.script(&format!("ip link add g{at} type veth peer name p{at}; ip link set p{at} master br0 up; ip link set g{at} up"))?;
        let mut command = visitors.command("udhcpc");
        command.args(["-i", &format!("g{at}"), "-f", "-s", "/etc/take", "-t", "8", "-T", "1", "-A", "2", "-x", &format!("hostname:phone-{at}")]);
        visitors.start(&format!("dhcp-{at}"), &mut command)?;
    }
    watch::until("an address for every visitor", Duration::from_secs(40), || {
        let said = visitors.run(&["ip", "-4", "-o", "addr"]).ok()?;
        (said.lines().filter(|line| line.contains(" g")).count() == left).then_some(())
    })?;
    let late = network.plug_in("late-phone")?;
    house::ask_for_address(late, "late-phone")?;
    let log = late.folder().join("dhcp.log");
    watch::until("three vain requests for an address", SOON, || {
        let said = std::fs::read_to_string(&log).ok()?;
        (said.matches("discover").count() >= 3).then_some(())
    })
}

/// The provider lets through a tenth.
pub fn throttle(network: &mut Network) -> Result<()> {
    network.provider.limit(10)
}

/// One client downloads with many connections at once, as fast as the line allows.
pub fn flood(network: &mut Network) -> Result<()> {
    let client = &mut network.clients[1];
    for at in 0..8 {
        let mut command = client.command("busybox");
        command.args(["wget", "-q", "-O", "/dev/null", &format!("http://{WEB}/film")]);
        client.start(&format!("download-{at}"), &mut command)?;
    }
    watch::until("a full line", SOON, || {
        let before = counted(client, "rx_bytes")?;
        std::thread::sleep(Duration::from_secs(1));
        (counted(client, "rx_bytes")? - before > 60_000_000 / 8).then_some(())
    })
}

/// The router forgets where to send what is not for the home; a wrong command or a tunnel that ends does that.
pub fn lose_the_route(network: &mut Network) -> Result<()> {
    network.router.run(&["ip", "route", "del", "default"]).map(drop)
}

/// One client uploads with many connections at once, and the modem lets 0.3 s of packets queue up instead of dropping some.
pub fn upload(network: &mut Network) -> Result<()> {
    network.provider.deepen_the_queue()?;
    let client = &mut network.clients[0];
    for at in 0..16 {
        let mut command = client.command("sh");
        command.args(["-c", &format!("{{ printf 'POST /backup HTTP/1.1\\r\\nHost: {WEB}\\r\\n\\r\\n'; cat /dev/zero; }} | busybox nc {WEB} 80")]);
        client.start(&format!("upload-{at}"), &mut command)?;
    }
    watch::until("a full line", SOON, || {
        let before = counted(client, "tx_bytes")?;
        std::thread::sleep(Duration::from_secs(1));
        (counted(client, "tx_bytes")? - before > 60_000_000 / 8).then_some(())
    })
}

fn counted(client: &Space, counter: &str) -> Option<u64> {
    client.run(&["cat", &format!("/sys/class/net/eth0/statistics/{counter}")]).ok()?.trim().parse().ok()
}
