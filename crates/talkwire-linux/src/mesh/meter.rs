//! `mesh.backhaul_test`: what the way to each neighbour carries, by the pings and the throughput meter of batman-adv.

use super::{Kind, MOST, Node, kind, nodes};
use crate::args;
use crate::machine::Machine;
use crate::program;
use crate::text::tenth;
use crate::tool::{LinuxTool, limited, medium};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, Progress, ToolError, ToolSupport};

const OP: &str = "mesh.backhaul_test";
const PINGS: &str = "10";
const SECONDS: u64 = 5;
const MOST_SECONDS: u64 = 60;
/// What all neighbours together may take.
const WHOLE: Duration = Duration::from_secs(40);
/// What a program takes beside the time of the test.
const SPARE: Duration = Duration::from_secs(5);

pub(super) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let interface = match kind(&machine.root) {
        Ok(Kind::Batman(interface)) => interface,
        // 802.11s has no meter of its own, and its nodes need not have addresses to send to.
        Ok(Kind::Paths) => return LinuxTool::lacking(OP, "no_batman_adv"),
        Err(reason) => return LinuxTool::lacking(OP, reason),
    };
    let machine = machine.clone();
    let support = ToolSupport { resource_usage: Some("high".into()), ..limited(medium(15_000), 1) };
    LinuxTool::new(OP, support, move |call| {
        let (machine, interface) = (machine.clone(), interface.clone());
        async move { answer(&machine, &interface, &call.args, &call.progress).await }
    })
}

async fn answer(machine: &Machine, interface: &str, args: &Args, progress: &Progress) -> Result<Value, ToolError> {
    let only = args::mac(args, "node_id")?;
    let seconds = args::whole(args, "test_duration", 1..=MOST_SECONDS)?.unwrap_or(SECONDS);
    let batctl = machine.root.program("batctl").ok_or_else(|| ToolError::not_available("no_batctl", "the program batctl is gone"))?;
    let all = nodes(&machine.root, &Kind::Batman(interface.to_owned())).await?;
    let neighbours: Vec<Node> = all.into_iter().filter(|node| node.is_direct() && only.as_ref().is_none_or(|only| *only == node.mac)).take(MOST).collect();
    if let (Some(only), true) = (&only, neighbours.is_empty()) {
        return Err(ToolError::invalid_args(format!("args.node_id: {only} is no neighbour of this node; mesh.get_backhaul tells them")));
    }
    let share = WHOLE.as_secs() / u64::try_from(neighbours.len().max(1)).unwrap_or(1);
    let seconds = seconds.min(share.max(1));
    let mut rows = Vec::new();
    for (at, node) in neighbours.iter().enumerate() {
        progress.percent(100.0 * at as f64 / neighbours.len() as f64);
        // One after the other: they share the air.
        rows.push(measure(machine, &batctl, interface, node, seconds).await);
    }
    Ok(json!({"nodes": rows, "duration_s": seconds}))
}

async fn measure(machine: &Machine, batctl: &Path, interface: &str, node: &Node, seconds: u64) -> Value {
    let mac = node.mac.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":");
    let ask = async |words: &[&str], time: Duration| {
        let words: Vec<String> = ["meshif", interface].iter().chain(words).map(|&word| word.to_owned()).collect();
        program::run(&PathBuf::from(batctl), &words, time).await.map(|output| output.text)
    };
    let pinged = ask(&["ping", "-c", PINGS, "-i", "0.2", &mac], SPARE * 2).await.map(|text| parse_ping(&text));
    let metered =
        ask(&["throughputmeter", "-t", &(seconds * 1000).to_string(), &mac], Duration::from_secs(seconds) + SPARE).await.map(|text| parse_meter(&text));
    let by_radio = crate::ports::is_wifi(&machine.root, &node.interface);
    let (loss, median) = pinged.clone().unwrap_or_default();
    let troubles: Vec<String> = [pinged.err(), metered.as_ref().err().cloned()].into_iter().flatten().map(|error| error.message).collect();
    let known = [
        ("device_id", Some(json!(node.mac))),
        ("name", Some(json!(node.mac))),
        ("kind", Some(json!(if by_radio { "radio" } else { "eth" }))),
        ("throughput_mbps", metered.ok().flatten().map(|mbps| json!(mbps))),
        ("latency_ms", median.map(|ms| json!(ms))),
        ("loss_percent", loss.map(|percent| json!(percent))),
        ("not_measured", (!troubles.is_empty()).then(|| json!(troubles.join("; ")))),
    ];
    Value::Object(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}

/// Loss in percent and the mean time in ms, from the last lines of `batctl ping`.
fn parse_ping(text: &str) -> (Option<f64>, Option<f64>) {
    let loss = text.lines().find_map(|line| line.split(", ").find_map(|part| part.strip_suffix("% packet loss")?.parse().ok()));
    let mean = text.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = ")?.split('/').nth(1)?.parse().ok());
    let fits = |number: &f64| number.is_finite() && *number >= 0.0;
    (loss.filter(|loss: &f64| fits(loss) && *loss <= 100.0), mean.filter(fits).map(tenth))
}

/// Mbit/s of `Throughput: 5.71 MB/s (45.68 Mbps)`.
fn parse_meter(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Throughput: "))?;
    let (number, unit) = line.split_once('(')?.1.split_once(')')?.0.split_once(' ')?;
    let factor = match unit {
        "bps" => 0.000_001,
        "Kbps" => 0.001,
        "Mbps" => 1.0,
        "Gbps" => 1000.0,
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(|number| tenth(number * factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_batctl_says_is_read() {
        let ping = "PING 02:00:00:00:00:03 (02:00:00:00:00:03) 20(48) bytes of data\n20 bytes from 02:00:00:00:00:03 icmp_seq=1 ttl=50 time=2.35 ms\n--- 02:00:00:00:00:03 ping statistics ---\n10 packets transmitted, 9 received, 10% packet loss\nrtt min/avg/max/mdev = 1.213/2.418/6.071/1.200 ms\n";
        assert_eq!(parse_ping(ping), (Some(10.0), Some(2.4)));
        let meter = "Bandwidth meter called towards 02:00:00:00:00:03\nTest duration 5010ms.\nSent 28639240 Bytes.\nThroughput: 5.71 MB/s (45.68 Mbps)\n";
        assert_eq!(parse_meter(meter), Some(45.7));
        assert_eq!(parse_meter("Throughput: 512.00 KB/s (4096.00 Kbps)"), Some(4.1));
        assert_eq!((parse_ping("; reboot"), parse_meter("Error - x")), ((None, None), None));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(Throughput: \\PC{0,20}\\(\\PC{0,12}\\)\n|\\PC{0,20}% packet loss\n|rtt min/avg/max/mdev = \\PC{0,20}\n){0,4}") {
            let _ = (parse_ping(&text), parse_meter(&text));
        }
    }
}
