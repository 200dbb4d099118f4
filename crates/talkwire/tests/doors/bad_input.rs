//! Bad input: each gets a clear answer, and loses nothing.

use crate::harness::{HandDevice, House, PATIENCE, eventually, request};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use talkwire_link::{Message, Qos};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn quarantine(house: &House, topic: &str) -> Value {
    eventually("a row in quarantine", || async {
        let (_, list) = house.guest("GET", "/api/v1/quarantine", json!({})).await;
        list["items"].as_array().unwrap().iter().find(|row| row["topic"] == json!(topic)).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn poisoned_payloads_go_to_quarantine_with_their_reason_and_the_next_message_passes() {
    let house = House::new().await;
    let device = house.client("d").await;
    let deep = format!("{{\"health\":\"ok\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let poisons: Vec<(&str, Vec<u8>, &str)> = vec![
        ("state", b"{not json".to_vec(), "not JSON"),
        ("state", vec![0xff, 0xfe, 0x00], "UTF-8"),
        ("state", b"[1,2]".to_vec(), "object"),
        ("state", deep.into_bytes(), "deep"),
        ("state", br#"{"schema":"state/1.0","health":7}"#.to_vec(), "health"),
        ("telemetry/cpu", br#"{"schema":"telemetry.cpu/1.0","value":"hot"}"#.to_vec(), "value"),
        ("cmd/res", br#"{"schema":"cmd.result/1.0","status":"completed"}"#.to_vec(), "id"),
    ];
    for (tail, payload, reason) in poisons {
        let topic = format!("rtk/v1/home/lab/aabbccddee01/{tail}");
        device.say(&topic, payload).await.unwrap();
        let row = quarantine(&house, &topic).await;
        // The newest reason for the topic is listed; each reason has a row of its own.
        let (_, list) = house.guest("GET", "/api/v1/quarantine", json!({})).await;
        let reasons: Vec<_> =
            list["items"].as_array().unwrap().iter().filter(|row| row["topic"] == json!(topic)).map(|row| row["reason"].to_string()).collect();
        assert!(reasons.iter().any(|text| text.contains(reason)), "{reason} is not among {reasons:?} ({row})");
        let began = Instant::now();
        device.say_json("rtk/v1/home/lab/aabbccddee01/state", json!({"schema": "state/1.0", "ts": 1, "health": "ok"})).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "the stream goes on");
    }
    let (_, one) = house.guest("GET", "/api/v1/devices/home/lab/aabbccddee01", json!({})).await;
    assert_eq!(one["health"], json!("ok"));
    assert!(one["diagnostics"]["malformed"].as_u64().unwrap() >= 5, "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_message_is_refused_and_the_server_lives() {
    let house = House::new().await;
    let big = house.client("big").await;
    let payload = vec![b'x'; 300 * 1024];
    let sent = big.link.publish("rtk/v1/home/lab/aabbccddee02/state", payload, Qos::AtLeastOnce, false);
    let outcome = tokio::time::timeout(Duration::from_secs(5), sent).await;
    assert!(!matches!(outcome, Ok(Ok(()))), "an oversized message must not be acknowledged");
    let other = house.client("other").await;
    other.say_json("rtk/v1/home/lab/aabbccddee02/state", json!({"health": "ok"})).await.unwrap();
    let (status, ready) = house.guest("GET", "/readyz", json!({})).await;
    assert_eq!(status, 200, "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_and_a_body_that_is_not_json_are_problems_with_a_code() {
    let house = House::new().await;
    // By hand: the server answers and hangs up while the body is still being written, which a library takes for a failure.
    let mut socket = tokio::net::TcpStream::connect(house.http()).await.unwrap();
    let head = format!(
        "POST /api/v1/intents HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 400000\r\nConnection: close\r\n\r\n",
        house.http()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let body = vec![b'x'; 400_000];
    let mut answer = vec![0; 4_096];
    let (_, read) = tokio::join!(writing.write_all(&body), tokio::time::timeout(PATIENCE, reading.read(&mut answer)));
    let answer = String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("E_TOO_LARGE"), "{answer}");
    let (status, problem) = house.owner("POST", "/api/v1/intents", json!({"txet": "hi"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")));
    assert!(problem["detail"].as_str().unwrap().contains("text"), "{problem}");
    let (status, problem) = house.owner("GET", "/api/v1/devices?limit=1000000", json!({})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")));
    let (status, problem) = house.owner("GET", "/api/v1/nothing", json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("E_NOT_FOUND")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_no_body_and_a_time_out_beyond_the_bounds_is_refused() {
    let house = House::new().await;
    let _device = HandDevice::join(&house, "020000000001").await;
    let lists = [
        ("/api/v1/commands", json!(["home", "lab", "020000000001", "device.status", {}, 1000])),
        ("/api/v1/rooms/main/messages", json!([null, "hello", null])),
        ("/api/v1/changesets", json!([[], "why"])),
    ];
    for (path, body) in lists {
        let (status, problem) = house.owner("POST", path, body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("expected an object"), "{problem}");
    }
    for timeout_ms in [0, 99, 600_001] {
        let body = json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": "device.status", "timeout_ms": timeout_ms});
        let (status, problem) = house.owner("POST", "/api/v1/commands", body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("100 to 600000"), "{problem}");
    }
    let body = json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": "device.status", "timeout_ms": 600_000});
    assert_eq!(house.owner("POST", "/api/v1/commands", body).await.1["timeout_ms"], json!(600_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_from_another_device_or_for_nobodys_command_is_refused_and_audited() {
    let house = House::new().await;
    let mut asked = HandDevice::join(&house, "020000000001").await;
    let other = HandDevice::join(&house, "020000000002").await;
    let body = json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": "device.status", "timeout_ms": 1500});
    let (_, command) = house.owner("POST", "/api/v1/commands", body).await;
    let request = asked.command().await;
    other.result(&request["id"], json!({"uptime": 1})).await;
    other.result(&json!("01JUNKJUNKJUNKJUNKJUNKJUNK"), json!({})).await;
    let id = command["id"].as_str().unwrap().to_owned();
    let (_, now) = house.guest("GET", &format!("/api/v1/commands/{id}"), json!({})).await;
    assert_eq!(now["status"], json!("sent"), "a stranger's result changes nothing");
    let (_, audit) = house.owner("GET", "/api/v1/audit", json!({})).await;
    let foreign = audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == json!("command.foreign_result")).count();
    assert_eq!(foreign, 2);
    // Late: after the time-out it is kept as late.
    eventually("the time-out", || async {
        let (_, now) = house.guest("GET", &format!("/api/v1/commands/{id}"), json!({})).await;
        (now["status"] == json!("timed_out")).then_some(now)
    })
    .await;
    asked.result(&request["id"], json!({"uptime": 7})).await;
    let (_, late) = house.guest("GET", &format!("/api/v1/commands/{id}"), json!({})).await;
    assert_eq!((&late["status"], &late["late"], &late["result"]["uptime"]), (&json!("completed_late"), &json!(true), &json!(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_the_catalogue_does_not_allow_never_reach_the_device() {
    let house = House::new().await;
    let mut device = HandDevice::join(&house, "020000000001").await;
    let tries = [
        ("network.speedtest_full", json!({"duration": 999_999})),
        ("network.speedtest_full", json!({"server": "; reboot"})),
        ("network.speedtest_full", json!({"server": "../../etc/passwd"})),
        ("device.status", json!({"extra": {"a": 1}})),
        ("network.speedtest_full", json!({"duration": "ten"})),
    ];
    for (op, args) in tries {
        let (status, problem) =
            house.owner("POST", "/api/v1/commands", json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": op, "args": args})).await;
        assert_eq!((status, &problem["code"]), (400, &json!("E_INVALID_ARGS")), "{args}: {problem}");
    }
    let (status, problem) =
        house.owner("POST", "/api/v1/commands", json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": "wifi.get_environment"})).await;
    assert_eq!((status, &problem["code"], &problem["reason"]), (409, &json!("E_LLM_TOOL_NOT_AVAILABLE"), &json!("no_radio")));
    let (status, problem) = house.owner("POST", "/api/v1/commands", json!({"tenant": "home", "site": "lab", "device_id": "020000000001", "op": "wifi.set_channel", "args": {"interface": "wlan0", "channel": 1}, "authorization": {"user_confirmed": true}})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("E_ACT_NEEDS_CHANGESET")));
    assert!(!device.client.hears(Duration::from_millis(500), |topic, _| topic.ends_with("/cmd/req")).await, "the device saw nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_command_a_device_past_the_server() {
    let house = House::new().await;
    let mut device = HandDevice::join(&house, "020000000001").await;
    let guest = house.client("guest").await;
    let command = json!({"id": "forged-0001", "op": "device.restart", "args": {}, "authorization": {"user_confirmed": true, "risk_acknowledged": true}});
    assert!(guest.say_json("rtk/v1/home/lab/020000000001/cmd/req", command).await.is_err(), "the broker refuses it");
    assert!(!device.client.hears(Duration::from_millis(500), |topic, _| topic.ends_with("/cmd/req")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_not_ours_are_routed_whatever_their_script() {
    let house = House::new().await;
    let mut reader = house.client("r").await;
    reader.subscribe("聊天/#").await;
    let writer = house.client("w").await;
    writer.say_json("聊天/房间", json!({"你好": "世界"})).await.unwrap();
    let (_, value) = reader.until("the message", |topic, _| topic == "聊天/房间").await;
    assert_eq!(value["你好"], json!("世界"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_on_the_wire_that_break_the_rules_are_refused_with_the_right_form() {
    let house = House::new().await;
    let client = house.client("c").await;
    let topic = "rtk/v1/home/lab/AA:BB:CC:DD:EE:FF/state";
    client.say_json(topic, json!({"health": "ok"})).await.unwrap();
    let row = quarantine(&house, topic).await;
    assert!(row["reason"].as_str().unwrap().contains("aabbccddeeff"), "{row}");
    let (_, list) = house.guest("GET", "/api/v1/devices", json!({})).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_a_path_does_not_take_are_problems_too() {
    let house = House::new().await;
    for part in ["", "/events", "/telemetry", "/telemetry/cpu", "/commands"] {
        let (status, problem) = house.guest("GET", &format!("/api/v1/devices/home/lab/aabbccddee99{part}"), json!({})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("E_NOT_FOUND")), "{part}: an empty list would hide the typing error");
    }
    let (status, problem) = house.guest("POST", "/api/v1/devices", json!({})).await;
    assert_eq!((status, &problem["code"], &problem["status"]), (405, &json!("E_BAD_REQUEST"), &json!(405)));
    let (status, problem) = house.guest("GET", "/api/v1/sessions/%ff", json!({})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_and_rebound_names_are_refused() {
    let house = House::new().await;
    for header in [("Origin", "http://evil.example"), ("Host", "evil.example:5000")] {
        let (status, problem) = request(house.http(), "POST", "/api/v1/session/local", json!({}), None, &[header]).await;
        assert_eq!((status, &problem["code"]), (403, &json!("E_FORBIDDEN")), "{header:?}");
    }
    let (status, problem) = request(house.http(), "GET", "/api/v1/devices", json!({}), Some("Bearer guess".into()), &[]).await;
    assert_eq!((status, &problem["code"]), (401, &json!("E_AUTH_REQUIRED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_recovers() {
    let Some(disk) = SmallDisk::mount(8) else {
        eprintln!("SKIPPED a_full_disk_acknowledges_nothing_and_recovers: mounting a small tmpfs needs root");
        return;
    };
    let house = crate::harness::House {
        running: talkwire::serve::start(&crate::harness::config(&disk.0.path().join("data"))).await.unwrap(),
        dir: tempfile::tempdir().unwrap(),
    };
    let device = house.client("d").await;
    device.say_json("rtk/v1/home/lab/aabbccddeeff/evt/a", json!({"data": {"n": 0}})).await.unwrap();
    let filler = disk.0.path().join("filler");
    fill(&filler);
    let mut refused = false;
    for n in 1..200 {
        let message = Message {
            topic: "rtk/v1/home/lab/aabbccddeeff/evt/a".into(),
            payload: json!({"data": {"n": n, "pad": "x".repeat(20_000)}}).to_string().into(),
            qos: Qos::AtLeastOnce,
            retain: false,
        };
        let sent = device.link.publish(message.topic, message.payload, message.qos, false);
        if let Ok(Err(why)) = tokio::time::timeout(PATIENCE, sent).await {
            let why = why.to_string();
            assert!(why.contains("refused") || why.contains("no room"), "{why}");
            refused = true;
            break;
        }
    }
    assert!(refused, "a full disk must be told");
    let (status, health) = request(house.http(), "GET", "/readyz", json!({}), None, &[]).await;
    assert_eq!(status, 503, "{health}");
    assert!(health["trouble"].as_str().unwrap().contains("disk is full"), "{health}");
    std::fs::remove_file(&filler).unwrap();
    let began = Instant::now();
    while request(house.http(), "GET", "/readyz", json!({}), None, &[]).await.0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "it recovers within five seconds of space");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    device.say_json("rtk/v1/home/lab/aabbccddeeff/evt/a", json!({"data": {"n": 999}})).await.unwrap();
    let (_, events) = house.guest("GET", "/api/v1/devices/home/lab/aabbccddeeff/events?limit=500", json!({})).await;
    let numbers: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
    assert!(numbers.contains(&0) && numbers.contains(&999), "{numbers:?}");
    house.running.stop().await;
}

/// A file system of a few MiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m,mode=700");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).stderr(std::process::Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65_536, 4_096, 512] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
