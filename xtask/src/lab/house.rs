//! Inside the home: three clients with addresses from the router, and the machine on which the server runs.

use super::router;
use super::space::Space;
use super::watch;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Names of the clients.
pub const CLIENTS: [&str; 3] = ["kitchen-pc", "study-laptop", "living-tv"];
/// Where the server is reached from the home.
const SERVER: &str = "192.168.77.2";
const ADDRESS_WITHIN: Duration = Duration::from_secs(25);
const ONLINE_WITHIN: Duration = Duration::from_secs(40);
/// A diagnosis with three speed tests, and room to spare.
const ANSWER_WITHIN: Duration = Duration::from_secs(330);

/// What the DHCP client of a computer does with what it hears.
const LEASE: &str = "#!/bin/sh
case \"$1\" in
bound|renew)
  ip addr flush dev \"$interface\"
  ip addr add \"$ip/${mask:-24}\" dev \"$interface\"
  [ -z \"$router\" ] || ip route replace default via \"$router\" dev \"$interface\"
  for server in $dns; do echo \"nameserver $server\"; done > /etc/resolv.conf ;;
deconfig) ip addr flush dev \"$interface\" ;;
esac
";

/// Lets a client ask for an address on `eth0`, and go on asking.
pub fn ask_for_address(client: &mut Space, name: &str) -> Result<()> {
    client.write("/etc/udhcpc-lease", LEASE)?;
    client.script("chmod +x /etc/udhcpc-lease")?;
    client.start("dhcp", client.command("udhcpc").args("-i eth0 -f -s /etc/udhcpc-lease -t 8 -T 1 -A 2 -x".split(' ')).arg(format!("hostname:{name}")))
}

/// Waits until a client has an address; which.
pub fn address_of(client: &Space) -> Result<String> {
    let what = format!("an address for {} (see {})", client.name(), client.folder().join("dhcp.log").display());
    watch::until(&what, ADDRESS_WITHIN, || {
        let said = client.run(&["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).ok()?;
        said.split_whitespace().skip_while(|word| *word != "inet").nth(1).and_then(|net| net.split('/').next()).map(str::to_owned)
    })
}

/// Starts the server and the proxy in front of it.
pub fn serve(server: &mut Space, binary: &Path) -> Result<()> {
    server.script(&format!("ip addr add {SERVER}/24 dev eth0; ip route add default via {}", router::ADDRESS))?;
    let (data, ready) = (server.folder().join("data"), server.folder().join("serving.json"));
    let _ = std::fs::remove_dir_all(&data);
    let _ = std::fs::remove_file(&ready);
    let mut command = server.command(&binary.display().to_string());
    command.arg("serve").arg("--data").arg(&data).arg("--ready-file").arg(&ready);
    server.start("talkwire-serve", &mut command)?;
    let mut relay = server.command(&std::env::current_exe()?.display().to_string());
    relay.args(["lab", "relay", &format!("{SERVER}:1883"), "127.0.0.1:1883"]);
    server.start("relay", &mut relay)?;
    watch::until("the server", ONLINE_WITHIN, || ready.exists().then_some(()))
}

/// The broker's address, as devices at home see it.
pub fn broker() -> String {
    format!("mqtt://{SERVER}:1883")
}

/// Waits until the server knows the router and its tools.
pub fn wait_for_router(server: &Space, binary: &Path) -> Result<()> {
    watch::until("the router in the list of devices", ONLINE_WITHIN, || {
        let said = client(server, binary, &["devices", &format!("lab/home/{}", router::DEVICE_ID)]).ok()?;
        let device: Value = serde_json::from_str(&said).ok()?;
        is_ready(&device).then_some(())
    })
}

fn is_ready(device: &Value) -> bool {
    let tools = &device["tools"];
    let has_tools = tools.as_object().is_some_and(|tools| !tools.is_empty()) || tools.as_array().is_some_and(|tools| !tools.is_empty());
    device["online"] == true && has_tools
}

/// Types a complaint and waits for the verdict: the session as the server tells it.
pub fn complain(server: &Space, binary: &Path, text: &str) -> Result<Value> {
    let path = server.folder().join("answer.json");
    let answer = std::fs::File::create(&path)?;
    let mut command = talkwire(server, binary, &["ask", text]);
    let mut asking = command.stdout(answer).stderr(Stdio::inherit()).spawn().context("cannot start talkwire ask")?;
    let began = Instant::now();
    let status = loop {
        match asking.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > ANSWER_WITHIN => {
                let _ = asking.kill();
                let _ = asking.wait();
                bail!("there was no verdict on {text:?} within {} s", ANSWER_WITHIN.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let said = std::fs::read_to_string(&path)?;
    serde_json::from_str(&said).with_context(|| format!("talkwire ask ended with {status} and said {said:?}"))
}

fn client(server: &Space, binary: &Path, words: &[&str]) -> Result<String> {
    let output = talkwire(server, binary, words).output().context("cannot start talkwire")?;
    if !output.status.success() {
        bail!("talkwire {} failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn talkwire(server: &Space, binary: &Path, words: &[&str]) -> std::process::Command {
    let mut command = server.command(&binary.display().to_string());
    command.args(words).args(["--json", "--server", "http://127.0.0.1:5000", "--data"]).arg(server.folder().join("data"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_router_is_ready_when_it_is_online_and_has_said_what_it_can() {
        assert!(is_ready(&json!({"online": true, "tools": {"device.status": {"supported": true}}})));
        assert!(!is_ready(&json!({"online": true, "tools": {}})) && !is_ready(&json!({"online": false, "tools": {"a.b": {}}})));
    }
}
