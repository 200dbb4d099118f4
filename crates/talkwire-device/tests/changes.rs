//! Changes against a real broker: what is not confirmed comes back, also after a killed process.

mod bench;

use bench::{Controller, Exchange, KEY, Lamp, lamp_device};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::Duration;
use talkwire_device::{DeviceConfig, Running, section_hash};

struct Bench {
    exchange: Exchange,
    data: tempfile::TempDir,
    controller: Controller,
    lamp: Lamp,
    device: Option<Running>,
}

async fn bench() -> Bench {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let controller = exchange.controller(KEY).await;
    let mut bench = Bench { exchange, data, controller, lamp: Lamp::default(), device: None };
    bench.restart().await;
    bench
}

impl Bench {
    async fn restart(&mut self) {
        drop(self.device.take());
        let device = lamp_device(self.exchange.device(self.data.path()), &self.lamp).start().await.unwrap();
        device.online().await;
        self.device = Some(device);
    }
    async fn set(&mut self, id: &str, set: &str, level: i64, timeout_s: f64) -> Value {
        let args = json!({"level": level, "changeset_id": set, "auto_rollback_timeout": timeout_s, "controller_loss_timeout": 0.3});
        self.controller.ask(id, "lamp.set_level", args).await
    }
    async fn undone(&mut self) -> Value {
        self.controller.hear("evt/changeset.rolled_back", |_| true).await["data"].clone()
    }
}

fn hash(level: i64) -> String {
    section_hash(&json!({"level": level}))
}

