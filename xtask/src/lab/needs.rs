//! What a machine must have for the lab, and what to say where it does not.

use crate::process;
use std::process::{Command, Stdio};

/// Programs and the Debian package that brings each.
const PROGRAMS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("dnsmasq", "dnsmasq-base"),
    ("udhcpc", "udhcpc"),
    ("busybox", "busybox"),
];

/// Why the lab cannot run here, and what would let it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// A sentence.
    pub why: String,
    /// Only programs are missing. CI installs them, so there it is a failure; another kernel or container it cannot get.
    pub can_be_installed: bool,
}

/// What is missing. Nothing: the lab can run.
pub fn missing() -> Option<Missing> {
    let never = |why: String| Some(Missing { why, can_be_installed: false });
    if !cfg!(target_os = "linux") {
        return never("it builds its network from the network namespaces of Linux; run it on Linux, as root".into());
    }
    if process::says("id", "-u").as_deref() != Some("0") {
        return never("it builds a network in network namespaces, which needs root; run it as root (`sudo -E cargo xtask lab`)".into());
    }
    let absent: Vec<_> = PROGRAMS.iter().filter(|(program, _)| process::find(program).is_none()).collect();
    if !absent.is_empty() {
        let names: Vec<_> = absent.iter().map(|(program, _)| *program).collect();
        let mut packages: Vec<_> = absent.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        let why = format!("{} missing; install it (`apt install {}`)", names.join(", "), packages.join(" "));
        return Some(Missing { why, can_be_installed: true });
    }
    kernel().err().and_then(never)
}

/// Makes and removes one of everything, since containers often forbid it and some kernels lack it.
fn kernel() -> Result<(), String> {
    let script = "set -e
        ip netns add $0; trap 'ip netns del $0' EXIT
        ip -n $0 link add name port0 type veth peer name port1; ip -n $0 link add name br0 type bridge; ip -n $0 link set port0 up
        tc -n $0 qdisc add dev port0 root tbf rate 10mbit burst 32kb latency 30ms
        ip netns exec $0 nft add table ip t";
    let name = format!("twlab-{}-try", std::process::id());
    let output = Command::new("sh").args(["-c", script, &name]).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "this kernel or container does not allow network namespaces with veth, bridge, tbf and nft ({}); run it on a machine or in a container with CAP_NET_ADMIN and CAP_SYS_ADMIN",
        said.lines().next().unwrap_or("no reason given")
    ))
}
