//! A complete device: a fan whose speed can be read and changed, with telemetry, events, and a state.
//!
//! `cargo run --bin device -- 127.0.0.1:1883`; over TLS: `cargo run --bin device -- mqtt.example.net:8883 ca.crt client.crt client.key`

use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use talkwire_device::{Act, Applied, Args, Attributes, Broker, Device, DeviceConfig, Health, Severity, StateReport, Tls, ToolError, ToolSupport, tool_fn};

/// The thing itself: its speed in percent.
#[derive(Clone, Default)]
struct Fan(Arc<Mutex<i64>>);

impl Fan {
    fn turn(&self, section: &Value) -> Value {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = section["speed"].as_i64().unwrap_or(0);
        self.section()
    }
    fn section(&self) -> Value {
        json!({"speed": *self.0.lock().unwrap_or_else(PoisonError::into_inner)})
    }
}

impl Act for Fan {
    fn op(&self) -> &str {
        "fan.set_speed"
    }
    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let speed = args.get("speed").and_then(Value::as_i64).filter(|speed| (0..=100).contains(speed));
        speed.map(|speed| json!({"speed": speed})).ok_or_else(|| ToolError::invalid_args("args.speed must be 0 to 100 (percent)"))
    }
    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(self.section())
    }
    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        Ok(Applied::section(self.turn(&self.check(args).await?)))
    }
    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        Ok(self.turn(previous))
    }
}

/// What this program uses of processor and memory, in percent. A clock tick is a hundredth of a second, a page 4 KiB.
fn figures(began: Instant) -> Option<Map<String, Value>> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |text: &str, place: usize| text.split_whitespace().nth(place)?.parse::<f64>().ok();
    let stat = read("/proc/self/stat")?;
    let (_, times) = stat.rsplit_once(") ")?;
    let ticks = number(times, 11)? + number(times, 12)?;
    let memory = number(&read("/proc/self/statm")?, 1)? * 4.0 / number(&read("/proc/meminfo")?, 1)?;
    let hundredth = |percent: f64| json!((percent * 100.0).round() / 100.0);
    let figures = [("cpu_usage", hundredth(ticks / began.elapsed().as_secs_f64().max(1.0))), ("memory_usage", hundredth(memory * 100.0))];
    Some(figures.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (host, port) = words.first().and_then(|at| at.rsplit_once(':')).ok_or("usage: device HOST:PORT [CA [CERTIFICATE KEY]]")?;
    let broker = match &words[1..] {
        [] => Broker::open(host, port.parse()?),
        [ca] => Broker::tls(host, port.parse()?, Tls::ca(ca)),
        [ca, certificate, key, ..] => Broker::tls(host, port.parse()?, Tls::ca(ca).identity(certificate, key)),
        [_, _] => return Err("a client certificate needs its key".into()),
    };
    let (fan, began) = (Fan::default(), Instant::now());
    let text = |text: &str| Some(text.to_owned());
    let attributes =
        Attributes { manufacturer: text("Example"), model: text("rust-fan"), firmware_version: text(env!("CARGO_PKG_VERSION")), ..Attributes::default() };
    let config = DeviceConfig { attributes, ..DeviceConfig::new("demo/home/fan-1".parse()?, "fan", broker) };
    let seen = fan.clone();
    let read = tool_fn("fan.read", ToolSupport::plain(), move |_| std::future::ready(Ok(seen.section())));
    let state = move || StateReport { health: Health::Ok, figures: figures(began).unwrap_or_default() };
    let device = Device::builder(config).tool(read).act(fan.clone()).state(state).start().await?;
    device.event("fan.started", Severity::Info, json!({"version": env!("CARGO_PKG_VERSION")}));
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = minute.tick() => device.telemetry("speed", fan.section()["speed"].clone(), "percent"),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    device.shutdown().await;
    Ok(())
}
