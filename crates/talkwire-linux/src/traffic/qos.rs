//! `qos.get_status`: what limits the line, by `tc`.

use crate::machine::Machine;
use crate::program;
use crate::text::{clean, tenth};
use crate::tool::{LinuxTool, cheap};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::ToolError;

const OP: &str = "qos.get_status";
const TIME: Duration = Duration::from_secs(4);
/// Queues that hold a rate.
const SHAPERS: [&str; 5] = ["tbf", "htb", "hfsc", "cake", "netem"];
/// Queues that only share fairly.
const FAIR: [&str; 5] = ["fq_codel", "sfq", "fq", "fq_pie", "drr"];

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let Some(tc) = machine.root.program("tc") else { return LinuxTool::lacking(OP, "no_tc") };
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(400), move |_call| {
        let (machine, tc) = (machine.clone(), tc.clone());
        async move { answer(&machine, &tc).await }
    })
}

/// A queue of an interface that holds a rate.
#[derive(Debug, Clone, PartialEq)]
struct Shaper {
    interface: String,
    kind: String,
    mbps: Option<f64>,
}

async fn answer(machine: &Machine, tc: &Path) -> Result<Value, ToolError> {
    let run = |args: Vec<String>| async move { program::run(tc, &args, TIME).await };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let queues = run(words("-j qdisc show")).await?;
    let queues: Value = serde_json::from_str(&queues.text).map_err(|_| ToolError::failed("tc does not speak JSON; install the full tc of iproute2"))?;
    let mut shapers = shapers(&queues);
    for shaper in &mut shapers {
        if matches!(shaper.kind.as_str(), "htb" | "hfsc") {
            // Classes are not told in JSON by every version.
            let classes = run(vec!["class".into(), "show".into(), "dev".into(), shaper.interface.clone()]).await?;
            shaper.mbps = largest_class(&classes.text);
        }
    }
    let wan = machine.way_out().map(|way| way.interface);
    let police = match wan.as_deref() {
        Some(wan) if has_ingress(&queues, wan) => run(words(&format!("filter show dev {wan} ingress"))).await.ok().and_then(|output| police(&output.text)),
        _ => None,
    };
    Ok(report(&queues, &shapers, wan.as_deref(), police))
}

fn report(queues: &Value, shapers: &[Shaper], wan: Option<&str>, police: Option<f64>) -> Value {
    let up = shapers.iter().find(|shaper| Some(shaper.interface.as_str()) == wan);
    // What is received can be held back only where it leaves again: at a mirror of the line, or at the ports inside.
    let mirror = shapers.iter().find(|shaper| shaper.interface.starts_with("ifb"));
    let inside = shapers.iter().filter(|shaper| Some(shaper.interface.as_str()) != wan).min_by(|a, b| rank(a).total_cmp(&rank(b)));
    let down = mirror.or(inside);
    let cap_down = down.and_then(|shaper| shaper.mbps).into_iter().chain(police).reduce(f64::min);
    let rules = shapers.iter().map(|shaper| json!({"interface": shaper.interface, "kind": shaper.kind, "rate_mbps": shaper.mbps}));
    let fair = fair(queues, wan);
    let enabled = !shapers.is_empty() || police.is_some();
    let policy = up.or(down).map(|shaper| shaper.kind.clone()).or(police.map(|_| "police".to_owned())).or(fair.clone().filter(|_| enabled));
    json!({"enabled": enabled, "policy_name": policy, "cap_down_mbps": cap_down, "cap_up_mbps": up.and_then(|shaper| shaper.mbps), "fair_queue": fair, "rules": rules.collect::<Vec<_>>()})
}

fn rank(shaper: &Shaper) -> f64 {
    shaper.mbps.unwrap_or(f64::INFINITY)
}

fn shapers(queues: &Value) -> Vec<Shaper> {
    let queue = |queue: &Value| {
        let kind = queue.get("kind")?.as_str().filter(|kind| SHAPERS.contains(kind))?;
        let interface = clean(queue.get("dev")?.as_str()?, 15);
        let options = queue.get("options");
        let bytes = |name: &str| options.and_then(|options| options.get(name)).and_then(Value::as_f64);
        let rate = match kind {
            "tbf" => bytes("rate"),
            "cake" => bytes("bandwidth"),
            "netem" => options.and_then(|options| options.get("rate")).and_then(|rate| rate.as_f64().or_else(|| rate.get("rate")?.as_f64())),
            _ => None,
        };
        // A delay without a rate, or a cake without a limit, caps nothing.
        let mbps = rate.map(|bytes| tenth(bytes * 8.0 / 1e6)).filter(|mbps| *mbps > 0.0);
        (mbps.is_some() || matches!(kind, "htb" | "hfsc")).then(|| Shaper { interface, kind: kind.into(), mbps })
    };
    queues.as_array().into_iter().flatten().filter_map(queue).take(64).collect()
}

