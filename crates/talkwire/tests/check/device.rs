//! A device made by hand, which can be bad in the way of any check: `bad` names the checks that it shall fail.

use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use talkwire_device::FernetKey;
use talkwire_link::{Backoff, Events, Link, LinkConfig, LinkEvent, Message, Qos};

pub const ID: &str = "aabbccddeeff";
pub const BASE: &str = "rtk/v1/acme/home/aabbccddeeff";
/// The key of a device that shall fail S07: it seals what it says, and takes also what is in clear.
pub const FERNET: [u8; 32] = [9; 32];
const METRIC: &str = "telemetry/temperature";

/// A running device; it is gone without a goodbye when this is dropped.
pub struct Device(tokio::task::AbortHandle);

impl Drop for Device {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
struct Body {
    bad: Vec<&'static str>,
    link: Link,
    began: Instant,
    stored: Arc<Mutex<HashMap<String, Value>>>,
    memory: Arc<Mutex<f64>>,
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A text as it goes on the wire.
fn wire(text: String, is_sealed: bool) -> String {
    // One initialisation vector for all is no secret kept, but enough for a test.
    if is_sealed { FernetKey::new(FERNET).encrypt(text.as_bytes(), u64::try_from(now_ms() / 1000).unwrap(), [5; 16]) } else { text }
}

impl Device {
    /// Connects to `port`, with a name and password when the broker wants them.
    pub fn start(port: u16, account: Option<&str>, bad: &[&'static str]) -> Self {
        let is = |id: &str| bad.contains(&id);
        let mut config = LinkConfig::new("127.0.0.1", port, format!("sensor-{ID}"));
        config.username = account.map(|_| ID.to_owned());
        config.password = account.map(Into::into);
        config.clean_start = is("R04");
        let seconds = |min, max| Backoff { min: Duration::from_millis(min), max: Duration::from_millis(max) };
        config.backoff = match (is("R01"), is("R02")) {
            (true, _) => seconds(600_000, 600_000),
            (_, true) => seconds(10, 10),
            _ => seconds(500, 4_000),
        };
        if is("B01") {
            config.keep_alive = Duration::from_secs(600);
        }
        let last = json!({"schema": "lwt/1.0", "ts": now_ms(), "status": "offline"});
        config.will = (!is("B02")).then(|| Message {
            topic: format!("{BASE}/lwt"),
            payload: wire(last.to_string(), is("S07")).into(),
            qos: Qos::AtLeastOnce,
            retain: true,
        });
        let bad = bad.to_vec();
        Self(
            tokio::spawn(async move {
                // The proxy may not listen yet, and a device that never comes back would not come at all.
                while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let (link, events) = Link::connect(config).unwrap();
                link.subscribe(format!("{BASE}/cmd/req"), Qos::AtLeastOnce);
                Body { bad, link, began: Instant::now(), stored: Arc::default(), memory: Arc::new(Mutex::new(40.0)) }.live(events).await;
            })
            .abort_handle(),
        )
    }
}

impl Body {
    fn is(&self, id: &str) -> bool {
        self.bad.contains(&id)
    }

    fn say(&self, tail: &str, qos: Qos, retain: bool, body: &Value) {
        self.link.publish(format!("{BASE}/{tail}"), wire(body.to_string(), self.is("S07")), qos, retain).forget();
    }

    fn opened(&self, payload: &[u8]) -> Vec<u8> {
        let text = if self.is("S07") { FernetKey::new(FERNET).decrypt(payload, 0, None).ok() } else { None };
        text.unwrap_or_else(|| payload.to_vec())
    }

    fn figures(&self) -> Map<String, Value> {
        let mut memory = self.memory.lock().unwrap();
        if self.is("P04") {
            *memory += 0.3;
        }
        let memory = if self.is("P03") { 95.0 } else { *memory };
        let mut figures = Map::new();
        figures.insert("health".into(), json!("ok"));
        figures.insert("uptime_s".into(), json!(self.began.elapsed().as_secs_f64()));
        if !self.is("B07") {
            figures.insert("cpu_usage".into(), json!(if self.is("P02") { 55.0 } else { 3.0 }));
            figures.insert("memory_usage".into(), json!(memory));
        }
        figures
    }

    fn state(&self) {
        let mut state = self.figures();
        state.insert("schema".into(), json!("state/1.0"));
        state.insert("ts".into(), json!(now_ms()));
        self.say("state", Qos::AtLeastOnce, !self.is("B06"), &Value::Object(state));
    }

