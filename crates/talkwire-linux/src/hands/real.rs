//! The hands with the real programs: `tc` on a veth in a network namespace, `dnsmasq` judging its file, hostapd without a radio.
//!
//! They need root, iproute2, dnsmasq and hostapd; where one is missing the test says so and ends.

use super::Hands;
use super::dhcpdns::SetDhcpDns;
use super::hostapd::{ControlSockets, Hostapd, fields};
use super::qos::ApplyPolicy;
use super::recorded::args;
use crate::root::Root;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use talkwire_device::{Act, section_hash};

fn run(words: &[&str]) -> Option<String> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A namespace with one end of a veth, taken away at the end.
struct Namespace(String);

impl Namespace {
    fn new() -> Option<Self> {
        let name = format!("linact-test-{}", std::process::id());
        run(&["ip", "netns", "add", &name])?;
        let namespace = Self(name);
        namespace.run(&["ip", "link", "add", "wan", "type", "veth", "peer", "name", "far"])?;
        for end in ["wan", "far"] {
            namespace.run(&["ip", "link", "set", end, "up"])?;
        }
        Some(namespace)
    }

    fn run(&self, words: &[&str]) -> Option<String> {
        run(&[&["ip", "netns", "exec", &self.0], words].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(&["ip", "netns", "del", &self.0]);
    }
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_policy_runs_in_the_kernel_and_what_was_there_before_comes_back() {
    let Some(namespace) = Namespace::new() else { return eprintln!("not run: this needs root and `ip netns`") };
    let machine = tempfile::tempdir().unwrap();
    script(&machine.path().join("usr/sbin/tc"), &format!("exec ip netns exec {} tc \"$@\"", namespace.0));
    let mut settings = Settings::default();
    settings.surroundings.wan = Some("wan".into());
    let act = ApplyPolicy(Hands::new(&Root::new(machine.path()), &settings));
    let root_of = || {
        let list: Vec<Value> = serde_json::from_str(&namespace.run(&["tc", "-j", "qdisc", "show", "dev", "wan"]).unwrap()).unwrap();
        let root = list.into_iter().find(|entry| entry["root"] == true).unwrap();
        (root["kind"].as_str().unwrap().to_owned(), root["handle"].as_str().unwrap().to_owned())
    };
    let fair = args(json!({"policy_name": "fair", "cap_up_mbps": 36.5}));

    // From nothing, and back to nothing.
    let before = act.capture(&fair).await.unwrap();
    let applied = act.apply(&fair).await.unwrap();
    assert_eq!(root_of(), ("htb".into(), "7a10:".into()));
    assert_eq!((&applied.section["cap_up_mbps"], &applied.section["policy_name"]), (&json!(36.5), &json!("fair")));
    assert_eq!(act.capture(&fair).await.unwrap(), applied.section);
    let classes = namespace.run(&["tc", "class", "show", "dev", "wan"]).unwrap();
    assert!(classes.contains("rate 36500Kbit ceil 36500Kbit"), "{classes}");
    assert_eq!(section_hash(&act.restore(&before).await.unwrap()), section_hash(&before));
    assert_eq!(root_of().1, "0:");

    // From a policy of ours to another one, and back.
    act.apply(&fair).await.unwrap();
    let ours = act.capture(&fair).await.unwrap();
    let other = args(json!({"policy_name": "fair", "cap_up_mbps": 12}));
    assert_eq!(act.apply(&other).await.unwrap().section["cap_up_mbps"], 12.0);
    assert_eq!(section_hash(&act.restore(&ours).await.unwrap()), section_hash(&ours));
    act.apply(&args(json!({"policy_name": "off"}))).await.unwrap();
    assert_eq!(root_of().1, "0:");

    // From somebody else's bucket, and back to it.
    namespace.run(&["tc", "qdisc", "add", "dev", "wan", "root", "handle", "9:", "tbf", "rate", "5mbit", "burst", "32kb", "latency", "50ms"]).unwrap();
    let bucket = act.capture(&fair).await.unwrap();
    assert_eq!(bucket["ports"][0]["kind"], "tbf");
    act.apply(&args(json!({"policy_name": "off"}))).await.unwrap();
    assert_eq!(root_of(), ("tbf".into(), "9:".into()), "off leaves alone what is not ours");
    act.apply(&fair).await.unwrap();
    assert_eq!(root_of().0, "htb");
    assert_eq!(section_hash(&act.restore(&bucket).await.unwrap()), section_hash(&bucket));
    assert_eq!(root_of(), ("tbf".into(), "9:".into()));
    // Asked again, it has nothing to do.
    assert_eq!(act.restore(&bucket).await.unwrap(), bucket);
}

#[tokio::test]
async fn dnsmasq_itself_judges_the_file() {
    let Some(dnsmasq) = ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"].into_iter().find(|path| Path::new(path).exists()) else {
        return eprintln!("not run: this needs dnsmasq");
    };
    let machine = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(machine.path().join("usr/sbin")).unwrap();
    std::fs::create_dir_all(machine.path().join("etc/dnsmasq.d")).unwrap();
    symlink(dnsmasq, machine.path().join("usr/sbin/dnsmasq")).unwrap();
    let reloads = machine.path().join("reloads");
    script(&machine.path().join("bin/reload"), &format!("echo again >> {}", reloads.display()));
    let mut settings = Settings::default();
    settings.dhcpdns.reload = vec!["/bin/reload".into()];
    let act = SetDhcpDns(Hands::new(&Root::new(machine.path()), &settings));
    assert!(act.support().supported);
    let call = args(json!({"dns_servers": ["9.9.9.9"], "dhcp_range": "192.168.1.20-192.168.1.250", "lease_s": 3600}));
    let before = act.capture(&call).await.unwrap();
    act.apply(&call).await.unwrap();
    assert_eq!(std::fs::read_to_string(&reloads).unwrap(), "again\n");

    std::fs::write(machine.path().join("etc/dnsmasq.d/talkwire.conf"), "dhcp-range=nonsense,192.168.1.2,192.168.1.9,,,\n").unwrap();
    let error = act.apply(&args(json!({"lease_s": 600}))).await.unwrap_err();
    assert!(error.message.contains("dnsmasq failed"), "{error}");
    assert_eq!(act.restore(&before).await.unwrap(), before);
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_control_interface_of_hostapd_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = folder.path().join("ctrl");
    let config = folder.path().join("hostapd.conf");
    // Without a driver there is no radio, but everything else answers.
    std::fs::write(&config, format!("driver=none\ninterface=lo\nssid=none\nctrl_interface={}\n", sockets.display())).unwrap();
    let Ok(child) = Command::new("hostapd").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return eprintln!("not run: this needs hostapd");
    };
    let _daemon = Daemon(child);
    let hostapd = ControlSockets(sockets);
    let up = async {
        while hostapd.interfaces().is_empty() || hostapd.ask("lo", "PING").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), up).await.is_err() {
        return eprintln!("not run: hostapd does not start here (it needs root)");
    }
    assert_eq!(hostapd.ask("lo", "PING").await.unwrap(), "PONG");
    let status = hostapd.ask("lo", "STATUS").await.unwrap();
    assert_eq!((fields(&status)["state"], fields(&status)["ssid[0]"]), ("ENABLED", "none"));
    assert_eq!(hostapd.ask("lo", "STA 02:00:00:00:a0:01").await.unwrap(), "FAIL");
    assert!(hostapd.ask("lo", "CHAN_SWITCH 5 2412").await.unwrap().starts_with("FAIL"));
}