fn fair(queues: &Value, wan: Option<&str>) -> Option<String> {
    let mut on_line = queues.as_array().into_iter().flatten().filter(|queue| queue.get("dev").and_then(Value::as_str) == wan);
    on_line.find_map(|queue| queue.get("kind")?.as_str().filter(|kind| FAIR.contains(kind) || *kind == "cake")).map(str::to_owned)
}

fn has_ingress(queues: &Value, wan: &str) -> bool {
    let mut all = queues.as_array().into_iter().flatten();
    all.any(|queue| queue.get("dev").and_then(Value::as_str) == Some(wan) && matches!(queue.get("kind").and_then(Value::as_str), Some("ingress" | "clsact")))
}

/// The largest `ceil` (or `rate`) of the classes: what a single user can have.
fn largest_class(text: &str) -> Option<f64> {
    let class = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let after = |name: &str| words.iter().position(|word| *word == name).and_then(|place| parse_rate(words.get(place + 1)?));
        after("ceil").or_else(|| after("rate")).or_else(|| after("m2"))
    };
    text.lines().filter(|line| line.starts_with("class ")).filter_map(class).reduce(f64::max)
}

/// The least rate of a filter that drops what is too much.
fn police(text: &str) -> Option<f64> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let rates = words.windows(2).filter(|pair| pair[0] == "rate").filter_map(|pair| parse_rate(pair[1]));
    rates.reduce(f64::min).filter(|_| text.contains("police"))
}

/// `5Mbit`, `1500Kbit`, `1Gbit`, `800bit` as Mbit/s.
fn parse_rate(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let factor = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "bit" => 1e-6,
        "kbit" => 1e-3,
        "mbit" => 1.0,
        "gbit" => 1e3,
        "tbit" => 1e6,
        _ => return None,
    };
    Some(tenth(number * factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cap_in_each_direction_is_told() {
        let queues = json!([
            {"kind": "noqueue", "dev": "lo"},
            {"kind": "tbf", "dev": "wan", "options": {"rate": 2_500_000, "burst": 32_767}},
            {"kind": "htb", "handle": "1:", "dev": "br-lan", "root": true, "options": {"default": "0x10"}},
            {"kind": "fq_codel", "dev": "br-lan", "parent": "1:10"},
        ]);
        let mut shapers = shapers(&queues);
        assert_eq!(shapers.len(), 2);
        shapers[1].mbps =
            largest_class("class htb 1:10 root prio 0 rate 5Mbit ceil 8Mbit burst 1600b cburst 1600b \nclass htb 1:11 root rate 512Kbit ceil 1Mbit\n");
        let status = report(&queues, &shapers, Some("wan"), None);
        assert_eq!(
            (&status["enabled"], &status["policy_name"], &status["cap_up_mbps"], &status["cap_down_mbps"]),
            (&json!(true), &json!("tbf"), &json!(20.0), &json!(8.0))
        );
        assert_eq!(status["rules"][1], json!({"interface": "br-lan", "kind": "htb", "rate_mbps": 8.0}));
    }

    #[test]
    fn a_fair_queue_alone_is_no_cap() {
        let queues = json!([{"kind": "fq_codel", "dev": "wan"}, {"kind": "cake", "dev": "lan", "options": {"bandwidth": "unlimited"}}, {"kind": "netem", "dev": "x", "options": {"delay": {"delay": 0.1}}}]);
        let status = report(&queues, &shapers(&queues), Some("wan"), None);
        assert_eq!((&status["enabled"], &status["policy_name"], &status["fair_queue"]), (&json!(false), &Value::Null, &json!("fq_codel")));
    }

    #[test]
    fn what_is_dropped_on_arrival_is_a_cap() {
        let text = "filter protocol all pref 49152 u32 chain 0\n police 0x1 rate 30Mbit burst 10Kb mtu 2Kb action drop overhead 0b\n";
        let queues = json!([{"kind": "ingress", "dev": "wan"}]);
        assert!(has_ingress(&queues, "wan") && !has_ingress(&queues, "lan"));
        let status = report(&queues, &[], Some("wan"), police(text));
        assert_eq!((&status["cap_down_mbps"], &status["policy_name"], &status["enabled"]), (&json!(30.0), &json!("police"), &json!(true)));
    }

    #[test]
    fn rates_are_read() {
        for (text, wanted) in
            [("5Mbit", Some(5.0)), ("1500Kbit", Some(1.5)), ("1Gbit", Some(1000.0)), ("5", None), ("Mbit", None), ("-1Mbit", None), ("5MBps", None)]
        {
            assert_eq!(parse_rate(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(class htb 1:1 rate [0-9a-zA-Z.]{0,9} ceil\n|\\PC{0,30}\n){0,4}") {
            let _ = (largest_class(&text), police(&text), parse_rate(&text));
        }
    }
}
