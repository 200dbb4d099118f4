//! A device against a real broker: what it says of itself, and how it answers commands.

mod bench;

use bench::{Exchange, KEY};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use talkwire_broker::Limits;
use talkwire_device::{Attributes, Device, DeviceConfig, Health, Severity, StateReport, ToolError, ToolSupport, tool_fn};
use tokio::sync::Notify;

#[tokio::test]
async fn it_says_who_and_how_it_is_and_goodbye_at_the_end() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let attributes = Attributes { manufacturer: Some("Acme".into()), features: vec!["wifi".into()], ..Attributes::default() };
    let config = DeviceConfig { attributes, state_period: Duration::from_millis(300), ..exchange.device(data.path()) };
    let lamp = bench::Lamp::default();
    let device = bench::lamp_device(config, &lamp).start().await.unwrap();
    device.online().await;

    assert_eq!(controller.hear("lwt", |_| true).await["status"], "online");
    let attr = controller.hear("attr", |_| true).await;
    assert_eq!(attr["device_type"], "lamp");
    assert_eq!(attr["mac_address"], "aabbccddeeff");
    assert_eq!(attr["manufacturer"], "Acme");
    assert_eq!(attr["capabilities"]["features"], json!(["wifi"]));
    assert_eq!(attr["capabilities"]["llm_integration"]["supported"], true);
    let declared = &attr["capabilities"]["tools"]["lamp.set_level"];
    assert_eq!((&declared["rollback_supported"], &declared["permissions"]), (&json!(true), &json!(["config_change"])));
    assert_eq!(attr["capabilities"]["tools"]["changeset.commit"]["supported"], true);
    let state = controller.hear("state", |_| true).await;
    assert_eq!((&state["health"], &state["connection_status"]), (&json!("ok"), &json!("connected")));
    assert!(state["diagnostics"]["messages_sent"].as_u64().unwrap() >= 1);

    let mut figures = serde_json::Map::new();
    figures.insert("cpu_usage".into(), json!(45.2));
    device.set_state(StateReport { health: Health::Warning, figures });
    let state = controller.hear("state", |state| state["health"] == "warning").await;
    assert_eq!(state["cpu_usage"], 45.2);
    controller.hear("state", |state| state["health"] == "warning").await;

    device.telemetry("temperature", 68.5, "celsius");
    let sample = controller.hear("telemetry/temperature", |_| true).await;
    assert_eq!((&sample["schema"], &sample["value"], &sample["unit"]), (&json!("telemetry.temperature/1.0"), &json!(68.5), &json!("celsius")));
    device.event("network.link_change", Severity::Warning, json!({"interface": "eth0", "status": "down"}));
    let event = controller.hear("evt/network.link_change", |_| true).await;
    assert_eq!((&event["severity"], &event["data"]["interface"]), (&json!("warning"), &json!("eth0")));
    device.topology(&[json!({"mac": "00:11"})], &[], &[]);
    assert_eq!(controller.hear("topology/update", |_| true).await["discovered_devices"][0]["mac"], "00:11");

    device.shutdown().await;
    let goodbye = controller.hear("lwt", |_| true).await;
    assert_eq!((&goodbye["status"], &goodbye["reason"]), (&json!("offline"), &json!("shutdown")));
}

#[tokio::test]
async fn a_device_that_vanishes_is_said_to_be_offline_by_the_broker() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let device = Device::builder(exchange.device(data.path())).start().await.unwrap();
    device.online().await;
    controller.hear("lwt", |lwt| lwt["status"] == "online").await;
    drop(device);
    let lwt = controller.hear("lwt", |_| true).await;
    assert_eq!((&lwt["status"], &lwt["reason"]), (&json!("offline"), &json!("unexpected_disconnect")));
}

