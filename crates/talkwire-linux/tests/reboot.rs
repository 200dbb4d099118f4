//! A reboot with the real `tc`: what was confirmed runs again, what nobody confirmed does not. The device is a process that is killed.
//!
//! Needs root, `ip` and `tc`.

mod bench;
mod home;

use bench::Machine;
use bench::desk::{Desk, device};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use talkwire_device::section_hash;
use talkwire_linux::Root;

/// Where [`the_device`] finds its machine, its data and the broker.
const AT: &str = "TALKWIRE_REBOOT_DEVICE";
const TC: [&str; 3] = ["/usr/sbin/tc", "/sbin/tc", "/usr/bin/tc"];

/// The device as a process of its own; no test.
#[tokio::test]
async fn the_device() {
    let Ok(at) = std::env::var(AT) else { return };
    let at: Value = serde_json::from_str(&at).unwrap();
    let (machine, data, port) = (at["machine"].as_str().unwrap(), at["data"].as_str().unwrap(), at["port"].as_u64().unwrap());
    let _running = device(&Root::new(machine), "", u16::try_from(port).unwrap(), Path::new(data)).await;
    std::future::pending::<()>().await;
}

fn run(words: &[&str]) -> Result<String, String> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", words[0]))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// A namespace with the port `wan`, and a machine whose `tc` works there.
struct Place {
    space: String,
    machine: Machine,
    data: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn build(port: u16) -> Result<Self, String> {
        let tc = TC.into_iter().find(|path| Path::new(path).exists()).ok_or("tc is not installed (apt install iproute2)")?;
        let space = format!("linux-reboot-{}", std::process::id());
        run(&["ip", "netns", "add", &space]).map_err(|error| format!("network namespaces cannot be made (root is needed): {error}"))?;
        let place = Self { space, machine: Machine::router(), data: tempfile::tempdir().unwrap(), port };
        place.inside("ip link add wan type veth peer name far; ip link set wan up; ip link set far up").unwrap();
        place.machine.program("tc", &format!("exec ip netns exec {} {tc} \"$@\"", place.space));
        place.boot("first");
        Ok(place)
    }

    fn inside(&self, line: &str) -> Result<String, String> {
        run(&["ip", "netns", "exec", &self.space, "sh", "-ec", line])
    }

    /// Names the boot, with the queues as a kernel has them that just started.
    fn boot(&self, name: &str) {
        let _ = self.inside("tc qdisc del dev wan root");
        self.machine.write("proc/sys/kernel/random/boot_id", &format!("{name}\n"));
    }

    fn shaped(&self) -> Option<String> {
        let classes = self.inside("tc class show dev wan").unwrap();
        classes.split_whitespace().skip_while(|word| *word != "rate").nth(1).map(str::to_owned)
    }

    /// Starts the device and waits until it takes commands.
    async fn start(&self, desk: &mut Desk) -> Process {
        let at = json!({"machine": self.machine.0.path(), "data": self.data.path(), "port": self.port}).to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_device", "--nocapture"]).env(AT, at).stdin(Stdio::null()).stdout(Stdio::null());
        let process = Process(command.spawn().unwrap());
        desk.hear("/lwt", |lwt| lwt["status"] == "online").await;
        desk.hear("/attr", |_| true).await;
        process
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = run(&["ip", "netns", "del", &self.space]);
    }
}

struct Process(Child);

impl Process {
    /// As `kill -9` does.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_confirmed_policy_survives_the_boot_and_a_pending_one_does_not() {
    let mut desk = Desk::open().await;
    let place = match Place::build(desk.port()) {
        Ok(place) => place,
        Err(why) => return home::skip("a_confirmed_policy_survives_the_boot_and_a_pending_one_does_not", &why),
    };
    let policy =
        |mbps: f64, set: &str| json!({"policy_name": "fair", "cap_up_mbps": mbps, "interfaces": ["wan"], "changeset_id": set, "controller_loss_timeout": 600});

    let process = place.start(&mut desk).await;
    let applied = desk.ask("one", "qos.apply_policy", policy(36.0, "confirmed")).await["result"].clone();
    let committed = desk.ask("two", "changeset.commit", json!({"changeset_id": "confirmed"})).await["result"].clone();
    assert_eq!((&committed["config_hash"], place.shaped().as_deref()), (&applied["config_hash"], Some("36Mbit")));
    assert_eq!(desk.ask("three", "qos.apply_policy", policy(12.0, "pending")).await["status"], "completed");
    assert_eq!(place.shaped().as_deref(), Some("12Mbit"));
    process.kill();

    place.boot("second");
    assert_eq!(place.shaped(), None);
    let process = place.start(&mut desk).await;
    assert_eq!(desk.hear("/evt/changeset.rolled_back", |_| true).await["data"]["changeset_id"], "pending");
    let event = desk.hear("/evt/config.put_back", |_| true).await;
    assert_eq!((&event["data"]["config_hash"], place.shaped().as_deref()), (&committed["config_hash"], Some("36Mbit")));
    // What runs is what was confirmed, by the hash of what is read back now.
    let prepared =
        desk.ask("four", "changeset.prepare", json!({"changeset_id": "look", "operations": [{"op": "qos.apply_policy", "args": policy(9.0, "look")}]})).await;
    assert_eq!(prepared["result"]["operations"][0]["previous_hash"], committed["config_hash"]);
    assert_eq!(section_hash(&prepared["result"]["operations"][0]["previous"]), committed["config_hash"].as_str().unwrap());
    process.kill();

    // Killed and started within one boot, it does not overrule who changed it by hand.
    place.inside("tc qdisc del dev wan root").unwrap();
    let process = place.start(&mut desk).await;
    assert_eq!(desk.ask("five", "changeset.status", json!({"changeset_id": "confirmed"})).await["result"]["state"], "committed");
    assert_eq!(place.shaped(), None);
    process.kill();

    // A queue that somebody's own script set up since the boot is left alone.
    place.boot("third");
    place.inside("tc qdisc add dev wan root handle 9: tbf rate 5mbit burst 32kb latency 50ms").unwrap();
    let process = place.start(&mut desk).await;
    assert_eq!(desk.ask("six", "changeset.status", json!({"changeset_id": "confirmed"})).await["result"]["state"], "committed");
    assert!(place.inside("tc qdisc show dev wan").unwrap().contains("tbf 9:"), "it is still theirs");
    process.kill();
    drop(place);
    desk.close().await;
}
