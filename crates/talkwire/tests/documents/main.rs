//! The programs printed in the specification work unchanged: the chat clients in Python and Node, the device of the integration guide.
//!
//! The specification is not part of this repository: it is read from the folder that `TALKWIRE_SPEC` names, or `../shared/spec`.
//! What cannot run here is said on standard error and, for `cargo xtask test`, in the file that `TALKWIRE_SKIPPED` names.

mod house;
mod listener;
mod program;
mod spec;

use house::House;
use listener::Listener;
use program::{Program, node, python};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// The port that the printed programs call.
const PRINTED_PORT: u16 = 1883;
/// Only one server at a time can have it.
static PRINTED_PORT_USER: Mutex<()> = Mutex::new(());

const SOON: Duration = Duration::from_secs(15);

/// Says that a test cannot run here, and why.
fn skip(name: &str, why: &str) {
    eprintln!("SKIPPED: {name}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        use std::io::Write as _;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests can be written");
        writeln!(file, "documents, {name}: {why}").expect("the list of skipped tests can be written");
    }
}

/// Unwraps, or skips the test that is named.
macro_rules! need {
    ($name:expr, $found:expr) => {
        match $found {
            Ok(found) => found,
            Err(why) => return skip($name, &why),
        }
    };
}

fn said(topic: &str, text: &str, kind: &str, words: &str) -> bool {
    topic == "chatroom/messages/out" && text.contains(words) && serde_json::from_str::<Value>(text).is_ok_and(|value| value["type"] == kind)
}

/// The notice that somebody came, as everybody in the room sees it.
fn joined(listener: &Listener, name: &str) {
    let text = listener.wait("the join notice", SOON, |topic, text| topic == "chatroom/system" && text.contains(name));
    let notice: Value = serde_json::from_str(&text).expect("a notice is JSON");
    assert_eq!(notice["type"], "system_message", "{notice}");
    assert!(notice["message"].is_string() && notice["timestamp"].is_string(), "{notice}");
}

#[test]
fn the_python_chat_program_runs_as_printed() {
    let name = "the Python chat program as printed";
    let chat = need!(name, spec::document("chatroom-mqtt.md"));
    let python = need!(name, python());
    let _alone = PRINTED_PORT_USER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let house = need!(name, House::on_port(PRINTED_PORT));
    let listener = Listener::start(house.mqtt, "chatroom/#");

    let file = house.write("chat.py", &spec::block_after(&chat, "### Python客户端", "python"));
    let mut program = Program::start(python.command().arg(file));
    program.wait("连接成功", SOON);
    let hello = listener.wait("the first message", SOON, |topic, text| said(topic, text, "user_message", "Hello from Python MQTT client!"));
    let hello: Value = serde_json::from_str(&hello).unwrap();
    assert_eq!(hello["username"], "Python用户");
    assert!(hello["content"].is_string() && hello["message_id"].is_string() && is_local_time(&hello["timestamp"]), "{hello}");
    // The bytes themselves: nothing is escaped.
    listener.wait("the Chinese message", SOON, |topic, text| said(topic, text, "user_message", "这是中文消息测试"));
    listener.wait("the assistant's answer", SOON, |topic, text| said(topic, text, "ai_response", "智能助手"));
    joined(&listener, "Python用户");

    let status = house.get("/mqtt/status");
    let user = status["mqtt_status"]["mqtt_users"].as_array().unwrap().iter().find(|user| user["client_id"] == "python_client_001").cloned();
    assert_eq!(user.unwrap_or_else(|| panic!("not listed: {status}"))["message_count"], 2);

    program.type_line("");
    program.ends_well(SOON);
    house.until("the user has left", SOON, || {
        let status = house.get("/mqtt/status");
        status["mqtt_status"]["mqtt_users"].as_array().unwrap().iter().all(|user| user["client_id"] != "python_client_001")
    });
}

#[test]
fn the_python_chat_class_hears_what_it_and_the_assistant_say() {
    let name = "the Python chat class";
    let chat = need!(name, spec::document("chatroom-mqtt.md"));
    let python = need!(name, python());
    let house = House::anywhere();
    let listener = Listener::start(house.mqtt, "chatroom/#");

    let file = house.write("chat.py", &spec::block_after(&chat, "### Python客户端", "python"));
    let mut program = Program::start(python.command().arg(driver("chat.py")).arg(file).arg(house.mqtt.to_string()));
    program.wait("加入了聊天室", SOON);
    joined(&listener, "测试员");
    program.type_line("你好，世界 🌏");
    program.wait("\"content\": \"你好，世界 🌏\"", SOON);
    program.wait("\"type\": \"user_message\"", SOON);
    program.type_line("@AI 你好");
    program.wait("\"type\": \"ai_response\"", SOON);
    program.type_line("");
    program.ends_well(SOON);
}

#[test]
fn the_node_chat_program_runs_as_printed() {
    let name = "the Node chat program as printed";
    let chat = need!(name, spec::document("chatroom-mqtt.md"));
    let node = need!(name, node());
    let _alone = PRINTED_PORT_USER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let house = need!(name, House::on_port(PRINTED_PORT));
    let listener = Listener::start(house.mqtt, "chatroom/#");

    let file = house.write("chat.js", &spec::block_after(&chat, "### Node.js客户端", "javascript"));
    let program = Program::start(node.command().arg(file));
    program.wait("连接成功", SOON);
    joined(&listener, "Node.js用户");
    // It has subscribed before it speaks, so it hears itself and the answer.
    program.wait("\"content\": \"这是来自Node.js的中文消息\"", SOON);
    program.wait("\"type\": \"user_message\"", SOON);
    program.wait("\"type\": \"ai_response\"", SOON);
    listener.wait("the Chinese message", SOON, |topic, text| said(topic, text, "user_message", "这是来自Node.js的中文消息"));
}