#[tokio::test]
async fn a_confirmed_change_stays_and_says_what_runs() {
    let mut bench = bench().await;
    let prepared =
        bench.controller.ask("p", "changeset.prepare", json!({"changeset_id": "s", "operations": [{"op": "lamp.set_level", "args": {"level": 7}}]})).await;
    let expected = json!([{"op": "lamp.set_level", "previous": {"level": 0}, "previous_hash": hash(0), "would_apply": {"level": 7}}]);
    assert_eq!(prepared["result"]["operations"], expected);
    assert_eq!(bench.lamp.level(), 0);

    let answer = bench.set("c1", "s", 7, 0.6).await;
    let result = &answer["result"];
    assert_eq!((&result["applied"], &result["previous"], &result["flicker_ms"]), (&json!({"level": 7}), &json!({"level": 0}), &json!(3)));
    assert_eq!((&result["config_hash"], &result["previous_hash"]), (&json!(hash(7)), &json!(hash(0))));
    let deadline = result["deadline_ms"].as_i64().unwrap();
    let extended = bench.controller.ask("x", "changeset.extend", json!({"changeset_id": "s", "timeout_s": 1.2})).await;
    assert!(extended["result"]["deadline_ms"].as_i64().unwrap() > deadline);
    let conflict = bench.set("c2", "other", 9, 5.0).await;
    assert_eq!((&conflict["error"]["code"], &conflict["error"]["details"]["changeset_id"]), (&json!("E_LLM_CHANGESET_CONFLICT"), &json!("s")));
    assert_eq!(conflict["error"]["details"]["deadline_ms"], extended["result"]["deadline_ms"]);
    let status = bench.controller.ask("st", "changeset.status", json!({"changeset_id": "s"})).await;
    assert_eq!((&status["result"]["state"], &status["result"]["config_hash"]), (&json!("pending"), &json!(hash(7))));
    for id in ["k1", "k2"] {
        let committed = bench.controller.ask(id, "changeset.commit", json!({"changeset_id": "s"})).await;
        assert_eq!(committed["result"], json!({"committed": true, "config_hash": hash(7)}), "confirming twice is confirming");
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    bench.restart().await;
    assert_eq!(bench.lamp.level(), 7);
    let again = bench.set("c1", "s", 7, 0.6).await;
    assert_eq!(again["result"], *result, "the stored answer, also after a restart");
    assert_eq!(bench.lamp.applied.load(Ordering::SeqCst), 1);
    let rollback = bench.controller.ask("r", "changeset.rollback", json!({"changeset_id": "s"})).await;
    assert_eq!((&rollback["error"]["code"], &rollback["error"]["details"]["state"]), (&json!("E_CHANGESET_STATE"), &json!("committed")));
    assert!(bench.controller.collect("evt/changeset.rolled_back", Duration::from_millis(100)).await.is_empty());
}

#[tokio::test]
async fn a_confirmed_change_is_undone_from_the_journal_as_a_change_of_its_own() {
    let mut bench = bench().await;
    bench.set("c1", "s", 7, 5.0).await;
    bench.controller.ask("k1", "changeset.commit", json!({"changeset_id": "s"})).await;
    let undo = |set: &str, command: &str| json!({"changeset_id": set, "auto_rollback_timeout": 0.5, "restores": command});

    let answer = bench.controller.ask("u1", "lamp.set_level", undo("s.undo.1", "c1")).await;
    let result = &answer["result"];
    assert_eq!((&result["applied"], &result["previous"], &result["config_hash"]), (&json!({"level": 0}), &json!({"level": 7}), &json!(hash(0))));
    assert_eq!(bench.undone().await["changeset_id"], "s.undo.1", "an undo that nobody confirms is undone itself");
    assert_eq!(bench.lamp.level(), 7);

    bench.restart().await;
    bench.controller.ask("u2", "lamp.set_level", undo("s.undo.2", "c1")).await;
    bench.controller.ask("k2", "changeset.commit", json!({"changeset_id": "s.undo.2"})).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(bench.lamp.level(), 0);

    bench.set("c3", "t", 9, 5.0).await;
    bench.controller.ask("r3", "changeset.rollback", json!({"changeset_id": "t"})).await;
    for (id, command) in [("x1", "never"), ("x2", "c3"), ("x3", "u2")] {
        let refused = bench.controller.ask(id, "lamp.set_level", undo(id, command)).await;
        assert_eq!(refused["error"]["code"], "E_NOT_FOUND", "{command} is no confirmed change");
    }
    assert_eq!((bench.lamp.level(), bench.lamp.applied.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn what_nobody_confirms_comes_back_at_the_deadline_by_request_and_in_reverse_order() {
    let mut bench = bench().await;
    bench.set("c1", "s", 7, 0.5).await;
    bench.set("c2", "s", 8, 0.2).await;
    assert_eq!(bench.undone().await, json!({"changeset_id": "s", "reason": "deadline", "restored_hash": hash(0)}));
    assert_eq!(bench.lamp.level(), 0);
    let late = bench.controller.ask("late", "changeset.commit", json!({"changeset_id": "s"})).await;
    assert_eq!((&late["error"]["code"], &late["error"]["details"]["state"]), (&json!("E_CHANGESET_STATE"), &json!("rolled_back")));
    assert_eq!(bench.set("c3", "s", 9, 5.0).await["error"]["code"], "E_CHANGESET_STATE");

    bench.set("c4", "t", 9, 50.0).await;
    for id in ["r1", "r2"] {
        let back = bench.controller.ask(id, "changeset.rollback", json!({"changeset_id": "t"})).await;
        assert_eq!(back["result"], json!({"rolled_back": true, "restored_hash": hash(0)}));
    }
    let unknown = bench.controller.ask("u", "changeset.rollback", json!({"changeset_id": "never"})).await;
    assert_eq!(unknown["error"]["code"], "E_NOT_FOUND");
    let status = bench.controller.ask("st", "changeset.status", json!({"changeset_id": "never"})).await;
    assert_eq!(status["result"], json!({"state": "unknown"}));
}

#[tokio::test]
async fn a_lost_controller_or_a_restart_brings_back_what_was_there() {
    let mut bench = bench().await;
    bench.set("c1", "s", 7, 60.0).await;
    bench.exchange.stop().await;
    bench.lamp.becomes(0).await;
    bench.exchange.run().await;
    // The event may pass before the controller is back as well; what happened can be asked.
    bench.controller.up().await;
    bench.device.as_ref().unwrap().online().await;
    let status = bench.controller.ask("st", "changeset.status", json!({"changeset_id": "s"})).await;
    assert_eq!((&status["result"]["state"], &status["result"]["reason"]), (&json!("rolled_back"), &json!("connection_lost")));
    bench.controller.collect("evt/changeset.rolled_back", Duration::from_millis(100)).await;
    bench.set("c2", "t", 8, 60.0).await;
    bench.restart().await;
    assert_eq!(bench.undone().await, json!({"changeset_id": "t", "reason": "restart", "restored_hash": hash(0)}));
    assert_eq!(bench.lamp.level(), 0);

    bench.set("c3", "u", 9, 60.0).await;
    bench.device.take().unwrap().shutdown().await;
    assert_eq!(bench.lamp.level(), 0);
    assert_eq!(bench.undone().await["changeset_id"], "u");
    bench.restart().await;
    assert!(bench.controller.collect("evt/changeset.rolled_back", Duration::from_millis(200)).await.is_empty(), "said once");
}

#[tokio::test]
async fn a_restore_that_fails_is_reported_and_tried_again_until_it_is_done() {
    let mut bench = bench().await;
    bench.set("c1", "s", 7, 0.2).await;
    bench.lamp.stuck.store(true, Ordering::SeqCst);
    let failed = bench.controller.hear("evt/changeset.rollback_failed", |_| true).await;
    assert_eq!((&failed["severity"], &failed["data"]["changeset_id"]), (&json!("critical"), &json!("s")));
    assert_eq!(failed["data"]["error"]["code"], "E_LLM_ROLLBACK_FAILED");
    assert_eq!(bench.set("c2", "other", 3, 5.0).await["error"]["code"], "E_LLM_CHANGESET_CONFLICT");
    assert_eq!(bench.lamp.level(), 7);
    bench.lamp.stuck.store(false, Ordering::SeqCst);
    assert_eq!(bench.undone().await["reason"], "deadline");
    assert_eq!(bench.lamp.level(), 0);
    assert_eq!(bench.set("c3", "third", 3, 5.0).await["status"], "completed");
}

#[tokio::test]
async fn a_change_that_breaks_half_way_is_undone_at_once() {
    let mut bench = bench().await;
    bench.lamp.apply_breaks.store(true, Ordering::SeqCst);
    let broken = bench.set("c1", "s", 7, 60.0).await;
    assert_eq!((&broken["status"], &broken["error"]["code"]), (&json!("failed"), &json!("E_DEVICE")));
    assert_eq!(broken["error"]["details"]["restored_hash"], hash(0));
    assert_eq!(bench.lamp.level(), 0);
    bench.lamp.apply_breaks.store(false, Ordering::SeqCst);
    assert_eq!(bench.set("c2", "t", 7, 60.0).await["status"], "completed", "the device is free again");
}

#[tokio::test]
async fn a_change_without_protection_is_refused_and_bad_arguments_change_nothing() {
    let mut bench = bench().await;
    let naked = bench.controller.ask("c1", "lamp.set_level", json!({"level": 3})).await;
    assert_eq!(naked["error"]["code"], "E_ACT_NEEDS_CHANGESET");
    for (id, level, timeout) in [("c2", json!(101), json!(5)), ("c3", json!("7; reboot"), json!(5)), ("c4", json!(7), json!(-1)), ("c5", json!(7), json!(1e99))]
    {
        let args = json!({"level": level, "changeset_id": "s", "auto_rollback_timeout": timeout});
        assert_eq!(bench.controller.ask(id, "lamp.set_level", args).await["error"]["code"], "E_INVALID_ARGS");
    }
    assert_eq!((bench.lamp.level(), bench.lamp.applied.load(Ordering::SeqCst)), (0, 0));

    drop(bench.device.take());
    let config = DeviceConfig { allow_unguarded_acts: true, ..bench.exchange.device(bench.data.path()) };
    let device = lamp_device(config, &bench.lamp).start().await.unwrap();
    device.online().await;
    let allowed = bench.controller.ask("c6", "lamp.set_level", json!({"level": 3})).await;
    assert_eq!((&allowed["status"], &allowed["result"]["deadline_ms"]), (&json!("completed"), &Value::Null));
    bench.device = Some(device);
    bench.restart().await;
    assert_eq!(bench.controller.ask("c6", "lamp.set_level", json!({"level": 3})).await["result"], allowed["result"]);
    assert_eq!((bench.lamp.level(), bench.lamp.applied.load(Ordering::SeqCst)), (3, 1));
}

#[tokio::test]
async fn an_unreadable_entry_is_kept_and_reported_once() {
    let mut bench = bench().await;
    drop(bench.device.take());
    let torn = bench.data.path().join("journal/0123.set");
    std::fs::write(&torn, b"half a li").unwrap();
    bench.restart().await;
    let event = bench.controller.hear("evt/changeset.journal_unreadable", |_| true).await;
    assert_eq!((&event["severity"], &event["data"]["file"]), (&json!("critical"), &json!("0123.unreadable")));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(std::fs::read(torn.with_extension("unreadable-reported")).unwrap(), b"half a li");
    bench.restart().await;
    assert!(bench.controller.collect("evt/changeset.journal_unreadable", Duration::from_millis(200)).await.is_empty());
}

/// The example of the documentation as a process of its own, which can be killed.
struct Thermostat(Child);

impl Thermostat {
    fn start(port: u16, folder: &Path) -> Self {
        let test = std::env::current_exe().expect("a path");
        let example = test.ancestors().nth(2).expect("target folder").join("examples").join(format!("thermostat{}", std::env::consts::EXE_SUFFIX));
        assert!(example.exists(), "{} is missing; run the tests of the whole crate, which builds it", example.display());
        Self(Command::new(example).arg(format!("127.0.0.1:{port}")).arg(folder).spawn().expect("the example starts"))
    }

    /// At once, without any chance to tidy up.
    fn kill(self) {}
}

impl Drop for Thermostat {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

#[tokio::test]
async fn a_killed_process_restores_at_its_next_start_and_never_applies_twice() {
    const THERMOSTAT: &str = "demo/home/thermostat-1";
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings: PathBuf = data.path().join("settings.json");
    let target = || std::fs::read_to_string(&settings).unwrap_or_default();
    let mut controller = exchange.controller(THERMOSTAT).await;

    let process = Thermostat::start(exchange.port, data.path());
    controller.hear("lwt", |lwt| lwt["status"] == "online").await;
    let args = |set: &str, target_c: f64| json!({"target_c": target_c, "changeset_id": set, "auto_rollback_timeout": 300});
    assert_eq!(controller.ask("c1", "thermostat.set_target", args("s1", 23.0)).await["status"], "completed");
    controller.ask("k1", "changeset.commit", json!({"changeset_id": "s1"})).await;
    assert_eq!(controller.ask("c2", "thermostat.set_target", args("s2", 28.0)).await["status"], "completed");
    assert_eq!(target(), r#"{"target_c":28.0}"#);
    process.kill();
    controller.hear("lwt", |lwt| lwt["status"] == "offline").await;
    assert_eq!(target(), r#"{"target_c":28.0}"#, "nobody is there to restore");

    let process = Thermostat::start(exchange.port, data.path());
    controller.hear("lwt", |lwt| lwt["status"] == "online").await;
    assert_eq!(target(), r#"{"target_c":23.0}"#, "restored before it connected; the confirmed change stays");
    let event = controller.hear("evt/changeset.rolled_back", |_| true).await;
    assert_eq!((&event["data"]["changeset_id"], &event["data"]["reason"]), (&json!("s2"), &json!("restart")));
    let again = controller.ask("c2", "thermostat.set_target", args("s2", 28.0)).await;
    assert_eq!(again["status"], "completed", "what it answered then: {again}");
    assert_eq!(target(), r#"{"target_c":23.0}"#, "but not run again");
    let status = controller.ask("st", "changeset.status", json!({"changeset_id": "s2"})).await;
    assert_eq!(status["result"]["state"], "rolled_back");
    process.kill();
}

#[tokio::test]
async fn a_process_killed_at_any_moment_of_a_change_leaves_nothing_half_done() {
    const THERMOSTAT: &str = "demo/home/thermostat-1";
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings = data.path().join("settings.json");
    let mut controller = exchange.controller(THERMOSTAT).await;
    std::fs::write(&settings, r#"{"target_c":20.0}"#).unwrap();
    for (trial, delay_ms) in [0, 1, 2, 3, 4, 6, 8, 11, 15, 25].into_iter().enumerate() {
        let process = Thermostat::start(exchange.port, data.path());
        controller.hear("lwt", |lwt| lwt["status"] == "online").await;
        let (id, set) = (format!("c{trial}"), format!("s{trial}"));
        let args = json!({"target_c": 28.0, "changeset_id": set, "auto_rollback_timeout": 300});
        controller.send(&json!({"id": id, "op": "thermostat.set_target", "args": args})).await;
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        process.kill();
        controller.hear("lwt", |lwt| lwt["status"] == "offline").await;

        let process = Thermostat::start(exchange.port, data.path());
        controller.hear("lwt", |lwt| lwt["status"] == "online").await;
        // What the broker still had is sent before this, and runs after the restart: as a whole, and once.
        let mut state = String::new();
        for look in 0..2 {
            let status = controller.ask(&format!("st{trial}-{look}"), "changeset.status", json!({"changeset_id": set})).await;
            state = status["result"]["state"].as_str().unwrap().to_owned();
        }
        assert!(["unknown", "rolled_back", "pending"].contains(&state.as_str()), "{state} after {delay_ms} ms");
        if state == "pending" {
            let undone = controller.ask(&format!("rb{trial}"), "changeset.rollback", json!({"changeset_id": set})).await;
            assert_eq!(undone["status"], "completed", "{undone}");
        }
        assert_eq!(std::fs::read_to_string(&settings).unwrap(), r#"{"target_c":20.0}"#, "killed after {delay_ms} ms");
        process.kill();
        controller.hear("lwt", |lwt| lwt["status"] == "offline").await;
    }
}