#[tokio::test]
async fn commands_are_read_in_every_shape_and_bad_ones_stop_nothing() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let echo = tool_fn("network.speedtest_full", ToolSupport::plain(), |call| async move { Ok(json!({"op": call.op, "args": call.args.0})) });
    let device = Device::builder(exchange.device(data.path())).tool(echo).start().await.unwrap();
    device.online().await;

    let flat = controller.ask("flat", "network.speedtest_full", json!({"duration": 3})).await;
    assert_eq!((&flat["schema"], &flat["status"], &flat["result"]["args"]["duration"]), (&json!("cmd.result/1.0"), &json!("completed"), &json!(3)));
    controller.send(&json!({"payload": {"id": "wrapped", "op": "speed_test"}})).await;
    assert_eq!(controller.answer("wrapped").await["result"]["op"], "speed_test");

    for bad in ["", "{", "[]", "{\"id\": 7}", "{\"id\":\"bad\",\"op\":\"x\",\"args\":[1]}", &"[".repeat(5000), "\u{0}"] {
        controller.send_raw(bad).await;
    }
    let bad = controller.answer("bad").await;
    assert_eq!((&bad["status"], &bad["error"]["code"]), (&json!("failed"), &json!("E_MALFORMED")));
    assert!(bad["error"]["message"].as_str().unwrap().contains("args"), "{bad}");
    let unknown = controller.ask("unknown", "network.teleport", json!({})).await;
    assert_eq!((&unknown["schema"], &unknown["error"]["code"]), (&json!("cmd.error/1.0"), &json!("E_UNKNOWN_OP")));
    assert_eq!(unknown["error"]["details"]["alternative_tools"], json!(["network.speedtest_full"]));
    assert_eq!(unknown["recovery_action"]["alternative_tool"], "network.speedtest_full");
    let status = controller.ask("status", "device.status", json!({})).await;
    assert_eq!(status["result"]["diagnostics"]["malformed"], 7, "{status}");
    let capabilities = controller.ask("caps", "get_capabilities", json!({})).await;
    assert_eq!(capabilities["result"]["tools"]["network.speedtest_full"]["supported"], true);

    controller.send(&json!({"id": "quiet", "op": "speed_test", "expect": "none"})).await;
    controller.send(&json!({"id": "ack-only", "op": "speed_test", "expect": "ack"})).await;
    controller.hear("cmd/ack", |ack| ack["id"] == "ack-only").await;
    let answers = controller.collect("cmd/res", Duration::from_millis(300)).await;
    assert!(answers.iter().all(|answer| answer["id"] != "quiet" && answer["id"] != "ack-only"), "{answers:?}");
}

#[tokio::test]
async fn a_repeated_command_is_answered_from_memory_and_never_run_twice() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let tool = {
        let (runs, go) = (runs.clone(), go.clone());
        tool_fn("clients.list", ToolSupport::plain(), move |_| {
            let (runs, go) = (runs.clone(), go.clone());
            async move {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok(json!(run))
            }
        })
    };
    let device = Device::builder(exchange.device(data.path())).tool(tool).start().await.unwrap();
    device.online().await;
    for _ in 0..3 {
        controller.send(&json!({"id": "one", "op": "clients.list"})).await;
    }
    for _ in 0..3 {
        controller.hear("cmd/ack", |ack| ack["id"] == "one").await;
    }
    go.notify_one();
    let first = controller.answer("one").await;
    let again = controller.ask("one", "clients.list", json!({})).await;
    assert_eq!((&first["result"], &again["result"]), (&json!(0), &json!(0)));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(controller.collect("cmd/res", Duration::from_millis(200)).await, Vec::<Value>::new());
}

#[tokio::test]
async fn tools_run_in_parallel_within_limits_and_neither_panic_nor_hang_nor_size_breaks_the_device() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let mut narrow = ToolSupport::plain();
    narrow.limitations.insert("concurrent_limit".into(), json!(1));
    narrow.response_time_ms = Some(400);
    let slow = |_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(json!("slow"))
    };
    let config = DeviceConfig { max_message_bytes: 5000, ..exchange.device(data.path()) };
    let device = Device::builder(config)
        .tool(tool_fn("a.parallel", ToolSupport::plain(), slow))
        .tool(tool_fn("a.narrow", narrow, slow))
        .tool(tool_fn("a.panics", ToolSupport::plain(), |call| async move { if call.args.is_empty() { panic!("boom") } else { Ok(json!(1)) } }))
        .tool(tool_fn("a.hangs", ToolSupport::plain(), |_| std::future::pending::<Result<Value, ToolError>>()))
        .tool(tool_fn("a.large", ToolSupport::plain(), |_| async { Ok(json!("x".repeat(6000))) }))
        .tool(tool_fn("a.steps", ToolSupport::plain(), |call| async move {
            call.progress.percent(50.0);
            call.progress.text("too soon after the last one");
            Ok(json!("done"))
        }))
        .start()
        .await
        .unwrap();
    device.online().await;

    let began = Instant::now();
    for n in 0..4 {
        controller.send(&json!({"id": format!("p{n}"), "op": "a.parallel"})).await;
    }
    for n in 0..4 {
        assert_eq!(controller.answer(&format!("p{n}")).await["result"], "slow");
    }
    assert!(began.elapsed() < Duration::from_millis(1200), "four calls of 400 ms took {:?}", began.elapsed());

    controller.send(&json!({"id": "n0", "op": "a.narrow"})).await;
    controller.send(&json!({"id": "n1", "op": "a.narrow"})).await;
    let busy = controller.answer("n1").await;
    assert_eq!((&busy["error"]["code"], &busy["error"]["details"]["reason"]), (&json!("E_LLM_TOOL_NOT_AVAILABLE"), &json!("device_busy")));
    assert_eq!(busy["error"]["details"]["retry_after_ms"], 400);
    assert_eq!(controller.answer("n0").await["status"], "completed");
    assert_eq!(controller.ask("n1", "a.narrow", json!({})).await["status"], "completed", "what was not run for want of room may come again");

    assert_eq!(controller.ask("panic", "a.panics", json!({})).await["error"]["code"], "E_DEVICE");
    controller.send(&json!({"id": "hang", "op": "a.hangs", "timeout_ms": 100})).await;
    let hang = controller.answer("hang").await;
    assert_eq!((&hang["status"], &hang["error"]["code"]), (&json!("timeout"), &json!("E_TIMEOUT")));
    assert_eq!(controller.ask("large", "a.large", json!({})).await["error"]["code"], "E_TOO_LARGE");
    controller.send(&json!({"id": "steps", "op": "a.steps"})).await;
    let progress = controller.hear("cmd/res", |answer| answer["id"] == "steps").await;
    assert_eq!((&progress["progress"], &progress["status"]), (&json!(50.0), &json!("running")));
    assert_eq!(controller.hear("cmd/res", |answer| answer["id"] == "steps").await["result"], "done");

    assert!(device.capability_changed("a.large", false, Some("high_cpu_load")));
    let update = controller.hear("capability/update", |_| true).await;
    assert_eq!(update["capability_update"]["changes"][0]["reason"], "high_cpu_load");
    let off = controller.ask("off", "a.large", json!({})).await;
    assert_eq!((&off["error"]["code"], &off["error"]["details"]["reason"]), (&json!("E_LLM_TOOL_NOT_AVAILABLE"), &json!("high_cpu_load")));
    controller.hear("attr", |attr| attr["capabilities"]["tools"]["a.large"]["supported"] == false).await;
}