    fn greet(&self) {
        let ts = now_ms();
        self.say("lwt", Qos::AtLeastOnce, !self.is("B03"), &json!({"schema": "lwt/1.0", "ts": ts, "status": "online"}));
        let mut attr = json!({"schema": "attr/1.0", "ts": ts, "device_type": "sensor", "manufacturer": "Acme", "model": "S1", "firmware_version": "1.0", "capabilities": ["wifi"]});
        if self.is("B05") {
            attr["manufacturer"] = Value::Null;
        }
        if self.is("S03") {
            attr["wifi_password"] = json!("hunter2");
        }
        self.say("attr", Qos::AtLeastOnce, !self.is("B04"), &attr);
        (0..if self.is("B08") { 20 } else { 1 }).for_each(|_| self.state());
    }

    fn report(&self) {
        let mut sample =
            json!({"schema": "telemetry.temperature/1.0", "ts": now_ms() + if self.is("B18") { 3_600_000 } else { 0 }, "value": 21.5, "unit": "celsius"});
        if self.is("B11") {
            sample["unit"] = Value::Null;
        }
        if self.is("B17") {
            sample.as_object_mut().unwrap().remove("schema");
        }
        let tail = if self.is("B13") { "metrics/temperature" } else { METRIC };
        (0..if self.is("P05") { 100 } else { 1 }).for_each(|_| self.say(METRIC, Qos::AtMostOnce, self.is("B15"), &sample));
        self.say(tail, Qos::AtMostOnce, false, &sample);
        let name = if self.is("B12") { "something.else" } else { "system.start" };
        let event = json!({"schema": "evt.system.start/1.0", "ts": now_ms(), "device_id": ID, "event_type": name, "data": {"reason": "power"}});
        self.say("evt/system.start", if self.is("B14") { Qos::AtMostOnce } else { Qos::AtLeastOnce }, false, &event);
        if self.is("B16") {
            self.say("topology/update", Qos::AtLeastOnce, false, &json!({"schema": "topology.update/1.0", "ts": now_ms(), "connections": {}}));
        }
    }

    async fn live(self, mut events: Events) {
        let mut greeted = false;
        let mut every = tokio::time::interval(Duration::from_secs(8));
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = every.tick(), if greeted => {
                    self.state();
                    continue;
                }
            };
            match event {
                Some(LinkEvent::Up { .. }) => {
                    if !greeted || !self.is("R05") {
                        self.greet();
                    }
                    if !greeted {
                        self.report();
                    }
                    greeted = true;
                }
                Some(LinkEvent::Message(message)) => match serde_json::from_slice::<Value>(&self.opened(&message.payload)) {
                    Ok(command) if command["id"].is_string() && command["op"].is_string() => drop(tokio::spawn(self.clone().command(command))),
                    _ if self.is("C05") => return,
                    _ => {}
                },
                Some(_) => {}
                None => return,
            }
        }
    }

    async fn command(self, command: Value) {
        let id = command["id"].as_str().unwrap().to_owned();
        let qos = if self.is("R03") { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        tokio::time::sleep(if self.is("B09") {
            Duration::from_millis(1_200)
        } else if self.is("P01") {
            Duration::from_millis(150)
        } else {
            Duration::ZERO
        })
        .await;
        self.say("cmd/ack", qos, false, &json!({"schema": "cmd.ack/1.0", "ts": now_ms(), "id": id, "status": "received"}));
        let known = if self.is("C03") { None } else { self.stored.lock().unwrap().get(&id).cloned() };
        let mut answer = known.unwrap_or_else(|| self.run(&id, command["op"].as_str().unwrap(), &command["args"]));
        answer["ts"] = json!(now_ms());
        self.stored.lock().unwrap().insert(id, answer.clone());
        self.say("cmd/res", qos, false, &answer);
    }

    fn run(&self, id: &str, op: &str, args: &Value) -> Value {
        let done = |result: Value| json!({"schema": "cmd.result/1.0", "id": id, "status": "completed", "result": result});
        let fails = |code: &str, message: &str| json!({"schema": "cmd.error/1.0", "id": id, "status": "failed", "error": {"code": code, "message": message}});
        match op {
            _ if !args.is_object() && !self.is("C02") => fails("E_INVALID_ARGS", "args must be an object"),
            "device.status" if self.is("B10") => done(json!("fine")),
            "device.status" => done(Value::Object(self.figures())),
            "batch.execute" if !self.is("C04") => {
                let item = |item: &Value| {
                    let answer = self.run("", item["op"].as_str().unwrap_or_default(), &item["args"]);
                    let status = if answer["status"] == "completed" { "success" } else { "error" };
                    json!({"command_id": item["id"], "status": status, "result": answer["result"], "error": answer["error"]})
                };
                done(json!({"results": args["commands"].as_array().into_iter().flatten().map(item).collect::<Vec<_>>()}))
            }
            _ if self.is("C01") => done(json!({})),
            _ => fails("E_UNKNOWN_OP", "no such op"),
        }
    }
}