#[test]
fn the_node_chat_class_hears_what_it_and_the_assistant_say() {
    let name = "the Node chat class";
    let chat = need!(name, spec::document("chatroom-mqtt.md"));
    let node = need!(name, node());
    let house = House::anywhere();
    let listener = Listener::start(house.mqtt, "chatroom/#");

    let class = spec::block_after(&chat, "### Node.js客户端", "javascript");
    // The class as printed; the lines of use after it have a fixed port and are left out here.
    let class = class.split("// 使用示例").next().unwrap_or_default();
    let driver = fs::read_to_string(driver("chat.js")).unwrap();
    let file = house.write("chat.js", &format!("{class}\n{driver}"));
    let program = Program::start(node.command().arg(file).arg(house.mqtt.to_string()));
    joined(&listener, "测试员");
    program.wait("\"content\": \"你好，世界 🌏\"", SOON);
    program.wait("\"type\": \"ai_response\"", SOON);
    listener.wait("the message", SOON, |topic, text| said(topic, text, "user_message", "你好，世界 🌏"));
}

#[test]
fn the_guides_device_comes_online_reports_and_answers_a_command() {
    let name = "the device of the integration guide";
    let guide = need!(name, spec::document("rtk-integration-guide.md"));
    let python = need!(name, python());
    let house = House::anywhere();
    let blocks = house.folder().join("guide");
    fs::create_dir_all(&blocks).unwrap();
    for (n, block) in spec::blocks(&guide, "python").into_iter().enumerate() {
        fs::write(blocks.join(format!("{n:02}.py")), block).unwrap();
    }
    let mut program = Program::start(python.command().arg(driver("device.py")).arg(&blocks).arg(house.mqtt.to_string()));
    program.wait("device ready", SOON);

    let route = "/api/v1/devices/your-org/main-office/aabbccddeeff";
    let device = house.until_some("the device is online and well", SOON, || {
        let list = house.get("/api/v1/devices");
        let found = list["items"].as_array()?.iter().find(|item| item["device_id"] == "aabbccddeeff")?.clone();
        (found["online"] == true && found["health"] == "ok" && found["device_type"] == "router").then_some(found)
    });
    assert_eq!((&device["tenant"], &device["site"]), (&json!("your-org"), &json!("main-office")));
    let attr = house.get(route);
    assert_eq!(attr["attr"]["model"], "Device-Model-123", "{attr}");
    let sample = house.until_some("the telemetry is stored", SOON, || house.get(&format!("{route}/telemetry/cpu_usage"))["items"].get(0).cloned());
    assert_eq!((&sample["value"], &sample["unit"]), (&json!(45.2), &json!("%")));
    house.until("the event is stored", SOON, || {
        house.get(&format!("{route}/events"))["items"].as_array().unwrap().iter().any(|event| event["event_type"] == "network.link_change")
    });

    let wanted = json!({"tenant": "your-org", "site": "main-office", "device_id": "aabbccddeeff", "op": "device.status", "args": {}});
    let command = house.post("/api/v1/commands?wait=true", &wanted);
    assert_eq!(command["status"], "completed", "{command}");
    assert_eq!(command["result"]["network_status"], "connected", "{command}");

    // It ends without a goodbye: its will speaks for it.
    program.type_line("");
    program.ends_well(SOON);
    house.until("the device is offline", SOON, || house.get(route)["online"] == false);
}

#[test]
fn the_status_page_has_exactly_the_printed_shape() {
    let name = "the printed status page";
    let chat = need!(name, spec::document("chatroom-mqtt.md"));
    let printed: Value = serde_json::from_str(&spec::block_after(&chat, "响应示例", "json")).expect("the printed example is JSON");
    let house = House::anywhere();
    let listener = Listener::start(house.mqtt, "chatroom/messages/out");
    listener.publish("chatroom/messages/in", r#"{"client_id":"mqtt_client_001","username":"MQTT用户","message":"Hello from MQTT!"}"#);
    listener.wait("the message", SOON, |topic, text| said(topic, text, "user_message", "Hello from MQTT!"));
    let status = house.get("/mqtt/status");
    assert_eq!(shape(&status), shape(&printed), "{status:#}");
    assert_eq!(status["success"], true);
    let inner = &status["mqtt_status"];
    assert_eq!(inner["broker_info"], format!("localhost:{}", house.mqtt));
    assert_eq!(inner["active_topics"], printed["mqtt_status"]["active_topics"]);
    assert_eq!(inner["mqtt_users_count"], inner["mqtt_users"].as_array().unwrap().len());
    assert_eq!(inner["messages_received"], 1);
    for time in [&status["timestamp"], &inner["connect_time"], &inner["last_message_time"], &inner["mqtt_users"][0]["join_time"]] {
        assert!(is_local_time(time), "{time}");
    }
}

/// Names in their order, with the kind of each value; a list is as its first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Array(map.iter().map(|(name, inner)| json!([name, shape(inner)])).collect()),
        Value::Array(list) => json!(["list of", list.first().map(shape)]),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("yes or no"),
        Value::Null => json!("nothing"),
    }
}

/// `2025-07-26T11:05:13.675321`: local time with microseconds, as printed.
fn is_local_time(value: &Value) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddddd";
    value.as_str().is_some_and(|text| {
        text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(|(c, wanted)| if wanted == 'd' { c.is_ascii_digit() } else { c == wanted })
    })
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/drivers").join(name)
}
