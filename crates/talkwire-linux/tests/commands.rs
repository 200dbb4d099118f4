//! Commands of the configuration on a running device, against a real broker: what hangs, floods or talks nonsense is answered, and the device stays up.

mod bench;

use bench::Machine;
use bench::desk::{Desk, device};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn script(machine: &Machine, name: &str, text: &str) -> String {
    let path = machine.0.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("/{name}")
}

#[tokio::test]
async fn commands_that_misbehave_are_answered_and_the_device_stays_up() {
    let mut desk = Desk::open().await;

    let machine = Machine::router();
    let data = tempfile::tempdir().unwrap();
    let state = machine.0.path().join("speed");
    std::fs::write(&state, "40").unwrap();
    let shown = state.display();
    let (hang, flood, babble) =
        (script(&machine, "hang", "exec sleep 600"), script(&machine, "flood", "exec cat /dev/zero"), script(&machine, "babble", "echo oh no"));
    let capture = script(&machine, "capture", &format!("printf '{{\"percent\": %s}}' \"$(cat {shown})\""));
    let set = script(&machine, "set", &format!("printf '%s' \"$1\" > {shown}"));
    let restore = script(&machine, "restore", &format!("sed 's/.*\"percent\":\\([0-9]*\\)}}.*/\\1/' | tr -d '\\n' > {shown}"));
    let exec = format!(
        "[exec.'fan.hang']\nclass = 'read'\nrun = ['{hang}']\ntimeout_s = 0.3\n\
         [exec.'fan.flood']\nclass = 'test'\nrun = ['{flood}']\n\
         [exec.'fan.babble']\nclass = 'read'\nrun = ['{babble}']\n\
         [exec.'fan.gone']\nclass = 'read'\nrun = ['/nowhere/fan']\n\
         [exec.'clients.list']\nclass = 'read'\nresult = 'lines'\nrun = ['{babble}']\n\
         [exec.'fan.set_speed']\nclass = 'act'\nrun = ['{set}', '{{percent}}']\ncapture = ['{capture}']\nrestore = ['{restore}']\n\
         args.percent = {{ type = 'integer', min = 0, max = 100, required = true }}\n"
    );
    let running = device(&machine.root(), &exec, desk.port(), data.path()).await;
    let tools = desk.hear("/attr", |_| true).await["capabilities"]["tools"].clone();
    assert_eq!((&tools["fan.gone"]["supported"], &tools["fan.gone"]["reason"]), (&json!(false), &json!("program_missing")));
    assert_eq!((&tools["fan.set_speed"]["rollback_supported"], &tools["fan.hang"]["supported"]), (&json!(true), &json!(true)));

    for (op, code) in [("fan.hang", "E_TIMEOUT"), ("fan.flood", "E_TOO_LARGE"), ("fan.babble", "E_DEVICE"), ("fan.gone", "E_LLM_TOOL_NOT_AVAILABLE")] {
        assert_eq!(desk.ask(op, op, json!({})).await["error"]["code"], code, "{op}");
    }
    assert_eq!(desk.ask("own", "clients.list", json!({})).await["result"]["lines"], json!(["oh no"]), "the vendor's command stands in for ours");
    let bare = desk.ask("bare", "fan.set_speed", json!({"percent": 70})).await;
    assert_eq!(bare["error"]["code"], "E_ACT_NEEDS_CHANGESET");
    let hostile = desk.ask("hostile", "fan.set_speed", json!({"percent": "70; reboot", "changeset_id": "cs-1"})).await;
    assert_eq!(hostile["error"]["code"], "E_INVALID_ARGS");

    let applied = desk.ask("set", "fan.set_speed", json!({"percent": 70, "changeset_id": "cs-2"})).await;
    assert_eq!((&applied["result"]["applied"]["running"]["percent"], std::fs::read_to_string(&state).unwrap().as_str()), (&json!(70), "70"));
    let back = desk.ask("back", "changeset.rollback", json!({"changeset_id": "cs-2"})).await;
    assert_eq!((&back["result"]["restored_hash"], std::fs::read_to_string(&state).unwrap().as_str()), (&applied["result"]["previous_hash"], "40"));
    assert_eq!(desk.ask("status", "device.status", json!({})).await["status"], "completed");

    running.shutdown().await;
    desk.close().await;
}
