//! `network.speedtest_full`: several connections to the controller or another server, both directions, and the delay while they run.

use super::ping::Pinger;
use super::stream::{self, Way};
use super::web::Url;
use crate::figures::{jitter, loss_percent, quantile};
use crate::machine::Machine;
use crate::text::tenth;
use crate::tool::{LinuxTool, all, limited, medium};
use crate::{args, route, target};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use talkwire_device::{Call, ToolError, ToolSupport};
use tokio::time::{Instant, sleep, sleep_until};

const OP: &str = "network.speedtest_full";
const SECONDS: u64 = 30;
const STREAMS: u64 = 4;
/// The part of a direction in which connections only get up to speed; it does not count.
const WARMING: f64 = 0.25;
const APART: Duration = Duration::from_millis(120);
const IDLE: usize = 10;
/// The door of the controller, when only a host is named.
const PORT: u16 = 5000;
/// Streams that broke off are begun again after this.
const AGAIN: Duration = Duration::from_millis(300);

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let mut support = ToolSupport { resource_usage: Some("high".into()), ..limited(medium(30_000), 1) };
    support.limitations.insert("max_duration".into(), json!(60));
    let machine = machine.clone();
    LinuxTool::new(OP, support, move |call| {
        let machine = machine.clone();
        async move { answer(&machine, call).await }
    })
}

/// What one direction showed.
struct Half {
    mbps: f64,
    delays_ms: Vec<f64>,
    broken: Option<String>,
}

async fn answer(machine: &Machine, call: Call) -> Result<Value, ToolError> {
    let args = &call.args;
    let server = args::host(args, "server")?.filter(|server| server != "auto");
    let seconds = args::whole(args, "duration", 5..=60)?.unwrap_or(SECONDS);
    let directions = ["both", "download", "upload"];
    let direction = directions[args::choice(args, "direction", &directions)?.unwrap_or(0)];
    let streams = args::whole(args, "parallel_streams", 1..=16)?.unwrap_or(STREAMS);
    let named = server.is_some() || machine.surroundings.speed_server.is_some();
    let url = match server {
        Some(host) => Url { host, port: PORT, path: "/".into() },
        None => {
            let told = machine.surroundings.speed_server.as_deref().or(machine.controller.as_deref());
            let told = told.ok_or_else(|| {
                ToolError::not_available("no_speed_server", "no speed server is configured; set speed_server, for example to http://CONTROLLER:5000")
            })?;
            Url::parse(told).ok_or_else(|| ToolError::not_available("no_speed_server", "speed_server must be an address such as http://CONTROLLER:5000"))?
        }
    };
    let ip = target::resolve(&url.host).await?;
    if !named && !lies_beyond(machine, ip) {
        return Err(ToolError::not_available(
            "no_speed_server",
            format!(
                "the controller at {ip} is in this very network, so a test would measure the network and not the line; set speed_server to one beyond the line"
            ),
        ));
    }
    let place = SocketAddr::from((ip, url.port));
    let idle = idle(place).await;
    if idle.is_empty() {
        return Err(ToolError::not_available(
            "speed_server_unreachable",
            format!("nobody answers at {}:{}; is the controller's HTTP door reachable from here?", url.host, url.port),
        ));
    }
    call.progress.percent(5.0);
    let parts = if direction == "both" { 2 } else { 1 };
    let span = Duration::from_secs(seconds) / parts;
    let began = Instant::now();
    let down = if direction == "upload" { None } else { Some(half(&url, ip, Way::Down, streams, span).await) };
    call.progress.percent(if parts == 2 { 50.0 } else { 95.0 });
    let up = if direction == "download" { None } else { Some(half(&url, ip, Way::Up, streams, span).await) };
    let seconds = began.elapsed().as_secs_f64();
    let halves = [&down, &up];
    // Nothing went through although somebody is there: then it is no speed server, which is no speed of the line.
    if let Some(reason) = halves.into_iter().flatten().filter(|half| half.mbps == 0.0).find_map(|half| half.broken.as_deref()) {
        return Err(ToolError::not_available("no_speed_server", format!("the speed test broke off: {reason}")));
    }
    let loss = loss(ip).await;
    let mut result = json!({"side": if machine.is_router().await { "wan" } else { "client" }, "server": url.authority(),
        "latency_ms": quantile(&idle, 0.5), "jitter_ms": jitter(&idle), "test_duration_s": tenth(seconds), "parallel_streams": streams});
    for (half, rate, delay) in [(down, "download_mbps", "loaded_latency_down_ms"), (up, "upload_mbps", "loaded_latency_up_ms")] {
        if let Some(half) = half {
            result[rate] = json!(tenth(half.mbps));
            result[delay] = quantile(&half.delays_ms, 0.5);
        }
    }
    let known =
        [("packet_loss_percent", loss), ("expected_speed", machine.surroundings.plan_down_mbps), ("expected_upload_mbps", machine.surroundings.plan_up_mbps)];
    for (name, figure) in known {
        if let Some(figure) = figure {
            result[name] = json!(figure);
        }
    }
    Ok(result)
}