#[tokio::test]
async fn a_batch_answers_each_item_under_its_own_id_and_a_group_command_reaches_the_device() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let config = DeviceConfig { groups: vec!["lamps".parse().unwrap()], ..exchange.device(data.path()) };
    let tool = tool_fn("clients.list", ToolSupport::plain(), |call| async move { Ok(json!(call.id)) });
    let device = Device::builder(config).tool(tool).start().await.unwrap();
    device.online().await;
    let commands = json!([{"id": "b1", "op": "clients.list"}, {"id": "b2", "op": "nothing.such"}, {"op": "client_list"}, {"id": "b4", "op": "batch.execute"}]);
    let answer = controller.ask("batch", "batch.execute", json!({"commands": commands})).await;
    assert_eq!(answer["status"], "partial");
    let results = answer["result"]["results"].as_array().unwrap();
    let shown: Vec<_> = results.iter().map(|result| (result["command_id"].as_str().unwrap(), result["status"].as_str().unwrap())).collect();
    assert_eq!(shown, [("b1", "success"), ("b2", "error"), ("batch.2", "success"), ("b4", "error")]);
    let body = json!({"id": "g1", "op": "clients.list"}).to_string();
    controller.link.publish("rtk/v1/acme/home/group/lamps/cmd/req", body, talkwire_link::Qos::AtLeastOnce, false).await.unwrap();
    assert_eq!(controller.answer("g1").await["result"], "g1");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start_with_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let config =
        || DeviceConfig { data_dir: data.path().into(), ..DeviceConfig::new(KEY.parse().unwrap(), "lamp", talkwire_device::Broker::open("127.0.0.1", 1)) };
    let tool = |op: &str| tool_fn(op, ToolSupport::plain(), |_| async { Ok(Value::Null) });
    let double = Device::builder(config()).tool(tool("speed_test")).tool(tool("network.speedtest_full")).start().await.err().unwrap();
    assert_eq!(double.to_string(), "two tools answer to network.speedtest_full; remove one");
    let reserved = Device::builder(config()).tool(tool("changeset.commit")).start().await.err().unwrap();
    assert_eq!(reserved.to_string(), "changeset.commit is answered by the SDK; remove the tool");
    std::fs::write(data.path().join("journal"), "in the way").unwrap();
    let blocked = Device::builder(config()).start().await.err().unwrap();
    assert!(blocked.to_string().contains("journal"), "{blocked}");
}

#[tokio::test]
async fn an_answer_over_the_limit_of_the_broker_is_answered_as_too_large() {
    let exchange = Exchange::start_with(Limits { max_packet_bytes: 30_000, ..Limits::default() }).await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let tool = tool_fn("system.get_logs", ToolSupport::plain(), |_| async { Ok(json!("x".repeat(100_000))) });
    let device = Device::builder(exchange.device(data.path())).tool(tool).start().await.unwrap();
    device.online().await;
    let answer = controller.ask("large", "system.get_logs", json!({})).await;
    assert_eq!((&answer["error"]["code"], answer["error"]["details"]["limit"].as_u64() <= Some(30_000)), (&json!("E_TOO_LARGE"), true));
}
