//! What the machine lacks now: programs come and go while the device runs, and it says so.

mod bench;

use bench::Machine;
use bench::desk::{Desk, device_with};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use talkwire_device::DeviceConfig;

fn change_of(update: &Value, op: &str) -> Option<(Value, Value)> {
    let change = update["capability_update"]["changes"].as_array()?.iter().find(|change| change["tool"] == op)?;
    Some((change["new_value"].clone(), change["reason"].clone()))
}

async fn says(desk: &mut Desk, op: &str, supported: bool, reason: Value) {
    let wanted = Some((json!(supported), reason.clone()));
    desk.hear("/capability/update", |update| change_of(update, op) == wanted).await;
    desk.hear("/attr", |attr| {
        let tool = &attr["capabilities"]["tools"][op];
        (&tool["supported"], &tool["reason"]) == (&json!(supported), &reason)
    })
    .await;
}

#[tokio::test]
async fn programs_and_daemons_that_come_and_go_are_noticed() {
    let mut desk = Desk::open().await;
    let machine = Machine::router();
    let data = tempfile::tempdir().unwrap();
    machine.program("fan", "echo '{}'");
    let settings = "[wifi]\nhostapd = '/run/hostapd'\n[exec.'fan.read']\nclass = 'read'\nrun = ['/usr/bin/fan']\n";
    let often = |config| DeviceConfig { support_period: Some(Duration::from_millis(100)), ..config };
    let running = device_with(&machine.root(), settings, desk.port(), data.path(), often).await;
    let tools = desk.hear("/attr", |_| true).await["capabilities"]["tools"].clone();
    assert_eq!((&tools["qos.apply_policy"]["reason"], &tools["qos.get_status"]["reason"]), (&json!("no_tc"), &json!("no_tc")));
    assert_eq!((&tools["wifi.set_channel"]["reason"], &tools["fan.read"]["supported"]), (&json!("no_hostapd"), &json!(true)));

    machine.program("tc", "echo '[]'");
    says(&mut desk, "qos.get_status", true, Value::Null).await;
    says(&mut desk, "qos.apply_policy", true, Value::Null).await;
    assert_eq!(desk.ask("now", "qos.get_status", json!({})).await["result"]["enabled"], false);

    machine.write("run/hostapd/note", "");
    let hostapd = UnixDatagram::bind(machine.0.path().join("run/hostapd/wlan0")).unwrap();
    says(&mut desk, "wifi.set_channel", true, Value::Null).await;
    // The socket stays behind, as when the daemon was killed.
    drop(hostapd);
    says(&mut desk, "wifi.set_channel", false, json!("no_hostapd")).await;

    machine.remove("usr/bin/tc");
    says(&mut desk, "qos.apply_policy", false, json!("no_tc")).await;
    // Root may run whatever anybody may; this nobody may.
    let fan = machine.0.path().join("usr/bin/fan");
    std::fs::set_permissions(&fan, std::fs::Permissions::from_mode(0o600)).unwrap();
    says(&mut desk, "fan.read", false, json!("program_refused")).await;
    machine.remove("usr/bin/fan");
    says(&mut desk, "fan.read", false, json!("program_missing")).await;
    running.shutdown().await;
    desk.close().await;
}

#[tokio::test]
async fn a_call_finds_out_at_once() {
    let mut desk = Desk::open().await;
    let machine = Machine::router();
    let data = tempfile::tempdir().unwrap();
    machine.program("fan", "echo '{}'");
    let settings = "[exec.'fan.read']\nclass = 'read'\nrun = ['/usr/bin/fan']\n";
    let seldom = |config| DeviceConfig { support_period: Some(Duration::from_secs(3600)), ..config };
    let running = device_with(&machine.root(), settings, desk.port(), data.path(), seldom).await;
    assert_eq!(desk.hear("/attr", |_| true).await["capabilities"]["tools"]["fan.read"]["supported"], true);
    machine.remove("usr/bin/fan");
    let gone = desk.ask("gone", "fan.read", json!({})).await;
    assert_eq!((&gone["error"]["code"], &gone["error"]["details"]["reason"]), (&json!("E_LLM_TOOL_NOT_AVAILABLE"), &json!("program_missing")));
    says(&mut desk, "fan.read", false, json!("program_missing")).await;
    machine.program("fan", "echo '{\"speed\": 7}'");
    assert_eq!(desk.ask("back", "fan.read", json!({})).await["result"]["speed"], 7, "nobody has to wait for the next look");
    says(&mut desk, "fan.read", true, Value::Null).await;
    running.shutdown().await;
    desk.close().await;
}