/// Whether the way to an address leads out over the line: not to a neighbour with a private address, and not to this machine.
fn lies_beyond(machine: &Machine, ip: Ipv4Addr) -> bool {
    let Some((interface, neighbour)) = route::reached_over(&machine.root, ip).filter(|_| !ip.is_loopback()) else { return false };
    machine.way_out().is_some_and(|way| way.interface == interface) && !(neighbour && ip.is_private())
}

/// The delay of the line before it is loaded.
async fn idle(server: SocketAddr) -> Vec<f64> {
    let mut times = Vec::with_capacity(IDLE);
    for round in 0..IDLE {
        times.extend(stream::connect_ms(server).await);
        if times.is_empty() && round >= 2 {
            return times;
        }
        sleep(APART).await;
    }
    times
}

/// Loss by pings, when the server answers any.
async fn loss(ip: Ipv4Addr) -> Option<f64> {
    let series = Pinger::open().ok()?.series(ip, 20, Duration::from_millis(50), Duration::from_secs(1), 56).await;
    (!series.times_ms.is_empty()).then(|| loss_percent(series.sent, series.times_ms.len()))
}

/// One direction, for a time.
async fn half(url: &Url, ip: Ipv4Addr, way: Way, streams: u64, span: Duration) -> Half {
    let count = AtomicU64::new(0);
    let (mut delays_ms, mut rate, mut broken) = (Vec::new(), 0.0, None);
    let began = Instant::now();
    let loads = (0..streams).map(|_| load(url, ip, way, &count)).collect();
    let measuring = async {
        sleep_until(began + span.mul_f64(WARMING)).await;
        let (from, bytes) = (Instant::now(), count.load(Ordering::Relaxed));
        while began.elapsed() < span {
            let next = Instant::now() + APART;
            delays_ms.extend(stream::connect_ms(SocketAddr::from((ip, url.port))).await);
            sleep_until(next.min(began + span)).await;
        }
        let moved = count.load(Ordering::Relaxed).saturating_sub(bytes);
        rate = moved as f64 * 8.0 / 1e6 / from.elapsed().as_secs_f64().max(1e-3);
    };
    tokio::select! {
        ended = all(loads) => broken = ended.into_iter().next(),
        () = measuring => {}
    }
    Half { mbps: rate, delays_ms, broken }
}

/// One connection; it is begun anew when it breaks, but not for ever.
async fn load(url: &Url, ip: Ipv4Addr, way: Way, count: &AtomicU64) -> String {
    let (mut reason, mut tries) = (String::new(), 0);
    while tries < 5 {
        let before = count.load(Ordering::Relaxed);
        match stream::run(url, ip, way, count).await {
            Ok(()) => {}
            Err(error) => reason = error.to_string(),
        }
        tries = if count.load(Ordering::Relaxed) > before { 0 } else { tries + 1 };
        sleep(AGAIN).await;
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::surroundings::Surroundings;

    #[test]
    fn a_controller_in_the_same_network_is_no_measure_of_the_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/net")).unwrap();
        let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let row = |name: &str, net: [u8; 4], gateway: [u8; 4], mask: [u8; 4]| {
            format!("{name}\t{}\t{}\t0003\t0\t0\t0\t{}\t0\t0\t0\n", hex(net), hex(gateway), hex(mask))
        };
        let routes = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n".to_owned(),
            row("wan", [0, 0, 0, 0], [192, 0, 2, 1], [0, 0, 0, 0]),
            row("wan", [192, 0, 2, 0], [0, 0, 0, 0], [255, 255, 255, 0]),
            row("lan", [192, 168, 1, 0], [0, 0, 0, 0], [255, 255, 255, 0]),
        ];
        std::fs::write(folder.path().join("proc/net/route"), routes.concat()).unwrap();
        let machine = Machine::within(Root::new(folder.path()), Surroundings::default(), None, None);
        for (place, beyond) in [([192, 168, 1, 9], false), ([127, 0, 0, 1], false), ([192, 0, 2, 1], true), ([203, 0, 113, 5], true)] {
            assert_eq!(lies_beyond(&machine, place.into()), beyond, "{place:?}");
        }
    }
}
